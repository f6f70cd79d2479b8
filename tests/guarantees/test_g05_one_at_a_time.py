"""G5: events of one payment run one at a time, different payments in parallel; what overtakes its cause is parked.

Chance runs pass without the index that guarantees it, so the interleaving is made by hand: the database itself holds a
worker's claim open just before its commit (a deferred trigger that waits for an advisory lock of the test's). With the
index dropped the same steps lease two events of one payment: the control.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from payments_core import PaymentFailed, PaymentSuccessful
from payments_core.domain.delivery import InboxState
from tests.flows.shop import declined, intent, own_intent, own_session
from tests.guarantees.databases import PostgresDatabase
from tests.guarantees.world import DONE, World, awaited
from tests.guarantees.worlds import on_postgresql

FAILED = "payment_intent.payment_failed"
WAKE_UP = "payment_intent.succeeded"
HELD = 20261123
PATIENCE_S = 30.0


@on_postgresql
def test_two_workers_that_reach_for_one_payment_get_one_event_of_it(world: World) -> None:
    """The older event becomes due while the younger one's claim is not committed: the second worker gets nothing."""
    in_handler, go_on = threading.Event(), threading.Event()
    other, wake_older = an_interleaving(world, in_handler, go_on)
    with held_claim(world) as release, ThreadPoolExecutor(2) as threads:
        first = threads.submit(world.shop.run_due)
        wait_for_waiters(world, 1, first)
        wake_older()
        second = threads.submit(other.run_due)
        wait_for_waiters(world, 2, second)
        release()
        try:
            assert second.result(PATIENCE_S) == 0
            assert in_handler.wait(PATIENCE_S)
            assert leased(world) == 1
            assert other.run_due() == 0
        finally:
            go_on.set()
        assert first.result(PATIENCE_S) == 1
    assert other.run_due() == 1
    assert sorted(world.database.transitions()) == [("attempt_failed", "ch_older"), ("attempt_failed", "ch_younger")]


@on_postgresql
def test_control_without_the_index_both_workers_get_an_event_of_one_payment(world: World) -> None:
    """The same steps; SKIP LOCKED alone does not keep the second worker out."""
    world.sql.script("DROP INDEX payments_inbox_one_per_lane")
    go_on = threading.Event()
    go_on.set()
    other, wake_older = an_interleaving(world, threading.Event(), go_on)
    with held_claim(world) as release, ThreadPoolExecutor(1) as threads:
        first = threads.submit(world.shop.run_due)
        wait_for_waiters(world, 1, first)
        wake_older()
        assert other.run_due() == 1
        release()
        assert first.result(PATIENCE_S) == 1


def test_while_one_event_of_a_payment_is_in_hand_another_waits_and_uses_no_attempt(world: World) -> None:
    """The first worker waits for Stripe; the second finds the payment busy and gives its event back."""
    other = world.deploy()
    for deployment in (world.shop, other):
        world.note_effects(PaymentSuccessful, PaymentFailed, deployment=deployment)
    opened = world.checkout()
    failed = own_intent(world, opened, declined("ch_1"))  # type: ignore[arg-type]
    own_session(world, opened)  # type: ignore[arg-type]
    world.deliver(WAKE_UP, own_intent(world, opened, intent()))  # type: ignore[arg-type]
    seen: list[Any] = []

    def meanwhile() -> None:
        waiting = world.deliver(FAILED, failed, by=other)
        other.run_due()
        seen.append((world.inbox(waiting).state, world.inbox(waiting).attempts, world.effects()))

    world.gateway.meanwhile = meanwhile
    world.shop.run_due()
    assert seen == [(InboxState.READY, 0, [])]
    assert [kind for _, kind in world.effects()] == ["payment.successful"]
    world.advance(1)
    other.work()
    assert world.kinds() == ["payment.successful"]
    assert world.database.transitions() == [("attempt_failed", "ch_1"), ("settled", "")]


def test_another_payment_is_handled_while_one_is_in_hand(world: World) -> None:
    """A payment that waits for Stripe holds up nobody else's."""
    other = world.deploy()
    for deployment in (world.shop, other):
        world.note_effects(PaymentSuccessful, deployment=deployment)
    slow, fast = world.checkout(), world.checkout()
    own_session(world, slow)  # type: ignore[arg-type]
    world.deliver(WAKE_UP, own_intent(world, slow, intent()))  # type: ignore[arg-type]
    paid = own_session(world, fast, payment_intent="pi_2")  # type: ignore[arg-type]
    seen: list[int] = []

    def meanwhile() -> None:
        world.deliver(DONE, paid, by=other)
        other.run_due()
        seen.append(len(world.effects()))

    world.gateway.meanwhile = meanwhile
    world.shop.run_due()
    assert (seen, len(world.effects())) == ([1], 2)


@pytest.mark.parametrize("world", ["postgresql-async"], indirect=True)
def test_one_asynchronous_worker_handles_two_payments_at_once(world: World) -> None:
    """Each handler waits for the other to begin: handled one after another they would never end."""
    begun: list[str] = []
    both = asyncio.Event()

    async def handler(event: PaymentSuccessful, _: object) -> None:
        begun.append(event.payment_id)
        if len(begun) == 2:
            both.set()
        await asyncio.wait_for(both.wait(), PATIENCE_S)

    world.on(PaymentSuccessful, handler)
    for number in range(2):
        opened = world.checkout()
        world.deliver(DONE, own_session(world, opened, payment_intent=f"pi_{number}"))  # type: ignore[arg-type]
    assert world.shop.run_due() == 2
    assert len(world.published()) == 2


def test_an_event_that_overtakes_its_cause_is_parked_and_holds_up_nobody(world: World) -> None:
    """It uses no attempt; its cause, which belongs to the same payment, is handled at once."""
    world.note_effects(PaymentSuccessful)
    opened = world.checkout()
    early = world.hear(WAKE_UP, own_intent(world, opened, intent()))  # type: ignore[arg-type]
    parked = world.inbox(early)
    assert (parked.state, parked.attempts, world.effects()) == (InboxState.PARKED, 0, [])
    cause = world.hear(DONE, own_session(world, opened))  # type: ignore[arg-type]
    assert (world.inbox(cause).state, len(world.effects())) == (InboxState.DONE, 1)
    world.drain()
    assert (world.inbox(early).state, len(world.effects())) == (InboxState.DONE, 1)


def test_an_event_in_backoff_does_not_hold_up_its_payment(world: World) -> None:
    """Order within a payment is best effort: the state machine makes every order end the same."""
    failures = [ArithmeticError()]
    opened = world.checkout()
    failed = own_intent(world, opened, declined("ch_1"))  # type: ignore[arg-type]
    world.on(PaymentFailed, lambda *_: raise_one(failures))
    waiting = world.hear(FAILED, failed)
    world.hear(DONE, own_session(world, opened))  # type: ignore[arg-type]
    assert (world.inbox(waiting).state, world.kinds()) == (InboxState.READY, ["payment.successful"])
    world.drain()
    assert world.kinds() == ["payment.successful"]
    assert ("attempt_failed", "ch_1") in world.database.transitions()


def raise_one(failures: list[ArithmeticError]) -> None:
    """Raise what is left."""
    if failures:
        raise failures.pop()


def an_interleaving(world: World, in_handler: threading.Event, go_on: threading.Event) -> tuple[Any, Any]:
    """Two failed events of one payment, of which the younger is due; the second worker, and what wakes the older.

    The handler says that it has begun, and goes on when it is told to.
    """
    failures = [ArithmeticError(), ArithmeticError()]
    other = world.deploy()

    def wait() -> None:
        in_handler.set()
        assert go_on.wait(PATIENCE_S)

    def handle(*_: object) -> Any:
        raise_one(failures)
        return asyncio.to_thread(wait) if world.io == "async" else wait()

    async def handle_async(*_: object) -> None:
        await awaited(handle())

    for deployment in (world.shop, other):
        world.on(PaymentFailed, handle_async if world.io == "async" else handle, deployment)
    opened = world.checkout()
    for name in ("older", "younger"):
        failed = own_intent(world, opened, declined(f"ch_{name}"))  # type: ignore[arg-type]
        world.hear(FAILED, failed, id=f"evt_{name}")
    assert [row.attempts for row in world.database.inbox().values()] == [1, 1]
    world.sql.query("UPDATE payments_inbox SET next_at = now() + interval '1 day' WHERE event_id = 'evt_older'")
    world.sql.query("UPDATE payments_inbox SET next_at = now() WHERE event_id = 'evt_younger'")
    wake = "UPDATE payments_inbox SET next_at = now() WHERE event_id = 'evt_older'"
    return other, lambda: world.sql.query(wake)


@contextmanager
def held_claim(world: World) -> Generator[Any]:
    """While this is open, the claim of `evt_younger` waits before its commit; what releases it."""
    world.sql.script(
        f"CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN PERFORM pg_advisory_xact_lock({HELD}); RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER hold AFTER UPDATE ON payments_inbox DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
        " WHEN (NEW.event_id = 'evt_younger' AND OLD.state = 0 AND NEW.state = 1) EXECUTE FUNCTION hold()",
    )
    assert isinstance(world.database, PostgresDatabase)
    with world.database.connect() as holder:
        holder.execute(f"SELECT pg_advisory_lock({HELD})".encode())
        yield lambda: holder.execute(f"SELECT pg_advisory_unlock({HELD})".encode())


def wait_for_waiters(world: World, count: int, running: Future[int]) -> None:
    """Wait until so many sessions wait for another's lock."""
    deadline = time.monotonic() + PATIENCE_S
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while world.sql.query(waiting)[0][0] < count:
        assert not running.done(), f"it did not wait, and took {running.result()} event(s)"
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)


def leased(world: World) -> int:
    """How many events are leased, as others see it."""
    return int(world.sql.query("SELECT count(*) FROM payments_inbox WHERE state = 1")[0][0])
