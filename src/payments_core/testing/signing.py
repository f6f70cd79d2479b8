"""Events as Stripe sends them: a body and the header that vouches for it, for tests of a webhook route."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from payments_core.domain.signature import sign


@frozen
class SignedEvent:
    """One delivery. Send `body` unchanged with `headers`."""

    event_id: str
    body: bytes = field(repr=False)
    signature: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What Stripe sends beside the body."""
        return {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": self.signature}


def signed_event(
    kind: str,
    object_: Mapping[str, Any],
    *,
    secret: str,
    event_id: str | None = None,
    timestamp_s: int | None = None,
    **fields: Any,
) -> SignedEvent:
    """A snapshot event of type `kind` about `object_`, as JSON, signed now or at `timestamp_s`.

    `fields` replace those of the event (`created`, `livemode`, `account`, …). The object is sent as it is given.
    """
    now = int(time.time())
    name = event_id or f"evt_{uuid.uuid4().hex[:24]}"
    event = {
        "id": name,
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": now,
        "data": {"object": dict(object_)},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
        **fields,
    }
    body = json.dumps(event).encode()
    return SignedEvent(name, body, sign(body, secret, timestamp_s=now if timestamp_s is None else timestamp_s))
