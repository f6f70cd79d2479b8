"""What waits, what was given up, and what somebody has to look at.

Failed is what keeps a paid order from its effects; a warning is what works and wants to be looked at.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from ..drift import GRACE
from .findings import Check, Finding, counted

#: A parked event waits for a minute by design, and one retry or two are no news.
LATE_S: Final = 300
#: More than a relay that runs has in hand.
LARGE_BACKLOG: Final = 1_000
WORK: Final = Check("work", "all of it")
_EVENTS: Final = Check("work", "received events")
_DEAD: Final = Check("work", "dead letters")
_QUARANTINE: Final = Check("work", "quarantine")
_OUTBOX: Final = Check("work", "outgoing events")


@frozen(kw_only=True)
class WorkFacts:
    """How far behind the work is.

    `oldest_unhandled_s` is the age of the oldest event that is neither handled nor dead, 0 without one. Dead letters
    are `revivable`, or `unreadable`: stored dead, since nothing could read their body. `backlog` counts outgoing
    events that a broker is owed, `parked` those among them that it refused for good (at most `LARGE_BACKLOG`).
    """

    oldest_unhandled_s: float
    revivable: int
    unreadable: int
    quarantined: int
    backlog: int
    parked: int


def examine_work(facts: WorkFacts, *, has_broker: bool) -> list[Finding]:
    """All that can be said of it. `has_broker`: KAFKA_BROKERS names one."""
    return [_received(facts), _dead(facts), _quarantined(facts), _outgoing(facts, has_broker=has_broker)]


def _received(facts: WorkFacts) -> Finding:
    oldest_s = facts.oldest_unhandled_s
    if oldest_s <= LATE_S:
        waiting = "None waits." if not oldest_s else f"The oldest that waits came {oldest_s:,.0f} s ago."
        return _EVENTS.ok(waiting)
    found = f"The oldest that is not handled came {oldest_s / 60:,.0f} minutes ago."
    todo = (
        "See that a web process or `payments worker` runs, and why it is tried again: `payments events list` has the "
        "reason of each."
    )
    late = oldest_s > GRACE.total_seconds()
    return _EVENTS.failed(found, todo) if late else _EVENTS.warning(found, todo)


def _dead(facts: WorkFacts) -> Finding:
    unread = f"{counted(facts.unreadable, 'event')} could not be read." if facts.unreadable else ""
    if facts.revivable:
        found = f"{counted(facts.revivable, 'event')} ran out of attempts: what they bring has not happened. {unread}"
        return _DEAD.failed(
            found.strip(), "Read why with `payments events list --state dead`, mend it, then `payments events replay`."
        )
    if unread:
        return _DEAD.warning(
            f"{unread} They were signed by Stripe, and are no events that this version knows.",
            "Look at them with `payments events list --state dead`.",
        )
    return _DEAD.ok("None.")


def _quarantined(facts: WorkFacts) -> Finding:
    if not facts.quarantined:
        return _QUARANTINE.ok("None.")
    return _QUARANTINE.warning(
        f"{counted(facts.quarantined, 'payment')} paid, and not as agreed: nothing was fulfilled.",
        "Look at each with `payments quarantine list` and `show`, then release it, or refund and reject it.",
    )


def _outgoing(facts: WorkFacts, *, has_broker: bool) -> Finding:
    owed = counted(facts.backlog, "event")
    if facts.parked:
        most = "at least " if facts.parked >= LARGE_BACKLOG else ""
        return _OUTBOX.failed(
            f"The broker refused {most}{counted(facts.parked, 'event')} for good; what follows of the same payments "
            f"waits behind. Owed in all: {facts.backlog:,}.",
            "Read why with `payments outbox list`, mend it, then `payments outbox release --all`.",
        )
    if not facts.backlog:
        return _OUTBOX.ok("None is owed to a broker.")
    if not has_broker:
        return _OUTBOX.warning(
            f"{owed} owed to a broker, and KAFKA_BROKERS is not set here.",
            "Set it, and run `payments relay`.",
        )
    if facts.backlog > LARGE_BACKLOG:
        return _OUTBOX.warning(
            f"{owed} owed to the broker.",
            "See that `payments relay` runs, or a web process with relay=True, and its log.",
        )
    return _OUTBOX.ok(f"{owed} owed to the broker.")
