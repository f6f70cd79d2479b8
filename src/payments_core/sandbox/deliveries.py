"""Telling endpoints, decided purely: what is due, how it is signed, when it is tried again, what is sent once more.

An attempt succeeds on any 2xx; a redirect, another status, a timeout or no connection at all is a failure. Tries go
on for three days, as Stripe's do in live mode (https://docs.stripe.com/webhooks#retries), each after twice the time
of the one before, starting at two seconds, so that whoever has just restarted a shop need not wait. Every try is
signed afresh with its own time.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Final

from attrs import evolve, frozen

from . import thin
from .errors import invalid, no_such
from .records.events import Delivery, Endpoint, Event
from .shapes import account as shapes
from .state import EVENT_LIFE_S, Context, State, wants

FIRST_RETRY_S: Final = 2
#: 2 + 4 + 8 + … + 2**17 seconds make three days.
MAX_ATTEMPTS: Final = 18


@frozen
class Post:
    """One signed request to make: send `body` unchanged with `headers` to `url`, then report how it went.

    A listener has no `url`: what it gets goes over the connection of its `endpoint`. `payload` is `snapshot` or `thin`.
    """

    delivery: str
    event: str
    endpoint: str
    url: str
    body: bytes
    headers: dict[str, str]
    payload: str = "snapshot"


def sign(body: bytes, secret: str, at: int) -> str:
    """The `Stripe-Signature` header: HMAC-SHA256 over `"{t}.{body}"`, keyed by the whole `whsec_…` string."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"


def due(state: State, now: int) -> list[Delivery]:
    """What should be sent by now, the longest due first."""
    waiting = [(delivery.next_at, delivery) for delivery in state.deliveries if delivery.next_at is not None]
    return [delivery for at, delivery in sorted(waiting, key=lambda one: one[0]) if at <= now]


def next_due_at(state: State) -> int | None:
    """When the next delivery is due, or None when nothing waits."""
    times = [delivery.next_at for delivery in state.deliveries if delivery.next_at is not None]
    return min(times, default=None)


def compose(state: State, delivery: Delivery, signed_at: int) -> Post | None:
    """The request of a delivery, or None where there is to be none.

    It is dropped with its event or endpoint, and given up where its endpoint is disabled when its turn comes.
    """
    event = state.events.get(delivery.event)
    endpoint = state.endpoints.get(delivery.endpoint)
    if event is None or endpoint is None:
        state.deliveries.drop(delivery.id)
        return None
    if endpoint.disabled:
        state.deliveries.put(evolve(delivery, next_at=None, last_error="the endpoint is disabled"))
        return None
    body = body_for(state, event, endpoint)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://docs.stripe.com/webhooks) payments-core-sandbox",
        "Stripe-Signature": sign(body, endpoint.secret, signed_at),
    }
    url = "" if endpoint.kind == "listener" else endpoint.url
    event_id = thin.id_of(event) if endpoint.payload == "thin" else event.id
    return Post(delivery.id, event_id, endpoint.id, url, body, headers, endpoint.payload)


def body_for(state: State, event: Event, endpoint: Endpoint) -> bytes:
    """What an endpoint gets of an event: the snapshot, or a notification that says what to fetch."""
    if endpoint.payload == "thin":
        return json.dumps(thin.notification(event)).encode()
    return json.dumps(shapes.event(event, pending_webhooks(state, event.id)), indent=2).encode()


def record(state: State, delivery_id: str, now: int, *, status: int | None, error: str | None = None) -> None:
    """Note how an attempt went: `status` is the reply's, None where there was none (`error` says why)."""
    delivery = state.deliveries.get(delivery_id)
    if delivery is None:
        return
    attempts = delivery.attempts + 1
    delivered = status is not None and 200 <= status < 300
    over = delivered or delivery.extra or attempts >= MAX_ATTEMPTS or _is_listener(state, delivery.endpoint)
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


def resend(context: Context, event_id: str, endpoint_id: str | None = None) -> Event:
    """Send an event once more, now: to one endpoint, or to every one that is enabled and wants it.

    Retries that wait go on waiting, as Stripe's do. Raises StripeRefusal for an event that is unknown or older than
    30 days, and for an endpoint that is unknown or disabled.
    """
    event = context.state.events.need(event_id)
    if event.created <= context.now - EVENT_LIFE_S:
        raise no_such("event", event_id, "id")
    if endpoint_id is not None:
        endpoint = context.state.endpoints.need(endpoint_id, "webhook_endpoint", status=400)
        if endpoint.disabled:
            raise invalid("webhook_endpoint", f"The webhook endpoint {endpoint.id} is disabled.")
        receivers = [endpoint]
    else:
        receivers = [
            endpoint for endpoint in context.state.endpoints if not endpoint.disabled and wants(endpoint, event.type)
        ]
    again = [
        Delivery(context.ids.new("dlv_", 24), event.id, endpoint.id, context.now, extra=True) for endpoint in receivers
    ]
    for delivery in again:
        context.state.deliveries.put(delivery)
    return context.state.events.put(evolve(event, deliveries=(*event.deliveries, *(one.id for one in again))))


def of_event(state: State, event_id: str) -> list[Delivery]:
    """An event's deliveries, those to endpoints that have been deleted left out."""
    event = state.events.get(event_id)
    ids = event.deliveries if event else ()
    found = (state.deliveries.get(delivery_id) for delivery_id in ids)
    return [one for one in found if one is not None and state.endpoints.get(one.endpoint) is not None]


def pending_webhooks(state: State, event_id: str) -> int:
    """How many endpoints have not taken an event yet, given up ones included."""
    deliveries = of_event(state, event_id)
    taken = {delivery.endpoint for delivery in deliveries if delivery.delivered}
    return len({delivery.endpoint for delivery in deliveries} - taken)


def all_delivered(state: State, event_id: str) -> bool:
    """Whether every endpoint has taken an event; true where there was none to tell."""
    return pending_webhooks(state, event_id) == 0


def _is_listener(state: State, endpoint_id: str) -> bool:
    """What `stripe listen` forwards is tried once, as Stripe does."""
    endpoint = state.endpoints.get(endpoint_id)
    return endpoint is not None and endpoint.kind == "listener"
