"""Events, who is told of them, and how far that has got."""

from __future__ import annotations

from typing import Literal

from attrs import Factory, frozen

from ..errors import JsonObject
from .metadata import Metadata


@frozen
class Origin:
    """The API request that caused an event; both None when it was the buyer or the clock."""

    request_id: str | None = None
    idempotency_key: str | None = None


NOBODY = Origin()


@frozen
class Event:
    """One snapshot event. `object` is the object as it was when it happened, `deliveries` are its own."""

    id: str
    created: int
    type: str
    object: JsonObject
    previous: JsonObject | None = None
    origin: Origin = NOBODY
    deliveries: tuple[str, ...] = ()


@frozen
class Endpoint:
    """Who gets events. `enabled_events` may be `*`.

    A `webhook` is one of `/v1/webhook_endpoints`, a `destination` one of `/v2/core/event_destinations`, a `listener`
    a connected `stripe listen`. `payload` says whether it gets snapshots or thin notifications.
    """

    id: str
    created: int
    url: str
    secret: str
    enabled_events: tuple[str, ...] = ("*",)
    description: str | None = None
    metadata: Metadata = Factory(dict[str, str])
    api_version: str | None = None
    disabled: bool = False
    kind: Literal["webhook", "destination", "listener"] = "webhook"
    payload: Literal["snapshot", "thin"] = "snapshot"
    name: str = ""
    updated: int | None = None


@frozen
class Delivery:
    """One event on its way to one endpoint. `next_at` is None once delivered or given up.

    An `extra` one was asked for (a resend) or is a copy: it is tried once.
    """

    id: str
    event: str
    endpoint: str
    next_at: int | None
    attempts: int = 0
    delivered: bool = False
    last_status: int | None = None
    last_error: str | None = None
    extra: bool = False
