"""The three ledgers: what the sender was answered, what the inbox holds, and what became of it.

Nothing is lost, doubled or invented when they agree: every event that was answered 2xx is in the inbox and handled,
every fact that is due has one effect and one outgoing event, and nothing is there that no signed event told of.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Final

from attrs import frozen
from sqlalchemy import func, select, update

from chaos.databases import engine_of
from chaos.scenario import Figure, Result
from chaos.shop import effects
from chaos.stories import Plan
from payments_core.adapters.sql.tables import inbox, outbox
from payments_core.domain.delivery import InboxState

_OPEN: Final = (InboxState.READY.value, InboxState.LEASED.value, InboxState.PARKED.value)
_LOOK_S: Final = 0.2


@frozen
class Row:
    """An event in the inbox."""

    state: int
    attempts: int
    token: int


@frozen
class Books:
    """What a database holds: inbox rows by event id, and how often each fact has an effect and an outgoing event."""

    inbox: Mapping[str, Row]
    effects: Counter[str]
    outgoing: Counter[str]


@frozen
class Verdict:
    """The figures that every scenario prints, and the promises that were broken."""

    figures: Mapping[str, Figure]
    broken: tuple[str, ...]

    def result(self, figures: Mapping[str, Figure], *broken: str) -> Result:
        """The scenario's result: its own figures first."""
        return Result({**figures, **self.figures}, (*self.broken, *broken))


def read_books(url: str) -> Books:
    """Read everything; the database should be at rest."""
    with engine_of(url).connect() as connection:
        rows = connection.execute(select(inbox.c.event_id, inbox.c.state, inbox.c.attempts, inbox.c.token))
        return Books(
            {row.event_id: Row(row.state, row.attempts, row.token) for row in rows},
            Counter(connection.execute(select(effects.c.fact)).scalars()),
            Counter(connection.execute(select(outbox.c.event_id)).scalars()),
        )


def progress(url: str) -> tuple[int, int]:
    """How many events of the inbox are open, and how many are not any more."""
    with engine_of(url).connect() as connection:
        found = connection.execute(select(inbox.c.state, func.count()).group_by(inbox.c.state)).all()
    still = sum(count for state, count in found if state in _OPEN)
    return still, sum(count for _, count in found) - still


def leased(url: str) -> int:
    """How many events somebody holds."""
    with engine_of(url).connect() as connection:
        held = select(func.count()).where(inbox.c.state == InboxState.LEASED.value)
        return connection.execute(held).scalar_one()


def let_time_pass(url: str) -> None:
    """Make every retry due that waits for its delay; leases run on, by the clock."""
    waits = inbox.c.state.in_((InboxState.READY.value, InboxState.PARKED.value))
    later = inbox.c.next_at > datetime.now(UTC)
    with engine_of(url).begin() as connection:
        connection.execute(update(inbox).where(waits, later).values(next_at=inbox.c.received_at))


def let_leases_end(url: str) -> None:
    """Make every lease run out, whatever is left of it."""
    held = inbox.c.state == InboxState.LEASED.value
    with engine_of(url).begin() as connection:
        connection.execute(update(inbox).where(held).values(next_at=inbox.c.received_at))


def drained(url: str, timeout_s: float, *, in_vain: Callable[[], bool] = bool) -> int:
    """Wait until every event of the inbox is handled, with retries hastened; how many are still open after that.

    `timeout_s` is how long none of them may be: a slow machine takes longer, one that stands still is given up.
    `in_vain` says that there is no use in waiting longer.
    """
    fewest, deadline = math.inf, 0.0
    while True:
        let_time_pass(url)
        time.sleep(_LOOK_S)
        still, _ = progress(url)
        if still < fewest:
            fewest, deadline = still, time.monotonic() + timeout_s
        if not still or time.monotonic() > deadline or in_vain():
            return still


def judge(plan: Plan, acked: Collection[str], books: Books, *, dead: Collection[str] = ()) -> Verdict:
    """Compare the ledgers. `dead` are events that must end as dead letters, and without an effect."""
    lost = set(acked) - books.inbox.keys()
    done = {one for one, row in books.inbox.items() if row.state == InboxState.DONE}
    unhandled = books.inbox.keys() - done - set(dead)
    missing = plan.due - books.effects.keys()
    doubled = {fact for book in (books.effects, books.outgoing) for fact, count in book.items() if count > 1}
    told = {event.event_id for event in plan.events}
    ghosts = (books.inbox.keys() - told) | (books.effects.keys() - plan.due - plan.possible)
    ghosts |= books.outgoing.keys() ^ {fact for fact in books.effects if not fact.startswith("evt_")}
    counts: dict[str, Collection[str]] = {
        "lost": lost,
        "unhandled": unhandled,
        "without effect": missing,
        "doubled": doubled,
        "ghosts": ghosts,
    }
    broken = tuple(f"{len(found)} {name}: {', '.join(sorted(found)[:3])}" for name, found in counts.items() if found)
    return Verdict({name: len(found) for name, found in counts.items()}, broken)
