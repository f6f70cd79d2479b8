"""However reads, answers, changes and losses interleave: a price that was asked for before a change is never read
after it.

The model is a number that grows with every change of the catalogue. A process looks into the cache, asks Stripe (that
is: notes the number), and writes later, or never. Whatever any process reads must be the number of now.
"""

from __future__ import annotations

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from payments_core.domain.pricing import CatalogPrice
from payments_core.drive import run_blocking
from payments_core.ports import PriceCache
from tests.prices.worlds import MemoryWorld, RedisWorld

PROCESSES = st.integers(0, 2)
NAMES = st.sampled_from(["tee", "mug"])


class Machine(RuleBasedStateMachine):
    """Three processes over one catalogue. `world` is set by the test."""

    world: MemoryWorld | RedisWorld

    @initialize()
    def open(self) -> None:
        self.caches: list[PriceCache] = [self.world.make() for _ in range(3)]
        if not self.world.shared:
            # A cache of one process: what the others have is bounded by time alone, and not this machine's subject.
            self.caches = self.caches[:1] * 3
        self.now = 0
        self.pending: list[tuple[int, str | None, str, int]] = []
        self.lose_everything()
        run_blocking(self.caches[0].forget())

    @rule(process=PROCESSES, name=NAMES)
    def ask(self, process: int, name: str) -> None:
        """A miss: the generation is seen, then Stripe is asked."""
        found = run_blocking(self.caches[process].read([name]))
        self.pending.append((process, found.generation, name, self.now))

    @rule(which=st.integers(0, 20))
    def answer(self, which: int) -> None:
        """Some answer arrives, in whatever order."""
        if self.pending:
            process, generation, name, told = self.pending.pop(which % len(self.pending))
            run_blocking(self.caches[process].write(generation, {name: CatalogPrice("price_1", {"usd": told})}))

    @rule(process=PROCESSES)
    def change(self, process: int) -> None:
        """The catalogue changes, and some process handles the webhook."""
        self.now += 1
        run_blocking(self.caches[process].forget())

    @rule()
    def lose_everything(self) -> None:
        """FLUSHALL; a process's own memory is lost with the process."""
        if isinstance(self.world, RedisWorld):
            with redis.Redis.from_url(self.world.url) as client:
                client.flushdb()

    @rule()
    def lose_the_generation(self) -> None:
        """Eviction takes single keys."""
        if isinstance(self.world, RedisWorld):
            with redis.Redis.from_url(self.world.url) as client:
                client.delete(*client.keys("*:generation") or ["none"])

    @invariant()
    def nothing_old_is_read(self) -> None:
        """By no process, under no name."""
        for cache in getattr(self, "caches", []):
            for kept in run_blocking(cache.read(["tee", "mug"])).entries.values():
                assert kept.price.units["usd"] == self.now


@pytest.fixture(params=["memory", "redis"])
def world(request: pytest.FixtureRequest) -> MemoryWorld | RedisWorld:
    if request.param == "memory":
        return MemoryWorld("blocking")
    return RedisWorld("blocking", request.getfixturevalue("redis_url"))


def test_a_price_from_before_a_change_is_never_read_after_it(world: MemoryWorld | RedisWorld) -> None:
    """Any number of processes, any order, and a server that loses its keys."""
    machine = type("Here", (Machine,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
