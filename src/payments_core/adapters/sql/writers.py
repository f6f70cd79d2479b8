"""Who writes a group of received events: a connection of the driver's own, held open, in autocommit.

The group is on disk when `write` returns. A held connection may have died while nothing came in (a server restarted),
so a group that fails on one is written again, once, on a new one: inserting what is there already changes nothing.
What the database says of a value is no outage: the rows are then written one by one, so that one cannot keep the
others out.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from attrs import field, frozen
from sqlalchemy import Connection, Engine, PoolProxiedConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from payments_core.adapters.sql import sqlite
from payments_core.adapters.sql.columns import microseconds
from payments_core.adapters.sql.faults import unavailable
from payments_core.adapters.sql.intake import Key, Row, key_of, parameters, postgresql_insert, sqlite_insert
from payments_core.drive import run_blocking
from payments_core.errors import StoreUnavailable, untraced
from payments_core.ports import Clock

T = TypeVar("T")
_Errors: TypeAlias = tuple[type[Exception], ...]
_OUTAGES: Final[_Errors] = (SQLAlchemyError, OSError)


@frozen
class Written:
    """What became of a group: the keys that are new, and the rows that the database refused."""

    new: frozenset[Key]
    refused: dict[Key, StoreUnavailable] = field(factory=dict[Key, StoreUnavailable])


class HeldConnection(Protocol):
    """A connection kept from group to group. `outages` and `refusals` are the errors that `insert` may raise."""

    outages: _Errors
    refusals: _Errors

    @property
    def is_open(self) -> bool:
        """Whether it is held already, and may have died since."""
        ...

    async def insert(self, rows: Sequence[Row]) -> frozenset[Key]:
        """Insert in one commit, opening first where needed; the keys that are new."""
        ...

    async def close(self, *, broken: bool = False) -> None:
        """Give the connection back; a broken one is thrown away."""
        ...


class GroupWriter:
    """Writes groups over a held connection, in either world."""

    def __init__(self, held: HeldConnection) -> None:
        self._held = held

    async def write(self, rows: Sequence[Row]) -> Written:
        """Write rows of different keys, in the order of their keys. Raises StoreUnavailable: then none is known of."""
        try:
            return Written(await self._insert(rows))
        except self._held.refusals:
            return await self._one_by_one(rows)

    async def close(self) -> None:
        """Give the connection back."""
        await self._held.close()

    async def _insert(self, rows: Sequence[Row]) -> frozenset[Key]:
        may_be_dead = self._held.is_open
        try:
            return await self._attempt(rows)
        except StoreUnavailable:
            if not may_be_dead:
                raise
        return await self._attempt(rows)

    async def _attempt(self, rows: Sequence[Row]) -> frozenset[Key]:
        handled = sys.exception()
        try:
            return await self._held.insert(rows)
        except self._held.refusals:
            raise
        except self._held.outages as error:
            await self._held.close(broken=True)
            raise unavailable(error) from untraced(error, handled=handled)
        except BaseException:
            # Stopped in the middle: what the connection would answer next is not for the next group.
            await self._held.close(broken=True)
            raise

    async def _one_by_one(self, rows: Sequence[Row]) -> Written:
        new: set[Key] = set()
        refused: dict[Key, StoreUnavailable] = {}
        for row in rows:
            try:
                new |= await self._insert([row])
            except self._held.refusals as error:
                refused[key_of(row)] = unavailable(error)
        return Written(frozenset(new), refused)


class AsyncPostgresql:
    """psycopg's AsyncConnection, on the loop."""

    def __init__(self, engine: Callable[[], Awaitable[AsyncEngine]]) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._cursor: Any = None
        self.outages: _Errors = _OUTAGES
        self.refusals: _Errors = ()

    @property
    def is_open(self) -> bool:
        """See HeldConnection."""
        return self._connection is not None

    async def insert(self, rows: Sequence[Row]) -> frozenset[Key]:
        """See HeldConnection."""
        if self._connection is None:
            await self._open()
        await self._cursor.execute(postgresql_insert(len(rows)), parameters(rows))
        return frozenset(await self._cursor.fetchall())

    async def close(self, *, broken: bool = False) -> None:
        """See HeldConnection."""
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is None:
            return
        if broken:
            with suppress(*self.outages):
                await connection.invalidate()
        with suppress(*self.outages):
            await connection.close()

    async def _open(self) -> None:
        engine = await self._engine()
        self.outages, self.refusals = _errors_of(engine.dialect.loaded_dbapi)
        connection = await engine.connect()
        try:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            driver: Any = (await connection.get_raw_connection()).driver_connection
            self._cursor = engine.dialect.loaded_dbapi.AsyncRawCursor(driver)
        except BaseException:
            await connection.invalidate()
            await connection.close()
            raise
        self._connection = connection


class BlockingPostgresql:
    """psycopg's Connection."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._cursor: Any = None
        self.outages: _Errors = _OUTAGES
        self.refusals: _Errors = ()

    @property
    def is_open(self) -> bool:
        """See HeldConnection."""
        return self._connection is not None

    async def insert(self, rows: Sequence[Row]) -> frozenset[Key]:
        """See HeldConnection."""
        if self._connection is None:
            self._open()
        return frozenset(self._cursor.execute(postgresql_insert(len(rows)), parameters(rows)).fetchall())

    async def close(self, *, broken: bool = False) -> None:
        """See HeldConnection."""
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is None:
            return
        if broken:
            with suppress(*self.outages):
                connection.invalidate()
        with suppress(*self.outages):
            connection.close()

    def _open(self) -> None:
        engine = self._engine()
        self.outages, self.refusals = _errors_of(engine.dialect.loaded_dbapi)
        connection = engine.connect()
        try:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            self._cursor = engine.dialect.loaded_dbapi.RawCursor(connection.connection.driver_connection)
        except BaseException:
            connection.invalidate()
            connection.close()
            raise
        self._connection = connection


class BlockingSqlite:
    """A connection of the standard library's sqlite3; every group is one immediate transaction."""

    def __init__(self, engine: Callable[[], Engine], clock: Clock, lock_s: float) -> None:
        self._engine = engine
        self._clock = clock
        self._lock_s = lock_s
        self._connection: PoolProxiedConnection | None = None
        self.outages: _Errors = (*_OUTAGES, sqlite3.Error)
        self.refusals: _Errors = (sqlite3.DataError, sqlite3.IntegrityError)

    @property
    def is_open(self) -> bool:
        """See HeldConnection: a file does not go away, and what failed on it would fail again."""
        return False

    async def insert(self, rows: Sequence[Row]) -> frozenset[Key]:
        """See HeldConnection."""
        if self._connection is None:
            self._connection = self._engine().raw_connection()
        cursor = self._connection.cursor()
        try:
            if not sqlite.begin(cursor, self._lock_s):
                cursor.execute("BEGIN IMMEDIATE")
            now_us = microseconds(self._clock())
            cursor.execute(sqlite_insert(len(rows)), parameters(rows, now_us, now_us))
            new = frozenset(cursor.fetchall())
            cursor.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                cursor.execute("ROLLBACK")
            raise
        finally:
            cursor.close()
        return new

    async def close(self, *, broken: bool = False) -> None:
        """See HeldConnection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self.outages):
                connection.invalidate() if broken else connection.close()


class ThreadedSqlite:
    """The same on one thread beside an event loop: a hop for each group costs less than one for each statement."""

    def __init__(self, inner: BlockingSqlite) -> None:
        self._inner = inner
        self._thread = ThreadPoolExecutor(1, "payments-intake")
        self.outages: _Errors = inner.outages
        self.refusals: _Errors = inner.refusals

    @property
    def is_open(self) -> bool:
        """See HeldConnection."""
        return self._inner.is_open

    async def insert(self, rows: Sequence[Row]) -> frozenset[Key]:
        """See HeldConnection."""
        return await self._on_its_thread(self._inner.insert(rows))

    async def close(self, *, broken: bool = False) -> None:
        """See HeldConnection; the thread ends with the last of it."""
        await self._on_its_thread(self._inner.close(broken=broken))
        if not broken:
            self._thread.shutdown(wait=False)

    async def _on_its_thread(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, run_blocking, work)


def _errors_of(driver: Any) -> tuple[_Errors, _Errors]:
    """A driver's outages and refusals."""
    # What a trigger of the developer's raises is a ProgrammingError to psycopg.
    return (*_OUTAGES, driver.Error), (driver.DataError, driver.IntegrityError, driver.ProgrammingError)
