"""Coupons."""

from __future__ import annotations

from .. import discounts
from ..errors import JsonObject
from ..listing import PAGING, created_filter, page
from ..params import Params
from ..shapes import pricing as shapes
from ..state import Context
from .table import Routes


def create(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/coupons`."""
    return shapes.coupon(discounts.create_coupon(context, params), context.now)


def retrieve(context: Context, params: Params, coupon_id: str) -> JsonObject:
    """`GET /v1/coupons/{id}`."""
    params.only()
    return shapes.coupon(context.state.coupons.need(coupon_id, "coupon"), context.now)


def update(context: Context, params: Params, coupon_id: str) -> JsonObject:
    """`POST /v1/coupons/{id}`."""
    coupon = context.state.coupons.need(coupon_id, "coupon")
    return shapes.coupon(discounts.update_coupon(context, coupon, params), context.now)


def delete(context: Context, params: Params, coupon_id: str) -> JsonObject:
    """`DELETE /v1/coupons/{id}`."""
    params.only()
    return discounts.delete_coupon(context, context.state.coupons.need(coupon_id, "coupon"))


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/coupons`."""
    params.only(*PAGING, "created")
    inside = created_filter(params)
    found = [coupon for coupon in context.state.coupons.newest() if inside(coupon)]
    return page(
        found, params, "/v1/coupons", lambda coupon: shapes.coupon(coupon, context.now), among=context.state.coupons
    )


ROUTES: Routes = {
    ("POST", "/v1/coupons"): create,
    ("GET", "/v1/coupons"): index,
    ("GET", "/v1/coupons/{}"): retrieve,
    ("POST", "/v1/coupons/{}"): update,
    ("DELETE", "/v1/coupons/{}"): delete,
}
