"""Redis away, slow, emptied, full or misused: it costs speed, and never a wrong price or an outage."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from payments_core.adapters.redis.price_cache import RedisPriceCache
from payments_core.adapters.redis.server import REST_S, TIMEOUT_S, Rest
from payments_core.drive import run_blocking
from payments_core.ports import Io
from tests._services import unavailable
from tests.prices.books import HeldGateway, asked, book, put, units
from tests.prices.worlds import KEEP_S, RedisWorld


@pytest.fixture
def gateway(redis_world: RedisWorld) -> HeldGateway:
    found = HeldGateway(redis_world.io)
    put(found, "tee", 2999)
    return found


@pytest.fixture
def admin(redis_url: str) -> Iterator[Any]:
    """The server, as whoever breaks it."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


class SilentServer:
    """One that takes connections and says nothing: five seconds of latency, or five minutes."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"

    def asked(self) -> int:
        """How often, since this was last looked at."""
        found = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listener.accept()[0].close()
                found += 1
        return found


@pytest.fixture
def silent_server() -> Iterator[SilentServer]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        listener.setblocking(False)
        yield SilentServer(listener)


class OwnServer:
    """A Redis of this test's own, at a socket in a folder: to be starved and killed."""

    def __init__(self, folder: Path) -> None:
        self.url = f"unix://{folder / 'redis.sock'}?socket_timeout=30"
        self._command = ["redis-server", "--port", "0", "--unixsocket", str(folder / "redis.sock"), "--save", ""]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        retry = Retry(ConstantBackoff(0.05), 200)
        with redis.Redis.from_url(self.url, retry=retry, retry_on_error=[redis.ConnectionError]) as client:
            client.ping()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[OwnServer]:
    if shutil.which("redis-server") is None:
        pytest.skip(unavailable("redis", "no redis-server on PATH"))
    server = OwnServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=["blocking", "async"])
def own_world(request: pytest.FixtureRequest, own_server: OwnServer) -> RedisWorld:
    return RedisWorld(request.param, own_server.url)


def cache_at(world: RedisWorld, url: str) -> RedisPriceCache:
    return world.keep(world.make(url=url))


def test_a_redis_that_is_away_costs_speed_alone(redis_world: RedisWorld, gateway: HeldGateway) -> None:
    """Every verification asks Stripe, and gets the price of now."""

    async def story() -> None:
        prices = book(gateway, cache_at(redis_world, "redis://127.0.0.1:1/0"))
        assert await units(prices, "tee") == [2999]
        put(gateway, "tee", 3499)
        await prices.forget()
        assert await units(prices, "tee") == [3499]
        assert asked(gateway) == 2

    redis_world.run(story())


def test_a_slow_redis_is_given_up_soon_and_left_alone(
    redis_world: RedisWorld, gateway: HeldGateway, silent_server: SilentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request waits for a fraction of a second; those after it do not ask, for as long as the rest lasts."""
    monkeypatch.setattr("payments_core.adapters.redis.server.REST_S", 3600.0)

    async def story() -> None:
        prices = book(gateway, cache_at(redis_world, silent_server.url))
        # The silence would last for ever: that this ends at all is the first point.
        for _ in range(50):
            assert await units(prices, "tee") == [2999]
        assert silent_server.asked() == 1

    redis_world.run(story())


@pytest.mark.parametrize("io", ["blocking", "async"])
def test_a_redis_far_away_is_waited_for_as_its_address_says(io: Io, own_server: OwnServer) -> None:
    """`?socket_timeout=` in place of the quarter of a second."""
    patient, hasty = own_server.url, own_server.url.partition("?")[0]
    world = RedisWorld(io, patient)

    async def story(url: str, pause_ms: int) -> Any:
        server = world.server(url)
        try:
            await server.run(("CLIENT", "PAUSE", pause_ms, "ALL"))
            return await server.run(("PING",))
        finally:
            await server.close()

    assert world.run(story(patient, int(2500 * TIMEOUT_S))) == [True]
    assert world.run(story(hasty, 60_000)) is None


def test_the_rest_ends() -> None:
    """After it the server is asked again, and it is said once that it is silent and once that it answers."""
    now_s = 100.0
    rest = Rest(lambda: now_s)
    assert not rest.lasts
    rest.failed(ConnectionError())
    assert rest.lasts
    now_s += REST_S
    assert not rest.lasts
    rest.answered()
    assert not rest.lasts


def test_a_redis_that_comes_back_is_used_again(
    redis_world: RedisWorld, gateway: HeldGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what could not be forgotten while it was away is forgotten first."""
    monkeypatch.setattr("payments_core.adapters.redis.server.REST_S", 0.0)

    async def story() -> None:
        cache = redis_world.keep(redis_world.make())
        prices = book(gateway, cache)
        assert await units(prices, "tee") == [2999]
        there, cache._server = cache._server, redis_world.server("redis://127.0.0.1:1/0")
        put(gateway, "tee", 3499)
        await prices.forget()
        assert await units(prices, "tee") == [3499]
        await cache._server.close()
        cache._server = there
        # Redis still has the old price, and nobody told it.
        assert await units(prices, "tee") == [3499]
        assert asked(gateway) == 3
        assert await units(prices, "tee") == [3499]
        assert asked(gateway) == 3

    redis_world.run(story())


def test_flushall_costs_one_more_question(redis_world: RedisWorld, gateway: HeldGateway, admin: Any) -> None:
    """Everything is gone, and nothing is wrong."""

    async def story() -> None:
        prices = book(gateway, redis_world.process())
        await units(prices, "tee")
        await in_thread(redis_world.io, admin.flushdb)
        put(gateway, "tee", 3499)
        assert await units(prices, "tee") == [3499]
        assert await units(prices, "tee") == [3499]
        assert asked(gateway) == 2

    redis_world.run(story())


@pytest.mark.parametrize("suffix", ["generation", "entry"])
def test_a_key_of_another_type_is_one_that_is_not_there(
    redis_world: RedisWorld, gateway: HeldGateway, admin: Any, suffix: str
) -> None:
    """Somebody else's list under our key: the price comes from Stripe, and the key is ours again."""

    async def story() -> None:
        prices = book(gateway, redis_world.process())
        await units(prices, "tee")

        def spoil() -> None:
            for key in admin.keys("payments-core:*"):
                if key.endswith(b":generation") is (suffix == "generation"):
                    admin.delete(key)
                    admin.rpush(key, "x")

        await in_thread(redis_world.io, spoil)
        for _ in range(4):
            assert await units(prices, "tee") == [2999]
        assert asked(gateway) <= 3

    redis_world.run(story())


@pytest.mark.parametrize(
    "value",
    [
        b"", b"null", b"[]", b"7", b'"x"', b"{}", b"\xff\xfe", b'{"at": 0}',
        b'{"at": "x", "price_id": "p", "units": {}}',
        b'{"at": 0, "price_id": "p", "name": null, "units": {"usd": 1.5}}',
        b'{"at": 0, "price_id": 7, "name": null, "units": {"usd": 1}}',
        b'{"at": 0, "price_id": "p", "name": null, "units": []}',
    ],
)  # fmt: skip
def test_an_entry_that_is_none_of_ours_is_not_there(
    redis_world: RedisWorld, gateway: HeldGateway, admin: Any, value: bytes
) -> None:
    """Another version's, or nonsense."""

    async def story() -> None:
        prices = book(gateway, redis_world.process())
        await units(prices, "tee")

        def spoil() -> None:
            for key in admin.keys("payments-core:*:tee"):
                admin.set(key, value)

        await in_thread(redis_world.io, spoil)
        assert await units(prices, "tee") == [2999]
        assert asked(gateway) == 2

    redis_world.run(story())


def test_a_full_redis_remembers_nothing_and_still_forgets(own_world: RedisWorld) -> None:
    """No memory left, no eviction: writes are refused, reads go on, a change of the catalogue is still heard of."""
    gateway = HeldGateway(own_world.io)
    put(gateway, "tee", 2999)
    admin: Any = redis.Redis.from_url(own_world.url)

    async def story() -> None:
        prices = book(gateway, own_world.process())
        await units(prices, "tee")
        await in_thread(own_world.io, lambda: admin.config_set("maxmemory", "1"))
        put(gateway, "mug", 500)
        assert await units(prices, "tee", "mug") == [2999, 500]
        put(gateway, "tee", 3499)
        await prices.forget()
        assert await units(prices, "tee") == [3499]
        await in_thread(own_world.io, lambda: admin.config_set("maxmemory", "0"))
        assert await units(prices, "tee") == [3499]

    with admin:
        own_world.run(story())


def test_a_redis_that_is_killed_and_started_again_costs_a_few_questions(
    own_world: RedisWorld, own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dead connections are given up, new ones made; the price is right throughout."""
    monkeypatch.setattr("payments_core.adapters.redis.server.REST_S", 0.0)
    gateway = HeldGateway(own_world.io)
    put(gateway, "tee", 2999)

    async def story() -> None:
        prices = book(gateway, own_world.process())
        await units(prices, "tee")
        await in_thread(own_world.io, own_server.kill)
        put(gateway, "tee", 3499)
        assert await units(prices, "tee") == [3499]
        await in_thread(own_world.io, own_server.start)
        for _ in range(4):
            assert await units(prices, "tee") == [3499]
        before = asked(gateway)
        await units(prices, "tee")
        assert asked(gateway) == before

    own_world.run(story())


def test_threads_and_a_fork_share_no_connection(redis_url: str) -> None:
    """A child of a preloading server that has used the cache already gets answers of its own."""
    world = RedisWorld("blocking", redis_url)
    gateway = HeldGateway("blocking")
    put(gateway, "tee", 2999)
    prices = book(gateway, world.make())
    run_blocking(units(prices, "tee"))
    read, write = os.pipe()
    if os.fork() == 0:
        told = [run_blocking(units(prices, "tee")) == [2999] for _ in range(50)]
        os.write(write, b"y" if all(told) and asked(gateway) == 1 else b"n")
        os._exit(0)
    assert all(run_blocking(units(prices, "tee")) == [2999] for _ in range(50))
    os.wait()
    assert os.read(read, 1) == b"y"
    os.close(read)
    os.close(write)
    run_blocking(prices.cache.close())


def test_one_cache_serves_one_loop_after_another(redis_url: str) -> None:
    """Each has its own connections, and gives them back."""
    world = RedisWorld("async", redis_url)
    gateway = HeldGateway("async")
    put(gateway, "tee", 2999)
    prices = book(gateway, world.make())

    async def once() -> list[int | None]:
        try:
            return await units(prices, "tee")
        finally:
            await prices.cache.close()

    assert [asyncio.run(once()) for _ in range(3)] == [[2999]] * 3
    assert asked(gateway) == 1


def test_the_address_stays_out_of_logs(redis_world: RedisWorld, caplog: pytest.LogCaptureFixture) -> None:
    """It holds a password; that Redis is silent is said once, not at every request."""

    async def story() -> None:
        cache = cache_at(redis_world, "redis://:s3cret@127.0.0.1:1/0")
        for _ in range(3):
            await cache.forget()

    redis_world.run(story())
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "PAYMENTS_REDIS_URL" in caplog.text
    assert "s3cret" not in caplog.text
    assert "127.0.0.1" not in caplog.text


async def in_thread(io: Io, work: Any) -> None:
    """What breaks Redis blocks; not on the loop."""
    await asyncio.to_thread(work) if io == "async" else work()


def test_times_are_what_the_pages_say() -> None:
    """A quarter of a second, then five seconds of rest; entries live as long as settings say."""
    assert (TIMEOUT_S, REST_S, KEEP_S) == (0.25, 5.0, 60)
