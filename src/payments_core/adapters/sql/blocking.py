"""The synchronous world: transactions on the calling thread. Nothing here suspends.

A transaction begins on the pool's connection; SQLAlchemy's `Connection` is made over it when a statement of its own or
a handler asks for one. PostgreSQL's driver begins with the first statement, whoever runs it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, Executable
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from payments_core.adapters.sql.connector import Link, Parameters
from payments_core.adapters.sql.engines import begun
from payments_core.adapters.sql.faults import translated, translated_at_commit, translated_driver
from payments_core.adapters.sql.handle import (
    BlockingHandle,
    Guard,
    GuardedConnection,
    LibraryHandle,
    SessionFactory,
    require_whole,
)
from payments_core.adapters.sql.intake import Row as Received
from payments_core.adapters.sql.prepared import Prepared, raw_cursor, reading_cursor
from payments_core.adapters.sql.processes import BlockingEngines
from payments_core.adapters.sql.receivers import BlockingReceiver
from payments_core.adapters.sql.urls import is_sqlite
from payments_core.ports import Clock, Io

T = TypeVar("T")


class BlockingLink:
    """An open transaction of this thread."""

    def __init__(self, engine: Engine, session_factory: SessionFactory | None, *, writes: bool) -> None:
        self._engine = engine
        self._driver: Any = engine.dialect.loaded_dbapi
        self._pooled = engine.raw_connection()
        self._connection: Connection | None = None
        self._writes = writes
        self._guard = Guard()
        self._handle = BlockingHandle(self.connection, self._guard, session_factory)

    @property
    def handle(self) -> LibraryHandle:
        """See Link."""
        return self._handle

    def connection(self) -> Connection:
        """SQLAlchemy's connection, begun."""
        if self._connection is None:
            self._connection = begun(GuardedConnection(self._engine, self._pooled, self._guard), writes=self._writes)
        return self._connection

    async def execute(self, statement: Executable, parameters: Parameters = None) -> CursorResult[Any]:
        """See Link; the thread waits."""
        return self.connection().execute(statement, parameters)

    async def fetch_one(self, statement: Prepared, parameters: Mapping[str, Any]) -> Sequence[Any] | None:
        """See Link; the thread waits."""
        with translated_driver(self._driver):
            cursor = raw_cursor(self._pooled, self._driver.RawCursor)
            cursor.execute(statement.text, statement.arguments(parameters))
            found: Sequence[Any] | None = cursor.fetchone()
            return found

    async def fetch_all(self, statement: Prepared, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """See Link; the thread waits."""
        with translated_driver(self._driver):
            cursor = reading_cursor(self._pooled, self._driver.RawCursor)
            cursor.execute(statement.text, statement.arguments(parameters))
            found: Sequence[Any] = cursor.fetchall()
            return found

    def commit(self) -> None:
        """Commit, and give the connection back."""
        if self._connection is None:
            with translated_driver(self._driver):
                self._pooled.commit()
        else:
            require_whole(self._connection)
            with translated_at_commit():
                self._connection.commit()
        self.close()

    def roll_back(self) -> None:
        """Undo everything, and give the connection back: the pool rolls back what it is given."""
        if self._connection is not None:
            with suppress(SQLAlchemyError, OSError):
                self._connection.rollback()
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        with suppress(SQLAlchemyError, OSError, self._driver.Error):
            (self._connection or self._pooled).close()


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
            engine = self._engines.current()
            with translated_driver(engine.dialect.loaded_dbapi):
                link = BlockingLink(engine, self._session_factory, writes=writes)
        try:
            if is_sqlite(self.url):
                # Whoever will write holds the file's lock from the start.
                with translated():
                    link.connection()
            yield link
            await link.handle.finish()
            link.commit()
        except BaseException:
            await link.handle.abandon()
            link.roll_back()
            raise

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
