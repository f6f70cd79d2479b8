"""Redis away or silent: every process counts for itself, soon."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from payments_core.adapters.redis.server import REST_S, TIMEOUT_S
from payments_core.ports import Counter, Io
from payments_core.settings import Rate
from payments_core.testing.contracts.limiting import let_through
from tests.limits.worlds import RedisWorld
from tests.prices.test_redis_trouble import OwnServer, in_thread, own_server

__all__ = ["own_server"]

FIVE = Counter("a", Rate(5, 60))


@pytest.mark.parametrize("io", ["blocking", "async"])
def test_a_silent_redis_holds_up_one_request_for_a_moment(io: Io) -> None:
    """And those after it not at all, for some seconds; the limit holds all the same."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        world = RedisWorld(io, f"redis://127.0.0.1:{listener.getsockname()[1]}/0")

        async def story() -> None:
            began_s = time.monotonic()
            assert await let_through(world.process(), 50, FIVE) == 5
            # It would be silent for ever, and fifty waits would be too many: not a matter of speed.
            assert time.monotonic() - began_s < REST_S < 50 * TIMEOUT_S

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
