"""What every limiter must do, for adapters of the library and of third parties.

Subclass `LimiterContract` and provide a fixture `world` that returns a `LimiterWorld`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import pytest

from payments_core.ports import Counter, Limiter
from payments_core.settings import Rate
from payments_core.testing.contracts.worlds import World, scenario

FIVE = Rate(5, 60)


class LimiterWorld(World, ABC):
    """A limiter that has counted nothing, and the processes that use it."""

    #: Whether processes count together.
    shared: bool

    @abstractmethod
    def make(self) -> Limiter:
        """The limiter as another process of the deployment opens it."""

    @abstractmethod
    def make_stranger(self) -> Limiter:
        """The limiter of another deployment, on the same server where there is one."""

    @abstractmethod
    def make_unreachable(self) -> Limiter | None:
        """A limiter whose server cannot be reached; None where there is no server."""

    @abstractmethod
    async def pass_time(self, seconds: float) -> None:
        """Let time pass for all that is counted."""

    def process(self) -> Limiter:
        """`make`, closed at the end."""
        return self.keep(self.make())


async def let_through(limiter: Limiter, times: int, *counters: Counter) -> int:
    """How many of so many events are let through, one after another."""
    return [await limiter.take(counters) for _ in range(times)].count(None)


class LimiterContract:
    """Obligations of `Limiter`."""

    @scenario
    async def test_exactly_as_many_as_allowed(self, world: LimiterWorld) -> None:
        """The fifth is let through and the sixth is not; each name has its own count."""
        limiter = world.process()
        assert await let_through(limiter, 5, Counter("a", FIVE)) == 5
        assert await let_through(limiter, 20, Counter("a", FIVE)) == 0
        assert await let_through(limiter, 20, Counter("b", FIVE)) == 5
        assert await let_through(limiter, 3, Counter("c", Rate(1, 60))) == 1

    @scenario
    async def test_exactly_as_many_of_those_that_come_at_once(self, world: LimiterWorld) -> None:
        """No race lets one more through, nor one fewer."""
        limiter = world.process()
        answers = await world.together(*(limiter.take([Counter("a", FIVE)]) for _ in range(40)))
        assert answers.count(None) == 5

    @scenario
    async def test_the_window_moves(self, world: LimiterWorld) -> None:
        """What is over for a minute counts no more, and no sooner: there is no edge at which two windows meet."""
        limiter = world.process()
        assert await let_through(limiter, 3, Counter("a", FIVE)) == 3
        await world.pass_time(40)
        assert await let_through(limiter, 9, Counter("a", FIVE)) == 2
        await world.pass_time(15)
        assert await let_through(limiter, 9, Counter("a", FIVE)) == 0
        await world.pass_time(6)
        assert await let_through(limiter, 9, Counter("a", FIVE)) == 3

    @scenario
    async def test_it_says_after_how_long(self, world: LimiterWorld) -> None:
        """Seconds until the oldest event that counts is over; then one is let through."""
        limiter = world.process()
        await let_through(limiter, 5, Counter("a", FIVE))
        await world.pass_time(20)
        wait_s = await limiter.take([Counter("a", FIVE)])
        assert wait_s is not None
        assert 30 < wait_s <= 41
        await world.pass_time(wait_s + 0.1)
        assert await limiter.take([Counter("a", FIVE)]) is None

    @scenario
    async def test_what_is_refused_is_not_counted(self, world: LimiterWorld) -> None:
        """Whoever goes on asking is not kept out for ever."""
        limiter = world.process()
        await let_through(limiter, 5, Counter("a", FIVE))
        await world.pass_time(30)
        await let_through(limiter, 50, Counter("a", FIVE))
        await world.pass_time(31)
        assert await let_through(limiter, 9, Counter("a", FIVE)) == 5

    @scenario
    async def test_several_counters_are_all_or_none(self, world: LimiterWorld) -> None:
        """The narrowest decides; one that is refused by another counter keeps its own count."""
        limiter = world.process()
        user, address = Counter("user", Rate(3, 60)), Counter("address", FIVE)
        assert await let_through(limiter, 9, user, address) == 3
        assert await let_through(limiter, 9, address) == 2
        other = Counter("other user", Rate(3, 60))
        assert await let_through(limiter, 9, other, address) == 0
        assert await let_through(limiter, 9, other) == 3

    @scenario
    async def test_no_counter_refuses_nothing(self, world: LimiterWorld) -> None:
        """Where every limit is off."""
        assert await world.process().take([]) is None

    @scenario
    async def test_processes_count_together_where_they_share(self, world: LimiterWorld) -> None:
        """Else each for itself."""
        one, other = world.process(), world.process()
        assert await let_through(one, 3, Counter("a", FIVE)) == 3
        assert await let_through(other, 9, Counter("a", FIVE)) == (2 if world.shared else 5)

    @scenario
    async def test_deployments_do_not_count_together(self, world: LimiterWorld) -> None:
        """Another shop's callers are none of ours."""
        assert await let_through(world.process(), 9, Counter("a", FIVE)) == 5
        assert await let_through(world.keep(world.make_stranger()), 9, Counter("a", FIVE)) == 5

    @pytest.mark.parametrize("name", ["a b", "é", "a/b", "*", "{x}", "x" * 500, "a\nb"])
    def test_a_name_is_only_a_name(self, world: LimiterWorld, name: str) -> None:
        """Whatever is in it."""

        async def counted() -> None:
            limiter = world.process()
            assert await let_through(limiter, 9, Counter(name, FIVE)) == 5
            assert await let_through(limiter, 9, Counter(f"{name}!", FIVE)) == 5

        world.run(counted())

    @scenario
    async def test_without_its_server_a_process_counts_for_itself(self, world: LimiterWorld) -> None:
        """Neither is everybody let through nor is anybody kept out."""
        limiter = world.make_unreachable()
        if limiter is None:
            pytest.skip("this limiter has no server")
        assert await let_through(world.keep(limiter), 20, Counter("a", FIVE)) == 5
