"""Checkout Sessions."""

from __future__ import annotations

from collections.abc import Callable

from .. import checkout, payments, render
from ..errors import JsonObject
from ..listing import PAGING, created_filter, page
from ..params import Params
from ..records.checkout import Session
from ..state import Context
from .table import Routes


def create(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/checkout/sessions`."""
    return render.session(context, checkout.create(context, params))


def retrieve(context: Context, params: Params, session_id: str) -> JsonObject:
    """`GET /v1/checkout/sessions/{id}`."""
    params.only()
    return render.session(context, context.state.sessions.need(session_id, "session"))


def update(context: Context, params: Params, session_id: str) -> JsonObject:
    """`POST /v1/checkout/sessions/{id}`."""
    session = context.state.sessions.need(session_id, "session")
    return render.session(context, checkout.update(context, session, params))


def expire(context: Context, params: Params, session_id: str) -> JsonObject:
    """`POST /v1/checkout/sessions/{id}/expire`."""
    params.only()
    session = context.state.sessions.need(session_id, "session")
    return render.session(context, payments.expire(context, session))


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/checkout/sessions`."""
    params.only(
        *PAGING, "created", "status", "payment_intent", "customer", "customer_details", "subscription", "payment_link",
        elsewhere=("customer_account",),
    )  # fmt: skip
    matches = _session_filter(params)
    inside = created_filter(params)
    found = [s for s in context.state.sessions.newest() if inside(s) and matches(s)]
    return page(
        found,
        params,
        "/v1/checkout/sessions",
        lambda session: render.session(context, session),
        among=context.state.sessions,
    )


def _session_filter(params: Params) -> Callable[[Session], bool]:
    status = params.choice("status", ("complete", "expired", "open"))
    intent, details = params.text("payment_intent"), params.child("customer_details")
    customer = params.text("customer")
    nowhere = "subscription" in params or "payment_link" in params
    if details is not None:
        details.only("email")
    email = details.required("email") if details is not None else None

    def matches(session: Session) -> bool:
        known = session.buyer.email if session.buyer else session.customer_email
        return (
            not nowhere
            and (status is None or session.status == status)
            and (customer is None or session.customer == customer)
            and (intent is None or session.payment_intent == intent)
            and (email is None or known == email)
        )

    return matches


def list_lines(context: Context, params: Params, session_id: str) -> JsonObject:
    """`GET /v1/checkout/sessions/{id}/line_items`, in the order of the cart."""
    params.only(*PAGING)
    session = context.state.sessions.need(session_id, "session")
    priced = dict(zip((line.id for line in session.lines), session.totals.lines, strict=True))
    return page(
        session.lines, params, render.lines_url(session), lambda line: render.line_item(context, line, priced[line.id])
    )


ROUTES: Routes = {
    ("POST", "/v1/checkout/sessions"): create,
    ("GET", "/v1/checkout/sessions"): index,
    ("GET", "/v1/checkout/sessions/{}"): retrieve,
    ("POST", "/v1/checkout/sessions/{}"): update,
    ("POST", "/v1/checkout/sessions/{}/expire"): expire,
    ("GET", "/v1/checkout/sessions/{}/line_items"): list_lines,
}
