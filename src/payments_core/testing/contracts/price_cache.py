"""What every cache of prices must do, for adapters of the library and of third parties.

Subclass `PriceCacheContract` and provide a fixture `world` that returns a `PriceCacheWorld`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import pytest

from payments_core.domain.pricing import CatalogPrice
from payments_core.ports import Io, PriceCache
from payments_core.testing.contracts.worlds import World, scenario

TEE = CatalogPrice("price_1", {"usd": 2999, "eur": 2799, "jpy": 3000}, name="Tee £5 \u00fc")
MUG = CatalogPrice("price_2", {"usd": 0})


class PriceCacheWorld(World, ABC):
    """An empty cache that keeps entries for a minute, and the processes that use it."""

    #: Whether processes share what they remember.
    shared: bool

    def __init__(self, io: Io) -> None:
        super().__init__(io)

    @abstractmethod
    def make(self) -> PriceCache:
        """The cache as another process of the deployment opens it."""

    @abstractmethod
    def make_stranger(self) -> PriceCache:
        """The cache of another deployment, on the same server where there is one."""

    @abstractmethod
    def make_unreachable(self) -> PriceCache | None:
        """A cache whose server cannot be reached; None where there is no server."""

    @abstractmethod
    async def pass_time(self, seconds: float) -> None:
        """Let time pass for all that the cache keeps."""

    def process(self) -> PriceCache:
        """`make`, closed at the end."""
        return self.keep(self.make())


class PriceCacheContract:
    """Obligations of `PriceCache`."""

    @scenario
    async def test_what_is_written_is_read(self, world: PriceCacheWorld) -> None:
        """Whole, with all its currencies; unknown references are left out."""
        cache = world.process()
        before = await cache.read(["tee", "mug", "none"])
        assert (before.generation is not None, before.entries) == (True, {})
        await cache.write(before.generation, {"tee": TEE, "mug": MUG})
        found = await cache.read(["tee", "mug", "none"])
        assert found.generation == before.generation
        assert {name: kept.price for name, kept in found.entries.items()} == {"tee": TEE, "mug": MUG}

    @scenario
    async def test_an_entry_grows_old_and_is_gone(self, world: PriceCacheWorld) -> None:
        """Its age is told; after a minute there is none."""
        cache = world.process()
        await cache.write((await cache.read([])).generation, {"tee": TEE})
        assert (await cache.read(["tee"])).entries["tee"].age_s < 5
        await world.pass_time(30)
        assert 29 <= (await cache.read(["tee"])).entries["tee"].age_s < 40
        await world.pass_time(31)
        assert (await cache.read(["tee"])).entries == {}

    @scenario
    async def test_writing_again_makes_it_young(self, world: PriceCacheWorld) -> None:
        """What Stripe told last counts, from the moment it told it."""
        cache = world.process()
        generation = (await cache.read([])).generation
        await cache.write(generation, {"tee": TEE})
        await world.pass_time(40)
        await cache.write(generation, {"tee": MUG})
        await world.pass_time(40)
        assert (await cache.read(["tee"])).entries["tee"].price == MUG

    @scenario
    async def test_what_is_forgotten_is_not_read(self, world: PriceCacheWorld) -> None:
        """A new generation, with nothing in it."""
        cache = world.process()
        before = (await cache.read([])).generation
        await cache.write(before, {"tee": TEE})
        await cache.forget()
        after = await cache.read(["tee"])
        assert after.entries == {}
        assert after.generation != before

    @scenario
    async def test_a_price_asked_for_before_the_change_is_not_kept(self, world: PriceCacheWorld) -> None:
        """The answer that was under way while the catalogue changed is an old one, however late it is written."""
        cache = world.process()
        asked_in = (await cache.read(["tee"])).generation
        await cache.forget()
        await cache.write(asked_in, {"tee": TEE})
        assert (await cache.read(["tee"])).entries == {}
        now = (await cache.read(["tee"])).generation
        await cache.write(asked_in, {"tee": TEE})
        await cache.write(now, {"tee": MUG})
        await cache.write(asked_in, {"tee": TEE})
        assert (await cache.read(["tee"])).entries["tee"].price == MUG

    @scenario
    async def test_no_generation_comes_twice(self, world: PriceCacheWorld) -> None:
        """Else an answer from long ago could be written into a later one."""
        cache = world.process()
        seen = [(await cache.read([])).generation]
        for _ in range(5):
            await cache.forget()
            seen.append((await cache.read([])).generation)
        assert len(set(seen)) == 6

    @scenario
    async def test_an_unknown_generation_keeps_nothing(self, world: PriceCacheWorld) -> None:
        """Who could not read does not write."""
        cache = world.process()
        await cache.write(None, {"tee": TEE})
        await cache.write("made up", {"tee": TEE})
        assert (await cache.read(["tee"])).entries == {}

    @scenario
    async def test_processes_share_what_they_remember_and_forget(self, world: PriceCacheWorld) -> None:
        """Where the cache is shared; else each has its own, and only the time to live ends an entry."""
        one, other = world.process(), world.process()
        await one.write((await one.read([])).generation, {"tee": TEE})
        assert ("tee" in (await other.read(["tee"])).entries) is world.shared
        await other.forget()
        assert ("tee" in (await one.read(["tee"])).entries) is not world.shared

    @scenario
    async def test_deployments_share_nothing(self, world: PriceCacheWorld) -> None:
        """Another account's prices are none of ours; nor does its webhook make us forget."""
        ours, theirs = world.process(), world.keep(world.make_stranger())
        await ours.write((await ours.read([])).generation, {"tee": TEE})
        assert (await theirs.read(["tee"])).entries == {}
        await theirs.forget()
        assert "tee" in (await ours.read(["tee"])).entries

    @scenario
    async def test_one_process_asks_and_the_others_look_again(self, world: PriceCacheWorld) -> None:
        """The others are told not to, once the answer is there; where nothing is shared each asks for itself."""
        one, other = world.process(), world.process()
        generation = (await one.read([])).generation
        assert await one.lead(generation, ["tee", "mug"])
        await one.write(generation, {"tee": TEE, "mug": MUG})
        assert await other.lead(generation, ["mug", "tee"]) is not world.shared

    @scenario
    async def test_nobody_is_held_up_by_one_who_asks_and_says_nothing(self, world: PriceCacheWorld) -> None:
        """After a short wait there is nothing to read, and the caller asks Stripe itself."""
        one, other = world.process(), world.process()
        generation = (await one.read([])).generation
        assert await one.lead(generation, ["tee"])
        await other.lead(generation, ["tee"])
        assert (await other.read(["tee"])).entries == {}

    @pytest.mark.parametrize("name", ["", " ", "a b", "a\nb", "é", "*", "{x}", "generation", "x" * 500, "a:b"])
    def test_a_name_is_only_a_name(self, world: PriceCacheWorld, name: str) -> None:
        """Whatever a caller sends as a product id is neither a pattern nor another key."""

        async def kept() -> None:
            cache = world.process()
            generation = (await cache.read([])).generation
            await cache.write(generation, {name: TEE})
            found = await cache.read([name, "other"])
            assert {one: kept.price for one, kept in found.entries.items()} == {name: TEE}
            assert found.generation == generation

        world.run(kept())

    @scenario
    async def test_callers_at_once_do_not_disturb_one_another(self, world: PriceCacheWorld) -> None:
        """All of them agree on the generation, also the first that look."""
        cache = world.process()

        async def one(number: int) -> str | None:
            found = await cache.read([])
            await cache.write(found.generation, {f"tee{number}": TEE})
            return found.generation

        generations = await world.together(*(one(number) for number in range(8)))
        assert len(set(generations)) == 1
        assert len((await cache.read([f"tee{number}" for number in range(8)])).entries) == 8

    @scenario
    async def test_a_server_out_of_reach_is_one_that_knows_nothing(self, world: PriceCacheWorld) -> None:
        """No method raises; there is no generation to write into, and the caller asks Stripe."""
        cache = world.make_unreachable()
        if cache is None:
            pytest.skip("this cache has no server")
        world.keep(cache)
        found = await cache.read(["tee"])
        assert (found.generation, found.entries) == (None, {})
        await cache.write("x", {"tee": TEE})
        await cache.forget()
        assert await cache.lead(None, ["tee"])
        assert await cache.lead("x", ["tee"])
