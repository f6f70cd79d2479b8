"""Event destinations of the v2 API."""

from __future__ import annotations

from .. import destinations
from ..destinations import SIGNING_SECRET, URL
from ..errors import JsonObject
from ..listing import v2_page
from ..params import Params
from ..shapes.event_destinations import event_destination
from ..state import Context
from .table import Routes

PATH = "/v2/core/event_destinations"


def create(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v2/core/event_destinations`."""
    made = destinations.create(context, params)
    shown = destinations.included(params, SIGNING_SECRET, URL)
    return event_destination(made, shows_url=URL in shown, shows_secret=SIGNING_SECRET in shown)


def retrieve(context: Context, params: Params, destination_id: str) -> JsonObject:
    """`GET /v2/core/event_destinations/{id}`."""
    params.only("include")
    shown = destinations.included(params, URL)
    return event_destination(destinations.need(context, destination_id), shows_url=bool(shown))


def update(context: Context, params: Params, destination_id: str) -> JsonObject:
    """`POST /v2/core/event_destinations/{id}`."""
    changed = destinations.update(context, destinations.need(context, destination_id), params)
    return event_destination(changed, shows_url=bool(destinations.included(params, URL)))


def disable(context: Context, params: Params, destination_id: str) -> JsonObject:
    """`POST /v2/core/event_destinations/{id}/disable`."""
    params.only()
    return event_destination(destinations.switch(context, destinations.need(context, destination_id), disabled=True))


def enable(context: Context, params: Params, destination_id: str) -> JsonObject:
    """`POST /v2/core/event_destinations/{id}/enable`."""
    params.only()
    return event_destination(destinations.switch(context, destinations.need(context, destination_id), disabled=False))


def delete(context: Context, params: Params, destination_id: str) -> JsonObject:
    """`DELETE /v2/core/event_destinations/{id}`."""
    params.only()
    return destinations.delete(context, destinations.need(context, destination_id))


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v2/core/event_destinations`, the newest first."""
    params.only("include", "limit", "page")
    shown = destinations.included(params, URL)
    found = [one for one in context.state.endpoints.newest() if one.kind == "destination"]
    return v2_page(
        found, params, PATH, lambda one: event_destination(one, shows_url=bool(shown)), among=context.state.endpoints
    )


ROUTES: Routes = {
    ("POST", PATH): create,
    ("GET", PATH): index,
    ("GET", f"{PATH}/{{}}"): retrieve,
    ("POST", f"{PATH}/{{}}"): update,
    ("DELETE", f"{PATH}/{{}}"): delete,
    ("POST", f"{PATH}/{{}}/disable"): disable,
    ("POST", f"{PATH}/{{}}/enable"): enable,
}
