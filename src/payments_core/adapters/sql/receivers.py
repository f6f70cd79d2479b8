"""Whose groups a delivery joins: those of its process, and in the async world those of its event loop.

Kept as engines are (see `processes`): a child of a fork makes its own, and only keeps the inherited ones alive. Their
connection is none of the pool's, so that however busy the handlers are, a delivery does not wait for them.
"""

from __future__ import annotations

import asyncio
import os
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from payments_core.adapters.sql.engines import async_engine, blocking_engine
from payments_core.adapters.sql.groups import LoopGroups, ThreadGroups
from payments_core.adapters.sql.intake import Row
from payments_core.adapters.sql.processes import AsyncEngines, BlockingEngines, keep_alive, running_loop
from payments_core.adapters.sql.urls import is_sqlite
from payments_core.adapters.sql.writers import (
    AsyncPostgresql,
    BlockingPostgresql,
    BlockingSqlite,
    GroupWriter,
    ThreadedSqlite,
)
from payments_core.ports import Clock


class BlockingReceiver:
    """Receives for the threads of the current process."""

    def __init__(self, engines: BlockingEngines, clock: Clock) -> None:
        self._engines = engines
        self._clock = clock
        self._by_process: dict[int, ThreadGroups] = {}

    def receive(self, row: Row) -> bool:
        """Store a row; whether it is new. Raises StoreUnavailable."""
        return (self._by_process.get(os.getpid()) or self._make()).receive(row)

    def close(self) -> None:
        """Give this process's connection back."""
        groups = self._by_process.pop(os.getpid(), None)
        if groups is not None:
            groups.close()

    def _make(self) -> ThreadGroups:
        pid = os.getpid()
        for other in [known for known in self._by_process if known != pid]:
            keep_alive(self._by_process.pop(other, None))
        sqlite, lock_s = is_sqlite(self._engines.url), self._engines.limits.lock_s
        held = BlockingSqlite(self._engine, self._clock, lock_s) if sqlite else BlockingPostgresql(self._engine)
        # No lock, as with engines: of two that are made one stays, and the other has not connected yet.
        return self._by_process.setdefault(pid, ThreadGroups(GroupWriter(held)))

    def _engine(self) -> Engine:
        self._engines.require_open()
        return blocking_engine(self._engines.url, self._engines.limits, pooled=False)


class AsyncReceiver:
    """Receives for the running event loop."""

    def __init__(self, engines: AsyncEngines, clock: Clock) -> None:
        self._engines = engines
        self._clock = clock
        self._pid = os.getpid()
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopGroups] = WeakKeyDictionary()

    async def receive(self, row: Row) -> bool:
        """Store a row; whether it is new. Raises StoreUnavailable."""
        loop = running_loop()
        groups = self._by_loop.get(loop) if self._pid == os.getpid() else None
        return await (groups or self._make(loop)).receive(row)

    async def close(self) -> None:
        """Write what this loop has waiting, and give its connection back."""
        groups = self._by_loop.pop(asyncio.get_running_loop(), None) if self._pid == os.getpid() else None
        if groups is not None:
            await groups.close()

    def _make(self, loop: asyncio.AbstractEventLoop) -> LoopGroups:
        if self._pid != os.getpid():
            keep_alive(*self._by_loop.values())
            self._by_loop, self._pid = WeakKeyDictionary(), os.getpid()
        if is_sqlite(self._engines.url):
            writer = GroupWriter(
                ThreadedSqlite(BlockingSqlite(self._sqlite_engine, self._clock, self._engines.limits.lock_s))
            )
        else:
            writer = GroupWriter(AsyncPostgresql(self._engine))
        made = self._by_loop[loop] = LoopGroups(writer)
        return made

    async def _engine(self) -> AsyncEngine:
        self._engines.require_open()
        # In a thread: the first engine imports its driver, which reads many files.
        made = await asyncio.to_thread(async_engine, self._engines.url, self._engines.limits, pooled=False)
        self._engines.require_open()
        return made

    def _sqlite_engine(self) -> Engine:
        """For one connection on a thread of its own: the loop's driver has a thread too, and a hop to it per call."""
        self._engines.require_open()
        url = self._engines.url.set(drivername="sqlite+pysqlite")
        return blocking_engine(url, self._engines.limits, pooled=False)
