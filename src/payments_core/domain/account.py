"""What Stripe says of an account when it is asked who is there: its mode, its time, its webhook endpoints.

Shapes: https://docs.stripe.com/api/balance/balance_object and https://docs.stripe.com/api/webhook_endpoints/object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, cast

from attrs import frozen

from ..errors import StripeError
from .stripe_objects import Document, flag, text

#: The API version whose shapes this library reads and sends. Stripe's SDK pins the one that it was made for.
API_VERSION: Final = "2026-10-28.endive"
#: In an endpoint's `enabled_events`: every type but those that want to be chosen by name.
EVERY_EVENT: Final = "*"
_VERSION: Final = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z_]{1,40})?")


@frozen
class Greeting:
    """How Stripe answered a small question.

    `said_at` is the answer's time by Stripe's clock (aware UTC, whole seconds), `livemode` the mode that it spoke of,
    `version` the API version that it spoke in; None for what it did not state. `refusal`: Stripe did answer, and would
    not tell (a key that it does not accept, or that may not do this).
    """

    said_at: datetime | None = None
    livemode: bool | None = None
    version: str | None = None
    refusal: StripeError | None = None


@frozen
class WebhookEndpoint:
    """Where Stripe sends which types of events. Without `api_version` they have the account's default version."""

    id: str
    url: str
    events: frozenset[str]
    is_enabled: bool
    api_version: str | None = None
    livemode: bool | None = None

    def sends(self, event_type: str) -> bool:
        """Whether events of this type go there, while it is enabled."""
        return EVERY_EVENT in self.events or event_type in self.events


def read_greeting(document: Document, headers: Mapping[str, str], refusal: StripeError | None = None) -> Greeting:
    """The greeting in an answer; header names are in lower case, or their mapping does not mind."""
    version = headers.get("stripe-version") or ""
    return Greeting(
        said_at=_moment(headers.get("date")),
        livemode=flag(document, "livemode"),
        version=version if _VERSION.fullmatch(version) else None,
        refusal=refusal,
    )


def read_webhook_endpoint(document: Document) -> WebhookEndpoint:
    """A webhook endpoint. Raises KeyError without an id."""
    events = document.get("enabled_events")
    named = cast("list[object]", events) if isinstance(events, list) else []
    return WebhookEndpoint(
        id=str(document["id"]),
        url=text(document, "url") or "",
        events=frozenset(str(one) for one in named),
        is_enabled=text(document, "status") == "enabled",
        api_version=text(document, "api_version"),
        livemode=flag(document, "livemode"),
    )


def _moment(date: str | None) -> datetime | None:
    """The time of a Date header (RFC 9110, section 5.6.7), or None."""
    try:
        found = parsedate_to_datetime(date or "")
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
