"""Charges by API: what is said about them, and the way of old to capture."""

from __future__ import annotations

from attrs import evolve

from . import addresses, buyers, intents, render
from .catalogue import difference
from .errors import StripeRefusal, invalid
from .params import Params
from .records.payments import Charge
from .state import Context


def update(context: Context, charge: Charge, params: Params) -> Charge:
    """`POST /v1/charges/{id}`."""
    params.only(
        "customer",
        "description",
        "metadata",
        "receipt_email",
        "shipping",
        elsewhere=("fraud_details", "transfer_group"),
    )
    data, description = charge.intent_data, params.text("description", limit=1000, unsettable=True)
    customer = buyers.known(context, params)
    if customer is not None and charge.customer not in (None, customer):
        raise invalid("customer", "You cannot change the customer of a charge that already has one.")
    changed = evolve(
        charge,
        customer=customer or charge.customer,
        intent_data=evolve(
            data,
            description=data.description if description is None else description or None,
            metadata=params.metadata(current=data.metadata),
            receipt_email=params.email("receipt_email") or data.receipt_email,
            shipping=addresses.shipping(params.child("shipping")) or data.shipping,
        ),
    )
    if changed != charge:
        context.state.charges.put(changed)
        before, after = render.charge(context, charge), render.charge(context, changed)
        context.emit("charge.updated", after, difference(before, after))
    return changed


def capture(context: Context, charge: Charge, params: Params) -> Charge:
    """`POST /v1/charges/{id}/capture`, whole or in part."""
    params.only(
        "amount",
        elsewhere=(
            "application_fee", "application_fee_amount", "receipt_email", "statement_descriptor",
            "statement_descriptor_suffix", "transfer_data", "transfer_group",
        ),
    )  # fmt: skip
    intent = context.state.intents.need(charge.payment_intent)
    if intent.status != "requires_capture":
        raise StripeRefusal(f"Charge {charge.id} has already been captured.", code="charge_already_captured")
    amount = params.integer("amount", minimum=1) or charge.amount_minor
    if amount > charge.amount_minor:
        raise invalid("amount", f"You cannot capture a charge for an amount greater than {charge.amount_minor}.")
    intents.capture(context, intent, amount)
    return context.state.charges.need(charge.id)
