"""Thin events of `/v2/core/events`: an event without the object, and where to fetch it.

Every snapshot event has one, generally available for v1 resources since 2026-09-30: its type has `v1.` before it, its
id is made of the snapshot event's, and no state of its own is kept.
Shapes: https://docs.stripe.com/api/v2/core/events/object and https://docs.stripe.com/event-destinations.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from .errors import JsonObject
from .records.events import Event

PREFIX: Final = "evt_test_"
SNAPSHOT_PREFIX: Final = "evt_"
#: Where an object of this kind is fetched. Objects that have no page of their own are left out.
_PATHS: Final = {
    "charge": "/v1/charges/{}",
    "checkout.session": "/v1/checkout/sessions/{}",
    "customer": "/v1/customers/{}",
    "dispute": "/v1/disputes/{}",
    "invoice": "/v1/invoices/{}",
    "payment_intent": "/v1/payment_intents/{}",
    "payment_method": "/v1/payment_methods/{}",
    "price": "/v1/prices/{}",
    "product": "/v1/products/{}",
    "radar.early_fraud_warning": "/v1/radar/early_fraud_warnings/{}",
    "refund": "/v1/refunds/{}",
}


def id_of(event: Event) -> str:
    """The thin event's id."""
    return PREFIX + event.id.removeprefix(SNAPSHOT_PREFIX)


def snapshot_id(thin_id: str) -> str:
    """The id of the snapshot event that a thin event goes with."""
    return SNAPSHOT_PREFIX + thin_id.removeprefix(PREFIX)


def notification(event: Event) -> JsonObject:
    """What an event destination is sent."""
    kind, object_id = str(event.object["object"]), str(event.object["id"])
    path = _PATHS.get(kind)
    request_id = event.origin.request_id
    reason = None
    if request_id is not None:
        reason = {
            "type": "request",
            "request": {"id": request_id, "idempotency_key": event.origin.idempotency_key or ""},
        }
    related = None if path is None else {"id": object_id, "type": kind, "url": path.format(object_id)}
    return {
        "id": id_of(event),
        "object": "v2.core.event",
        "type": f"v1.{event.type}",
        "created": moment(event.created),
        "livemode": False,
        "context": None,
        "related_object": related,
        "reason": reason,
    }


def full(event: Event) -> JsonObject:
    """The event as it is fetched: with what changed, and with its snapshot's id to tell the two by."""
    changes = None
    if event.previous is not None:
        before, after = event.previous, {name: event.object.get(name) for name in event.previous}
        changes = {"before": before, "after": after}
    return {**notification(event), "changes": changes, "snapshot_event": event.id}


def moment(at: int) -> str:
    """Epoch seconds as the v2 API writes a time."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
