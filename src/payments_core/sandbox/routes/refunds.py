"""Refunds."""

from __future__ import annotations

from .. import refunds, render
from ..errors import JsonObject
from ..listing import PAGING, created_filter, of_payment, page
from ..params import Params
from ..state import Context
from .table import Routes


def create(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/refunds`."""
    return render.refund(refunds.create(context, params))


def retrieve(context: Context, params: Params, refund_id: str) -> JsonObject:
    """`GET /v1/refunds/{id}`."""
    params.only()
    return render.refund(context.state.refunds.need(refund_id, "refund"))


def update(context: Context, params: Params, refund_id: str) -> JsonObject:
    """`POST /v1/refunds/{id}`: its metadata."""
    return render.refund(refunds.update(context, context.state.refunds.need(refund_id, "refund"), params))


def cancel(context: Context, params: Params, refund_id: str) -> JsonObject:
    """`POST /v1/refunds/{id}/cancel`: refused, since a card's refund has succeeded already."""
    params.only()
    raise refunds.not_cancelable(context.state.refunds.need(refund_id, "refund"))


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/refunds`."""
    params.only(*PAGING, "charge", "created", "payment_intent")
    inside, concerns = created_filter(params), of_payment(params)
    found = [refund for refund in context.state.refunds.newest() if inside(refund) and concerns(refund)]
    return page(found, params, "/v1/refunds", render.refund, among=context.state.refunds)


ROUTES: Routes = {
    ("POST", "/v1/refunds"): create,
    ("GET", "/v1/refunds"): index,
    ("GET", "/v1/refunds/{}"): retrieve,
    ("POST", "/v1/refunds/{}"): update,
    ("POST", "/v1/refunds/{}/cancel"): cancel,
}
