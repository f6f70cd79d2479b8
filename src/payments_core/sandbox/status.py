"""What the sandbox's front page shows: the latest sessions, events and deliveries."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from attrs import frozen

from .page import amount_text
from .records import Delivery, Event, Session
from .shapes.checkout import page_url

if TYPE_CHECKING:
    from .embed import Sandbox

SHOWN = 20


@frozen
class SessionRow:
    """One session in the list; `url` leads to its payment page while it is open."""

    id: str
    at: str
    amount: str
    status: str
    payment_status: str
    url: str | None


@frozen
class EventRow:
    """One event in the list."""

    id: str
    at: str
    type: str
    about: str
    waiting: int


@frozen
class DeliveryRow:
    """One delivery in the list: `state` in words, `tone` for its colour."""

    url: str
    type: str
    attempts: int
    state: str
    tone: str


@frozen
class Overview:
    """The whole page."""

    base_url: str
    endpoints: tuple[str, ...]
    sessions: tuple[SessionRow, ...]
    events: tuple[EventRow, ...]
    deliveries: tuple[DeliveryRow, ...]


def overview(sandbox: Sandbox) -> Overview:
    """The latest twenty of everything, newest first."""
    state = sandbox.state
    deliveries = sandbox.deliveries()[::-1][:SHOWN]
    kinds = {event.id: event.type for event in state.events}
    urls = {endpoint.id: endpoint.url for endpoint in state.endpoints}
    return Overview(
        base_url=sandbox.base_url,
        endpoints=tuple(urls.values()),
        sessions=tuple(_session(sandbox, session) for session in state.sessions.newest()[:SHOWN]),
        events=tuple(_event(sandbox, event) for event in state.events.newest()[:SHOWN]),
        deliveries=tuple(_delivery(delivery, kinds, urls) for delivery in deliveries),
    )


def _session(sandbox: Sandbox, session: Session) -> SessionRow:
    return SessionRow(
        id=session.id,
        at=_time(session.created),
        amount=amount_text(session.amount_minor, session.currency),
        status=session.status,
        payment_status=session.payment_status.replace("_", " "),
        url=page_url(session, sandbox.base_url) if session.status == "open" else None,
    )


def _event(sandbox: Sandbox, event: Event) -> EventRow:
    found = (sandbox.state.deliveries.get(delivery_id) for delivery_id in event.deliveries)
    waiting = sum(delivery is not None and not delivery.delivered for delivery in found)
    return EventRow(event.id, _time(event.created), event.type, str(event.object["id"]), waiting)


def _delivery(delivery: Delivery, kinds: dict[str, str], urls: dict[str, str]) -> DeliveryRow:
    why = f"{delivery.last_status}" if delivery.last_status else delivery.last_error or "not tried yet"
    if delivery.delivered:
        state, tone = f"delivered ({why})", "good"
    elif delivery.next_at is None:
        state, tone = f"given up ({why})", "bad"
    elif delivery.attempts:
        state, tone = f"retry at {_time(delivery.next_at)} ({why})", "waiting"
    else:
        state, tone = "waiting", "waiting"
    return DeliveryRow(
        url=urls.get(delivery.endpoint, "deleted endpoint"),
        type=kinds.get(delivery.event, "forgotten event"),
        attempts=delivery.attempts,
        state=state,
        tone=tone,
    )


def _time(at: int) -> str:
    return time.strftime("%H:%M:%S UTC", time.gmtime(at))
