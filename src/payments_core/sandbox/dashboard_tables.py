"""What the dashboard lists: sessions, payments, refunds, disputes, events and deliveries, newest first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from attrs import frozen

from . import deliveries
from .amounts import amount_text
from .records.checkout import Session
from .records.disputes import Dispute
from .records.events import Delivery, Event
from .records.payments import PaymentIntent, Refund
from .state import State, T

#: Rows of each list on the front page, and on its own page.
FEW, MANY = 8, 200
_TONES = {
    "complete": "good", "succeeded": "good", "paid": "good", "no payment required": "good", "won": "good",
    "warning closed": "good", "open": "waiting", "processing": "waiting", "requires action": "waiting",
    "requires capture": "waiting", "pending": "waiting", "needs response": "waiting",
    "warning needs response": "waiting", "under review": "waiting", "warning under review": "waiting",
    "expired": "bad", "canceled": "bad", "failed": "bad", "lost": "bad",
}  # fmt: skip


@frozen
class Cell:
    """One cell. `href` makes it a link, `tone` a coloured word, `resend` a button that sends an event again."""

    text: str
    href: str | None = None
    code: bool = False
    tone: str | None = None
    resend: tuple[str, str] | None = None


@frozen
class Table:
    """One list. `name` is its place under `/dashboard`; `total` counts what there is beyond the rows."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: int
    empty: str


def object_url(object_id: str) -> str:
    """Where an object is looked at."""
    kind = "events" if object_id.startswith("evt_") else "objects"
    return f"/dashboard/{kind}/{object_id}"


def clock_text(at: int) -> str:
    """A moment, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))


def sessions(state: State, count: int) -> Table:
    """Checkout Sessions."""

    def row(session: Session) -> tuple[Cell, ...]:
        return (
            _at(session.created),
            Cell(amount_text(session.amount_minor, session.currency)),
            _word(session.status),
            _word(session.payment_status),
            _link(session.id),
        )

    rows = _newest(state.sessions.newest(), row, count)
    columns = ("Made", "Amount", "Status", "Payment", "Session")
    empty = "None yet. Create one with POST /v1/checkout/sessions."
    return Table("sessions", "Checkout Sessions", columns, rows, len(state.sessions), empty)


def payments(state: State, count: int) -> Table:
    """Payment intents."""

    def row(intent: PaymentIntent) -> tuple[Cell, ...]:
        why = intent.failure.decline.decline_code or intent.failure.decline.code if intent.failure else ""
        return (
            _at(intent.created),
            Cell(amount_text(intent.amount_minor, intent.currency)),
            _word(intent.status),
            Cell(why.replace("_", " ")),
            _link(intent.id),
        )

    rows = _newest(state.intents.newest(), row, count)
    columns = ("Made", "Amount", "Status", "Last failure", "Payment intent")
    return Table("payments", "Payments", columns, rows, len(state.intents), "Nobody has tried to pay yet.")


def refunds(state: State, count: int) -> Table:
    """Refunds."""

    def row(refund: Refund) -> tuple[Cell, ...]:
        amount = amount_text(refund.amount_minor, refund.currency)
        return (_at(refund.created), Cell(amount), _link(refund.payment_intent), _link(refund.id))

    rows = _newest(state.refunds.newest(), row, count)
    return Table("refunds", "Refunds", ("Made", "Amount", "Payment", "Refund"), rows, len(state.refunds), "None yet.")


def disputes(state: State, count: int) -> Table:
    """Disputes."""

    def row(dispute: Dispute) -> tuple[Cell, ...]:
        return (
            _at(dispute.created),
            Cell(amount_text(dispute.amount_minor, dispute.currency)),
            Cell(dispute.reason.replace("_", " ")),
            _word(dispute.status),
            _link(dispute.id),
        )

    rows = _newest(state.disputes.newest(), row, count)
    columns = ("Opened", "Amount", "Reason", "Status", "Dispute")
    return Table("disputes", "Disputes", columns, rows, len(state.disputes), "None yet.")


def events(state: State, count: int) -> Table:
    """Events, with how far their deliveries have got."""
    rows = _newest(state.events.newest(), lambda event: event_row(state, event), count)
    return Table("events", "Events", EVENT_COLUMNS, rows, len(state.events), "None yet.")


EVENT_COLUMNS = ("At", "Type", "About", "Delivered")


def event_row(state: State, event: Event) -> tuple[Cell, ...]:
    """One event: when, what, about which object, and to how many of its endpoints it got."""
    all_of_them = {delivery.endpoint for delivery in deliveries.of_event(state, event.id)}
    got = len(all_of_them) - deliveries.pending_webhooks(state, event.id)
    shown = Cell(f"{got} of {len(all_of_them)}", tone="good" if got == len(all_of_them) else "waiting")
    about = str(event.object.get("id", ""))
    return (
        _at(event.created),
        Cell(event.type, href=object_url(event.id)),
        _link(about) if about else Cell(""),
        shown if all_of_them else Cell("no endpoint"),
    )


def deliveries_of(state: State, found: Sequence[Delivery], count: int) -> Table:
    """Deliveries: what, where to, how often it was tried, and how it stands."""
    rows = _newest(found, lambda delivery: _delivery_row(state, delivery), count)
    columns = ("Event", "To", "Tries", "Status", "Last answer", "")
    return Table("deliveries", "Deliveries", columns, rows, len(found), "None yet.")


def _delivery_row(state: State, delivery: Delivery) -> tuple[Cell, ...]:
    event, endpoint = state.events.get(delivery.event), state.endpoints.get(delivery.endpoint)
    answer = str(delivery.last_status) if delivery.last_status else delivery.last_error or ""
    can = event is not None and endpoint is not None and not endpoint.disabled
    return (
        Cell(event.type if event else "forgotten event", href=object_url(event.id) if event else None),
        Cell(endpoint.url if endpoint else "deleted endpoint", code=True),
        Cell(str(delivery.attempts)),
        _stands(delivery),
        Cell(answer),
        Cell("Resend", resend=(delivery.event, delivery.endpoint)) if can else Cell(""),
    )


def _stands(delivery: Delivery) -> Cell:
    if delivery.delivered:
        return Cell("delivered", tone="good")
    if delivery.next_at is None:
        return Cell("given up", tone="bad")
    if delivery.attempts:
        return Cell(f"next try {clock_text(delivery.next_at)[11:]}", tone="waiting")
    return Cell("waiting", tone="waiting")


def _newest(found: Sequence[T], row: Callable[[T], tuple[Cell, ...]], count: int) -> tuple[tuple[Cell, ...], ...]:
    return tuple(row(record) for record in found[:count])


def _at(moment: int) -> Cell:
    return Cell(clock_text(moment))


def _link(object_id: str) -> Cell:
    shown = object_id if len(object_id) <= 26 else f"{object_id[:24]}…"
    return Cell(shown, href=object_url(object_id), code=True)


def _word(status: str) -> Cell:
    words = status.replace("_", " ")
    return Cell(words, tone=_TONES.get(words, "dull"))


#: Each list by its place under `/dashboard`.
LISTS: Mapping[str, Callable[[State, int], Table]] = {
    "sessions": sessions,
    "payments": payments,
    "refunds": refunds,
    "disputes": disputes,
    "events": events,
    "deliveries": lambda state, count: deliveries_of(state, state.deliveries.newest(), count),
}
