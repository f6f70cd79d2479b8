"""EventDestination and lists of the v2 API on the wire."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import JsonObject
from ..records.events import Endpoint
from ..thin import moment


def event_destination(record: Endpoint, *, shows_url: bool = False, shows_secret: bool = False) -> JsonObject:
    """An EventDestination: https://docs.stripe.com/api/v2/core/event_destinations/object.

    Address and secret are null unless they were asked for; the secret can be had at creation only.
    """
    webhook: JsonObject = {
        "signing_secret": record.secret if shows_secret else None,
        "url": record.url if shows_url else None,
    }
    return {
        "id": record.id,
        "object": "v2.core.event_destination",
        "amazon_eventbridge": None,
        "azure_event_grid": None,
        "created": moment(record.created),
        "description": record.description or "",
        "enabled_events": list(record.enabled_events),
        "event_payload": record.payload,
        "events_from": ["@self"],
        "livemode": False,
        "metadata": dict(record.metadata),
        "name": record.name,
        "snapshot_api_version": record.api_version,
        "status": "disabled" if record.disabled else "enabled",
        "status_details": {"disabled": {"reason": "user"}} if record.disabled else None,
        "type": "webhook_endpoint",
        "updated": moment(record.created if record.updated is None else record.updated),
        "webhook_endpoint": webhook,
    }


def page(data: Sequence[JsonObject], next_url: str | None) -> JsonObject:
    """One page of a v2 list."""
    return {"data": list(data), "next_page_url": next_url, "previous_page_url": None}
