"""Dispute and early fraud warning on the wire."""

from __future__ import annotations

from ..errors import JsonObject
from ..records.disputes import Dispute, FraudWarning, Movement

_EVIDENCE = (
    "access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure",
    "cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name",
    "customer_purchase_ip", "customer_signature", "duplicate_charge_documentation", "duplicate_charge_explanation",
    "duplicate_charge_id", "product_description", "receipt", "refund_policy", "refund_policy_disclosure",
    "refund_refusal_explanation", "service_date", "service_documentation", "shipping_address", "shipping_carrier",
    "shipping_date", "shipping_documentation", "shipping_tracking_number", "uncategorized_file", "uncategorized_text",
)  # fmt: skip


def dispute(record: Dispute, now: int) -> JsonObject:
    """A Dispute: https://docs.stripe.com/api/disputes/object."""
    evidence: JsonObject = {name: record.evidence.get(name) for name in _EVIDENCE}
    open_ = record.status in ("needs_response", "warning_needs_response")
    return {
        "id": record.id,
        "object": "dispute",
        "amount": record.amount_minor,
        "balance_transactions": [_movement(record, movement) for movement in record.movements],
        "charge": record.charge,
        "created": record.created,
        "currency": record.currency,
        "enhanced_eligibility_types": [],
        "evidence": evidence | {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": record.due_by,
            "enhanced_eligibility": {},
            "has_evidence": bool(record.evidence),
            "past_due": open_ and now > record.due_by,
            "submission_count": record.submissions,
            "submission_method": "manual" if record.submissions else "not_submitted",
        },
        "is_charge_refundable": record.is_inquiry,
        "livemode": False,
        "metadata": dict(record.metadata),
        "payment_intent": record.payment_intent,
        "payment_method_details": {
            "card": {
                "brand": record.brand,
                "case_type": "inquiry" if record.is_inquiry else "chargeback",
                "network": record.brand,
                "network_reason_code": record.network_reason_code,
            },
            "type": "card",
        },
        "reason": record.reason,
        "status": record.status,
    }


def fraud_warning(record: FraudWarning, *, actionable: bool) -> JsonObject:
    """An early fraud warning: https://docs.stripe.com/api/radar/early_fraud_warnings/object."""
    return {
        "id": record.id,
        "object": "radar.early_fraud_warning",
        "actionable": actionable,
        "charge": record.charge,
        "created": record.created,
        "fraud_type": record.fraud_type,
        "livemode": False,
        "payment_intent": record.payment_intent,
    }


def _movement(record: Dispute, movement: Movement) -> JsonObject:
    """A balance transaction of a dispute."""
    taken = movement.amount_minor < 0
    fee = {
        "amount": movement.fee_minor,
        "application": None,
        "currency": record.currency,
        "description": "Dispute fee",
        "type": "stripe_fee",
    }
    return {
        "id": movement.id,
        "object": "balance_transaction",
        "amount": movement.amount_minor,
        "available_on": movement.created,
        "balance_type": "payments",
        "created": movement.created,
        "currency": record.currency,
        "description": f"Chargeback {'withdrawal' if taken else 'reversal'} for {record.charge}",
        "exchange_rate": None,
        "fee": movement.fee_minor,
        "fee_details": [fee] if movement.fee_minor else [],
        "net": movement.amount_minor - movement.fee_minor,
        "reporting_category": "dispute" if taken else "dispute_reversal",
        "source": record.id,
        "status": "available",
        "type": "adjustment",
    }
