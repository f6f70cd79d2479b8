"""What an operator may look at and do: received events, dead letters among them, and the figures of the payments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen

from ..domain.analytics import Period, Tallies
from ..domain.delivery import InboxState
from ..domain.payment import Payment, PaymentState


@frozen
class EventRecord:
    """A received event without its body, which holds personal data.

    `next_at` means what it means in the inbox: not before (ready), end of the lease (leased), wake-up (parked).
    `payment_id` is known once the event has been routed. `was_claimed` is False as long as nobody has begun it: a dead
    letter like that was stored dead, since its body could not be read. Times are aware UTC.
    """

    seq: int
    event_id: str
    type: str
    state: InboxState
    attempts: int
    received_at: datetime
    next_at: datetime
    was_claimed: bool
    done_at: datetime | None = None
    payment_id: str | None = None
    account: str | None = None
    livemode: bool | None = None
    last_error: str | None = None


@frozen(kw_only=True)
class EventFilter:
    """Which events are meant: all conditions that are set hold. `since` is inclusive and aware."""

    type: str | None = None
    payment_id: str | None = None
    since: datetime | None = None


@frozen
class EventPage:
    """Some events, newest first, and the store's own time when they were read, from which ages are counted."""

    events: tuple[EventRecord, ...]
    now: datetime


@frozen
class TransitionRecord:
    """Something that happened to a payment.

    `event_id` is the fact's own; `reason` is a failed attempt's, what a quarantine found, or why it was released.
    """

    transition: str
    discriminator: str
    event_id: str
    recorded_at: datetime
    reason: str | None = None


@frozen
class OutgoingRecord:
    """A fact as the world is told it. `owed`: a broker was configured when it was written."""

    event_id: str
    type: str
    occurred_at: datetime
    owed: bool
    published_at: datetime | None = None


@frozen
class PaymentHistory:
    """What became of a payment, oldest first."""

    payment_id: str
    state: PaymentState
    transitions: tuple[TransitionRecord, ...]
    outgoing: tuple[OutgoingRecord, ...]


@frozen
class DeadCount:
    """How many dead letters a replay of all would bring back, and how many it leaves out as unreadable."""

    revivable: int
    unreadable: int


class Records(Protocol):
    """The store as an operator sees it.

    - `events` is ordered by arrival, newest first, and reads no body; with `before` it goes on after the event whose
      `seq` that is, so that pages neither repeat nor skip what was there when the first one was read.
    - `named` finds an event id in every account and mode, newest first.
    - `revive` and `revive_dead` bring dead letters back: ready, due now, with no attempt counted and a raised token, so
      that nobody who once held the event can complete it. What is not dead at that moment is left as it is, whoever
      else revives or works meanwhile; `last_error` stays.
    - `revive_dead` leaves out what was stored dead because it could not be read. It takes the oldest first, at most
      `limit`, and only events whose `seq` is greater than `after`; the answer is their `seq` in rising order.
    - `quarantined` is ordered by when the payments were quarantined, those first that wait longest; with `after` it
      goes on behind that payment.
    - `tallies` counts payments by when they began, takings by when they settled and declines by when they were
      recorded, all within the half-open period; amounts are summed exactly, one currency and one mode at a time.
    """

    async def events(
        self, wanted: EventFilter, *, state: InboxState | None = None, limit: int, before: int | None = None
    ) -> EventPage:
        """The newest events that fit."""
        ...

    async def counts(self) -> Mapping[InboxState, int]:
        """How many events are in each state; every state is there."""
        ...

    async def named(self, event_id: str) -> EventPage:
        """The events that have this id, one of each account and mode that sent it."""
        ...

    async def body(self, seq: int) -> bytes | None:
        """An event's body as it came, or None for an event that is not there."""
        ...

    async def history(self, payment_id: str) -> PaymentHistory | None:
        """What happened to a payment, or None for one that is not there."""
        ...

    async def revive(self, seq: int) -> bool:
        """Bring one dead letter back, a readable one or not. False when it is not dead."""
        ...

    async def revive_dead(self, wanted: EventFilter, *, after: int, limit: int) -> Sequence[int]:
        """Bring back the dead letters that fit; which."""
        ...

    async def count_dead(self, wanted: EventFilter) -> DeadCount:
        """How many dead letters fit."""
        ...

    async def quarantined(self, *, limit: int, after: str | None = None) -> Sequence[Payment]:
        """The payments that are quarantined."""
        ...

    async def has_live_payments(self) -> bool:
        """Whether any payment was made with a live key."""
        ...

    async def tallies(self, period: Period) -> Tallies:
        """The payments' figures."""
        ...
