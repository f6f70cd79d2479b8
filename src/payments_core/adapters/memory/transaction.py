"""A transaction of the in-memory store: writes are kept aside and applied together at the end, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NoReturn

from payments_core.adapters.memory.data import Data, InboxEvent, Outgoing, Recorded, RefKey
from payments_core.adapters.memory.locks import RowLock, RowLocks
from payments_core.domain.delivery import ClaimedEvent, InboxState
from payments_core.domain.payment import Payment, Transition
from payments_core.domain.refs import Ref
from payments_core.errors import ConfigurationError, StoreUnavailable
from payments_core.ports import Advance, OutboxRow, Transaction


class MemoryHandle:
    """`payments_core.ports.Transaction` of a store that has no SQL."""

    @property
    def session(self) -> Any:
        """Raises ConfigurationError."""
        self._refuse("session")

    @property
    def connection(self) -> Any:
        """Raises ConfigurationError."""
        self._refuse("connection")

    def _refuse(self, name: str) -> NoReturn:
        raise ConfigurationError(
            f"tx.{name} needs a database, and the in-memory store has none; use payments_core.adapters.sql "
            "(a SQLite file serves in tests)."
        )


class MemoryTransaction:
    """`payments_core.ports.StoreTransaction` over `Data`."""

    def __init__(self, data: Data, guard: AbstractContextManager[object], locks: RowLocks, *, owed: bool) -> None:
        self._data = data
        self._guard = guard
        self._locks = locks
        self._owed = owed
        self._held: dict[str, RowLock] = {}
        self._stamped: list[InboxEvent] = []
        self._payments: dict[str, Payment] = {}
        self._refs: dict[RefKey, str] = {}
        self._transitions: dict[tuple[str, str, str], tuple[str, str | None]] = {}
        self._outbox: list[OutboxRow] = []
        self._handle = MemoryHandle()

    @property
    def handle(self) -> Transaction:
        """See StoreTransaction."""
        return self._handle

    async def stamp_done(self, claimed: ClaimedEvent) -> bool:
        """See StoreTransaction."""
        with self._guard:
            event = self._data.held_by(claimed)
            if event is None:
                return False
            event.held = True
            self._stamped.append(event)
            return True

    async def stamp_and_lock(self, claimed: ClaimedEvent, payment_id: str) -> Payment | None:
        """See StoreTransaction. Raises LookupError for an id that was never stored."""
        return await self.lock_payment(payment_id) if await self.stamp_done(claimed) else None

    async def stamp_and_advance(self, claimed: ClaimedEvent, seen: Payment, change: Advance) -> bool:
        """See StoreTransaction. Raises LookupError for an id that was never stored."""
        return await self.stamp_and_lock(claimed, seen.payment_id) == seen and await self.advance(change)

    async def advance(self, change: Advance) -> bool:
        """See StoreTransaction."""
        payment_id = change.payment.payment_id
        if not await self.record(payment_id, change.transition, change.discriminator, change.event_id, change.reason):
            return False
        await self.add_refs(payment_id, change.refs)
        await self.save_payment(change.payment)
        await self.enqueue(change.outgoing)
        return True

    async def lock_payment(self, payment_id: str) -> Payment:
        """See StoreTransaction. Raises LookupError for an id that was never stored."""
        if payment_id not in self._held:
            lock = self._locks.of(payment_id)
            await lock.acquire()
            self._held[payment_id] = lock
        return self._payments.get(payment_id) or self._known(payment_id)

    async def save_payment(self, payment: Payment) -> None:
        """See StoreTransaction. Raises LookupError for an id that was never stored."""
        await self.lock_payment(payment.payment_id)
        self._payments[payment.payment_id] = payment

    async def add_refs(self, payment_id: str, refs: Sequence[Ref]) -> None:
        """See StoreTransaction. Raises LookupError for an id that was never stored."""
        owner = self._known(payment_id)
        for ref in refs:
            self._refs.setdefault(RefKey(owner.account, owner.livemode, ref), payment_id)

    async def record(
        self, payment_id: str, transition: str, discriminator: str, event_id: str, reason: str | None = None
    ) -> bool:
        """See StoreTransaction."""
        key = (payment_id, transition, discriminator)
        with self._guard:
            if key in self._data.transitions or key in self._transitions:
                return False
        self._transitions[key] = (event_id, reason)
        return True

    async def enqueue(self, rows: Sequence[OutboxRow]) -> None:
        """See StoreTransaction."""
        self._outbox.extend(rows)

    async def flush(self) -> None:
        """Nothing is ever pending: there is no session."""

    def commit(self, now: datetime) -> None:
        """Apply everything. Raises StoreUnavailable, and applies nothing, when another transaction was first."""
        with self._guard:
            if self._clashes():
                raise StoreUnavailable("Another transaction recorded the same fact first; try again.")
            for event in self._stamped:
                self._data.leave(event, InboxState.DONE)
                event.done_at = now
            self._data.payments |= self._payments
            for ref, owner in self._refs.items():
                self._data.refs.setdefault(ref, owner)
            for key, (event_id, reason) in self._transitions.items():
                self._data.transitions[key] = Recorded(event_id, now, reason)
                if key[1] == Transition.ATTEMPT_FAILED:
                    self._data.declines.append((key[0], now))
            self._data.outbox += [Outgoing(row, self._owed, now) for row in self._outbox]

    def end(self) -> None:
        """Give back what is locked."""
        with self._guard:
            for event in self._stamped:
                event.held = False
        for lock in self._held.values():
            lock.release()

    def _clashes(self) -> bool:
        mine = {row.event_id for row in self._outbox}
        if len(mine) < len(self._outbox):
            return True
        if mine and not mine.isdisjoint(one.row.event_id for one in self._data.outbox):
            return True
        return not self._data.transitions.keys().isdisjoint(self._transitions)

    def _known(self, payment_id: str) -> Payment:
        with self._guard:
            found = self._data.payments.get(payment_id)
        if found is None:
            raise LookupError(f"payment {payment_id} is not in this store")
        return found
