"""Events."""

from __future__ import annotations

from collections.abc import Callable

from .. import deliveries, render
from ..errors import JsonObject, invalid, no_such
from ..listing import PAGING, created_filter, page
from ..params import Params
from ..state import EVENT_LIFE_S, Context
from .table import Routes


def retrieve(context: Context, params: Params, event_id: str) -> JsonObject:
    """`GET /v1/events/{id}`, for 30 days."""
    params.only()
    event = context.state.events.need(event_id)
    if event.created <= context.now - EVENT_LIFE_S:
        raise no_such("event", event_id, "id")
    return render.event(context, event)


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/events`: the last 30 days, by type, time and whether all endpoints have taken them."""
    params.only(*PAGING, "created", "delivery_success", "type", "types")
    kinds, delivered, inside = _kinds(params), params.boolean("delivery_success"), created_filter(params)
    oldest = context.now - EVENT_LIFE_S
    found = [
        event
        for event in context.state.events.newest()
        if event.created > oldest
        and inside(event)
        and kinds(event.type)
        and (delivered is None or deliveries.all_delivered(context.state, event.id) == delivered)
    ]
    return page(found, params, "/v1/events", lambda event: render.event(context, event), among=context.state.events)


def resend(context: Context, params: Params, event_id: str) -> JsonObject:
    """`POST /v1/events/{id}/retry`, which `stripe events resend` asks for."""
    params.only("account", "webhook_endpoint")
    return render.event(context, deliveries.resend(context, event_id, params.text("webhook_endpoint")))


def _kinds(params: Params) -> Callable[[str], bool]:
    one, several = params.text("type"), params.texts("types")
    if one is not None and several is not None:
        raise invalid("types", "You may only specify one of these parameters: type, types.", "parameters_exclusive")
    if several is not None and len(several) > 20:
        raise invalid("types", "You may only specify up to 20 types.")
    wanted = several if several is not None else [one] if one is not None else None

    def matches(kind: str) -> bool:
        return wanted is None or any(
            kind == want or (want.endswith("*") and kind.startswith(want[:-1])) for want in wanted
        )

    return matches


ROUTES: Routes = {
    ("GET", "/v1/events"): index,
    ("GET", "/v1/events/{}"): retrieve,
    ("POST", "/v1/events/{}/retry"): resend,
}
