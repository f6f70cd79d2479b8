"""Two requests for one checkout, one step at a time: every order of their steps, every place to die, on each store.

A chance run would pass without the unique name and without the holder; these do not.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from payments_core import IdempotencyConflict, IdempotencyInProgress, StripeError
from payments_core.adapters.sql import upgrade
from payments_core.domain.opening import LEASE_S
from payments_core.drive import run_blocking
from tests.openings.stage import Request, Stage, Stripe, order_of
from tests.store.worlds import MemoryWorld, PostgresWorld, SqliteWorld, SqlWorld

T = TypeVar("T")

#: Claim, begin, create, at Stripe, finish.
STEPS = 5
#: Every order in which two requests of so many steps can go.
ORDERS = [
    tuple(int(place in firsts) for place in range(2 * STEPS))
    for firsts in itertools.combinations(range(2 * STEPS), STEPS)
]


class Theatre:
    """Stages on one database, a new Stripe and a new key for each; time passes for all."""

    def __init__(self, world: MemoryWorld | SqlWorld) -> None:
        self.world = world
        self.store = world.make(owes_broker=False)
        run_blocking(self.store.prepare())
        self.is_server = isinstance(world, PostgresWorld)
        self._numbers = itertools.count(1)
        self._stripe = Stripe(self.now_s)

    @property
    def orders(self) -> list[tuple[int, ...]]:
        """Every order of two requests in memory; of those, one in twelve where each step is a commit on disk."""
        return self.some(ORDERS, 12)

    def some(self, cases: Iterable[T], one_in: int) -> list[T]:
        """All cases in memory, and one in so many elsewhere."""
        return list(cases)[:: 1 if isinstance(self.world, MemoryWorld) else one_in]

    def now_s(self) -> float:
        """The database's time, which is Stripe's."""
        return time.time() if self.is_server else self.world.clock().timestamp()

    def stage(self) -> tuple[Stage, str]:
        """A stage, and a key or user that nobody has used."""
        run = next(self._numbers)
        self._stripe = Stripe(self.now_s)
        # Ids are unique in the database, in which all stages play.
        return Stage(self.store, self._stripe, self.world.clock, first_id=run * 1_000_000), f"order-{run}"

    def pass_time(self, seconds: float) -> None:
        run_blocking(self.world.pass_time(seconds))
        if self.is_server:
            self._stripe.grow_older(seconds)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def theatre(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Theatre]:
    """The blocking world of each store: a step is one transaction."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_url")
        upgrade(url)
        world: MemoryWorld | SqlWorld = PostgresWorld("blocking", url)
    else:
        world = MemoryWorld("blocking") if request.param == "memory" else SqliteWorld("blocking", tmp_path)
    made = Theatre(world)
    yield made
    run_blocking(made.store.close())


def play(first: Request, second: Request, turns: tuple[int, ...]) -> None:
    """Step by step in that order, then each to its end."""
    for turn in turns:
        (first, second)[turn].step()
    first.finish()
    second.finish()


def test_every_order_of_two_requests_with_one_key_makes_one_session(theatre: Theatre) -> None:
    """Both get it, or one is told to come again and then gets it."""
    for turns in theatre.orders:
        stage, key = theatre.stage()
        first, second = stage.ask(key=key), stage.ask(key=key)
        play(first, second, turns)
        for one in (first, second):
            assert one.result is not None or isinstance(one.error, IdempotencyInProgress), turns
        third = stage.ask(key=key)
        third.finish()
        assert len(stage.stripe.made) == 1
        assert {one.result for one in (first, second, third) if one.result} == {third.result}


def test_every_order_of_two_clicks_of_one_user_makes_one_session(theatre: Theatre) -> None:
    """Without a key the second waits, and both get it."""
    for turns in theatre.orders:
        stage, user = theatre.stage()
        first, second = stage.ask(user_id=user), stage.ask(user_id=user)
        play(first, second, turns)
        third = stage.ask(user_id=user)
        third.finish()
        assert len(stage.stripe.made) == 1, turns
        assert {one.result for one in (first, second, third) if one.result} == {third.result}
        assert first.result is not None or second.result is not None


def test_every_order_of_two_orders_with_one_key_lets_one_of_them_have_it(theatre: Theatre) -> None:
    """The other is a conflict, whoever comes first, and is never given the first one's session."""
    for turns in theatre.orders:
        stage, key = theatre.stage()
        requests = {order: stage.ask(key=key, order=order) for order in ("a", "b")}
        play(requests["a"], requests["b"], turns)
        served = {order: one.result for order, one in requests.items() if one.result is not None}
        assert len(served) == len(stage.stripe.made) == 1, turns
        assert all(order_of(stage.stripe, session) == order for order, session in served.items())
        (refused,) = (one.error for one in requests.values() if one.result is None)
        assert isinstance(refused, IdempotencyConflict)


@pytest.mark.parametrize("fault", ["", "cut after", "500 before", "500 after"])
def test_a_worker_may_die_at_any_step(theatre: Theatre, fault: str) -> None:
    """Its request at Stripe is carried out or not: whoever comes after the lease has the one session."""
    for died_after in range(STEPS + 2):
        stage, key = theatre.stage()
        stage.stripe.faults = [fault] if fault else []
        dead = stage.ask(key=key)
        for _ in range(died_after):
            dead.step()
        dead.kill()
        stage.stripe.finish_what_arrived()
        theatre.pass_time(LEASE_S + 1)
        session = until_given(stage, key)
        assert len(stage.stripe.made) == 1, (died_after, dead.at)
        assert session == stage.stripe.made[0]["id"]


@pytest.mark.parametrize("fault", ["", "cut after", "500 before", "500 after", "limited", "refused"])
def test_a_zombie_may_wake_up_at_any_step(theatre: Theatre, fault: str) -> None:
    """It froze past its lease; another took over and stands at any step when it goes on. One session, one answer."""
    for froze_after, meanwhile in theatre.some(itertools.product(range(1, STEPS + 1), range(1, STEPS + 3)), 3):
        stage, key = theatre.stage()
        stage.stripe.faults = [fault] if fault else []
        zombie, other = stage.ask(key=key), stage.ask(key=key)
        for _ in range(froze_after):
            zombie.step()
        theatre.pass_time(LEASE_S + 1)
        for _ in range(meanwhile):
            other.step()
        zombie.finish()
        other.finish()
        theatre.pass_time(LEASE_S + 1)
        session = until_given(stage, key)
        assert len(stage.stripe.made) == 1, (froze_after, meanwhile)
        for one in (zombie, other):
            assert one.result is None or one.result.session_id == session
            assert one.error is None or isinstance(one.error, (IdempotencyInProgress, StripeError))


def test_a_day_later_two_requests_find_what_a_dead_one_has_made(theatre: Theatre) -> None:
    """Stripe may have forgotten the key; the session is open for a little while yet, and is found."""
    for turns in theatre.orders:
        stage, key = theatre.stage()
        dead = stage.ask(key=key)
        while dead.at != "finish":
            dead.step()
        dead.kill()
        theatre.pass_time(23.5 * 3600)
        play(stage.ask(key=key), stage.ask(key=key), turns)
        assert until_given(stage, key) == "cs_1"
        assert len(stage.stripe.made) == 1, turns


def until_given(stage: Stage, key: str) -> str:
    """Repeat the request as its buyer would; the session's id."""
    for _ in range(6):
        asked = stage.ask(key=key)
        asked.finish()
        if asked.result is not None:
            return asked.result.session_id
    raise AssertionError(f"never answered: {asked.error!r}")
