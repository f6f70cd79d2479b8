"""The asynchronous world: transactions on SQLAlchemy's `AsyncConnection`, on the running event loop.

What ends a transaction is shielded: a cancelled request must give its connection back clean, and anyio's scopes cancel
every await anew until the task is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Executable
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_core.adapters.sql.connector import Link, Parameters
from payments_core.adapters.sql.engines import WRITES
from payments_core.adapters.sql.faults import translated, translated_at_commit
from payments_core.adapters.sql.handle import AsyncHandle, LibraryHandle, SessionFactory
from payments_core.adapters.sql.intake import Row as Received
from payments_core.adapters.sql.processes import AsyncEngines
from payments_core.adapters.sql.receivers import AsyncReceiver
from payments_core.ports import Clock, Io

T = TypeVar("T")


class AsyncLink:
    """An open transaction of this loop."""

    def __init__(self, connection: AsyncConnection, session_factory: SessionFactory | None) -> None:
        self._connection = connection
        self._handle = AsyncHandle(connection, session_factory)

    @property
    def handle(self) -> LibraryHandle:
        """See Link."""
        return self._handle

    async def execute(self, statement: Executable, parameters: Parameters = None) -> CursorResult[Any]:
        """See Link; the loop goes on meanwhile."""
        return await self._connection.execute(statement, parameters)


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
            connection = await (await self._engines.current()).connect()
        link = AsyncLink(connection, self._session_factory)
        try:
            with translated():
                await connection.run_sync(_begin, writes)
            yield link
            await link.handle.finish()
            with translated_at_commit():
                await connection.run_sync(_commit)
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(_undo(link, connection)))
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


def _begin(connection: Connection, writes: bool) -> None:
    """What needs several steps is done in one greenlet: making one costs as much as a statement's preparation."""
    connection.execution_options(**{WRITES: writes})
    connection.begin()


def _commit(connection: Connection) -> None:
    connection.commit()
    with suppress(SQLAlchemyError, OSError):
        connection.close()


def _roll_back(connection: Connection) -> None:
    with suppress(SQLAlchemyError, OSError):
        connection.rollback()
    with suppress(SQLAlchemyError, OSError):
        connection.close()


async def _undo(link: AsyncLink, connection: AsyncConnection) -> None:
    await link.handle.abandon()
    with suppress(SQLAlchemyError, OSError):
        await connection.run_sync(_roll_back)
