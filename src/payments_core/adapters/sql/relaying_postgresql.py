"""Batches of the outbox on PostgreSQL: partitions held by session-level advisory locks.

The connection that holds the locks also reads and marks, in autocommit: when it is lost the locks are gone, and so is
the right to mark. It must be a session of the server's own, so a pooler in transaction mode cannot stand between.
A lock is taken in a statement before the one that reads, whose snapshot is then newer than whatever the last holder
marked. The server is told to notice within seconds that this machine is gone, and within minutes that the process is
frozen: others then take its partitions. What a frozen process sends when it comes back is a repeat, and it marks
nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from payments_core.adapters.sql.engines import Limits, async_engine
from payments_core.adapters.sql.faults import unavailable
from payments_core.adapters.sql.tables import PARTITIONS
from payments_core.ports.publishing import BrokerUnavailable, OwedRow

#: The first half of the advisory locks' key; the second is the partition.
LOCK_CLASS: Final = 0x70617906
#: At most so many partitions in one batch, so that others find some too.
_PARTITIONS_AT_ONCE: Final = 4
_KEEPALIVE: Final = {"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3"}
#: Longer than a publisher's call takes before something is marked.
_IDLE_SESSION_S: Final = 180
_REST_S: Final = 60.0

#: Rows come by the index of what is owed and by no other way. What the planner knows of the table is old whenever a
#: backlog is worked off, and a scan by primary key or a bitmap would pass all that was ever published.
_PLANS: Final = dict.fromkeys(
    (f"enable_{name}" for name in ("seqscan", "bitmapscan", "sort", "mergejoin", "hashjoin", "material")), "off"
)
_SETTINGS: Final = "SELECT " + ", ".join(
    f"set_config('{name}', '{value}', false)"
    for name, value in {**_KEEPALIVE, **_PLANS, "idle_session_timeout": f"{_IDLE_SESSION_S}s"}.items()
)

_SENDABLE: Final = """
    o.part BETWEEN {part} AND {part} AND o.published_at IS NULL AND o.owed AND o.parked_reason IS NULL AND NOT EXISTS (
      SELECT 1 FROM payments_outbox p
       WHERE p.part = o.part AND p.key = o.key AND p.id < o.id
         AND p.parked_reason IS NOT NULL AND p.published_at IS NULL)
"""
_WAITING: Final = f"""
SELECT g.number FROM generate_series(0, {PARTITIONS - 1}) AS g (number)
 CROSS JOIN LATERAL (
   SELECT 1 FROM payments_outbox o WHERE {_SENDABLE.format(part="g.number")} ORDER BY o.part, o.id LIMIT 1) AS first
"""  # noqa: S608 - constants of ours alone
_LOCK: Final = f"SELECT pg_try_advisory_lock({LOCK_CLASS}, $1)"
_UNLOCK: Final = f"SELECT pg_advisory_unlock({LOCK_CLASS}, part) FROM unnest($1::int[]) AS part"  # noqa: S608
_READ: Final = f"""
SELECT o.id, o.event_id, o.type, o.key, o.payload, o.occurred_at, o.traceparent
  FROM payments_outbox o WHERE {_SENDABLE.format(part="$1::smallint")} AND o.key NOT IN (SELECT unnest($2::text[]))
 ORDER BY o.part, o.id LIMIT $3
"""  # noqa: S608
_PUBLISHED: Final = """
UPDATE payments_outbox SET published_at = statement_timestamp()
 WHERE id = ANY ($1::bigint[]) AND published_at IS NULL
"""
_PARKED: Final = """
UPDATE payments_outbox o SET parked_reason = given.reason
  FROM unnest($1::bigint[], $2::text[]) AS given (id, reason)
 WHERE o.id = given.id AND o.published_at IS NULL
"""


class PostgresqlBatches:
    """Opens batches, each on a session that no other batch of this process uses meanwhile."""

    def __init__(self, url: URL, limits: Limits) -> None:
        self._url = _with_keepalives(url)
        self._limits = limits
        self._engine: AsyncEngine | None = None
        self._spare: list[Session] = []

    @asynccontextmanager
    async def batch(self, limit: int, *, without: Collection[str] = ()) -> AsyncGenerator[PostgresqlBatch]:
        """See Outbox."""
        session = self._spare.pop() if self._spare else Session(await self._engine_of_loop())
        whole = False
        try:
            batch = PostgresqlBatch(session, await session.take(limit, list(without)))
            try:
                yield batch
            except BrokerUnavailable:
                # The session has no part in it, and serves the next try.
                await session.let_go()
                whole = True
                raise
            await session.let_go()
            whole = True
        finally:
            # What was interrupted in the middle still holds locks, or is owed an answer.
            if whole:
                self._spare.append(session)
            else:
                await asyncio.shield(session.drop())

    async def close(self) -> None:
        """See Outbox."""
        while self._spare:
            await self._spare.pop().drop()
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()

    async def _engine_of_loop(self) -> AsyncEngine:
        if self._engine is None:
            # In a thread: the first engine imports its driver, which reads many files.
            made = await asyncio.to_thread(async_engine, self._url, self._limits, pooled=False)
            self._engine = self._engine_made_first(made)
        return self._engine

    def _engine_made_first(self, made: AsyncEngine) -> AsyncEngine:
        """Looked at anew: another hand may have made one while this one was in its thread."""
        return made if self._engine is None else self._engine


class PostgresqlBatch:
    """`payments_core.ports.publishing.Batch`."""

    def __init__(self, session: Session, rows: Sequence[OwedRow]) -> None:
        self._session = session
        self.rows = rows

    async def settle(self, *, published: Sequence[int], parked: Mapping[int, str]) -> None:
        """See Batch."""
        if published:
            await self._session.run(_PUBLISHED, [sorted(published)])
        if parked:
            await self._session.run(_PARKED, [list(parked), list(parked.values())])


class Session:
    """One session of the server: the driver's own connection in autocommit, opened at its first use."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._cursor: Any = None
        self._used_s = time.monotonic()
        #: Partitions that had something to send when they were last looked up, and those that are locked.
        self._waiting: list[int] = []
        self._held: list[int] = []

    async def take(self, limit: int, without: Sequence[str] = ()) -> list[OwedRow]:
        """Hold a few partitions that have something to send, and that nobody else has; their rows of other keys."""
        if time.monotonic() - self._used_s > _REST_S:
            # After a long rest (Kafka was down) the server may have ended the session.
            await self.drop()
        # What was looked up for an earlier batch comes first: others may have been there meanwhile.
        if rows := await self._taken(limit, without):
            return rows
        self._waiting = [int(row[0]) for row in await self.run(_WAITING)]
        # Relays that begin at the same place would get in each other's way.
        random.shuffle(self._waiting)
        return await self._taken(limit, without)

    async def _taken(self, limit: int, without: Sequence[str]) -> list[OwedRow]:
        """Of the waiting partitions the first few that can be had, and have something."""
        while self._waiting:
            if rows := await self._read(limit, without):
                return rows
        return []

    async def let_go(self) -> None:
        """Unlock what is held."""
        held, self._held = self._held, []
        if held:
            await self.run(_UNLOCK, [held])

    async def _read(self, limit: int, without: Sequence[str]) -> list[OwedRow]:
        """Lock the next few partitions; what may be sent of them, each one's rows in the order of ids."""
        await self.let_go()
        while self._waiting and len(self._held) < _PARTITIONS_AT_ONCE:
            part = self._waiting.pop()
            if (await self.run(_LOCK, [part]))[0][0]:
                self._held.append(part)
        found: list[OwedRow] = []
        for number, part in enumerate(self._held):
            share = -(-(limit - len(found)) // (len(self._held) - number))
            if share:
                found += [OwedRow(*row) for row in await self.run(_READ, [part, without, share])]
        return found

    async def run(self, statement: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Run a statement in a transaction of its own. Raises StoreUnavailable."""
        try:
            if self._connection is None:
                await self._open()
            self._used_s = time.monotonic()
            await self._cursor.execute(statement, parameters)
            return [] if self._cursor.description is None else list(await self._cursor.fetchall())
        except (SQLAlchemyError, OSError, self._engine.dialect.loaded_dbapi.Error) as error:
            raise unavailable(error) from error

    async def drop(self) -> None:
        """Close the connection, in whatever state it is; its locks go with it."""
        connection, self._connection, self._cursor = self._connection, None, None
        self._waiting, self._held = [], []
        if connection is not None:
            errors = (SQLAlchemyError, OSError, self._engine.dialect.loaded_dbapi.Error)
            with suppress(*errors):
                await connection.invalidate()
            with suppress(*errors):
                await connection.close()

    async def _open(self) -> None:
        self._connection = await self._engine.connect()
        await self._connection.execution_options(isolation_level="AUTOCOMMIT")
        driver: Any = (await self._connection.get_raw_connection()).driver_connection
        self._cursor = self._engine.dialect.loaded_dbapi.AsyncRawCursor(driver)
        await self._cursor.execute(_SETTINGS)


def _with_keepalives(url: URL) -> URL:
    """So that this side, too, notices soon that the other is gone; what the URL says itself is left alone."""
    wanted = {"keepalives_idle": "5", "keepalives_interval": "2", "keepalives_count": "3"}
    return url.update_query_dict({name: value for name, value in wanted.items() if name not in url.query})
