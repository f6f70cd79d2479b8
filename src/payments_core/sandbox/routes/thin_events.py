"""Thin events of the v2 API."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from .. import thin
from ..errors import JsonObject, invalid, no_such
from ..listing import v2_page
from ..params import Params
from ..state import EVENT_LIFE_S, Context
from .table import Routes

PATH = "/v2/core/events"
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})")


def retrieve(context: Context, params: Params, event_id: str) -> JsonObject:
    """`GET /v2/core/events/{id}`, for 30 days."""
    params.only()
    event = context.state.events.get(thin.snapshot_id(event_id)) if event_id.startswith(thin.PREFIX) else None
    if event is None or event.created <= context.now - EVENT_LIFE_S:
        raise no_such("event", event_id, "id")
    return thin.full(event)


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v2/core/events`: the last 30 days, by object, types and time, the newest first."""
    params.only("created", "limit", "object_id", "page", "types")
    types, about, inside = params.texts("types"), params.text("object_id"), _created(params)
    if types is not None and len(types) > 20:
        raise invalid("types", "You may only specify up to 20 types.")
    found = [
        event
        for event in context.state.events.newest()
        if event.created > context.now - EVENT_LIFE_S
        and inside(event.created)
        and (types is None or f"v1.{event.type}" in types)
        and (about is None or event.object["id"] == about)
    ]
    return v2_page(found, params, PATH, thin.full, among=context.state.events)


def _created(params: Params) -> Callable[[int], bool]:
    """The `created` bounds, which v2 writes as times."""
    bounds = params.child("created")
    if bounds is None:
        return lambda at: True
    bounds.only("gt", "gte", "lt", "lte")
    gt, gte, lt, lte = (_epoch(bounds, name) for name in ("gt", "gte", "lt", "lte"))
    return lambda at: (
        (gt is None or at > gt)
        and (gte is None or at >= gte)
        and (lt is None or at < lt)
        and (lte is None or at <= lte)
    )


def _epoch(bounds: Params, name: str) -> float | None:
    text = bounds.text(name)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:
        at = None
    if at is None:
        raise invalid(bounds.name(name), f"Invalid timestamp: {text[:40]}. Write it like 2026-10-28T12:00:00Z.")
    return at.astimezone(UTC).timestamp()


ROUTES: Routes = {
    ("GET", PATH): index,
    ("GET", f"{PATH}/{{}}"): retrieve,
}
