"""Tax rates."""

from __future__ import annotations

from .. import rates
from ..errors import JsonObject
from ..listing import PAGING, created_filter, page
from ..params import Params
from ..shapes.pricing import tax_rate as shape
from ..state import Context
from .table import Routes


def create(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/tax_rates`."""
    return shape(rates.create_tax(context, params))


def retrieve(context: Context, params: Params, rate_id: str) -> JsonObject:
    """`GET /v1/tax_rates/{id}`."""
    params.only()
    return shape(context.state.tax_rates.need(rate_id, "tax_rate"))


def update(context: Context, params: Params, rate_id: str) -> JsonObject:
    """`POST /v1/tax_rates/{id}`."""
    return shape(rates.update_tax(context, context.state.tax_rates.need(rate_id, "tax_rate"), params))


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/tax_rates`; those of automatic tax are left out."""
    params.only(*PAGING, "active", "created", "inclusive")
    active, inclusive, inside = params.boolean("active"), params.boolean("inclusive"), created_filter(params)
    found = [
        rate
        for rate in context.state.tax_rates.newest()
        if not rate.automatic
        and inside(rate)
        and (active is None or rate.active == active)
        and (inclusive is None or rate.inclusive == inclusive)
    ]
    return page(found, params, "/v1/tax_rates", shape, among=context.state.tax_rates)


ROUTES: Routes = {
    ("POST", "/v1/tax_rates"): create,
    ("GET", "/v1/tax_rates"): index,
    ("GET", "/v1/tax_rates/{}"): retrieve,
    ("POST", "/v1/tax_rates/{}"): update,
}
