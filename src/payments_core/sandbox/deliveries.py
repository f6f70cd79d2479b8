"""Telling endpoints, decided purely: what is due, how it is signed, when it is tried again.

An attempt succeeds on any 2xx; a redirect, another status, a timeout or no connection at all is a failure and is
tried again with exponential backoff. Every try is signed afresh with its own time, as Stripe does.
"""

from __future__ import annotations

import hashlib
import hmac
import json

from attrs import evolve, frozen

from .records import Delivery
from .shapes import account as shapes
from .state import State

FIRST_RETRY_S = 2
MAX_ATTEMPTS = 10
DISABLED_RECHECK_S = 60


@frozen
class Post:
    """One signed request to make: send `body` unchanged with `headers` to `url`, then report how it went."""

    delivery: str
    event: str
    url: str
    body: bytes
    headers: dict[str, str]


def sign(body: bytes, secret: str, at: int) -> str:
    """The `Stripe-Signature` header: HMAC-SHA256 over `"{t}.{body}"`, keyed by the whole `whsec_…` string."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"


def due(state: State, now: int) -> list[Delivery]:
    """What should be sent by now, the oldest first."""
    return [delivery for delivery in state.deliveries if delivery.next_at is not None and delivery.next_at <= now]


def next_due_at(state: State) -> int | None:
    """When the next delivery is due, or None when nothing waits."""
    times = [delivery.next_at for delivery in state.deliveries if delivery.next_at is not None]
    return min(times, default=None)


def compose(state: State, delivery: Delivery, now: int) -> Post | None:
    """The request of a delivery, or None where its event or endpoint is gone (it is dropped) or disabled (it waits)."""
    event = state.events.get(delivery.event)
    endpoint = state.endpoints.get(delivery.endpoint)
    if event is None or endpoint is None:
        state.deliveries.drop(delivery.id)
        return None
    if endpoint.disabled:
        state.deliveries.put(evolve(delivery, next_at=now + DISABLED_RECHECK_S))
        return None
    body = json.dumps(shapes.event(event, pending_webhooks(state, event.id)), indent=2).encode()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://docs.stripe.com/webhooks) payments-core-sandbox",
        "Stripe-Signature": sign(body, endpoint.secret, now),
    }
    return Post(delivery.id, event.id, endpoint.url, body, headers)


def record(state: State, delivery_id: str, now: int, *, status: int | None, error: str | None = None) -> None:
    """Note how an attempt went: `status` is the reply's, None where there was none (`error` says why)."""
    delivery = state.deliveries.get(delivery_id)
    if delivery is None:
        return
    attempts = delivery.attempts + 1
    delivered = status is not None and 200 <= status < 300
    over = delivered or attempts >= MAX_ATTEMPTS
    state.deliveries.put(
        evolve(
            delivery,
            attempts=attempts,
            delivered=delivered,
            last_status=status,
            last_error=error,
            next_at=None if over else now + backoff_s(attempts),
        )
    )


def backoff_s(attempts: int) -> int:
    """Seconds until the next try: 2, 4, 8, … after the first, second, third failure."""
    return int(FIRST_RETRY_S * 2 ** (attempts - 1))


def of_event(state: State, event_id: str) -> list[Delivery]:
    """An event's deliveries, those to endpoints that have been deleted left out."""
    event = state.events.get(event_id)
    ids = event.deliveries if event else ()
    return [found for delivery_id in ids if (found := state.deliveries.get(delivery_id)) is not None]


def pending_webhooks(state: State, event_id: str) -> int:
    """How many endpoints have not taken an event yet, given up ones included."""
    return sum(not delivery.delivered for delivery in of_event(state, event_id))


def all_delivered(state: State, event_id: str) -> bool:
    """Whether every endpoint has taken an event; true where there was none to tell."""
    return pending_webhooks(state, event_id) == 0
