"""Event destinations: the v2 API's way to say who is told of events, and in which form."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from .endpoints import check_room, enabled_events, of_kind
from .errors import JsonObject, invalid, missing, not_implemented
from .event_types import EVENT_TYPES
from .params import Params
from .records.events import Endpoint
from .state import API_VERSION, Context

SIGNING_SECRET: Final = "webhook_endpoint.signing_secret"  # noqa: S105 - the name of a field
URL: Final = "webhook_endpoint.url"


def need(context: Context, destination_id: str) -> Endpoint:
    """The destination. Raises StripeRefusal 404 for one that is none."""
    return of_kind(context, destination_id, "destination", "event destination")


def create(context: Context, params: Params) -> Endpoint:
    """`POST /v2/core/event_destinations`, of type `webhook_endpoint`."""
    params.only(
        "name", "type", "event_payload", "enabled_events", "description", "events_from", "include", "metadata",
        "snapshot_api_version", "webhook_endpoint", elsewhere=("amazon_eventbridge", "azure_event_grid"),
    )  # fmt: skip
    check_room(context)
    kind = params.required("type")
    if kind != "webhook_endpoint":
        raise not_implemented(f"event destinations of type {kind[:60]}", "type")
    if params.texts("events_from") not in (None, ["@self"]):
        raise not_implemented("events from other accounts", "events_from")
    thin = _payload(params) == "thin"
    included(params, SIGNING_SECRET, URL)
    return context.state.endpoints.put(
        Endpoint(
            id=context.ids.new("ed_test_", 42),
            created=context.now,
            url=_url(params) or _no_url(),
            secret=context.ids.new("whsec_", 32),
            enabled_events=_enabled(params, thin=thin, required=True),
            description=params.text("description", unsettable=True) or "",
            metadata=params.metadata(),
            api_version=None if thin else API_VERSION,
            kind="destination",
            payload="thin" if thin else "snapshot",
            name=params.required("name"),
            updated=context.now,
        )
    )


def update(context: Context, destination: Endpoint, params: Params) -> Endpoint:
    """`POST /v2/core/event_destinations/{id}`."""
    params.only("name", "description", "enabled_events", "include", "metadata", "webhook_endpoint")
    included(params, URL)
    thin = destination.payload == "thin"
    description = params.text("description", unsettable=True)
    return context.state.endpoints.put(
        evolve(
            destination,
            name=params.text("name") or destination.name,
            description=destination.description if description is None else description,
            enabled_events=_enabled(params, thin=thin, required=False) or destination.enabled_events,
            metadata=params.metadata(current=destination.metadata),
            url=_url(params) or destination.url,
            updated=context.now,
        )
    )


def switch(context: Context, destination: Endpoint, *, disabled: bool) -> Endpoint:
    """`POST /v2/core/event_destinations/{id}/disable` and `/enable`."""
    return context.state.endpoints.put(evolve(destination, disabled=disabled, updated=context.now))


def delete(context: Context, destination: Endpoint) -> JsonObject:
    """`DELETE /v2/core/event_destinations/{id}`; what waits for it is not sent any more."""
    context.state.endpoints.drop(destination.id)
    return {"id": destination.id, "object": "v2.core.event_destination"}


def included(params: Params, *known: str) -> tuple[str, ...]:
    """What of the webhook endpoint is to be shown, which is nothing unless asked for."""
    wanted = params.texts("include") or []
    for position, name in enumerate(wanted):
        if name not in known:
            raise invalid(f"include[{position}]", f"Invalid include[{position}]: must be one of {', '.join(known)}")
    return tuple(wanted)


def _payload(params: Params) -> str:
    payload = params.choice("event_payload", ("snapshot", "thin"))
    if payload is None:
        raise missing("event_payload")
    version = params.text("snapshot_api_version")
    if version is not None and payload == "thin":
        raise invalid("snapshot_api_version", "snapshot_api_version cannot be set when event_payload is thin.")
    if version not in (None, API_VERSION):
        raise not_implemented(f"events of another API version than {API_VERSION}", "snapshot_api_version")
    return payload


def _url(params: Params) -> str | None:
    endpoint = params.child("webhook_endpoint")
    if endpoint is None:
        return None
    endpoint.only("url")
    return endpoint.url("url")


def _no_url() -> str:
    raise missing("webhook_endpoint.url")


def _enabled(params: Params, *, thin: bool, required: bool) -> tuple[str, ...]:
    form = "thin events are named like v1.charge.succeeded" if thin else "snapshot events like charge.succeeded"

    def problem(name: str) -> str | None:
        known = name.startswith(("v1.", "v2.")) if thin else name in EVENT_TYPES
        return None if known else f"{form}."

    return enabled_events(params, problem, required=required)
