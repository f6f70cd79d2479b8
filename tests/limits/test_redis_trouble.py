"""Redis away or silent: every process counts for itself, soon."""

from __future__ import annotations

import asyncio

import pytest

from payments_core.ports import Counter, Io
from payments_core.settings import Rate
from payments_core.testing.contracts.limiting import let_through
from tests.limits.worlds import RedisWorld
from tests.prices.test_redis_trouble import OwnServer, SilentServer, in_thread, own_server, silent_server

__all__ = ["own_server", "silent_server"]

FIVE = Counter("a", Rate(5, 60))


@pytest.mark.parametrize("io", ["blocking", "async"])
def test_a_silent_redis_holds_up_one_request_for_a_moment(
    io: Io, silent_server: SilentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those after it not at all, for as long as the rest lasts; the limit holds all the same."""
    monkeypatch.setattr("payments_core.adapters.redis.server.REST_S", 3600.0)
    world = RedisWorld(io, silent_server.url)

    async def story() -> None:
        # It would be silent for ever: that this ends at all is the first point.
        assert await let_through(world.process(), 50, FIVE) == 5
        assert silent_server.asked() == 1

    world.run(story())


@pytest.mark.parametrize("io", ["blocking", "async"])
def test_a_redis_that_dies_is_counted_without_until_it_is_back(
    io: Io, own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never open, and never an outage: five in this process meanwhile, five in the new Redis, which knows of none."""
    monkeypatch.setattr("payments_core.adapters.redis.server.REST_S", 0.0)
    world = RedisWorld(io, own_server.url)

    async def story() -> None:
        limiter = world.process()
        assert await let_through(limiter, 3, FIVE) == 3
        await in_thread(io, own_server.kill)
        assert await let_through(limiter, 9, FIVE) == 5
        await in_thread(io, own_server.start)
        assert await let_through(limiter, 9, FIVE) == 5

    world.run(story())


def test_a_crowd_on_one_loop_waits_for_its_turn_and_shares_the_limit(redis_url: str) -> None:
    """More requests at once than a client has connections: a healthy Redis is not taken for one that is away."""
    world = RedisWorld("async", redis_url)

    found: list[float | None] = []

    async def story() -> None:
        limiters = [world.process() for _ in range(2)]
        found.extend(await asyncio.gather(*(one.take([FIVE]) for one in limiters for _ in range(150))))

    world.run(story())
    assert found.count(None) == 5


def test_one_limiter_serves_one_loop_after_another(redis_url: str) -> None:
    """Each has its own connections, and gives them back."""
    limiter = RedisWorld("async", redis_url).make()

    async def once() -> int:
        try:
            return await let_through(limiter, 2, FIVE)
        finally:
            await limiter.close()

    assert [asyncio.run(once()) for _ in range(3)] == [2, 2, 1]
