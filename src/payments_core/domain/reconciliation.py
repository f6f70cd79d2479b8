"""How far back a reconciliation looks, what it remembers, and what it reports.

Stripe lists events for 30 days (https://docs.stripe.com/api/events), and makes none at all in rare cases; so there are
two sweeps. The events' begins an hour before the last one ended: an event may appear in the list later than its time
says. The objects' begins three days before: what is listed by its creation may change later, and a session lives a day.
Payments of our own that wait longer than that (a delayed method) are asked for one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import Factory, define, frozen

from .listing import Span

OVERLAP: Final = timedelta(hours=1)
OBJECTS_OVERLAP: Final = timedelta(days=3)
#: What is remembered for a later moment than this from now was written under a wrong clock.
CLOCKS_APART: Final = timedelta(hours=1)
#: Where a first run begins, and the furthest that events are asked for.
EVENTS_KEPT: Final = timedelta(days=30)


@frozen
class Window:
    """What is swept: from `since` up to, and without, `until`. `remembers`: the end is kept for the next run."""

    since: datetime
    until: datetime
    remembers: bool

    @property
    def span(self) -> Span:
        """In whole seconds, none left out at either end."""
        return Span(seconds(self.since), seconds(self.until) + 1)


@frozen
class Step:
    """How far a run is: what it looks through, the window's share that is done (0 to 1), and the counts so far."""

    what: str
    share: float
    seen: int
    brought: int


@frozen
class Reconciled:
    """What a reconciliation found and brought into the inbox.

    `seen` counts what Stripe listed: `event`, `session`, `payment_intent`, `invoice`, `refund`, `unfinished` (payments
    of our own that were asked for one by one) and `notice` (Stripe's word that an event could not be made). `brought`
    counts, by type, the events that the inbox did not have. `is_complete` is False for a run that was ended early: the
    next one goes on from there.
    """

    since: datetime
    until: datetime
    seen: Mapping[str, int]
    brought: Mapping[str, int]
    is_complete: bool = True

    @property
    def total(self) -> int:
        """How many events were brought."""
        return sum(self.brought.values())


@define
class Tally:
    """The counts of a run under way."""

    seen: Counter[str] = Factory(Counter[str])
    brought: Counter[str] = Factory(Counter[str])


def events_window(now: datetime, known: datetime | None, since: datetime | None, until: datetime | None) -> Window:
    """The window of the events' sweep. `known`: how far the last one came; `since`, `until`: what was asked for."""
    oldest, known = now - EVENTS_KEPT, _believed(now, known)
    usual = oldest if known is None else max(oldest, known - OVERLAP)
    return _window(now, usual, None if since is None else max(since, oldest), until)


def objects_window(now: datetime, known: datetime | None, since: datetime | None, until: datetime | None) -> Window:
    """The window of the objects' sweep, which Stripe keeps for ever."""
    known = _believed(now, known)
    usual = now - EVENTS_KEPT if known is None else known - OBJECTS_OVERLAP
    return _window(now, usual, since, until)


def _believed(now: datetime, known: datetime | None) -> datetime | None:
    """How far the last run came, unless its clock was wrong: nobody has swept what is still to come."""
    return None if known is None or known > now + CLOCKS_APART else known


def _window(now: datetime, usual: datetime, since: datetime | None, until: datetime | None) -> Window:
    """A run that leaves a gap behind the last one is not remembered: the next must still go over the gap."""
    start, end = usual if since is None else since, now if until is None else min(until, now)
    return Window(min(start, end), end, remembers=start <= usual)


def seconds(moment: datetime) -> int:
    """Whole Unix seconds, rounded down."""
    return int(moment.timestamp() // 1)


def moment_of(unix_s: int) -> datetime:
    """The aware UTC time of Unix seconds."""
    return datetime.fromtimestamp(unix_s, UTC)


def sweep_name(what: str, *, account: str | None, livemode: bool) -> str:
    """Under which name a sweep's progress is kept: one for each account and mode."""
    return f"{what}/{account or 'own'}/{'live' if livemode else 'test'}"
