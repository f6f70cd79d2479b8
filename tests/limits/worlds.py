"""The worlds in which limiters are tried: memory, and a real Redis, each blocking and async."""

from __future__ import annotations

import asyncio

import redis

from payments_core.adapters.memory.limiting import MemoryLimiter
from payments_core.adapters.redis.limiting import AsyncRedisLimiter, BlockingRedisLimiter
from payments_core.ports import Io, Limiter
from payments_core.testing.contracts import LimiterWorld
from tests.guarded import Guarded


class MemoryWorld(Guarded, LimiterWorld):
    """Each process counts for itself."""

    shared = False

    def __init__(self, io: Io) -> None:
        super().__init__(io)
        self.now_s = 1000.0

    def make(self) -> Limiter:
        return MemoryLimiter(io=self.io, clock=lambda: self.now_s)

    make_stranger = make

    def make_unreachable(self) -> Limiter | None:
        return None

    async def pass_time(self, seconds: float) -> None:
        self.now_s += seconds


class RedisWorld(Guarded, LimiterWorld):
    """One server. Its windows hold moments: what was counted is moved into the past."""

    shared = True

    def __init__(self, io: Io, url: str) -> None:
        super().__init__(io)
        self.url = url

    def make(self, *, namespace: str = "ours", url: str | None = None) -> Limiter:
        build = BlockingRedisLimiter if self.io == "blocking" else AsyncRedisLimiter
        return build(url or self.url, namespace=namespace, meanwhile=MemoryLimiter(io=self.io))

    def make_stranger(self) -> Limiter:
        return self.make(namespace="theirs")

    def make_unreachable(self) -> Limiter | None:
        return self.make(url="redis://:secret@127.0.0.1:1/0")

    async def pass_time(self, seconds: float) -> None:
        if self.io == "async":
            await asyncio.to_thread(self._shift, seconds)
        else:
            self._shift(seconds)

    def _shift(self, seconds: float) -> None:
        with redis.Redis.from_url(self.url) as client:
            for key in client.scan_iter():
                moments = [float(entry) - seconds for entry in client.lrange(key, 0, -1)]
                client.delete(key)
                client.rpush(key, *moments)
