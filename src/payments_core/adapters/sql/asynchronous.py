"""The asynchronous world: transactions on the running event loop, begun as in `blocking`.

What ends a transaction is shielded: a cancelled request must give its connection back clean, and anyio's scopes cancel
every await anew until the task is done. What needs several steps is done in one greenlet: making one costs as much as a
statement's preparation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Executable, PoolProxiedConnection
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.util import greenlet_spawn

from payments_core.adapters.sql.connector import Link, Parameters
from payments_core.adapters.sql.engines import begun
from payments_core.adapters.sql.faults import translated, translated_at_commit, translated_driver
from payments_core.adapters.sql.handle import (
    AsyncHandle,
    Guard,
    GuardedConnection,
    LibraryHandle,
    SessionFactory,
    require_whole,
)
from payments_core.adapters.sql.intake import Row as Received
from payments_core.adapters.sql.prepared import Prepared, raw_cursor, reading_cursor
from payments_core.adapters.sql.processes import AsyncEngines
from payments_core.adapters.sql.receivers import AsyncReceiver
from payments_core.adapters.sql.urls import is_sqlite
from payments_core.ports import Clock, Io

T = TypeVar("T")


class AsyncLink:
    """An open transaction of this loop."""

    def __init__(
        self,
        engine: AsyncEngine,
        pooled: PoolProxiedConnection,
        session_factory: SessionFactory | None,
        *,
        writes: bool,
    ) -> None:
        self._engine = engine
        self._driver: Any = engine.dialect.loaded_dbapi
        self._pooled = pooled
        self._connection: AsyncConnection | None = None
        self._writes = writes
        self._guard = Guard()
        self._handle = AsyncHandle(self.connection, self._guard, session_factory)

    @property
    def handle(self) -> LibraryHandle:
        """See Link."""
        return self._handle

    def connection(self) -> AsyncConnection:
        """SQLAlchemy's connection, begun."""
        if self._connection is None:
            connection = GuardedConnection(self._engine.sync_engine, self._pooled, self._guard)
            self._connection = AsyncConnection(self._engine, begun(connection, writes=self._writes))
        return self._connection

    async def execute(self, statement: Executable, parameters: Parameters = None) -> CursorResult[Any]:
        """See Link; the loop goes on meanwhile."""
        return await self.connection().execute(statement, parameters)

    async def fetch_one(self, statement: Prepared, parameters: Mapping[str, Any]) -> Sequence[Any] | None:
        """See Link; the loop goes on meanwhile."""
        with translated_driver(self._driver):
            cursor = raw_cursor(self._pooled, self._driver.AsyncRawCursor)
            await cursor.execute(statement.text, statement.arguments(parameters))
            found: Sequence[Any] | None = await cursor.fetchone()
            return found

    async def fetch_all(self, statement: Prepared, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """See Link; the loop goes on meanwhile."""
        with translated_driver(self._driver):
            cursor = reading_cursor(self._pooled, self._driver.AsyncRawCursor)
            await cursor.execute(statement.text, statement.arguments(parameters))
            found: Sequence[Any] = await cursor.fetchall()
            return found

    def commit(self) -> None:
        """Commit, and give the connection back. In a greenlet, as what follows."""
        connection = self._made()
        if connection is None:
            with translated_driver(self._driver):
                self._pooled.commit()
        else:
            require_whole(connection)
            with translated_at_commit():
                connection.commit()
        self._close(connection)

    def roll_back(self) -> None:
        """Undo everything, and give the connection back: the pool rolls back what it is given."""
        connection = self._made()
        if connection is not None:
            with suppress(SQLAlchemyError, OSError):
                connection.rollback()
        self._close(connection)

    def _made(self) -> Connection | None:
        return None if self._connection is None else self._connection.sync_connection

    def _close(self, connection: Connection | None) -> None:
        with suppress(SQLAlchemyError, OSError, self._driver.Error):
            (connection or self._pooled).close()


class AsyncConnector:
    """Opens transactions from this loop's pool."""

    def __init__(self, engines: AsyncEngines, session_factory: SessionFactory | None, clock: Clock) -> None:
        self._engines = engines
        self._receiver = AsyncReceiver(engines, clock)
        self._session_factory = session_factory

    @property
    def io(self) -> Io:
        """See Connector."""
        return "async"

    @property
    def url(self) -> URL:
        """See Connector."""
        return self._engines.url

    @property
    def connections(self) -> int:
        """See Connector."""
        return self._engines.limits.connections

    @asynccontextmanager
    async def transaction(self, *, writes: bool = True) -> AsyncGenerator[Link]:
        """See Connector."""
        with translated():
            engine = await self._engines.current()
            with translated_driver(engine.dialect.loaded_dbapi):
                pooled = await engine.raw_connection()
        link = AsyncLink(engine, pooled, self._session_factory, writes=writes)
        try:
            if is_sqlite(self.url):
                # Whoever will write holds the file's lock from the start.
                with translated():
                    await greenlet_spawn(link.connection)
            yield link
            await link.handle.finish()
            await greenlet_spawn(link.commit)
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(_undo(link)))
            raise

    async def receive(self, row: Received) -> bool:
        """See Connector."""
        return await self._receiver.receive(row)

    async def offload(self, work: Callable[[], T]) -> T:
        """See Connector: a thread does it."""
        return await asyncio.to_thread(work)

    def open(self) -> None:
        """See Connector."""
        self._engines.open()

    async def close(self) -> None:
        """See Connector."""
        await self._receiver.close()
        await self._engines.close()


async def _undo(link: AsyncLink) -> None:
    await link.handle.abandon()
    await greenlet_spawn(link.roll_back)
