"""What an operator does with received events: find the one that is meant, and bring dead letters back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from attrs import frozen

from ..domain.delivery import InboxState
from ..ports import EventFilter, EventRecord, Records

#: Dead letters brought back in one transaction: short ones, since webhooks want to be written meanwhile.
_BATCH: Final = 500
#: How an event that states no account, or no mode, is named where one is chosen.
UNSTATED: Final = "none"


class ReplayOutcome(StrEnum):
    """What became of the wish to replay an event."""

    REPLAYED = "replayed"
    UNKNOWN = "unknown"
    AMBIGUOUS = "ambiguous"
    NOT_DEAD = "not_dead"


@frozen
class Which:
    """Which of the events that share an id are meant: those of an account, of a mode (`live`, `test`), or all.

    `none` chooses the events that state no account, or no mode; None leaves it open.
    """

    account: str | None = None
    mode: str | None = None

    def of(self, events: Sequence[EventRecord]) -> tuple[EventRecord, ...]:
        """The events that are meant."""
        return tuple(
            event
            for event in events
            if self.account in (None, event.account or UNSTATED) and self.mode in (None, mode_of(event))
        )


@frozen
class ReplayAnswer:
    """How one wish ended. `events` are those that were found, as they are now; `now` is the store's time."""

    event_id: str
    outcome: ReplayOutcome
    events: tuple[EventRecord, ...]
    now: datetime


def mode_of(event: EventRecord) -> str:
    """The mode that an event states, in a word."""
    if event.livemode is None:
        return UNSTATED
    return "live" if event.livemode else "test"


async def replay(records: Records, event_id: str, which: Which) -> ReplayAnswer:
    """Bring one event back, a readable one or not, if it is dead at that moment."""
    page = await records.named(event_id)
    found = which.of(page.events)
    if len(found) != 1:
        outcome = ReplayOutcome.AMBIGUOUS if found else ReplayOutcome.UNKNOWN
        return ReplayAnswer(event_id, outcome, found, page.now)
    # Tried whatever was read: only the guarded update knows the state, and the reason is read after it.
    if await records.revive(found[0].seq):
        return ReplayAnswer(event_id, ReplayOutcome.REPLAYED, found, page.now)
    page = await records.named(event_id)
    return ReplayAnswer(event_id, ReplayOutcome.NOT_DEAD, which.of(page.events), page.now)


async def replay_dead(records: Records, wanted: EventFilter) -> int:
    """Bring back every dead letter that fits and can be read; how many. One that dies again is not taken twice."""
    revived, after = 0, 0
    while seqs := await records.revive_dead(wanted, after=after, limit=_BATCH):
        revived += len(seqs)
        after = seqs[-1]
    return revived


def is_unreadable(event: EventRecord) -> bool:
    """Whether an event was stored dead, since its body could not be read."""
    return event.state is InboxState.DEAD and not event.was_claimed
