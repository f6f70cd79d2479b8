"""The Redis that cache and rate limit tests run on."""

from __future__ import annotations

import pytest
import redis
import redis.asyncio


@pytest.mark.parametrize("attempt", ["first", "second"])
def test_each_test_gets_an_empty_database(redis_url: str, attempt: str) -> None:
    """A key that one test wrote is not there in the next."""
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set(f"written_by_{attempt}", 1)


async def test_a_value_is_read_back_asynchronously(redis_url: str) -> None:
    """The asynchronous client reads what it wrote, with its time to live."""
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.set("price:prod_1", "2999", ex=60)
        assert await client.get("price:prod_1") == b"2999"
        assert 0 < await client.ttl("price:prod_1") <= 60
