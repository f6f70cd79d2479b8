"""What a consumer group has handled, in memory: the whole contract but durability, for tests.

It serves one process and either world. A transaction that finds its message taken by one that is still open gets
StoreUnavailable, where a database would let it wait: trying again comes to the same.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime

import attrs

from payments_core.adapters.memory.transaction import MemoryHandle
from payments_core.domain.consumption import Message, MessageState
from payments_core.errors import StoreUnavailable
from payments_core.ports import Clock, Io, Transaction
from payments_core.ports.consuming import ConsumedTransaction, KeptMessage, KeptRecord

_Key = tuple[str, str]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class MemoryConsumed:
    """`payments_core.ports.consuming.Consumed` in memory. `sharing`: one whose rows this one shares."""

    def __init__(self, *, io: Io = "blocking", clock: Clock = _utc_now, sharing: MemoryConsumed | None = None) -> None:
        self._io: Io = io
        self._clock = clock
        self._guard: AbstractContextManager[object] = threading.RLock() if sharing is None else sharing._guard
        self._rows: dict[_Key, KeptMessage] = {} if sharing is None else sharing._rows
        self._held: set[_Key] = set() if sharing is None else sharing._held
        self._closed = False

    @property
    def io(self) -> Io:
        """See Consumed."""
        return self._io

    @property
    def writers(self) -> int:
        """See Consumed."""
        return 64

    async def prepare(self) -> None:
        """Open again what was closed."""
        self._closed = False

    async def close(self) -> None:
        """See Consumed."""
        self._closed = True

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[ConsumedTransaction]:
        """See Consumed."""
        tx = _MemoryTransaction(self)
        try:
            yield tx
            tx.commit()
        finally:
            tx.end()

    async def is_known(self, group: str, message_id: str) -> bool:
        """See Consumed."""
        with self.opened() as rows:
            return (group, message_id) in rows

    async def bury(self, group: str, message_id: str, message: Message, reason: str) -> bool:
        """See Consumed."""
        with self.opened() as rows:
            known = rows.get((group, message_id))
            if known is not None and known.state is not MessageState.DUE:
                return False
            self.put(KeptMessage(group, message_id, MessageState.DEAD, message, reason, self._clock()))
            return True

    async def due(self, group: str, limit: int) -> Sequence[KeptMessage]:
        """See Consumed."""
        with self.opened() as rows:
            due = [row for row in rows.values() if row.state is MessageState.DUE and row.group == group]
        return sorted(due, key=lambda row: (row.since, row.message_id))[:limit]

    async def kept(self, group: str | None, limit: int) -> Sequence[KeptRecord]:
        """See Consumed."""
        kept = sorted(self._kept(group), key=lambda row: row.message_id)
        return [_record(row) for row in sorted(kept, key=lambda row: row.since, reverse=True)[:limit]]

    async def named(self, message_id: str, group: str | None) -> Sequence[KeptMessage]:
        """See Consumed."""
        found = [row for row in self._kept(group) if row.message_id == message_id]
        return sorted(found, key=lambda row: row.group)

    async def revive(self, group: str, message_id: str) -> bool:
        """See Consumed."""
        return self._revived([row for row in self._kept(group) if row.message_id == message_id]) > 0

    async def revive_all(self, group: str | None) -> int:
        """See Consumed."""
        return self._revived(self._kept(group))

    @contextmanager
    def opened(self) -> Generator[dict[_Key, KeptMessage]]:
        """The rows, guarded. Raises StoreUnavailable after `close`."""
        if self._closed:
            raise StoreUnavailable("The store is closed; prepare it again before use.")
        with self._guard:
            yield self._rows

    def hold(self, key: _Key) -> None:
        """Let nobody else write this row. Raises StoreUnavailable when somebody does."""
        if key in self._held:
            raise StoreUnavailable("Another transaction has the message in hand; try again.")
        self._held.add(key)

    def let_go(self, key: _Key) -> None:
        """End what `hold` began."""
        self._held.discard(key)

    def put(self, row: KeptMessage) -> None:
        """Write a row."""
        self._rows[row.group, row.message_id] = row

    def now(self) -> datetime:
        """The clock's time."""
        return self._clock()

    def _kept(self, group: str | None) -> list[KeptMessage]:
        with self.opened() as rows:
            kept = [row for row in rows.values() if row.state is not MessageState.DONE]
        return [row for row in kept if group is None or row.group == group]

    def _revived(self, rows: Sequence[KeptMessage]) -> int:
        with self.opened():
            dead = [row for row in rows if row.state is MessageState.DEAD]
            for row in dead:
                self.put(attrs.evolve(row, state=MessageState.DUE, since=self._clock()))
            return len(dead)


class _MemoryTransaction:
    """`payments_core.ports.consuming.ConsumedTransaction`: rows are kept aside until the end."""

    def __init__(self, home: MemoryConsumed) -> None:
        self._home = home
        self._handle = MemoryHandle()
        self._written: dict[_Key, KeptMessage] = {}

    @property
    def handle(self) -> Transaction:
        """See ConsumedTransaction."""
        return self._handle

    async def take(self, group: str, message_id: str, message: Message) -> bool:
        """See ConsumedTransaction."""
        with self._home.opened() as rows:
            if (group, message_id) in rows:
                return False
            place = attrs.evolve(message, key=None, body=None, headers={})
            self._write(KeptMessage(group, message_id, MessageState.DONE, place, None, self._home.now()))
            return True

    async def retake(self, group: str, message_id: str) -> bool:
        """See ConsumedTransaction."""
        with self._home.opened() as rows:
            row = rows.get((group, message_id))
            if row is None or row.state is not MessageState.DUE:
                return False
            place = attrs.evolve(row.message, key=None, body=None, headers={})
            self._write(attrs.evolve(row, state=MessageState.DONE, message=place, reason=None, since=self._home.now()))
            return True

    async def flush(self) -> None:
        """Nothing is ever pending: there is no session."""

    def commit(self) -> None:
        """Apply everything."""
        with self._home.opened():
            for row in self._written.values():
                self._home.put(row)

    def end(self) -> None:
        """Give back what is held."""
        for key in self._written:
            self._home.let_go(key)

    def _write(self, row: KeptMessage) -> None:
        key = (row.group, row.message_id)
        self._home.hold(key)
        self._written[key] = row


def _record(row: KeptMessage) -> KeptRecord:
    message = row.message
    return KeptRecord(
        row.group,
        row.message_id,
        row.state,
        message.topic,
        message.partition,
        message.position,
        row.reason,
        row.since,
    )
