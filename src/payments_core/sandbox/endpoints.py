"""Webhook endpoints: who is told about events."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from .errors import JsonObject, StripeRefusal, invalid, missing, no_such, not_implemented
from .event_types import EVENT_TYPES
from .params import Params
from .records.events import Endpoint
from .state import API_VERSION, Context

MAX_ENDPOINTS = 16


def need(context: Context, endpoint_id: str) -> Endpoint:
    """The webhook endpoint. Raises StripeRefusal 404 for one that is none."""
    return of_kind(context, endpoint_id, "webhook", "webhook_endpoint")


def of_kind(context: Context, endpoint_id: str, kind: str, name: str) -> Endpoint:
    """An endpoint of one of its kinds; `name` is Stripe's word for it. Raises StripeRefusal 404."""
    found = context.state.endpoints.get(endpoint_id)
    if found is None or found.kind != kind:
        raise no_such(name, endpoint_id, "id")
    return found


def check_room(context: Context) -> None:
    """Stripe allows 16 of all kinds. Raises StripeRefusal where there are that many."""
    if sum(one.kind != "listener" for one in context.state.endpoints) >= MAX_ENDPOINTS:
        raise StripeRefusal(f"You have reached the maximum of {MAX_ENDPOINTS} test webhook endpoints.")


def create(context: Context, params: Params) -> Endpoint:
    """`POST /v1/webhook_endpoints`. The endpoint gets a secret of its own, shown in this reply only."""
    params.only("url", "enabled_events", "description", "metadata", "api_version", elsewhere=("connect",))
    check_room(context)
    version = params.text("api_version")
    if version not in (None, API_VERSION):
        raise not_implemented(f"events of another API version than {API_VERSION}", "api_version")
    url = params.url("url")
    if url is None:
        raise missing("url")
    endpoint = Endpoint(
        id=context.ids.new("we_1", 23),
        created=context.now,
        url=url,
        secret=context.ids.new("whsec_", 32),
        enabled_events=enabled_events(params, _no_type, required=True),
        description=params.text("description", unsettable=True) or None,
        metadata=params.metadata(),
        api_version=version,
    )
    return context.state.endpoints.put(endpoint)


def update(context: Context, endpoint: Endpoint, params: Params) -> Endpoint:
    """`POST /v1/webhook_endpoints/{id}`."""
    params.only("url", "enabled_events", "description", "metadata", "disabled")
    disabled, description = params.boolean("disabled"), params.text("description", unsettable=True)
    return context.state.endpoints.put(
        evolve(
            endpoint,
            url=params.url("url") or endpoint.url,
            enabled_events=enabled_events(params, _no_type, required=False) or endpoint.enabled_events,
            description=endpoint.description if description is None else description or None,
            metadata=params.metadata(current=endpoint.metadata),
            disabled=endpoint.disabled if disabled is None else disabled,
        )
    )


def delete(context: Context, endpoint: Endpoint) -> JsonObject:
    """`DELETE /v1/webhook_endpoints/{id}`; what waits for it is not sent any more."""
    context.state.endpoints.drop(endpoint.id)
    return {"id": endpoint.id, "object": "webhook_endpoint", "deleted": True}


def enabled_events(params: Params, problem: Callable[[str], str | None], *, required: bool) -> tuple[str, ...]:
    """The types that are asked for, `*` or names; `problem` says what is wrong with a name. Empty: none were sent."""
    events = params.texts("enabled_events")
    if not events:
        if required or events is not None:
            raise missing("enabled_events")
        return ()
    for position, name in enumerate(events):
        if name != "*" and (wrong := problem(name)) is not None:
            raise invalid(f"enabled_events[{position}]", f"Invalid enabled_events[{position}]: {wrong}")
    return tuple(events)


def _no_type(name: str) -> str | None:
    return None if name in EVENT_TYPES else f"{name[:60]} is no type of event."
