"""What the in-memory store holds, and the rules of the inbox over it. Callers hold the store's guard."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import define, field, frozen

from payments_core.domain.delivery import LATE_LEASES, ClaimedEvent, InboxState, ReceivedEvent
from payments_core.domain.opening import Opening
from payments_core.domain.payment import Payment
from payments_core.domain.refs import Ref
from payments_core.ports import OutboxRow

_OPEN: Final = frozenset((InboxState.READY, InboxState.LEASED, InboxState.PARKED))


@define
class InboxEvent:
    """A row of the inbox. `held` while a transaction that stamped it is open."""

    seq: int
    received: ReceivedEvent
    received_at: datetime
    next_at: datetime
    state: InboxState = InboxState.READY
    token: int = 0
    attempts: int = 0
    lane: str | None = None
    last_error: str | None = None
    done_at: datetime | None = None
    held: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it still waits for its end."""
        return self.state in _OPEN

    def claimed(self) -> ClaimedEvent:
        """The event as its claimant sees it."""
        return ClaimedEvent(
            seq=self.seq,
            event_id=self.received.event_id,
            type=self.received.type,
            body=self.received.body,
            token=self.token,
            attempt=self.attempts,
            received_at=self.received_at,
            lane=self.lane,
            account=self.received.account,
            livemode=self.received.livemode,
            traceparent=self.received.traceparent,
        )


@frozen
class RefKey:
    """What a reference is unique in."""

    account: str | None
    livemode: bool
    ref: Ref


@define
class Outgoing:
    """A row of the outbox: whether a broker is owed it, and what became of it."""

    row: OutboxRow
    owed: bool
    created_at: datetime
    published_at: datetime | None = None
    parked_reason: str | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a broker is still owed it."""
        return self.owed and self.published_at is None


@frozen
class Recorded:
    """What was recorded of a transition: the fact's event id, when, and why an attempt failed."""

    event_id: str
    recorded_at: datetime
    reason: str | None = None


@define
class Data:
    """All rows."""

    payments: dict[str, Payment] = field(factory=dict[str, Payment])
    refs: dict[RefKey, str] = field(factory=dict[RefKey, str])
    sweeps: dict[str, datetime] = field(factory=dict[str, datetime])
    openings: dict[str, Opening] = field(factory=dict[str, Opening])
    transitions: dict[tuple[str, str, str], Recorded] = field(factory=dict[tuple[str, str, str], Recorded])
    #: Attempts that failed, as payment and moment: there are few, and every opening asks for them.
    declines: list[tuple[str, datetime]] = field(factory=list[tuple[str, datetime]])
    outbox: list[Outgoing] = field(factory=list[Outgoing])
    #: Keys of which a relay has rows in hand.
    relayed: set[str] = field(factory=set[str])
    inbox: dict[int, InboxEvent] = field(factory=dict[int, InboxEvent])
    #: By lane, the event that is leased: what the unique index is in SQL.
    leased: dict[str, int] = field(factory=dict[str, int])
    seqs: dict[tuple[str | None, bool | None, str], int] = field(factory=dict[tuple[str | None, bool | None, str], int])

    def receive(self, event: ReceivedEvent, now: datetime) -> bool:
        """Add the event unless it is there."""
        key = (event.account, event.livemode, event.event_id)
        if key in self.seqs:
            return False
        seq = self.seqs[key] = len(self.inbox) + 1
        self.inbox[seq] = InboxEvent(seq, event, now, now)
        if event.unreadable is not None:
            self.inbox[seq].state, self.inbox[seq].last_error = InboxState.DEAD, event.unreadable
        return True

    def claim(self, limit: int, lease: timedelta, now: datetime) -> Sequence[ClaimedEvent]:
        """Lease what is due."""
        due = [event for event in self.inbox.values() if self._is_claimable(event, now)]
        chosen = sorted(due, key=lambda event: (event.next_at, event.seq))[:limit]
        # What may have ended its worker is claimed alone: it must not use up the attempts of others.
        abandoned = [event for event in due if event.state is InboxState.LEASED]
        chosen = sorted(abandoned, key=lambda event: (event.next_at, event.seq))[: min(limit, 1)] or chosen
        lease *= LATE_LEASES if abandoned else 1
        for event in chosen:
            event.state, event.next_at = InboxState.LEASED, now + lease
            event.token += 1
            event.attempts += 1
            if event.lane is not None:
                self.leased[event.lane] = event.seq
        return sorted((event.claimed() for event in chosen), key=lambda event: event.seq)

    def held_by(self, claimed: ClaimedEvent) -> InboxEvent | None:
        """The event, if this claim still holds it and no transaction is completing it."""
        event = self.inbox[claimed.seq]
        current = event.state is InboxState.LEASED and event.token == claimed.token and not event.held
        return event if current else None

    def leave(self, event: InboxEvent, state: InboxState) -> None:
        """End the event's lease."""
        event.state = state
        if event.lane is not None and self.leased.get(event.lane) == event.seq:
            del self.leased[event.lane]

    def route(self, event: InboxEvent, lane: str) -> bool:
        """Put a leased event into a lane in which no other is leased."""
        if self.leased.get(lane, event.seq) != event.seq:
            return False
        if event.lane is not None:
            self.leased.pop(event.lane, None)
        event.lane = lane
        self.leased[lane] = event.seq
        return True

    def next_due(self) -> datetime | None:
        """When the next event can be claimed."""
        return min(
            (event.next_at for event in self.inbox.values() if event.is_open and not self._shut(event)), default=None
        )

    def owner(self, refs: Sequence[Ref], account: str | None, *, livemode: bool) -> str | None:
        """The payment that bears the first of the names that is known."""
        keys = (RefKey(account, livemode, ref) for ref in refs)
        return next((self.refs[key] for key in keys if key in self.refs), None)

    def _shut(self, event: InboxEvent) -> bool:
        """Whether another event of its lane is leased; one whose lease ran out keeps the lane until it is taken."""
        return event.lane is not None and self.leased.get(event.lane, event.seq) != event.seq

    def _is_claimable(self, event: InboxEvent, now: datetime) -> bool:
        if not event.is_open or event.held or event.next_at > now or self._shut(event):
            return False
        if event.lane is None or event.state is InboxState.LEASED:
            return True
        return not any(
            other.lane == event.lane and other.seq < event.seq and other.is_open and other.next_at <= now
            for other in self.inbox.values()
        )
