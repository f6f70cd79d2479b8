"""Batches of the outbox on SQLite: one relay at a time, by a lock on a file beside the database.

The file is named as the database with `.relay-lock` behind it, is empty, and says nothing but "a relay is at work" by
the lock on it (flock); the kernel takes the lock away when the process ends, however it ends. It may be deleted while
no relay runs. Others stand by and ask again.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Engine, PoolProxiedConnection
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from payments_core.adapters.sql import sqlite
from payments_core.adapters.sql.engines import Limits, blocking_engine
from payments_core.adapters.sql.faults import unavailable
from payments_core.adapters.sql.tables import PARTITIONS
from payments_core.adapters.sql.urls import sqlite_file
from payments_core.errors import ConfigurationError
from payments_core.ports import Clock
from payments_core.ports.publishing import OwedRow

T = TypeVar("T")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FORK_WAIT_S: Final = 10.0

_READ: Final = """
SELECT o.id, o.event_id, o.type, o.key, o.payload, o.occurred_at, o.traceparent
  FROM payments_outbox o INDEXED BY payments_outbox_owed
 WHERE o.part = ? AND o.published_at IS NULL AND o.owed AND o.parked_reason IS NULL
   AND o.key NOT IN (SELECT value FROM json_each(?)) AND NOT EXISTS (
   SELECT 1 FROM payments_outbox p
    WHERE p.part = o.part AND p.key = o.key AND p.id < o.id AND p.parked_reason IS NOT NULL AND p.published_at IS NULL)
 ORDER BY o.id LIMIT ?
"""
_PUBLISHED: Final = "UPDATE payments_outbox SET published_at = ? WHERE id = ? AND published_at IS NULL"
_PARKED: Final = "UPDATE payments_outbox SET parked_reason = ? WHERE id = ? AND published_at IS NULL"


class SqliteBatches:
    """Opens batches, one at a time on this machine. The file is used on one thread of its own."""

    def __init__(self, url: URL, limits: Limits, clock: Clock) -> None:
        self._url = url.set(drivername="sqlite+pysqlite")
        self._limits = limits
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "payments-relay-file")
        self._connection: PoolProxiedConnection | None = None

    @asynccontextmanager
    async def batch(self, limit: int, *, without: Collection[str] = ()) -> AsyncGenerator[SqliteBatch]:
        """See Outbox."""
        hold = Hold(Path(f"{sqlite_file(self._url)}.relay-lock"))
        try:
            rows = await self._on_thread(lambda: self._read(limit, json.dumps(list(without))) if hold.take() else ())
            yield SqliteBatch(self, rows)
        finally:
            # On the thread, so that it comes after a taking that nobody waited for.
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, hold.let_go))

    async def mark(self, published: Sequence[int], parked: Mapping[int, str]) -> None:
        """Mark rows in one transaction."""
        await self._on_thread(lambda: self._mark(published, parked))

    async def close(self) -> None:
        """See Outbox."""
        await self._on_thread(self._drop)
        self._thread.shutdown(wait=False)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        def guarded() -> T:
            with _BUSY.lock:
                return work()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, guarded)
        except (SQLAlchemyError, OSError, sqlite3.Error) as error:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._drop)
            raise unavailable(error) from error

    def _read(self, limit: int, without: str) -> list[OwedRow]:
        found: list[Any] = []
        with closing(self._opened().cursor()) as cursor:
            # By partitions, in which the index has the order of ids.
            for part in range(PARTITIONS):
                share = -(-(limit - len(found)) // (PARTITIONS - part))
                cursor.execute(_READ, (part, without, share))
                found += cursor.fetchall()
        return [_owed(row) for row in found]

    def _mark(self, published: Sequence[int], parked: Mapping[int, str]) -> None:
        now_us = (self._clock() - _EPOCH) // _MICROSECOND
        with closing(self._opened().cursor()) as cursor:
            if not sqlite.begin(cursor, self._limits.lock_s):
                cursor.execute("BEGIN IMMEDIATE")
            try:
                cursor.executemany(_PUBLISHED, [(now_us, row_id) for row_id in published])
                cursor.executemany(_PARKED, [(reason, row_id) for row_id, reason in parked.items()])
                cursor.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    cursor.execute("ROLLBACK")
                raise

    def _opened(self) -> PoolProxiedConnection:
        if self._connection is None:
            engine: Engine = blocking_engine(self._url, self._limits, pooled=False)
            self._connection = engine.raw_connection()
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError, sqlite3.Error):
                connection.close()


def _owed(row: Any) -> OwedRow:
    row_id, event_id, kind, key, payload, occurred_us, traceparent = row
    return OwedRow(row_id, event_id, kind, key, payload, _EPOCH + occurred_us * _MICROSECOND, traceparent)


class SqliteBatch:
    """`payments_core.ports.publishing.Batch`."""

    def __init__(self, batches: SqliteBatches, rows: Sequence[OwedRow]) -> None:
        self._batches = batches
        self.rows = rows

    async def settle(self, *, published: Sequence[int], parked: Mapping[int, str]) -> None:
        """See Batch."""
        await self._batches.mark(published, parked)


class Hold:
    """The lock of one batch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Whether it could be had: another relay may have it."""
        try:
            import fcntl
        except ModuleNotFoundError:
            raise ConfigurationError(
                "A relay over SQLite needs file locks that this system does not have; put a PostgreSQL URL into "
                "PAYMENTS_DATABASE_URL."
            ) from None
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def let_go(self) -> None:
        """Give it back, if it was had."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        import fcntl

        # Said explicitly: a process that was forked meanwhile has the descriptor too, and would keep the lock.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


class _Busy:
    """Held while a relay of this process uses its file: a fork in the middle leaves SQLite's locks to the child."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._held = False

    def before_fork(self) -> None:
        self._held = self.lock.acquire(timeout=_FORK_WAIT_S)

    def after_fork(self) -> None:
        if self._held:
            self.lock.release()

    def after_fork_in_child(self) -> None:
        self.lock = threading.RLock()


_BUSY: Final = _Busy()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_BUSY.before_fork, after_in_parent=_BUSY.after_fork, after_in_child=_BUSY.after_fork_in_child
    )
