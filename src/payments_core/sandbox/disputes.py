"""Disputes and early fraud warnings, as the documented test cards make them: https://docs.stripe.com/testing#disputes.

needs_response ──evidence──▶ under_review ──▶ won (money back) or lost
warning_needs_response ──evidence──▶ warning_under_review ──▶ warning_closed, or escalated to needs_response

The answer to evidence is decided by `uncategorized_text`: `winning_evidence`, `losing_evidence`, or
`escalate_inquiry_evidence` for an inquiry. Other evidence stays under review.
"""

from __future__ import annotations

from attrs import evolve

from . import render
from .catalogue import difference
from .errors import JsonObject, StripeRefusal, invalid
from .params import Params
from .records.disputes import Dispute, DisputeStatus, FraudWarning, Movement
from .records.payments import Charge
from .state import DAY_S, Context

FEE_MINOR = 1500
RESPONSE_S = 9 * DAY_S
#: Network reason codes of Visa.
_REASONS = {
    "fraudulent": ("fraudulent", "10.4"),
    "product_not_received": ("product_not_received", "13.1"),
    "inquiry": ("fraudulent", "10.4"),
}
_TEXTS = (
    "access_activity_log", "billing_address", "cancellation_policy_disclosure", "cancellation_rebuttal",
    "customer_email_address", "customer_name", "customer_purchase_ip", "duplicate_charge_explanation",
    "duplicate_charge_id", "product_description", "refund_policy_disclosure", "refund_refusal_explanation",
    "service_date", "shipping_address", "shipping_carrier", "shipping_date", "shipping_tracking_number",
    "uncategorized_text",
)  # fmt: skip
_FILES = (
    "appeal", "cancellation_policy", "customer_communication", "customer_signature", "duplicate_charge_documentation",
    "enhanced_evidence", "receipt", "refund_policy", "service_documentation", "shipping_documentation",
    "uncategorized_file",
)  # fmt: skip
_OPEN = ("needs_response", "warning_needs_response")


def follow(context: Context, charge: Charge) -> None:
    """What the card of a charge that was just paid does next."""
    method = context.state.methods.need(charge.payment_method)
    if method.conduct.warned:
        warning = context.state.warnings.put(
            FraudWarning(context.ids.new("issfr_1", 23), context.now, charge.id, charge.payment_intent)
        )
        context.emit("radar.early_fraud_warning.created", render.fraud_warning(context, warning))
    if method.conduct.dispute is not None:
        raise_by_bank(context, charge, method.conduct.dispute)


def raise_by_bank(context: Context, charge: Charge, why: str = "fraudulent") -> Dispute:
    """The buyer's bank disputes a charge: `fraudulent`, `product_not_received`, or an `inquiry` before that.

    Raises StripeRefusal for a charge that is not paid or disputed already.
    """
    if charge.status != "succeeded" or charge.captured_minor is None or charge.disputed:
        raise invalid("charge", f"Charge {charge.id} is not paid, or disputed already.")
    reason, code = _REASONS[why]
    return _open(context, charge, reason, code, inquiry=why == "inquiry")


def update(context: Context, dispute: Dispute, params: Params) -> Dispute:
    """`POST /v1/disputes/{id}`: evidence, staged (`submit=false`) or handed in."""
    params.only("evidence", "metadata", "submit", elsewhere=("intended_submission_method",))
    changed = evolve(dispute, metadata=params.metadata(current=dispute.metadata))
    evidence = params.child("evidence")
    if evidence is None:
        return _save(context, dispute, changed)
    if dispute.status not in _OPEN:
        raise StripeRefusal(
            f"You cannot update the evidence of this dispute because it has a status of {dispute.status}."
        )
    changed = evolve(changed, evidence=_evidence(dispute, evidence))
    if params.boolean("submit") is False:
        return _save(context, dispute, changed)
    return _submit(context, dispute, evolve(changed, submissions=dispute.submissions + 1))


def close(context: Context, dispute: Dispute) -> Dispute:
    """`POST /v1/disputes/{id}/close`: give in. The dispute is lost; an inquiry ends without loss."""
    if dispute.status not in _OPEN:
        raise StripeRefusal(f"This dispute is already closed or under review: its status is {dispute.status}.")
    return _end(context, dispute, dispute, "warning_closed" if dispute.is_inquiry else "lost")


def withdraw_inquiries(context: Context, charge: Charge) -> None:
    """A full refund ends an inquiry, https://docs.stripe.com/disputes/how-disputes-work#inquiries."""
    for dispute in context.state.disputes:
        if dispute.charge == charge.id and dispute.status in ("warning_needs_response", "warning_under_review"):
            _end(context, dispute, dispute, "warning_closed")


def _open(context: Context, charge: Charge, reason: str, code: str, *, inquiry: bool) -> Dispute:
    method = context.state.methods.need(charge.payment_method)
    dispute = Dispute(
        id=context.ids.new("du_1", 23),
        created=context.now,
        amount_minor=charge.amount_minor,
        currency=charge.currency,
        charge=charge.id,
        payment_intent=charge.payment_intent,
        reason=reason,
        network_reason_code=code,
        due_by=context.now + RESPONSE_S,
        status="warning_needs_response" if inquiry else "needs_response",
        brand=method.card.brand if method.card else "visa",
    )
    if not inquiry:
        dispute = evolve(dispute, movements=(_withdrawal(context, dispute),))
    context.state.disputes.put(dispute)
    context.state.charges.put(evolve(charge, disputed=True))
    context.emit("charge.dispute.created", render.dispute(context, dispute))
    if not inquiry:
        context.emit("charge.dispute.funds_withdrawn", render.dispute(context, dispute))
    return dispute


def _evidence(dispute: Dispute, given: Params) -> dict[str, str]:
    given.only(*_TEXTS, elsewhere=_FILES)
    evidence = dict(dispute.evidence)
    for name in given.names():
        text = given.text(name, limit=20_000, unsettable=True)
        if text:
            evidence[name] = text
        else:
            evidence.pop(name, None)
    if sum(map(len, evidence.values())) > 150_000:
        raise invalid("evidence", "The combined character count of all evidence can be at most 150,000.")
    return evidence


def _submit(context: Context, before: Dispute, dispute: Dispute) -> Dispute:
    """Hand evidence in; the magic words of the test mode decide at once."""
    words = dispute.evidence.get("uncategorized_text", "")
    under_review: DisputeStatus = "warning_under_review" if dispute.is_inquiry else "under_review"
    reviewed = _save(context, before, evolve(dispute, status=under_review))
    if words == "escalate_inquiry_evidence" and reviewed.is_inquiry:
        return _escalate(context, reviewed)
    if words == "winning_evidence":
        return _end(context, reviewed, reviewed, "warning_closed" if reviewed.is_inquiry else "won")
    if words == "losing_evidence":
        return _end(context, reviewed, reviewed, "warning_closed" if reviewed.is_inquiry else "lost")
    return reviewed


def _escalate(context: Context, inquiry: Dispute) -> Dispute:
    """An inquiry becomes a dispute, and the money is taken."""
    dispute = evolve(inquiry, status="needs_response", due_by=context.now + RESPONSE_S)
    dispute = _save(context, inquiry, evolve(dispute, movements=(_withdrawal(context, dispute),)))
    context.emit("charge.dispute.funds_withdrawn", render.dispute(context, dispute))
    return dispute


def _end(context: Context, before: Dispute, dispute: Dispute, status: DisputeStatus) -> Dispute:
    ended = evolve(dispute, status=status)
    if status == "won":
        back = Movement(context.ids.new("txn_1", 23), context.now, dispute.amount_minor, 0)
        ended = evolve(ended, movements=(*dispute.movements, back))
    context.state.disputes.put(ended)
    charge = context.state.charges.get(dispute.charge)
    if charge is not None and status == "warning_closed":
        context.state.charges.put(evolve(charge, disputed=False))
    context.emit("charge.dispute.closed", render.dispute(context, ended), _changes(context, before, ended))
    if status == "won":
        context.emit("charge.dispute.funds_reinstated", render.dispute(context, ended))
    return ended


def _save(context: Context, before: Dispute, dispute: Dispute) -> Dispute:
    if dispute != before:
        context.state.disputes.put(dispute)
        context.emit("charge.dispute.updated", render.dispute(context, dispute), _changes(context, before, dispute))
    return dispute


def _changes(context: Context, before: Dispute, after: Dispute) -> JsonObject:
    return difference(render.dispute(context, before), render.dispute(context, after))


def _withdrawal(context: Context, dispute: Dispute) -> Movement:
    return Movement(context.ids.new("txn_1", 23), context.now, -dispute.amount_minor, FEE_MINOR)
