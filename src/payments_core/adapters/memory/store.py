"""A complete store in memory: the whole contract but durability, for tests of code that uses this library.

It serves one process and either world: `io="blocking"` never suspends, and with `io="async"` a task that needs another
task's payment waits for it on the loop.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta

import attrs

from payments_core.adapters.memory.data import Data, RefKey
from payments_core.adapters.memory.locks import RowLocks
from payments_core.adapters.memory.openings import MemoryOpenings
from payments_core.adapters.memory.records import MemoryRecords
from payments_core.adapters.memory.relaying import MemoryOutbox
from payments_core.adapters.memory.sweeps import MemorySweeps
from payments_core.adapters.memory.transaction import MemoryTransaction
from payments_core.domain.delivery import ClaimedEvent, InboxState, ReceivedEvent
from payments_core.domain.payment import SESSION_LIFE, Payment, PaymentState
from payments_core.domain.refs import Ref
from payments_core.domain.stripe_objects import Session
from payments_core.errors import StoreUnavailable
from payments_core.ports import Clock, DeclinedBy, Io, Openings, Records, StoreHealth, StoreTransaction, Sweeps


def _utc_now() -> datetime:
    return datetime.now(UTC)


class MemoryStore:
    """`payments_core.ports.Store` in memory.

    `owes_broker`: outgoing events are owed to a broker. `sharing`: a store whose rows this one shares, as two processes
    share a database (a web application and its worker, in one test).
    """

    def __init__(
        self,
        *,
        io: Io = "blocking",
        clock: Clock = _utc_now,
        owes_broker: bool = False,
        sharing: MemoryStore | None = None,
    ) -> None:
        self._io: Io = io
        self._clock = clock
        self._owes_broker = owes_broker
        self._data: Data = Data() if sharing is None else sharing._data
        self._guard: AbstractContextManager[object] = threading.RLock() if sharing is None else sharing._guard
        self._locks: RowLocks = RowLocks(io) if sharing is None else sharing._locks
        self._closed = False

    @property
    def io(self) -> Io:
        """See Store."""
        return self._io

    @property
    def writers(self) -> int:
        """See Store: a transaction waits for another's payment only. Of threads there is one: a test is repeatable."""
        return 1 if self._io == "blocking" else 64

    @property
    def records(self) -> Records:
        """See Store."""
        return MemoryRecords(self._open, self._clock)

    @property
    def outbox(self) -> MemoryOutbox:
        """What a relay takes its rows from."""
        return MemoryOutbox(self._open, self._clock)

    @property
    def sweeps(self) -> Sweeps:
        """See Store."""
        return MemorySweeps(self._open)

    @property
    def openings(self) -> Openings:
        """See Store."""
        return MemoryOpenings(self._open, self.opened, self._clock)

    async def prepare(self) -> None:
        """Open again what was closed; nothing else is needed."""
        self._closed = False

    async def close(self) -> None:
        """See Store."""
        self._closed = True

    async def add_payment(self, payment: Payment) -> None:
        """See Store."""
        with self._open() as data:
            if payment.payment_id in data.payments:
                raise StoreUnavailable("A payment of this id is there already; use a new id.")
            data.payments[payment.payment_id] = payment

    async def opened(self, payment_id: str, session: Session) -> None:
        """See Store. Raises LookupError for an id that was never stored."""
        async with self.transaction() as tx:
            known = await tx.lock_payment(payment_id)
            merged = attrs.evolve(
                known,
                session_id=known.session_id or session.id,
                payment_intent_id=known.payment_intent_id or session.payment_intent_id,
                invoice_id=known.invoice_id or session.invoice_id,
            )
            await tx.save_payment(merged)
            await tx.add_refs(payment_id, list(_refs_of(session)))

    async def payments(self, payment_ids: Sequence[str]) -> Mapping[str, Payment]:
        """See Store."""
        with self._open() as data:
            return {name: data.payments[name] for name in payment_ids if name in data.payments}

    async def payment(self, payment_id: str) -> Payment | None:
        """See Store."""
        with self._open() as data:
            return data.payments.get(payment_id)

    async def find_payment(self, refs: Sequence[Ref], *, account: str | None, livemode: bool) -> Payment | None:
        """See Store."""
        with self._open() as data:
            owner = data.owner(refs, account, livemode=livemode)
            return None if owner is None else data.payments[owner]

    async def declines(self, by: DeclinedBy, value: str, *, since: datetime, limit: int) -> Sequence[datetime]:
        """See Store."""
        name = {"payment": "payment_id", "address": "caller_digest", "user": "user_id"}[by]
        with self._open() as data:
            found = [
                declined_at
                for payment_id, declined_at in data.declines
                if declined_at >= since
                and getattr(data.payments[payment_id], name) == value
                and data.payments[payment_id].created_at >= since - SESSION_LIFE
            ]
            return sorted(found, reverse=True)[:limit]

    async def adopt(self, payment: Payment, refs: Sequence[Ref]) -> str:
        """See Store. Names that are still free go to the payment that is found."""
        with self._open() as data:
            owner = data.owner(refs, payment.account, livemode=payment.livemode)
            if owner is None:
                owner = data.payments.setdefault(payment.payment_id, payment).payment_id
            for ref in refs:
                data.refs.setdefault(RefKey(payment.account, payment.livemode, ref), owner)
            return owner

    async def receive(self, event: ReceivedEvent) -> bool:
        """See Store, but for durability."""
        with self._open() as data:
            return data.receive(event, self._clock())

    async def claim(self, *, limit: int, lease_s: int) -> Sequence[ClaimedEvent]:
        """See Store."""
        with self._open() as data:
            return data.claim(limit, timedelta(seconds=lease_s), self._clock())

    async def assign_lane(self, claimed: ClaimedEvent, payment_id: str) -> bool:
        """See Store."""
        with self._open() as data:
            event = data.held_by(claimed)
            return event is not None and data.route(event, payment_id)

    async def assign_lanes(self, assignments: Sequence[tuple[ClaimedEvent, str]]) -> bool:
        """See Store."""
        with self._open() as data:
            held = [(data.held_by(claimed), payment_id) for claimed, payment_id in assignments]
            if any(event is None or data.leased.get(lane, event.seq) != event.seq for event, lane in held):
                return False
            return all(event is not None and data.route(event, lane) for event, lane in held)

    async def let_go(self, claimed: ClaimedEvent, *, delay_s: float, reason: str, counted: bool, parked: bool) -> bool:
        """See Store."""
        with self._open() as data:
            event = data.held_by(claimed)
            if event is None:
                return False
            data.leave(event, InboxState.PARKED if parked else InboxState.READY)
            event.next_at = self._clock() + timedelta(seconds=delay_s)
            event.attempts -= 0 if counted else 1
            event.last_error = reason
            return True

    async def bury(self, claimed: ClaimedEvent, reason: str) -> bool:
        """See Store."""
        with self._open() as data:
            event = data.held_by(claimed)
            if event is None:
                return False
            data.leave(event, InboxState.DEAD)
            event.last_error = reason
            return True

    async def next_due_s(self) -> float | None:
        """See Store."""
        with self._open() as data:
            due = data.next_due()
            return None if due is None else max(0.0, (due - self._clock()).total_seconds())

    async def health(self) -> StoreHealth:
        """See Store."""
        with self._open() as data:
            now = self._clock()
            ages_s = [(now - event.received_at).total_seconds() for event in data.inbox.values() if event.is_open]
            dead = sum(event.state is InboxState.DEAD for event in data.inbox.values())
            backlog = sum(outgoing.is_waiting for outgoing in data.outbox)
            quarantined = sum(payment.state is PaymentState.QUARANTINED for payment in data.payments.values())
            return StoreHealth(max(ages_s, default=0.0), dead, backlog, quarantined)

    async def recent_events(self, limit: int) -> Sequence[str]:
        """See Store."""
        with self._open() as data:
            return [outgoing.row.payload for outgoing in reversed(data.outbox)][:limit]

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[StoreTransaction]:
        """See Store."""
        with self._open() as data:
            tx = MemoryTransaction(data, self._guard, self._locks, owed=self._owes_broker)
        try:
            yield tx
            tx.commit(self._clock())
        finally:
            tx.end()

    @contextmanager
    def _open(self) -> Generator[Data]:
        if self._closed:
            raise StoreUnavailable("The store is closed; prepare it again before use.")
        with self._guard:
            yield self._data


def _refs_of(session: Session) -> Iterator[Ref]:
    yield Ref("session", session.id)
    if session.payment_intent_id is not None:
        yield Ref("payment_intent", session.payment_intent_id)
    if session.invoice_id is not None:
        yield Ref("invoice", session.invoice_id)
