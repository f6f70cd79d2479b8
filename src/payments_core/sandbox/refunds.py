"""Giving money back: a refund of a charge, whole or in part, which succeeds at once as a card's does in test mode."""

from __future__ import annotations

from attrs import evolve

from . import disputes, render
from .catalogue import difference
from .errors import StripeRefusal, invalid, missing
from .params import Params
from .records.payments import Charge, Refund
from .state import Context

REASONS = ("duplicate", "fraudulent", "requested_by_customer")
_ELSEWHERE = (
    "currency", "customer", "instructions_email", "origin", "refund_application_fee", "reverse_transfer",
)  # fmt: skip


def create(context: Context, params: Params) -> Refund:
    """Refund the charge that is named, or the one that paid a payment intent: what is left of it, or `amount`."""
    params.only("amount", "charge", "metadata", "payment_intent", "reason", elsewhere=_ELSEWHERE)
    charge = _charge(context, params)
    left = charge.refundable_minor
    amount = params.integer("amount", minimum=1)
    if charge.status != "succeeded" or charge.captured_minor is None:
        raise invalid("charge", f"Charge {charge.id} has not succeeded and cannot be refunded.")
    if charge.disputed and not _is_inquired(context, charge):
        raise invalid("charge", f"Charge {charge.id} has been charged back; cannot issue a refund.", "charge_disputed")
    if left == 0:
        raise invalid("charge", f"Charge {charge.id} has already been refunded.", "charge_already_refunded")
    if amount is not None and amount > left:
        raise invalid("amount", f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left}).")
    refund = context.state.refunds.put(
        Refund(
            id=context.ids.new("re_3", 23),
            created=context.now,
            amount_minor=left if amount is None else amount,
            currency=charge.currency,
            charge=charge.id,
            payment_intent=charge.payment_intent,
            reason=params.choice("reason", REASONS),
            metadata=params.metadata(),
            method_type=context.state.methods.need(charge.payment_method).type,
        )
    )
    _tell(context, charge, refund)
    return refund


def update(context: Context, refund: Refund, params: Params) -> Refund:
    """`POST /v1/refunds/{id}`: its metadata."""
    params.only("metadata")
    changed = evolve(refund, metadata=params.metadata(current=refund.metadata))
    if changed != refund:
        context.state.refunds.put(changed)
        before, after = render.refund(refund), render.refund(changed)
        context.emit("refund.updated", after, difference(before, after))
        context.emit("charge.refund.updated", after, difference(before, after))
    return changed


def not_cancelable(refund: Refund) -> StripeRefusal:
    """Only a refund that waits for the buyer can be canceled; a card's never does."""
    return StripeRefusal(
        f"You cannot cancel the refund {refund.id}: only refunds with a status of requires_action can be canceled, and "
        "this one has a status of succeeded."
    )


def _is_inquired(context: Context, charge: Charge) -> bool:
    return any(dispute.charge == charge.id and dispute.is_inquiry for dispute in context.state.disputes)


def _charge(context: Context, params: Params) -> Charge:
    charge_id, intent_id = params.text("charge"), params.text("payment_intent")
    if charge_id is not None:
        return context.state.charges.need(charge_id, "charge", status=400)
    if intent_id is None:
        raise missing("payment_intent")
    intent = context.state.intents.need(intent_id, "payment_intent", status=400)
    if intent.latest_charge is None:
        raise invalid("payment_intent", f"The PaymentIntent {intent.id} does not have a successful charge to refund.")
    return context.state.charges.need(intent.latest_charge, "charge", status=400)


def _tell(context: Context, charge: Charge, refund: Refund) -> None:
    refunded = evolve(charge, refunded_minor=charge.refunded_minor + refund.amount_minor)
    context.state.charges.put(refunded)
    before = {"amount_refunded": charge.refunded_minor}
    context.emit("charge.refunded", render.charge(context, refunded), before)
    context.emit("refund.created", render.refund(refund))
    if refunded.refundable_minor == 0:
        disputes.withdraw_inquiries(context, refunded)
