"""The relay's side of the outbox: what is owed, what is parked, and who may send it.

Rows are chosen by their state and never by an id cursor: ids are given out before the commit, so that one with a lower
id may become visible later. How partitions are held is the databases' own: see `relaying_postgresql` and
`relaying_sqlite`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Final, Protocol

from sqlalchemy import and_, func, not_, select, text, update

from payments_core.adapters.sql.asynchronous import AsyncConnector
from payments_core.adapters.sql.connector import Connector, changed, rows
from payments_core.adapters.sql.engines import Limits
from payments_core.adapters.sql.processes import AsyncEngines
from payments_core.adapters.sql.relaying_postgresql import PostgresqlBatches
from payments_core.adapters.sql.relaying_sqlite import SqliteBatches
from payments_core.adapters.sql.tables import PARTITIONS, outbox
from payments_core.adapters.sql.urls import database_url, is_sqlite
from payments_core.ports import Clock
from payments_core.ports.publishing import Batch, ParkedRow

#: Literally as in the partial index, which serves it then.
_PARKED: Final = text("parked_reason IS NOT NULL AND published_at IS NULL")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Batches(Protocol):
    """How one kind of database holds partitions, reads and marks."""

    def batch(self, limit: int, *, without: Collection[str] = ()) -> AbstractAsyncContextManager[Batch]:
        """See Outbox."""
        ...

    async def close(self) -> None:
        """See Outbox."""
        ...


def async_outbox(url: str, *, clock: Clock = _utc_now, limits: Limits | None = None) -> SqlOutbox:
    """An outbox for a relay. Nothing is connected yet. `clock` counts for SQLite only.

    Raises ConfigurationError for a URL of another kind of database.
    """
    engines = AsyncEngines(database_url(url, "async"), limits or Limits(pool_size=1, overflow=2))
    connector = AsyncConnector(engines, None, clock)
    if is_sqlite(engines.url):
        return SqlOutbox(connector, SqliteBatches(engines.url, engines.limits, clock))
    return SqlOutbox(connector, PostgresqlBatches(engines.url, engines.limits))


class SqlOutbox:
    """`payments_core.ports.publishing.Outbox` over PostgreSQL or SQLite."""

    def __init__(self, connector: AsyncConnector, batches: Batches) -> None:
        self._connector = connector
        self._batches = batches

    @property
    def hands(self) -> int:
        """How many batches can be open at once, of all relays: an embedded file has one."""
        return PARTITIONS if isinstance(self._batches, PostgresqlBatches) else 1

    def batch(self, limit: int, *, without: Collection[str] = ()) -> AbstractAsyncContextManager[Batch]:
        """See Outbox."""
        return self._batches.batch(limit, without=without)

    async def parked(self, *, after: int, limit: int) -> Sequence[ParkedRow]:
        """See Outbox."""
        return await parked_rows(self._connector, after=after, limit=limit)

    async def release(self, event_ids: Sequence[str] | None) -> int:
        """See Outbox."""
        chosen = [] if event_ids is None else [outbox.c.event_id.in_(list(event_ids))]
        statement = update(outbox).where(_PARKED, *chosen).values(parked_reason=None)
        async with self._connector.transaction() as link:
            return await changed(link, statement)

    async def owe_unsent(self, since: datetime) -> int:
        """See Outbox."""
        unsent = and_(outbox.c.published_at.is_(None), not_(outbox.c.owed), outbox.c.created_at >= since)
        async with self._connector.transaction() as link:
            return await changed(link, update(outbox).where(unsent).values(owed=True))

    async def close(self) -> None:
        """See Outbox."""
        await self._batches.close()
        await self._connector.close()


async def parked_rows(connector: Connector, *, after: int, limit: int) -> Sequence[ParkedRow]:
    """See Outbox.parked; in either world."""
    behind = outbox.alias()
    waiting = (
        select(func.count())
        .select_from(behind)
        .where(
            behind.c.part == outbox.c.part,
            behind.c.key == outbox.c.key,
            behind.c.id > outbox.c.id,
            behind.c.published_at.is_(None),
            behind.c.owed,
        )
        .scalar_subquery()
    )
    columns = [getattr(outbox.c, name) for name in ("id", "event_id", "type", "key", "payment_id", "created_at")]
    statement = (
        select(*columns, outbox.c.parked_reason, waiting.label("blocks"))
        .where(_PARKED, outbox.c.id > after)
        .order_by(outbox.c.id)
        .limit(limit)
    )
    async with connector.transaction(writes=False) as link:
        found = await rows(link, statement)
    return [
        ParkedRow(
            row_id=row.id,
            event_id=row.event_id,
            type=row.type,
            key=row.key,
            payment_id=row.payment_id,
            reason=row.parked_reason,
            created_at=row.created_at,
            blocks=int(row.blocks),
        )
        for row in found
    ]
