"""Promotion codes."""

from __future__ import annotations

from .. import discounts
from ..errors import JsonObject
from ..listing import PAGING, created_filter, page
from ..params import Params
from ..shapes.pricing import promotion_code as shape
from ..state import Context
from .table import Routes


def create(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/promotion_codes`."""
    return shape(discounts.create_code(context, params))


def retrieve(context: Context, params: Params, code_id: str) -> JsonObject:
    """`GET /v1/promotion_codes/{id}`."""
    params.only()
    return shape(context.state.codes.need(code_id, "promotion_code"))


def update(context: Context, params: Params, code_id: str) -> JsonObject:
    """`POST /v1/promotion_codes/{id}`."""
    return shape(discounts.update_code(context, context.state.codes.need(code_id, "promotion_code"), params))


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/promotion_codes`; `code` is compared without regard to case, as at checkout."""
    params.only(*PAGING, "active", "code", "coupon", "created", elsewhere=("customer", "customer_account"))
    active, code, coupon = params.boolean("active"), params.text("code"), params.text("coupon")
    inside = created_filter(params)
    found = [
        record
        for record in context.state.codes.newest()
        if inside(record)
        and (active is None or record.active == active)
        and (code is None or record.code.lower() == code.lower())
        and (coupon is None or record.coupon == coupon)
    ]
    return page(found, params, "/v1/promotion_codes", shape, among=context.state.codes)


ROUTES: Routes = {
    ("POST", "/v1/promotion_codes"): create,
    ("GET", "/v1/promotion_codes"): index,
    ("GET", "/v1/promotion_codes/{}"): retrieve,
    ("POST", "/v1/promotion_codes/{}"): update,
}
