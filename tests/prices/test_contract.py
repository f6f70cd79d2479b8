"""The price cache's contract, in every world."""

from __future__ import annotations

import pytest

from payments_core.ports import Io
from payments_core.testing.contracts import PriceCacheContract
from tests.prices.worlds import MemoryWorld, RedisWorld

both = pytest.mark.parametrize("io", ["blocking", "async"])


@both
class TestMemory(PriceCacheContract):
    """This process's own memory."""

    @pytest.fixture
    def world(self, io: Io) -> MemoryWorld:
        return MemoryWorld(io)


@both
class TestRedis(PriceCacheContract):
    """redis-py's synchronous client, and its asyncio client."""

    @pytest.fixture
    def world(self, io: Io, redis_url: str) -> RedisWorld:
        return RedisWorld(io, redis_url)
