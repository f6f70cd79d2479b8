"""Which engine belongs to whom: one per process, and in the async world one per event loop.

A pool's sockets must never be used by two processes. An engine is made at its first use and known by its process; after
a fork the child makes its own and only keeps the inherited one alive, since even closing or collecting it would speak
on the parent's sockets, or drop the parent's SQLite locks.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from payments_core.adapters.sql.engines import Limits, async_engine, blocking_engine
from payments_core.errors import ConfigurationError, StoreUnavailable

#: Engines of a parent process: never used, never closed, never collected.
_INHERITED: Final[list[object]] = []


class BlockingEngines:
    """The engine of the current process; `build` makes it."""

    def __init__(self, url: URL, limits: Limits, build: Callable[[URL, Limits], Engine] = blocking_engine) -> None:
        self.url = url
        self.limits = limits
        self._build = build
        self._by_process: dict[int, Engine] = {}
        self._closed = False

    def current(self) -> Engine:
        """The engine of this process. Raises StoreUnavailable after `close`."""
        engine = self._by_process.get(os.getpid())
        return engine if engine is not None else self._make()

    def open(self) -> None:
        """Allow engines again after `close`."""
        self._closed = False

    def require_open(self) -> None:
        """Raise StoreUnavailable after `close`."""
        _refuse_closed(closed=self._closed)

    def close(self) -> None:
        """Close this process's connections; the parent's are left alone."""
        self._closed = True
        engine = self._by_process.pop(os.getpid(), None)
        if engine is not None:
            engine.dispose()

    def _make(self) -> Engine:
        self.require_open()
        pid = os.getpid()
        for other in [known for known in self._by_process if known != pid]:
            keep_alive(self._by_process.pop(other, None))
        # No lock, which a fork could leave locked for ever: of two threads that make an engine one engine stays, and
        # the other has not connected yet.
        return self._by_process.setdefault(pid, self._build(self.url, self.limits))


class AsyncEngines:
    """The engine of the running event loop: a connection waits on the loop that made it."""

    def __init__(self, url: URL, limits: Limits) -> None:
        self.url = url
        self.limits = limits
        self._pid = os.getpid()
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncEngine] = WeakKeyDictionary()
        self._closed = False

    async def current(self) -> AsyncEngine:
        """The engine of this loop. Raises StoreUnavailable after `close`, ConfigurationError where no loop runs."""
        loop = running_loop()
        engine = self._by_loop.get(loop) if self._pid == os.getpid() else None
        return engine if engine is not None else await self._make(loop)

    def open(self) -> None:
        """Allow engines again after `close`."""
        self._closed = False

    def require_open(self) -> None:
        """Raise StoreUnavailable after `close`."""
        _refuse_closed(closed=self._closed)

    async def close(self) -> None:
        """Close this loop's connections; those of other loops can only be closed on them."""
        self._closed = True
        engine = self._by_loop.pop(asyncio.get_running_loop(), None) if self._pid == os.getpid() else None
        if engine is not None:
            await engine.dispose()

    async def _make(self, loop: asyncio.AbstractEventLoop) -> AsyncEngine:
        self.require_open()
        if self._pid != os.getpid():
            keep_alive(*self._by_loop.values())
            self._by_loop, self._pid = WeakKeyDictionary(), os.getpid()
        # In a thread: the first engine imports its driver, which reads many files.
        made = await asyncio.to_thread(async_engine, self.url, self.limits)
        self.require_open()
        return self._by_loop.setdefault(loop, made)


def running_loop() -> asyncio.AbstractEventLoop:
    """The running event loop. Raises ConfigurationError where none runs."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(
            "An asynchronous store was used where no event loop runs; use AsyncPayments, or give Payments a blocking "
            "store."
        ) from None


def keep_alive(*inherited: object) -> None:
    """Never collect what a parent process left: its end would speak on the parent's connections."""
    _INHERITED.extend(inherited)


def _refuse_closed(*, closed: bool) -> None:
    if closed:
        raise StoreUnavailable("The store is closed; prepare it again before use.")
