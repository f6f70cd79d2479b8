"""What two workers can do to each other on PostgreSQL, one step at a time: chance runs would not show it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs
import pytest

from payments_core.adapters.sql import SqlStore, inbox, upgrade
from payments_core.adapters.sql.blocking import BlockingConnector
from payments_core.adapters.sql.faults import is_lost_race
from payments_core.adapters.sql.processes import BlockingEngines
from payments_core.adapters.sql.statements import Dialect
from payments_core.adapters.sql.urls import database_url
from payments_core.domain.delivery import ClaimedEvent
from payments_core.domain.refs import Ref
from payments_core.drive import run_blocking
from payments_core.errors import StoreUnavailable
from payments_core.testing.contracts.examples import MOMENT, claim_one, finish, payment, put_into_lane, received
from tests.store.worlds import LIMITS, PostgresWorld

T = TypeVar("T")


class Worker:
    """A worker with a connection pool of its own, whose claim can be held open."""

    def __init__(self, world: PostgresWorld) -> None:
        engines = BlockingEngines(database_url(world.url, "blocking"), LIMITS)
        self.connector = BlockingConnector(engines, None, lambda: MOMENT)
        self.dialect = Dialect("postgresql", lambda: MOMENT)
        self.store = SqlStore(self.connector)

    def claim_and(self, meanwhile: Callable[[], T]) -> tuple[list[ClaimedEvent], T]:
        """Claim, and do something else before the claim is committed."""

        async def claim() -> tuple[list[ClaimedEvent], T]:
            async with self.connector.transaction() as link:
                found = await inbox.claim_in(link, self.dialect, limit=20, lease_s=1000)
                return list(found), meanwhile()

        return run_blocking(claim())


@pytest.fixture
def world(postgres_url: str) -> PostgresWorld:
    """The blocking world on PostgreSQL."""
    upgrade(postgres_url)
    return PostgresWorld("blocking", postgres_url)


@contextmanager
def workers(world: PostgresWorld, count: int) -> Generator[list[Worker]]:
    """Workers, closed at the end."""
    made = [Worker(world) for _ in range(count)]
    try:
        yield made
    finally:
        for one in made:
            run_blocking(one.store.close())


def wait_until_blocked(world: PostgresWorld, running: Future[Any]) -> None:
    """Wait until some session of this database waits for another's transaction."""
    deadline = time.monotonic() + 180
    question = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while not world.query(question):
        assert not running.done(), f"it did not wait, but answered {running.result()!r}"
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)


def an_older_event_that_becomes_due(world: PostgresWorld, store: SqlStore) -> Callable[[], None]:
    """Two events of a lane: the younger is due, the older only after the returned function was called."""
    run_blocking(put_into_lane(store, "older", "p1", delay_s=5000))
    run_blocking(put_into_lane(store, "younger", "p1"))
    wake = "UPDATE payments_inbox SET next_at = now() WHERE event_id = 'older'"
    return lambda: world.query(wake).clear()


def test_two_claims_of_one_lane_meet_at_the_index(world: PostgresWorld) -> None:
    """An older event becomes due while the younger one's lease is open: the second claim waits and gets nothing."""
    with workers(world, 2) as (first, second), ThreadPoolExecutor(1) as thread:
        wake = an_older_event_that_becomes_due(world, first.store)

        def meanwhile() -> Future[Any]:
            wake()
            running = thread.submit(run_blocking, second.store.claim(limit=20, lease_s=1000))
            wait_until_blocked(world, running)
            return running

        taken, running = first.claim_and(meanwhile)
        assert [event.event_id for event in taken] == ["younger"]
        assert list(running.result(timeout=20)) == []
        assert run_blocking(finish(first.store, taken[0]))
        assert run_blocking(claim_one(second.store)).event_id == "older"


def test_without_the_index_both_would_have_the_lane(world: PostgresWorld) -> None:
    """The same steps without the index lease both: SKIP LOCKED does not keep two workers out of one lane."""
    world.query("DROP INDEX payments_inbox_one_per_lane")
    with workers(world, 2) as (first, second):
        wake = an_older_event_that_becomes_due(world, first.store)

        def meanwhile() -> list[ClaimedEvent]:
            wake()
            return list(run_blocking(second.store.claim(limit=20, lease_s=1000)))

        taken, also_taken = first.claim_and(meanwhile)
        assert [event.event_id for event in taken] == ["younger"]
        assert [event.event_id for event in also_taken] == ["older"]


def test_a_claim_that_is_rolled_back_lets_the_other_have_the_lane(world: PostgresWorld) -> None:
    """A worker that dies before its claim commits leaves nothing: the one that waited is served."""
    with workers(world, 2) as (first, second), ThreadPoolExecutor(1) as thread:
        wake = an_older_event_that_becomes_due(world, first.store)
        waiting: list[Future[Any]] = []

        def meanwhile() -> None:
            wake()
            waiting.append(thread.submit(run_blocking, second.store.claim(limit=20, lease_s=1000)))
            wait_until_blocked(world, waiting[0])
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            first.claim_and(meanwhile)
        assert [event.event_id for event in waiting[0].result(timeout=20)] == ["older"]


def test_a_claim_passes_over_what_another_is_claiming(world: PostgresWorld) -> None:
    """Claimants of different lanes do not wait for each other."""
    with workers(world, 2) as (first, second):
        for number in range(3):
            run_blocking(first.store.receive(received(f"evt_{number}")))

        def meanwhile() -> list[ClaimedEvent]:
            run_blocking(second.store.receive(received("evt_new")))
            return list(run_blocking(second.store.claim(limit=20, lease_s=1000)))

        taken, others = first.claim_and(meanwhile)
        assert [event.event_id for event in taken] == ["evt_0", "evt_1", "evt_2"]
        assert [event.event_id for event in others] == ["evt_new"]


def test_an_event_being_completed_is_not_taken_over(world: PostgresWorld) -> None:
    """Its lease ran out while its transaction was open: others pass it by, and the late stamp counts."""
    with workers(world, 2) as (first, second):
        run_blocking(first.store.receive(received("evt_1")))
        claimed = run_blocking(claim_one(first.store, lease_s=10))
        run_blocking(world.pass_time(11))

        async def complete() -> bool:
            async with first.store.transaction() as tx:
                stamped = await tx.stamp_done(claimed)
                assert not await second.store.claim(limit=20, lease_s=30)
                return stamped

        assert run_blocking(complete())
        assert not run_blocking(second.store.claim(limit=20, lease_s=30))


def test_a_stamp_that_waited_for_a_takeover_is_refused(world: PostgresWorld) -> None:
    """The zombie wakes while another worker's claim is being committed: it waits, and then its token is old."""
    with workers(world, 2) as (zombie, second), ThreadPoolExecutor(1) as thread:
        run_blocking(zombie.store.receive(received("evt_1")))
        claimed = run_blocking(claim_one(zombie.store, lease_s=10))
        run_blocking(world.pass_time(11))

        def meanwhile() -> Future[Any]:
            running = thread.submit(run_blocking, finish(zombie.store, claimed))
            wait_until_blocked(world, running)
            return running

        taken, running = second.claim_and(meanwhile)
        assert running.result(timeout=20) is False
        assert run_blocking(finish(second.store, taken[0]))


def test_a_locker_waits_for_the_holder_and_sees_what_it_wrote(world: PostgresWorld) -> None:
    """The row lock: the second transaction reads the payment only when the first has committed."""
    with workers(world, 2) as (first, second), ThreadPoolExecutor(1) as thread:
        run_blocking(first.store.add_payment(payment("p1")))

        async def read() -> str | None:
            async with second.store.transaction() as tx:
                return (await tx.lock_payment("p1")).user_id

        async def hold() -> Future[str | None]:
            async with first.store.transaction() as tx:
                known = await tx.lock_payment("p1")
                running = thread.submit(run_blocking, read())
                wait_until_blocked(world, running)
                # While it is locked, news may still be linked to the payment: names need no lock on its row.
                assert await second.store.adopt(payment("p2"), [Ref("charge", "ch_1")]) == "p2"
                await tx.save_payment(attrs.evolve(known, user_id="written by the holder"))
                return running

        assert run_blocking(hold()).result(timeout=20) == "written by the holder"


@pytest.mark.parametrize(("ending", "owner"), [("commit", "theirs"), ("rollback", "ours")])
def test_an_adopter_waits_for_a_rival_and_then_decides(world: PostgresWorld, ending: str, owner: str) -> None:
    """Another's insert of one of the names is open: if it commits, its payment is the one; if not, ours is."""
    refs = [Ref("session", "cs_1"), Ref("payment_intent", "pi_1")]
    with workers(world, 1) as (ours,), world.connect() as rival, ThreadPoolExecutor(1) as thread:
        rival.execute(
            "INSERT INTO payments_payment (payment_id, created_at, livemode, state, origin)"
            " VALUES ('theirs', now(), false, 'open', 'here')"
        )
        rival.execute("INSERT INTO payments_ref VALUES ('', false, 'payment_intent', 'pi_1', 'theirs')")
        running = thread.submit(run_blocking, ours.store.adopt(payment("ours"), refs))
        wait_until_blocked(world, running)
        getattr(rival, ending)()
        assert running.result(timeout=20) == owner
        assert world.query("SELECT payment_id FROM payments_payment") == [(owner,)]
        assert world.query("SELECT DISTINCT payment_id FROM payments_ref") == [(owner,)]


def test_the_loser_is_told_inside_its_claim(world: PostgresWorld) -> None:
    """What the retry of `claim` rests on: the violation comes out of the statement itself."""
    with workers(world, 2) as (first, second), ThreadPoolExecutor(1) as thread:
        wake = an_older_event_that_becomes_due(world, first.store)

        def meanwhile() -> Future[Any]:
            wake()
            running = thread.submit(second.claim_and, lambda: None)
            wait_until_blocked(world, running)
            return running

        _, running = first.claim_and(meanwhile)
        with pytest.raises(StoreUnavailable) as told:
            running.result(timeout=20)
        assert is_lost_race(told.value)
