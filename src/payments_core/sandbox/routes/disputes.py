"""Disputes and early fraud warnings."""

from __future__ import annotations

from .. import disputes, render
from ..errors import JsonObject
from ..listing import PAGING, created_filter, of_payment, page
from ..params import Params
from ..state import Context
from .table import Routes


def retrieve(context: Context, params: Params, dispute_id: str) -> JsonObject:
    """`GET /v1/disputes/{id}`."""
    params.only()
    return render.dispute(context, context.state.disputes.need(dispute_id, "dispute"))


def update(context: Context, params: Params, dispute_id: str) -> JsonObject:
    """`POST /v1/disputes/{id}`."""
    dispute = context.state.disputes.need(dispute_id, "dispute")
    return render.dispute(context, disputes.update(context, dispute, params))


def close(context: Context, params: Params, dispute_id: str) -> JsonObject:
    """`POST /v1/disputes/{id}/close`."""
    params.only()
    return render.dispute(context, disputes.close(context, context.state.disputes.need(dispute_id, "dispute")))


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/disputes`."""
    params.only(*PAGING, "charge", "created", "payment_intent")
    inside, concerns = created_filter(params), of_payment(params)
    found = [dispute for dispute in context.state.disputes.newest() if inside(dispute) and concerns(dispute)]
    return page(
        found, params, "/v1/disputes", lambda dispute: render.dispute(context, dispute), among=context.state.disputes
    )


def retrieve_warning(context: Context, params: Params, warning_id: str) -> JsonObject:
    """`GET /v1/radar/early_fraud_warnings/{id}`."""
    params.only()
    return render.fraud_warning(context, context.state.warnings.need(warning_id, "early_fraud_warning"))


def list_warnings(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/radar/early_fraud_warnings`."""
    params.only(*PAGING, "charge", "created", "payment_intent")
    inside, concerns = created_filter(params), of_payment(params)
    found = [warning for warning in context.state.warnings.newest() if inside(warning) and concerns(warning)]
    url = "/v1/radar/early_fraud_warnings"
    return page(
        found, params, url, lambda warning: render.fraud_warning(context, warning), among=context.state.warnings
    )


ROUTES: Routes = {
    ("GET", "/v1/disputes"): index,
    ("GET", "/v1/disputes/{}"): retrieve,
    ("POST", "/v1/disputes/{}"): update,
    ("POST", "/v1/disputes/{}/close"): close,
    ("GET", "/v1/radar/early_fraud_warnings"): list_warnings,
    ("GET", "/v1/radar/early_fraud_warnings/{}"): retrieve_warning,
}
