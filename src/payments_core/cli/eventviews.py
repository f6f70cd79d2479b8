"""Received events as they are shown: as text for people, as camelCase JSON for programs. No body is in either."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from payments_core.cli.moments import clock, span
from payments_core.cli.tables import plain, shortened, table
from payments_core.domain.delivery import InboxState
from payments_core.domain.events import isoformat_utc
from payments_core.ports import EventPage, EventRecord, OutgoingRecord, PaymentHistory
from payments_core.services.inspection import is_unreadable, mode_of

#: In the order in which an operator looks at them.
STATES: Final = (InboxState.DEAD, InboxState.READY, InboxState.LEASED, InboxState.PARKED, InboxState.DONE)
_WAITING: Final = (InboxState.READY, InboxState.LEASED, InboxState.PARKED)
_HEADINGS: Final = ("STATE", "EVENT", "TYPE", "TRY", "AGE", "NEXT")
_TYPE: Final = 2
_SHORTEST_TYPE: Final = 12
#: A longer id stands whole on a line of its own, so that it can be copied and its neighbours keep their columns.
_LONGEST_ID: Final = 30
_INDENT: Final = "  "


def word(state: InboxState) -> str:
    """A state's name."""
    return state.name.lower()


def list_lines(page: EventPage, width: int) -> list[str]:
    """A table of `width` columns where the ids let it; below an event stands what went wrong with it."""
    rows = [_row(event, page.now) for event in page.events]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    left = width - sum(widths) - 2 * (len(widths) - 1) + widths[_TYPE]
    for row in rows:
        row[_TYPE] = shortened(row[_TYPE], max(_SHORTEST_TYPE, left))
    heading, *lines = table(_HEADINGS, rows, right=(3, 4, 5))
    shown = [heading]
    for event, line in zip(page.events, lines, strict=True):
        shown.append(line)
        if len(event.event_id) > _LONGEST_ID:
            shown.append(_INDENT + plain(event.event_id))
        if event.last_error and event.state is not InboxState.DONE:
            shown.append(shortened(_INDENT + plain(event.last_error), width))
    return shown


def counts_line(counts: Mapping[InboxState, int]) -> str:
    """How many events there are in each state, in one line."""
    return "In all: " + ", ".join(f"{counts[state]} {word(state)}" for state in STATES) + "."


def show_lines(event: EventRecord, now: datetime, history: PaymentHistory | None) -> list[str]:
    """All that is known of an event, and of its payment."""
    facts = [
        ("Event", event.event_id),
        ("Type", event.type),
        ("State", _state(event, now)),
        ("Attempts", str(event.attempts)),
        ("Received", f"{clock(event.received_at)} UTC ({span((now - event.received_at).total_seconds())} ago)"),
        ("Account", event.account or "none stated"),
        ("Mode", mode_of(event) if event.livemode is not None else "none stated"),
        ("Payment", _payment(event, history)),
        ("Last error", event.last_error or "none"),
    ]
    lines = [f"{name:<12}{plain(value)}" for name, value in facts]
    return lines if history is None else [*lines, "", *history_lines(history)]


def event_json(event: EventRecord) -> dict[str, Any]:
    """An event for a program. Times are RFC 3339 in UTC; `nextAt` is null for what waits for nothing."""
    return {
        "eventId": event.event_id,
        "type": event.type,
        "state": word(event.state),
        "attempts": event.attempts,
        "receivedAt": isoformat_utc(event.received_at),
        "nextAt": isoformat_utc(event.next_at) if event.state in _WAITING else None,
        "doneAt": _moment(event.done_at),
        "paymentId": event.payment_id,
        "account": event.account,
        "livemode": event.livemode,
        "lastError": event.last_error,
        "unreadable": is_unreadable(event),
    }


def history_json(history: PaymentHistory) -> dict[str, Any]:
    """A payment's history for a program."""
    return {
        "paymentId": history.payment_id,
        "state": history.state.value,
        "transitions": [
            {
                "transition": one.transition,
                "discriminator": one.discriminator,
                "eventId": one.event_id,
                "recordedAt": isoformat_utc(one.recorded_at),
                "reason": one.reason,
            }
            for one in history.transitions
        ],
        "outgoing": [
            {
                "eventId": one.event_id,
                "type": one.type,
                "occurredAt": isoformat_utc(one.occurred_at),
                "owed": one.owed,
                "publishedAt": _moment(one.published_at),
            }
            for one in history.outgoing
        ],
    }


def waits(event: EventRecord, now: datetime) -> str:
    """Of an open event, what it is and when its time comes."""
    left_s = (event.next_at - now).total_seconds()
    if event.state is InboxState.LEASED:
        held = "a worker has it" if left_s > 0 else "a worker had it, and its lease has run out"
        return f"leased: {held}; due {_when(left_s)} unless that worker completes it"
    return f"{word(event.state)}: due {_when(left_s)}"


def _when(left_s: float) -> str:
    return f"in {span(left_s)}" if left_s > 0 else "now"


def _row(event: EventRecord, now: datetime) -> list[str]:
    left_s = (event.next_at - now).total_seconds()
    due = "-" if event.state not in _WAITING else span(left_s) if left_s > 0 else "now"
    age = span((now - event.received_at).total_seconds())
    name = shortened(plain(event.event_id), _LONGEST_ID)
    return [word(event.state), name, plain(event.type), str(event.attempts), age, due]


def _state(event: EventRecord, now: datetime) -> str:
    if event.state is InboxState.DONE:
        return "done" if event.done_at is None else f"done at {clock(event.done_at)} UTC"
    if event.state is not InboxState.DEAD:
        return waits(event, now)
    if is_unreadable(event):
        return "dead: its body could not be read"
    return "dead: nothing more is tried until it is replayed"


def _payment(event: EventRecord, history: PaymentHistory | None) -> str:
    if event.payment_id is None:
        return "none known"
    return f"{event.payment_id} ({'not in this database' if history is None else history.state.value})"


def history_lines(history: PaymentHistory) -> list[str]:
    """What happened to a payment, and what the world is told of it."""
    happened = [(clock(one.recorded_at), one.transition, one.reason or "-") for one in history.transitions]
    told = [(one.type, one.event_id, _sent(one)) for one in history.outgoing]
    lines = table(("RECORDED (UTC)", "TRANSITION", "REASON"), happened) if happened else ["Nothing is recorded of it."]
    if told:
        lines += ["", *table(("OUTGOING", "EVENT ID", "SENT"), told)]
    return lines


def _sent(one: OutgoingRecord) -> str:
    if one.published_at is not None:
        return clock(one.published_at)
    return "owed" if one.owed else "no broker"


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else isoformat_utc(moment)
