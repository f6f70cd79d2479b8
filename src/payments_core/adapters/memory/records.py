"""The operator's view of the in-memory store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime

from attrs import frozen

from payments_core.adapters.memory.data import Data, InboxEvent
from payments_core.domain.analytics import Period, Standing, Takings, Tallies, standing_of
from payments_core.domain.delivery import InboxState
from payments_core.domain.payment import Payment, PaymentState, Transition
from payments_core.ports import (
    Clock,
    DeadCount,
    EventFilter,
    EventPage,
    EventRecord,
    OutgoingRecord,
    PaymentHistory,
    TransitionRecord,
)


@frozen
class MemoryRecords:
    """`payments_core.ports.Records` over `Data`; `opened` gives it, guarded."""

    opened: Callable[[], AbstractContextManager[Data]]
    clock: Clock

    async def events(
        self, wanted: EventFilter, *, state: InboxState | None = None, limit: int, before: int | None = None
    ) -> EventPage:
        """See Records."""
        with self.opened() as data:
            fitting = [
                event
                for event in reversed(data.inbox.values())
                if _fits(event, wanted)
                and (state is None or event.state is state)
                and (before is None or event.seq < before)
            ]
            return self._page(fitting[:limit])

    async def counts(self) -> Mapping[InboxState, int]:
        """See Records."""
        with self.opened() as data:
            counted = Counter(event.state for event in data.inbox.values())
            return {state: counted[state] for state in InboxState}

    async def named(self, event_id: str) -> EventPage:
        """See Records."""
        with self.opened() as data:
            return self._page([one for one in reversed(data.inbox.values()) if one.received.event_id == event_id])

    async def body(self, seq: int) -> bytes | None:
        """See Records."""
        with self.opened() as data:
            event = data.inbox.get(seq)
            return None if event is None else event.received.body

    async def history(self, payment_id: str) -> PaymentHistory | None:
        """See Records."""
        with self.opened() as data:
            payment = data.payments.get(payment_id)
            if payment is None:
                return None
            transitions = [
                TransitionRecord(transition, discriminator, known.event_id, known.recorded_at, known.reason)
                for (owner, transition, discriminator), known in data.transitions.items()
                if owner == payment_id
            ]
            transitions.sort(key=lambda one: (one.recorded_at, one.transition, one.discriminator))
            facts = {one.event_id for one in transitions}
            outgoing = [
                OutgoingRecord(sent.row.event_id, sent.row.type, sent.row.occurred_at, sent.owed, sent.published_at)
                for sent in data.outbox
                if sent.row.event_id in facts
            ]
            return PaymentHistory(payment_id, payment.state, tuple(transitions), tuple(outgoing))

    async def revive(self, seq: int) -> bool:
        """See Records."""
        with self.opened() as data:
            event = data.inbox.get(seq)
            if event is None or event.state is not InboxState.DEAD:
                return False
            self._bring_back(event)
            return True

    async def revive_dead(self, wanted: EventFilter, *, after: int, limit: int) -> Sequence[int]:
        """See Records."""
        with self.opened() as data:
            chosen = [one for one in _dead(data, wanted) if one.token > 0 and one.seq > after][:limit]
            for event in chosen:
                self._bring_back(event)
            return [event.seq for event in chosen]

    async def count_dead(self, wanted: EventFilter) -> DeadCount:
        """See Records."""
        with self.opened() as data:
            dead = _dead(data, wanted)
            revivable = sum(event.token > 0 for event in dead)
            return DeadCount(revivable, len(dead) - revivable)

    async def quarantined(self, *, limit: int, after: str | None = None) -> Sequence[Payment]:
        """See Records."""
        with self.opened() as data:
            found = [one for one in data.payments.values() if one.state is PaymentState.QUARANTINED]
            behind = data.payments.get(after) if after is not None else None
            fitting = sorted(map(_place, found))
            names = [name for name in fitting if behind is None or name > _place(behind)]
            return [data.payments[name] for _, name in names[:limit]]

    async def has_live_payments(self) -> bool:
        """See Records."""
        with self.opened() as data:
            return any(payment.livemode for payment in data.payments.values())

    async def tallies(self, period: Period) -> Tallies:
        """See Records."""
        with self.opened() as data:
            counted = [payment for payment in data.payments.values() if _is_counted(payment, period)]
            return Tallies(_standings(data, counted, period), _takings(counted, period), _declines(data, period))

    def _bring_back(self, event: InboxEvent) -> None:
        event.state, event.next_at, event.attempts = InboxState.READY, self.clock(), 0
        event.token += 1

    def _page(self, events: Sequence[InboxEvent]) -> EventPage:
        return EventPage(tuple(map(_record, events)), self.clock())


def _record(event: InboxEvent) -> EventRecord:
    return EventRecord(
        seq=event.seq,
        event_id=event.received.event_id,
        type=event.received.type,
        state=event.state,
        attempts=event.attempts,
        received_at=event.received_at,
        next_at=event.next_at,
        was_claimed=event.token > 0,
        done_at=event.done_at,
        payment_id=event.lane,
        account=event.received.account,
        livemode=event.received.livemode,
        last_error=event.last_error,
    )


def _place(payment: Payment) -> tuple[datetime, str]:
    """Where a quarantined payment stands among the others."""
    return payment.quarantined_at or payment.created_at, payment.payment_id


def _dead(data: Data, wanted: EventFilter) -> Sequence[InboxEvent]:
    return [event for event in data.inbox.values() if event.state is InboxState.DEAD and _fits(event, wanted)]


def _fits(event: InboxEvent, wanted: EventFilter) -> bool:
    return (
        (wanted.type is None or event.received.type == wanted.type)
        and (wanted.payment_id is None or event.lane == wanted.payment_id)
        and (wanted.since is None or event.received_at >= wanted.since)
    )


def _is_counted(payment: Payment, period: Period) -> bool:
    return payment.livemode is period.livemode and period.currency in (None, payment.currency)


def _standings(data: Data, counted: Sequence[Payment], period: Period) -> Mapping[Standing, int]:
    declined = {owner for owner, transition, _ in data.transitions if transition == Transition.ATTEMPT_FAILED}
    return Counter(
        standing_of(payment.state, was_declined=payment.payment_id in declined)
        for payment in counted
        if period.covers(payment.created_at)
    )


def _takings(counted: Sequence[Payment], period: Period) -> tuple[Takings, ...]:
    numbers: Counter[tuple[date, str]] = Counter()
    sums: Counter[tuple[date, str]] = Counter()
    for payment in counted:
        if payment.state is not PaymentState.SETTLED or not period.covers(payment.settled_at):
            continue
        if payment.settled_at is not None and payment.amount_minor is not None and payment.currency is not None:
            key = (payment.settled_at.astimezone(UTC).date(), payment.currency)
            numbers[key] += 1
            sums[key] += payment.amount_minor
    return tuple(Takings(*key, number, sums[key]) for key, number in numbers.items())


def _declines(data: Data, period: Period) -> Mapping[str | None, int]:
    return Counter(
        known.reason
        for (owner, transition, _), known in data.transitions.items()
        if transition == Transition.ATTEMPT_FAILED
        and period.covers(known.recorded_at)
        and _is_counted(data.payments[owner], period)
    )
