"""`Limiter` in Redis, by the moving window of `limits`: one script per counter, which Redis runs in one step.

While Redis does not answer, each process counts for itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from weakref import WeakKeyDictionary

import limits.aio.storage
import limits.aio.strategies
import limits.storage
import limits.strategies
from limits import RateLimitItemPerSecond
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from payments_core.adapters.redis.server import Rest, Turns, options, patience_s
from payments_core.ports import Counter, Io, Limiter

#: A round trip for each counter, and one to look at what is used up.
_STEPS: Final = 4
_Storage: Any = limits.storage.RedisStorage
_AsyncStorage: Any = limits.aio.storage.RedisStorage


def _item(counter: Counter) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(counter.rate.most, counter.rate.per_s)


def _wait_s(reset_at_s: float) -> float:
    return max(0.0, reset_at_s - time.time())


def _address(url: str) -> str:
    return url.replace("unix://", "redis+unix://", 1) if url.startswith("unix://") else url


class BlockingRedisLimiter:
    """See `payments_core.ports.Limiter`. `meanwhile` counts while Redis does not answer."""

    io: Io = "blocking"

    def __init__(self, url: str, *, namespace: str, meanwhile: Limiter) -> None:
        self._rest = Rest()
        self._meanwhile = meanwhile
        prefix = f"payments-core:{namespace}:limits"
        given = {"retry": Retry(NoBackoff(), 0), **options(patience_s(url))}
        self._storage = _Storage(_address(url), key_prefix=prefix, **given)
        self._windows = limits.strategies.MovingWindowRateLimiter(self._storage)

    async def take(self, counters: Sequence[Counter]) -> float | None:
        """See Limiter."""
        if self._rest.lasts:
            return await self._meanwhile.take(counters)
        try:
            answer = self._take(counters)
        except (RedisError, OSError) as failure:
            self._rest.failed(failure)
            return await self._meanwhile.take(counters)
        self._rest.answered()
        return answer

    async def close(self) -> None:
        """See Limiter."""
        with suppress(RedisError, OSError):
            self._storage.storage.close()

    def _take(self, counters: Sequence[Counter]) -> float | None:
        # Looked at before any is taken from: one that is used up costs the others nothing.
        for one in counters[1:]:
            if not self._windows.test(_item(one), one.name):
                return self._until_free_s(one)
        for one in counters:
            if not self._windows.hit(_item(one), one.name):
                return self._until_free_s(one)
        return None

    def _until_free_s(self, counter: Counter) -> float:
        return _wait_s(self._windows.get_window_stats(_item(counter), counter.name).reset_time)


class AsyncRedisLimiter:
    """See `payments_core.ports.Limiter`; every loop has its own connections."""

    io: Io = "async"

    def __init__(self, url: str, *, namespace: str, meanwhile: Limiter) -> None:
        self._rest = Rest()
        self._turns = Turns()
        self._meanwhile = meanwhile
        self._url = f"async+{_address(url)}"
        self._patience_s = patience_s(url)
        self._prefix = f"payments-core:{namespace}:limits"
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()

    async def take(self, counters: Sequence[Counter]) -> float | None:
        """See Limiter."""
        async with self._turns.here():
            # Those before may have found out that Redis does not answer.
            return await (self._meanwhile.take(counters) if self._rest.lasts else self._asked(counters))

    async def _asked(self, counters: Sequence[Counter]) -> float | None:
        try:
            async with asyncio.timeout(_STEPS * self._patience_s):
                answer = await self._take(counters)
        except (RedisError, OSError) as failure:  # asyncio's TimeoutError is an OSError
            self._rest.failed(failure)
            return await self._meanwhile.take(counters)
        self._rest.answered()
        return answer

    async def close(self) -> None:
        """See Limiter."""
        storage = self._loops.pop(asyncio.get_running_loop(), None)
        if storage is not None:
            with suppress(RedisError, OSError):
                await storage.bridge.get_connection().aclose()

    async def _take(self, counters: Sequence[Counter]) -> float | None:
        windows = limits.aio.strategies.MovingWindowRateLimiter(self._storage())
        for one in counters[1:]:
            if not await windows.test(_item(one), one.name):
                return await _until_free_s(windows, one)
        for one in counters:
            if not await windows.hit(_item(one), one.name):
                return await _until_free_s(windows, one)
        return None

    def _storage(self) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            self._loops[loop] = _AsyncStorage(
                self._url,
                implementation="redispy",
                key_prefix=self._prefix,
                retry=AsyncRetry(NoBackoff(), 0),
                **options(self._patience_s),
            )
        return self._loops[loop]


async def _until_free_s(windows: Any, counter: Counter) -> float:
    return _wait_s((await windows.get_window_stats(_item(counter), counter.name)).reset_time)
