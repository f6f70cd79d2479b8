"""What is remembered and for how long, who asks Stripe, and what an old answer is worth."""

from __future__ import annotations

import asyncio
import threading

import pytest

from payments_core import StripeError, StripeUnavailable
from payments_core.drive import run_blocking
from payments_core.testing.contracts import PriceCacheWorld
from tests.prices.books import HeldGateway, asked, book, put, units
from tests.prices.worlds import MemoryWorld, RedisWorld

HUNDRED = [f"prod_{number}" for number in range(100)]


@pytest.fixture
def gateway(cache_world: PriceCacheWorld) -> HeldGateway:
    found = HeldGateway(cache_world.io)
    put(found, "tee", 2999)
    put(found, "mug", 500)
    return found


def test_a_warm_cache_asks_stripe_for_nothing(cache_world: PriceCacheWorld, gateway: HeldGateway) -> None:
    """A cart of a hundred lines, whose prices are all known."""
    for name in HUNDRED:
        put(gateway, name, 100)

    async def story() -> None:
        prices = book(gateway, cache_world.process())
        await units(prices, *HUNDRED)
        assert gateway.asked("catalogue") == [tuple(HUNDRED)]
        assert await units(prices, *HUNDRED) == [100] * 100
        assert len(gateway.asked("catalogue")) == 1

    cache_world.run(story())


def test_only_what_is_missing_is_asked_for(cache_world: PriceCacheWorld, gateway: HeldGateway) -> None:
    """The others come from memory."""

    async def story() -> None:
        prices = book(gateway, cache_world.process())
        await units(prices, "tee")
        assert await units(prices, "mug", "tee") == [500, 2999]
        assert gateway.asked("catalogue") == [("tee",), ("mug",)]

    cache_world.run(story())


def test_an_old_price_is_asked_for_again(cache_world: MemoryWorld, gateway: HeldGateway) -> None:
    """After the time that a price is fresh, also where a stale one would be kept for longer."""

    async def story() -> None:
        prices = book(gateway, cache_world.process(), fresh_s=40, stale_s=20)
        await units(prices, "tee")
        put(gateway, "tee", 3499)
        await cache_world.pass_time(30)
        assert await units(prices, "tee") == [2999]
        await cache_world.pass_time(15)
        assert await units(prices, "tee") == [3499]

    cache_world.run(story())


def test_with_no_time_to_live_every_verification_asks(cache_world: PriceCacheWorld, gateway: HeldGateway) -> None:
    """PAYMENTS_PRICE_CACHE_S=0."""

    async def story() -> None:
        prices = book(gateway, cache_world.process(), fresh_s=0)
        assert await units(prices, "tee", "tee") == [2999, 2999]
        assert await units(prices, "tee") == [2999]
        assert len(gateway.asked("catalogue")) == 2

    cache_world.run(story())


def test_what_cannot_be_charged_is_never_remembered(cache_world: PriceCacheWorld, gateway: HeldGateway) -> None:
    """Unknown and archived products may be there and for sale a moment later."""
    put(gateway, "old", 1, active=False)

    async def story() -> None:
        prices = book(gateway, cache_world.process())
        assert set(await prices.prices(["old", "none"])) == {"old"}
        put(gateway, "old", 100)
        put(gateway, "none", 200)
        assert await units(prices, "old", "none") == [100, 200]

    cache_world.run(story())


@pytest.mark.parametrize("error", [StripeUnavailable("cut off"), StripeError("refused", "api_key_expired")])
def test_an_error_is_never_remembered(cache_world: PriceCacheWorld, gateway: HeldGateway, error: StripeError) -> None:
    """The next one asks again."""

    async def story() -> None:
        prices = book(gateway, cache_world.process())
        gateway.fail_next(error)
        with pytest.raises(type(error)) as raised:
            await units(prices, "tee")
        assert raised.value is error
        assert await units(prices, "tee") == [2999]

    cache_world.run(story())


def test_a_hundred_concurrent_misses_are_one_call(cache_world: PriceCacheWorld, gateway: HeldGateway) -> None:
    """Nobody asks for what is being asked for; all get the answer."""

    async def story() -> None:
        prices = book(gateway, cache_world.process())
        gateway.hold()

        async def release() -> list[int | None]:
            # Once somebody asks, the others have had their turn, or come too late and find the price.
            while not gateway.asked("catalogue"):
                await cache_world.breathe()
            gateway.release()
            return [2999, 500]

        answers = await cache_world.together(*(units(prices, "tee", "mug") for _ in range(100)), release())
        assert answers == [[2999, 500]] * 101
        assert gateway.asked("catalogue") == [("tee", "mug")]

    cache_world.run(story())


def test_carts_that_overlap_ask_for_each_price_once(cache_world: PriceCacheWorld, gateway: HeldGateway) -> None:
    """Whatever else is in them."""
    for name in HUNDRED:
        put(gateway, name, 100)

    async def story() -> None:
        prices = book(gateway, cache_world.process())
        carts = [[HUNDRED[number], HUNDRED[(number + 1) % 20], "tee"] for number in range(20)]
        answers = await cache_world.together(*(units(prices, *cart) for cart in carts))
        assert answers == [[100, 100, 2999]] * 20
        names = [name for references in gateway.asked("catalogue") for name in references]
        assert len(names) == len(set(names)) == 21

    cache_world.run(story())


def test_those_who_wait_share_a_failure(cache_world: PriceCacheWorld, gateway: HeldGateway) -> None:
    """Ten buyers do not ask ten times, one after the other, for what just failed."""

    async def story() -> None:
        prices = book(gateway, cache_world.process())
        gateway.hold()
        gateway.fail_next(StripeUnavailable("cut off"))

        async def one() -> str:
            try:
                await units(prices, "tee")
            except StripeUnavailable:
                return "unavailable"
            return "answered"

        async def release() -> str:
            gateway.release()
            return "released"

        answers = await cache_world.together(*(one() for _ in range(10)), release())
        assert "unavailable" in answers
        assert await units(prices, "tee") == [2999]

    cache_world.run(story())


async def test_who_is_cancelled_while_asking_leaves_the_others_an_answer() -> None:
    """The first buyer closes the browser; the second asks in his place."""
    world = MemoryWorld("async")
    gateway = HeldGateway("async")
    put(gateway, "tee", 2999)
    prices = book(gateway, world.make())
    gateway.hold()
    first = asyncio.create_task(units(prices, "tee"))
    second = asyncio.create_task(units(prices, "tee"))
    await gateway.until_asked(1)
    first.cancel()
    await asyncio.wait([first])
    gateway.release()
    assert await second == [2999]
    assert first.cancelled()
    assert asked(gateway) == 2


async def test_who_is_cancelled_while_waiting_takes_nothing_from_the_others() -> None:
    """Neither from the one who asks nor from those who wait with him."""
    gateway = HeldGateway("async")
    put(gateway, "tee", 2999)
    prices = book(gateway, MemoryWorld("async").make())
    gateway.hold()
    tasks = [asyncio.create_task(units(prices, "tee")) for _ in range(3)]
    await gateway.until_asked(1)
    tasks[1].cancel()
    await asyncio.wait([tasks[1]])
    gateway.release()
    assert await tasks[0] == await tasks[2] == [2999]
    assert asked(gateway) == 1


async def test_who_asks_after_the_change_does_not_get_an_answer_from_before() -> None:
    """The old answer is still on its way when the webhook is handled: its own caller gets it, and nobody else."""
    gateway = HeldGateway("async")
    put(gateway, "tee", 2999)
    prices = book(gateway, MemoryWorld("async").make())
    gateway.hold()
    before = asyncio.create_task(units(prices, "tee"))
    await gateway.until_asked(1)
    put(gateway, "tee", 3499)
    await prices.forget()
    after = asyncio.create_task(units(prices, "tee"))
    await gateway.until_asked(2)
    gateway.release()
    assert (await before, await after) == ([2999], [3499])
    assert await units(prices, "tee") == [3499]
    assert asked(gateway) == 2


def test_without_leave_an_old_price_is_no_answer(cache_world: MemoryWorld, gateway: HeldGateway) -> None:
    """Stripe cannot be reached: said so, unless the deployment asks for more."""

    async def story() -> None:
        prices = book(gateway, cache_world.process(), fresh_s=40, stale_s=0)
        await units(prices, "tee")
        await cache_world.pass_time(45)
        gateway.fail_next(StripeUnavailable("cut off"))
        with pytest.raises(StripeUnavailable):
            await units(prices, "tee")

    cache_world.run(story())


def test_with_leave_an_old_price_is_an_answer_for_a_bounded_time(
    cache_world: MemoryWorld, gateway: HeldGateway
) -> None:
    """Only while Stripe cannot be reached, only for prices that are known, and not for longer."""

    async def story() -> None:
        prices = book(gateway, cache_world.process(), fresh_s=40, stale_s=20)
        await units(prices, "tee")
        await cache_world.pass_time(45)
        gateway.fail_next(StripeUnavailable("cut off"), times=2)
        assert await units(prices, "tee") == [2999]
        with pytest.raises(StripeUnavailable):
            await units(prices, "tee", "mug")
        gateway.fail_next(StripeError("refused", "api_key_expired"))
        with pytest.raises(StripeError, match="refused"):
            await units(prices, "tee")
        await cache_world.pass_time(20)
        gateway.fail_next(StripeUnavailable("cut off"))
        with pytest.raises(StripeUnavailable):
            await units(prices, "tee")

    cache_world.run(story())


def test_what_was_forgotten_is_no_answer_either(cache_world: PriceCacheWorld, gateway: HeldGateway) -> None:
    """It is known to be wrong, however unreachable Stripe is."""

    async def story() -> None:
        prices = book(gateway, cache_world.process(), stale_s=20)
        await units(prices, "tee")
        await prices.forget()
        gateway.fail_next(StripeUnavailable("cut off"))
        with pytest.raises(StripeUnavailable):
            await units(prices, "tee")

    cache_world.run(story())


def test_processes_that_share_a_cache_ask_once_and_forget_together(redis_world: RedisWorld) -> None:
    """Four workers miss the same price at once; then one of them handles a webhook for all."""
    gateway = HeldGateway(redis_world.io)
    put(gateway, "tee", 2999)

    async def story() -> None:
        workers = [book(gateway, redis_world.process()) for _ in range(4)]
        assert await redis_world.together(*(units(one, "tee") for one in workers)) == [[2999]] * 4
        assert asked(gateway) == 1
        put(gateway, "tee", 3499)
        await workers[0].forget()
        assert [await units(one, "tee") for one in workers] == [[3499]] * 4
        assert asked(gateway) == 2

    redis_world.run(story())


def test_a_fork_begins_its_own_flights() -> None:
    """Whoever asked in the parent is not in the child, and would be waited for in vain."""
    import os

    gateway = HeldGateway("blocking")
    put(gateway, "tee", 2999)
    prices = book(gateway, MemoryWorld("blocking").make())
    gateway.hold()
    asking = threading.Thread(target=lambda: run_blocking(units(prices, "tee")))
    asking.start()
    while not gateway.asked("catalogue"):
        threading.Event().wait(0)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        gateway._waits = False
        os.write(write, b"%d" % (run_blocking(units(prices, "tee"))[0] or 0))
        os._exit(0)
    gateway.release()
    asking.join(20)
    os.waitpid(child, 0)
    assert os.read(read, 10) == b"2999"
    os.close(read)
    os.close(write)
