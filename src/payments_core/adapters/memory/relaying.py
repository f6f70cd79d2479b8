"""The outbox of the in-memory store, as a relay sees it. A row's id is its place in the list, from 1."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import datetime

from payments_core.adapters.memory.data import Data, Outgoing
from payments_core.ports import Clock
from payments_core.ports.publishing import OwedRow, ParkedRow


class MemoryOutbox:
    """`payments_core.ports.publishing.Outbox`: what is held are keys, since there is no need for partitions."""

    def __init__(self, opened: Callable[[], AbstractContextManager[Data]], clock: Clock) -> None:
        self._opened = opened
        self._clock = clock

    @asynccontextmanager
    async def batch(self, limit: int, *, without: Collection[str] = ()) -> AsyncGenerator[MemoryBatch]:
        """See Outbox."""
        with self._opened() as data:
            rows = _sendable(data, limit, without)
            held = {row.key for row in rows}
            data.relayed |= held
        try:
            yield MemoryBatch(data, rows, self._clock)
        finally:
            data.relayed -= held

    async def parked(self, *, after: int, limit: int) -> Sequence[ParkedRow]:
        """See Outbox."""
        with self._opened() as data:
            found = [(row_id, one) for row_id, one in _numbered(data) if row_id > after and _is_parked(one)]
            return [_parked_row(data, row_id, one) for row_id, one in found[:limit]]

    async def release(self, event_ids: Sequence[str] | None) -> int:
        """See Outbox."""
        with self._opened() as data:
            chosen = [one for one in data.outbox if _is_parked(one)]
            if event_ids is not None:
                chosen = [one for one in chosen if one.row.event_id in event_ids]
            for one in chosen:
                one.parked_reason = None
            return len(chosen)

    async def owe_unsent(self, since: datetime) -> int:
        """See Outbox."""
        with self._opened() as data:
            chosen = [one for one in data.outbox if not one.owed and not one.published_at and one.created_at >= since]
            for one in chosen:
                one.owed = True
            return len(chosen)

    async def close(self) -> None:
        """There is nothing to give back."""


class MemoryBatch:
    """`payments_core.ports.publishing.Batch`."""

    def __init__(self, data: Data, rows: Sequence[OwedRow], clock: Clock) -> None:
        self._data = data
        self._clock = clock
        self.rows = rows

    async def settle(self, *, published: Sequence[int], parked: Mapping[int, str]) -> None:
        """See Batch."""
        for row_id in published:
            self._data.outbox[row_id - 1].published_at = self._clock()
        for row_id, reason in parked.items():
            self._data.outbox[row_id - 1].parked_reason = reason


def _numbered(data: Data) -> list[tuple[int, Outgoing]]:
    return list(enumerate(data.outbox, start=1))


def _sendable(data: Data, limit: int, without: Collection[str]) -> list[OwedRow]:
    shut = data.relayed | set(without)
    found: list[OwedRow] = []
    for row_id, one in _numbered(data):
        if _is_parked(one):
            shut.add(one.row.key)
        elif one.is_waiting and one.row.key not in shut and len(found) < limit:
            row = one.row
            found.append(
                OwedRow(row_id, row.event_id, row.type, row.key, row.payload, row.occurred_at, row.traceparent)
            )
    return found


def _is_parked(one: Outgoing) -> bool:
    return one.parked_reason is not None and one.published_at is None


def _parked_row(data: Data, row_id: int, one: Outgoing) -> ParkedRow:
    behind = [other for number, other in _numbered(data) if number > row_id and other.row.key == one.row.key]
    return ParkedRow(
        row_id=row_id,
        event_id=one.row.event_id,
        type=one.row.type,
        key=one.row.key,
        payment_id=one.row.payment_id,
        reason=one.parked_reason or "",
        created_at=one.created_at,
        blocks=sum(other.is_waiting for other in behind),
    )
