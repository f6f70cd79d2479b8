"""The limiter's contract, in every world."""

from __future__ import annotations

import pytest

from payments_core.ports import Io
from payments_core.testing.contracts import LimiterContract
from tests.limits.worlds import MemoryWorld, RedisWorld

both = pytest.mark.parametrize("io", ["blocking", "async"])


@both
class TestMemory(LimiterContract):
    """This process's own memory."""

    @pytest.fixture
    def world(self, io: Io) -> MemoryWorld:
        return MemoryWorld(io)


@both
class TestRedis(LimiterContract):
    """`limits` over redis-py's synchronous client, and over its asyncio client."""

    @pytest.fixture
    def world(self, io: Io, redis_url: str) -> RedisWorld:
        return RedisWorld(io, redis_url)
