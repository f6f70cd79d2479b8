"""The payment page by API, which Stripe does not document and its command-line tool uses (`stripe trigger`)."""

from __future__ import annotations

from .. import payment_methods, payments, refusals, render
from ..errors import JsonObject, invalid
from ..params import Params
from ..state import Context
from .table import Routes


def retrieve(context: Context, params: Params, session_id: str) -> JsonObject:
    """`GET /v1/payment_pages/{session}`: the session that the page is for."""
    params.only()
    return render.session(context, context.state.sessions.need(session_id, "session"))


def confirm(context: Context, params: Params, session_id: str) -> JsonObject:
    """`POST /v1/payment_pages/{session}/confirm`: pay an open session. Raises the card's refusal as StripeRefusal 402.

    `expected_amount` is what the buyer saw; another total is not charged.
    """
    params.only("payment_method", "expected_amount")
    session = context.state.sessions.need(session_id, "session")
    expected = params.integer("expected_amount")
    if expected is not None and expected != session.amount_minor:
        raise invalid(
            "expected_amount",
            f"The expected amount ({expected}) is not the total of this Checkout Session ({session.amount_minor}).",
            "checkout_amount_mismatch",
        )
    method = payment_methods.named(context, params.required("payment_method"), "payment_method", status=400)
    if method.type not in session.method_types:
        raise invalid(
            "payment_method",
            f"This Checkout Session takes {', '.join(session.method_types)}, not {method.type}.",
        )
    payment_methods.check_usable(context, method)
    intent = payments.pay_with(context, session, method)
    if intent.failure is not None:
        raise refusals.failed(context, intent)
    return render.session(context, context.state.sessions.need(session_id))


ROUTES: Routes = {
    ("GET", "/v1/payment_pages/{}"): retrieve,
    ("POST", "/v1/payment_pages/{}/confirm"): confirm,
}
