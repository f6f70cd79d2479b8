"""The four places where a price book is tried: memory and Redis, each in both worlds."""

from __future__ import annotations

import pytest

from tests.prices.worlds import MemoryWorld, RedisWorld


@pytest.fixture(params=["memory-blocking", "memory-async", "redis-blocking", "redis-async"])
def cache_world(request: pytest.FixtureRequest) -> MemoryWorld | RedisWorld:
    """An empty cache in one world."""
    kind, io = request.param.split("-")
    return MemoryWorld(io) if kind == "memory" else RedisWorld(io, request.getfixturevalue("redis_url"))


@pytest.fixture(params=["blocking", "async"])
def redis_world(request: pytest.FixtureRequest, redis_url: str) -> RedisWorld:
    """An empty Redis in one world."""
    return RedisWorld(request.param, redis_url)
