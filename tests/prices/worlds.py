"""The worlds in which the price cache is tried: memory, and a real Redis, each blocking and async."""

from __future__ import annotations

import asyncio

import redis

from payments_core.adapters.memory.price_cache import MemoryPriceCache
from payments_core.adapters.redis.price_cache import RedisPriceCache
from payments_core.adapters.redis.server import AsyncServer, BlockingServer, Server
from payments_core.ports import Io, PriceCache
from payments_core.testing.contracts import PriceCacheWorld
from tests.guarded import Guarded

KEEP_S = 60


class MemoryWorld(Guarded, PriceCacheWorld):
    """Each process has its own."""

    shared = False

    def __init__(self, io: Io) -> None:
        super().__init__(io)
        self.now_s = 1000.0

    def make(self) -> PriceCache:
        return MemoryPriceCache(KEEP_S, io=self.io, clock=lambda: self.now_s)

    make_stranger = make

    def make_unreachable(self) -> PriceCache | None:
        return None

    async def pass_time(self, seconds: float) -> None:
        self.now_s += seconds


class RedisWorld(Guarded, PriceCacheWorld):
    """One server. Its own time cannot be set: the rest of every key's life is shortened instead."""

    shared = True

    def __init__(self, io: Io, url: str) -> None:
        super().__init__(io)
        self.url = url
        self.ahead_s = 0.0

    def server(self, url: str | None = None) -> Server:
        return BlockingServer(url or self.url) if self.io == "blocking" else AsyncServer(url or self.url)

    def make(self, *, namespace: str = "ours", url: str | None = None) -> RedisPriceCache:
        return RedisPriceCache(self.server(url), KEEP_S, namespace=namespace, clock=self._clock)

    def make_stranger(self) -> PriceCache:
        return self.make(namespace="theirs")

    def make_unreachable(self) -> PriceCache | None:
        return self.make(url="redis://:secret@127.0.0.1:1/0")

    async def pass_time(self, seconds: float) -> None:
        self.ahead_s += seconds
        if self.io == "async":
            await asyncio.to_thread(self._shorten, seconds)
        else:
            self._shorten(seconds)

    def _clock(self) -> float:
        import time

        return time.time() + self.ahead_s

    def _shorten(self, seconds: float) -> None:
        with redis.Redis.from_url(self.url) as client:
            for key in client.scan_iter():
                left_ms = client.pttl(key)
                if left_ms > 0:
                    client.pexpire(key, max(1, int(left_ms - seconds * 1000)))
                if 0 < left_ms <= seconds * 1000:
                    client.delete(key)
