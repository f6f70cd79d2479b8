"""Refund on the wire."""

from __future__ import annotations

from ..errors import JsonObject
from ..records.payments import Refund


def refund(record: Refund) -> JsonObject:
    """A Refund: https://docs.stripe.com/api/refunds/object."""
    return {
        "id": record.id,
        "object": "refund",
        "amount": record.amount_minor,
        "balance_transaction": None,
        "charge": record.charge,
        "created": record.created,
        "currency": record.currency,
        "destination_details": _destination(record.method_type),
        "metadata": dict(record.metadata),
        "payment_intent": record.payment_intent,
        "reason": record.reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


def _destination(method_type: str) -> JsonObject:
    """Where the money went; of bank debits Stripe's class has no details."""
    if method_type != "card":
        return {"type": method_type}
    card = {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}
    return {"card": card, "type": "card"}
