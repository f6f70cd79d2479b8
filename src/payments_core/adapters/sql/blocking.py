"""The synchronous world: transactions on SQLAlchemy's `Connection`, on the calling thread. Nothing here suspends."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Executable
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from payments_core.adapters.sql.connector import Link, Parameters
from payments_core.adapters.sql.engines import WRITES
from payments_core.adapters.sql.faults import translated, translated_at_commit
from payments_core.adapters.sql.handle import BlockingHandle, LibraryHandle, SessionFactory
from payments_core.adapters.sql.intake import Row as Received
from payments_core.adapters.sql.processes import BlockingEngines
from payments_core.adapters.sql.receivers import BlockingReceiver
from payments_core.ports import Clock, Io

T = TypeVar("T")


class BlockingLink:
    """An open transaction of this thread."""

    def __init__(self, connection: Connection, session_factory: SessionFactory | None) -> None:
        self._connection = connection
        self._handle = BlockingHandle(connection, session_factory)

    @property
    def handle(self) -> LibraryHandle:
        """See Link."""
        return self._handle

    async def execute(self, statement: Executable, parameters: Parameters = None) -> CursorResult[Any]:
        """See Link; the thread waits."""
        return self._connection.execute(statement, parameters)


class BlockingConnector:
    """Opens transactions from this process's pool."""

    def __init__(self, engines: BlockingEngines, session_factory: SessionFactory | None, clock: Clock) -> None:
        self._engines = engines
        self._receiver = BlockingReceiver(engines, clock)
        self._session_factory = session_factory

    @property
    def io(self) -> Io:
        """See Connector."""
        return "blocking"

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
            connection = self._engines.current().connect()
        link = BlockingLink(connection, self._session_factory)
        try:
            with translated():
                connection.execution_options(**{WRITES: writes})
                connection.begin()
            yield link
            await link.handle.finish()
            with translated_at_commit():
                connection.commit()
        except BaseException:
            await link.handle.abandon()
            with suppress(SQLAlchemyError, OSError):
                connection.rollback()
            raise
        finally:
            with suppress(SQLAlchemyError, OSError):
                connection.close()

    async def receive(self, row: Received) -> bool:
        """See Connector."""
        return self._receiver.receive(row)

    async def offload(self, work: Callable[[], T]) -> T:
        """See Connector: there is no loop to keep free."""
        return work()

    def open(self) -> None:
        """See Connector."""
        self._engines.open()

    async def close(self) -> None:
        """See Connector."""
        self._receiver.close()
        self._engines.close()
