"""Payment methods."""

from __future__ import annotations

from .. import buyers, payment_methods, render
from ..errors import JsonObject
from ..listing import PAGING, page
from ..params import Params
from ..records.payments import PaymentMethod
from ..state import Context
from .table import Routes


def _need(context: Context, method_id: str) -> PaymentMethod:
    return payment_methods.named(context, method_id, "payment_method")


def create(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/payment_methods`."""
    return render.payment_method(payment_methods.create(context, params))


def retrieve(context: Context, params: Params, method_id: str) -> JsonObject:
    """`GET /v1/payment_methods/{id}`."""
    params.only()
    return render.payment_method(_need(context, method_id))


def update(context: Context, params: Params, method_id: str) -> JsonObject:
    """`POST /v1/payment_methods/{id}`."""
    return render.payment_method(payment_methods.update(context, _need(context, method_id), params))


def attach(context: Context, params: Params, method_id: str) -> JsonObject:
    """`POST /v1/payment_methods/{id}/attach`."""
    return render.payment_method(payment_methods.attach(context, _need(context, method_id), params))


def detach(context: Context, params: Params, method_id: str) -> JsonObject:
    """`POST /v1/payment_methods/{id}/detach`."""
    params.only()
    return render.payment_method(payment_methods.detach(context, _need(context, method_id)))


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/payment_methods`, of a customer or of none."""
    params.only(*PAGING, "allow_redisplay", "customer", "type", elsewhere=("customer_account",))
    customer, kind = buyers.known(context, params), params.text("type")
    redisplay = params.choice("allow_redisplay", payment_methods.REDISPLAY)
    found = [
        method
        for method in context.state.methods.newest()
        if (method.customer is not None if customer is None else method.customer == customer)
        and (kind is None or method.type == kind)
        and (redisplay is None or method.allow_redisplay == redisplay)
    ]
    return page(found, params, "/v1/payment_methods", render.payment_method, among=context.state.methods)


ROUTES: Routes = {
    ("POST", "/v1/payment_methods"): create,
    ("GET", "/v1/payment_methods"): index,
    ("GET", "/v1/payment_methods/{}"): retrieve,
    ("POST", "/v1/payment_methods/{}"): update,
    ("POST", "/v1/payment_methods/{}/attach"): attach,
    ("POST", "/v1/payment_methods/{}/detach"): detach,
}
