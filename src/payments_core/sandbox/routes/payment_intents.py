"""Payment intents."""

from __future__ import annotations

from collections.abc import Callable

from .. import intent_requests, render
from ..errors import JsonObject
from ..listing import PAGING, created_filter, page
from ..params import Params
from ..records.payments import PaymentIntent
from ..state import Context
from .table import Handler, Routes


def create(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/payment_intents`."""
    return render.payment_intent(context, intent_requests.create(context, params))


def retrieve(context: Context, params: Params, intent_id: str) -> JsonObject:
    """`GET /v1/payment_intents/{id}`; a client secret is not needed with a secret key, and is not looked at."""
    params.only("client_secret")
    return render.payment_intent(context, context.state.intents.need(intent_id, "intent"))


def _step(work: Callable[[Context, PaymentIntent, Params], PaymentIntent]) -> Handler:
    def handle(context: Context, params: Params, intent_id: str) -> JsonObject:
        intent = context.state.intents.need(intent_id, "intent")
        return render.payment_intent(context, work(context, intent, params))

    return handle


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/payment_intents`."""
    params.only(*PAGING, "created", "customer", elsewhere=("customer_account",))
    inside, customer = created_filter(params), params.text("customer")
    found = [
        intent
        for intent in context.state.intents.newest()
        if inside(intent) and (customer is None or intent.customer == customer)
    ]
    return page(
        found,
        params,
        "/v1/payment_intents",
        lambda intent: render.payment_intent(context, intent),
        among=context.state.intents,
    )


ROUTES: Routes = {
    ("POST", "/v1/payment_intents"): create,
    ("GET", "/v1/payment_intents"): index,
    ("GET", "/v1/payment_intents/{}"): retrieve,
    ("POST", "/v1/payment_intents/{}"): _step(intent_requests.update),
    ("POST", "/v1/payment_intents/{}/confirm"): _step(intent_requests.confirm),
    ("POST", "/v1/payment_intents/{}/capture"): _step(intent_requests.capture),
    ("POST", "/v1/payment_intents/{}/cancel"): _step(intent_requests.cancel),
}
