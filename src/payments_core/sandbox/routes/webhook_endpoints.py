"""Webhook endpoints."""

from __future__ import annotations

from .. import endpoints
from ..errors import JsonObject
from ..listing import PAGING, page
from ..params import Params
from ..shapes import account as account_shapes
from ..state import Context
from .table import Routes


def create(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/webhook_endpoints`."""
    return account_shapes.webhook_endpoint(endpoints.create(context, params), with_secret=True)


def retrieve(context: Context, params: Params, endpoint_id: str) -> JsonObject:
    """`GET /v1/webhook_endpoints/{id}`."""
    params.only()
    return account_shapes.webhook_endpoint(endpoints.need(context, endpoint_id))


def update(context: Context, params: Params, endpoint_id: str) -> JsonObject:
    """`POST /v1/webhook_endpoints/{id}`."""
    endpoint = endpoints.need(context, endpoint_id)
    return account_shapes.webhook_endpoint(endpoints.update(context, endpoint, params))


def delete(context: Context, params: Params, endpoint_id: str) -> JsonObject:
    """`DELETE /v1/webhook_endpoints/{id}`."""
    params.only()
    return endpoints.delete(context, endpoints.need(context, endpoint_id))


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/webhook_endpoints`, those of the command line included."""
    params.only(*PAGING)
    found = [endpoint for endpoint in context.state.endpoints.newest() if endpoint.kind == "webhook"]
    return page(found, params, "/v1/webhook_endpoints", account_shapes.webhook_endpoint, among=context.state.endpoints)


ROUTES: Routes = {
    ("POST", "/v1/webhook_endpoints"): create,
    ("GET", "/v1/webhook_endpoints"): index,
    ("GET", "/v1/webhook_endpoints/{}"): retrieve,
    ("POST", "/v1/webhook_endpoints/{}"): update,
    ("DELETE", "/v1/webhook_endpoints/{}"): delete,
}
