"""Charges."""

from __future__ import annotations

from .. import charges, render
from ..errors import JsonObject
from ..listing import PAGING, created_filter, page
from ..params import Params
from ..state import Context
from .table import Routes


def retrieve(context: Context, params: Params, charge_id: str) -> JsonObject:
    """`GET /v1/charges/{id}`."""
    params.only()
    return render.charge(context, context.state.charges.need(charge_id, "charge"))


def update(context: Context, params: Params, charge_id: str) -> JsonObject:
    """`POST /v1/charges/{id}`: what is said about it."""
    charge = context.state.charges.need(charge_id, "charge")
    return render.charge(context, charges.update(context, charge, params))


def capture(context: Context, params: Params, charge_id: str) -> JsonObject:
    """`POST /v1/charges/{id}/capture`: the way of old to capture its payment intent."""
    charge = context.state.charges.need(charge_id, "charge")
    return render.charge(context, charges.capture(context, charge, params))


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/charges`."""
    params.only(*PAGING, "created", "customer", "payment_intent", elsewhere=("transfer_group",))
    intent, customer, inside = params.text("payment_intent"), params.text("customer"), created_filter(params)
    found = [
        charge
        for charge in context.state.charges.newest()
        if inside(charge)
        and (intent is None or charge.payment_intent == intent)
        and (customer is None or charge.customer == customer)
    ]
    return page(
        found, params, "/v1/charges", lambda charge: render.charge(context, charge), among=context.state.charges
    )


ROUTES: Routes = {
    ("GET", "/v1/charges"): index,
    ("GET", "/v1/charges/{}"): retrieve,
    ("POST", "/v1/charges/{}"): update,
    ("POST", "/v1/charges/{}/capture"): capture,
}
