"""Row locks of the in-memory store: a thread waits in the blocking world, a task in the asynchronous one."""

from __future__ import annotations

import asyncio
import threading
from typing import Final, Protocol

from payments_core.errors import StoreUnavailable
from payments_core.ports import Io

_WAIT_S: Final = 10.0


class RowLock(Protocol):
    """The lock of one payment."""

    async def acquire(self) -> None:
        """Wait for it. Raises StoreUnavailable when that takes too long, as a database's lock timeout does."""
        ...

    def release(self) -> None:
        """Let the next one have it."""
        ...


class _ThreadLock:
    def __init__(self) -> None:
        self._lock = threading.Lock()

    async def acquire(self) -> None:
        if not self._lock.acquire(timeout=_WAIT_S):
            raise _too_long()

    def release(self) -> None:
        self._lock.release()


class _TaskLock:
    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def acquire(self) -> None:
        try:
            async with asyncio.timeout(_WAIT_S):
                await self._lock.acquire()
        except TimeoutError:
            raise _too_long() from None

    def release(self) -> None:
        self._lock.release()


def _too_long() -> StoreUnavailable:
    return StoreUnavailable("Another transaction held the payment for too long; try again.")


class RowLocks:
    """One lock per payment, made when it is first asked for."""

    def __init__(self, io: Io) -> None:
        self._make: type[_ThreadLock | _TaskLock] = _ThreadLock if io == "blocking" else _TaskLock
        self._locks: dict[str, RowLock] = {}

    def of(self, payment_id: str) -> RowLock:
        """The payment's lock."""
        return self._locks.setdefault(payment_id, self._make())
