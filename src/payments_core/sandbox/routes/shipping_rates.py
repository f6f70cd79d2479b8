"""Shipping rates."""

from __future__ import annotations

from .. import rates
from ..errors import JsonObject
from ..listing import PAGING, created_filter, page
from ..params import Params
from ..shapes.pricing import shipping_rate as shape
from ..state import Context
from .table import Routes


def create(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/shipping_rates`."""
    return shape(context.state.shipping_rates.put(rates.create_shipping(context, params)))


def retrieve(context: Context, params: Params, rate_id: str) -> JsonObject:
    """`GET /v1/shipping_rates/{id}`."""
    params.only()
    return shape(context.state.shipping_rates.need(rate_id, "shipping_rate_token"))


def update(context: Context, params: Params, rate_id: str) -> JsonObject:
    """`POST /v1/shipping_rates/{id}`."""
    rate = context.state.shipping_rates.need(rate_id, "shipping_rate_token")
    return shape(rates.update_shipping(context, rate, params))


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/shipping_rates`; those made inline by a session are left out."""
    params.only(*PAGING, "active", "created", "currency")
    active, currency, inside = params.boolean("active"), params.currency("currency"), created_filter(params)
    found = [
        rate
        for rate in context.state.shipping_rates.newest()
        if not rate.inline
        and inside(rate)
        and (active is None or rate.active == active)
        and (currency is None or rate.currency == currency)
    ]
    return page(found, params, "/v1/shipping_rates", shape, among=context.state.shipping_rates)


ROUTES: Routes = {
    ("POST", "/v1/shipping_rates"): create,
    ("GET", "/v1/shipping_rates"): index,
    ("GET", "/v1/shipping_rates/{}"): retrieve,
    ("POST", "/v1/shipping_rates/{}"): update,
}
