"""Who writes a group of received events: a connection of the driver's own, held open, in autocommit.

The group is on disk when `write` returns. A held connection may have died while nothing came in (a server restarted),
so a group that fails on one is written again, once, on a new one: inserting what is there already changes nothing.
What the database says of a value is no outage: the rows are then written one by one, so that one cannot keep the
others out.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, TypeAlias

from attrs import field, frozen
from sqlalchemy import Connection, Engine, PoolProxiedConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from payments_core.adapters.sql import sqlite
from payments_core.adapters.sql.faults import unavailable
from payments_core.adapters.sql.intake import Key, Row, key_of, parameters, postgresql_insert, sqlite_insert
from payments_core.errors import StoreUnavailable
from payments_core.ports import Clock

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
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

    async def drop(self) -> None:
        """Forget the connection, in whatever state it is."""
        ...

    async def close(self) -> None:
        """Give the connection back."""
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
        try:
            return await self._held.insert(rows)
        except self._held.refusals:
            raise
        except self._held.outages as error:
            await self._held.drop()
            raise unavailable(error) from error
        except BaseException:
            # Stopped in the middle: what the connection would answer next is not for the next group.
            await self._held.drop()
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

    async def drop(self) -> None:
        """See HeldConnection."""
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None:
            with suppress(*self.outages):
                await connection.invalidate()
            with suppress(*self.outages):
                await connection.close()

    async def close(self) -> None:
        """See HeldConnection."""
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None:
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

    async def drop(self) -> None:
        """See HeldConnection."""
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None:
            with suppress(*self.outages):
                connection.invalidate()
            with suppress(*self.outages):
                connection.close()

    async def close(self) -> None:
        """See HeldConnection."""
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None:
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
        return self.insert_now(rows)

    def insert_now(self, rows: Sequence[Row]) -> frozenset[Key]:
        """`insert`, for a thread of an event loop."""
        if self._connection is None:
            self._connection = self._engine().raw_connection()
        cursor = self._connection.cursor()
        try:
            if not sqlite.begin(cursor, self._lock_s):
                cursor.execute("BEGIN IMMEDIATE")
            now_us = (self._clock() - _EPOCH) // timedelta(microseconds=1)
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

    async def drop(self) -> None:
        """See HeldConnection."""
        self.drop_now()

    def drop_now(self) -> None:
        """`drop`, for a thread of an event loop."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self.outages):
                connection.invalidate()

    async def close(self) -> None:
        """See HeldConnection."""
        self.close_now()

    def close_now(self) -> None:
        """`close`, for a thread of an event loop."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self.outages):
                connection.close()


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
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._inner.insert_now, rows)

    async def drop(self) -> None:
        """See HeldConnection."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._inner.drop_now)

    async def close(self) -> None:
        """See HeldConnection; the thread ends."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._inner.close_now)
        self._thread.shutdown(wait=False)


def _errors_of(driver: Any) -> tuple[_Errors, _Errors]:
    """A driver's outages and refusals."""
    # What a trigger of the developer's raises is a ProgrammingError to psycopg.
    return (*_OUTAGES, driver.Error), (driver.DataError, driver.IntegrityError, driver.ProgrammingError)
