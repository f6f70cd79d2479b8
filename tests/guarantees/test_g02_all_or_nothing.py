"""G2: a handler's effects, the done-stamp and the outgoing event are one transaction; one fact is one effect.

The handlers' tables are in the database of PAYMENTS_DATABASE_URL, and written through `tx`: there is the guarantee.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from payments_core import PaymentSuccessful
from payments_core.domain.delivery import InboxState
from payments_core.domain.payment import PaymentState
from tests.flows.shop import own_session
from tests.guarantees.world import DONE, World, awaited
from tests.guarantees.worlds import SQLITE, with_sql

ROOT = Path(__file__).resolve().parents[2]
REFUND = "charge.refunded"


class HandlerFailed(Exception):
    """What a handler raises of its own."""


def paid(world: World) -> str:
    """A payment whose success is delivered and not yet handled; the event's id."""
    return world.deliver(DONE, own_session(world, world.checkout()))  # type: ignore[arg-type]


def nothing_but_the_attempt(world: World, event_id: str) -> None:
    """Assert that the event waits with one attempt, and that there is no other trace of it."""
    row = world.inbox(event_id)
    assert (row.state, row.attempts) == (InboxState.READY, 1)
    assert (world.effects(), world.database.transitions(), world.published()) == ([], [], [])
    assert world.state() is PaymentState.OPEN
    if world.database.is_sql:
        assert world.sql.query("SELECT * FROM shop_note") == []


def all_of_it_once(world: World, event_id: str) -> None:
    """Assert that the effect, the fact, the stamp and the outgoing event are there, once."""
    assert world.inbox(event_id).state is InboxState.DONE
    (event,) = world.published()
    assert world.effects() == [(event["eventId"], "payment.successful")]
    assert world.database.transitions() == [("settled", "")]
    assert world.state() is PaymentState.SETTLED


def note(tx: Any, number: int) -> Any:
    """A statement of the shop's."""
    return tx.session.execute(text(f"INSERT INTO shop_note (id, note) VALUES ({number}, 'written')"))


@with_sql
def test_effects_stamp_and_event_commit_at_one_instant(world: World) -> None:
    """While the handler runs others see nothing of it, not even the stamp; afterwards all is there."""
    seen: list[object] = []

    async def look(_: object, tx: Any) -> None:
        await awaited(note(tx, 1))
        seen.append((world.database.inbox()[event_id].state, world.database.outgoing(), world.effects()))

    def look_blocking(_: object, tx: Any) -> None:
        note(tx, 1)
        seen.append((world.database.inbox()[event_id].state, world.database.outgoing(), world.effects()))

    world.on(PaymentSuccessful, look if world.io == "async" else look_blocking)
    world.note_effects(PaymentSuccessful)
    event_id = paid(world)
    world.shop.work()
    assert seen == [(InboxState.LEASED, [], [])]
    all_of_it_once(world, event_id)
    assert world.sql.query("SELECT id FROM shop_note") == [(1,)]


def test_a_handler_that_raises_after_its_writes_leaves_only_the_attempt(world: World) -> None:
    """The first handler writes, the second fails: of neither is there a trace, and the next attempt does it all."""
    failures = [HandlerFailed("no")]
    if world.database.is_sql:
        world.note_effects(PaymentSuccessful)
    world.on(PaymentSuccessful, failing(failures))
    if not world.database.is_sql:
        world.note_effects(PaymentSuccessful)
    event_id = paid(world)
    world.shop.work()
    nothing_but_the_attempt(world, event_id)
    assert "HandlerFailed" in str(world.inbox(event_id).error)
    world.advance(60)
    world.shop.work()
    all_of_it_once(world, event_id)


@with_sql
@pytest.mark.parametrize("table", ["payments_outbox", "payments_transition"])
def test_what_the_library_cannot_write_undoes_the_handlers_writes(world: World, table: str) -> None:
    """The outgoing event or the fact is refused: the effect goes with it, and comes back with it."""
    world.note_effects(PaymentSuccessful)
    event_id = paid(world)
    world.sql.refuse(table, "NEW.event_id <> ''")
    world.shop.work()
    nothing_but_the_attempt(world, event_id)
    world.sql.accept(table)
    world.advance(60)
    world.shop.work()
    all_of_it_once(world, event_id)


@with_sql
def test_a_handler_that_commits_its_session_and_then_raises_leaves_only_the_attempt(world: World) -> None:
    """`tx.session.commit()` ends a savepoint, never the transaction."""

    async def commit_and_raise(_: object, tx: Any) -> None:
        await awaited(note(tx, 1))
        await awaited(tx.session.commit())
        await awaited(note(tx, 2))
        await awaited(tx.session.commit())
        raise HandlerFailed

    def commit_and_raise_blocking(_: object, tx: Any) -> None:
        for number in (1, 2):
            note(tx, number)
            tx.session.commit()
        raise HandlerFailed

    world.on(PaymentSuccessful, commit_and_raise if world.io == "async" else commit_and_raise_blocking)
    world.note_effects(PaymentSuccessful)
    event_id = paid(world)
    world.shop.work()
    nothing_but_the_attempt(world, event_id)


@with_sql
def test_a_handler_may_catch_an_integrity_error_and_stays_atomic(world: World) -> None:
    """The rest of it commits with everything else, once."""

    async def again(_: object, tx: Any) -> None:
        await awaited(note(tx, 1))
        nested = await tx.session.begin_nested()
        with pytest.raises(IntegrityError):
            await awaited(note(tx, 1))
        await nested.rollback()
        await awaited(note(tx, 2))

    def again_blocking(_: object, tx: Any) -> None:
        note(tx, 1)
        nested = tx.session.begin_nested()
        with pytest.raises(IntegrityError):
            note(tx, 1)
        nested.rollback()
        note(tx, 2)

    world.on(PaymentSuccessful, again if world.io == "async" else again_blocking)
    world.note_effects(PaymentSuccessful)
    event_id = paid(world)
    world.shop.work()
    all_of_it_once(world, event_id)
    assert world.sql.query("SELECT id FROM shop_note ORDER BY id") == [(1,), (2,)]


@with_sql
def test_a_caught_error_that_ended_the_transaction_is_a_failed_attempt(world: World) -> None:
    """Nothing could be committed then: the event waits with the reason, and the next attempt does it all."""
    taken = "INTO shop_note (id, note) VALUES (1, 'written')"
    ending = text(("INSERT OR ROLLBACK " if world.name in SQLITE else "INSERT ") + taken)
    tries: list[int] = []

    async def catch(_: object, tx: Any) -> None:
        tries.append(1)
        await awaited(tx.connection.execute(text("INSERT " + taken)))
        if len(tries) == 1:
            with pytest.raises(IntegrityError):
                await awaited(tx.connection.execute(ending))

    def catch_blocking(_: object, tx: Any) -> None:
        tries.append(1)
        tx.connection.execute(text("INSERT " + taken))
        if len(tries) == 1:
            with pytest.raises(IntegrityError):
                tx.connection.execute(ending)

    world.note_effects(PaymentSuccessful)
    world.on(PaymentSuccessful, catch if world.io == "async" else catch_blocking)
    event_id = paid(world)
    world.shop.work()
    nothing_but_the_attempt(world, event_id)
    assert "begin_nested" in str(world.inbox(event_id).error)
    world.advance(60)
    world.shop.work()
    all_of_it_once(world, event_id)
    assert world.sql.query("SELECT id FROM shop_note") == [(1,)]


@with_sql
def test_a_handler_that_ends_the_transaction_by_a_statement_of_its_own_has_failed(world: World) -> None:
    """`ROLLBACK` as text is nobody's to send: what was written is gone, and the event is tried again."""
    tries: list[int] = []

    async def end(_: object, tx: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            await awaited(tx.connection.exec_driver_sql("ROLLBACK"))

    def end_blocking(_: object, tx: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            tx.connection.exec_driver_sql("ROLLBACK")

    world.note_effects(PaymentSuccessful)
    world.on(PaymentSuccessful, end if world.io == "async" else end_blocking)
    event_id = paid(world)
    world.shop.work()
    nothing_but_the_attempt(world, event_id)
    world.advance(60)
    world.shop.work()
    all_of_it_once(world, event_id)


@with_sql
def test_a_process_that_dies_inside_a_handler_leaves_nothing_and_the_next_does_it_once(world: World) -> None:
    """A real process ends itself without a word between its handler's write and the commit."""
    world.note_effects(PaymentSuccessful)
    event_id = paid(world)
    dying = [sys.executable, "-m", "tests.guarantees.dying", world.io, world.sql.url, str(world.now_s)]
    ended = subprocess.run(dying, cwd=ROOT, env={**os.environ}, check=False, timeout=60)
    assert ended.returncode == 9
    assert (world.effects(), world.database.transitions(), world.published()) == ([], [], [])
    assert world.inbox(event_id).state is InboxState.LEASED
    assert world.shop.run_due() == 0
    world.advance(31)
    world.shop.work()
    all_of_it_once(world, event_id)
    assert world.inbox(event_id).attempts == 2


def test_two_event_ids_for_one_fact_are_one_effect(world: World) -> None:
    """Stripe documents two Event objects for one change: the fact is unique, not the event."""
    world.note_effects(PaymentSuccessful)
    subject = own_session(world, world.checkout())  # type: ignore[arg-type]
    first, second = world.deliver(DONE, subject), world.deliver(DONE, subject)
    world.shop.work()
    third = world.hear(DONE, subject)
    world.drain()
    assert {world.inbox(one).state for one in (first, second, third)} == {InboxState.DONE}
    all_of_it_once(world, first)


def test_one_event_delivered_often_is_one_effect(world: World) -> None:
    """At least once from Stripe, once in effect: before, while and after it is handled."""
    world.note_effects(PaymentSuccessful)
    body, event_id = world.event(DONE, own_session(world, world.checkout()))  # type: ignore[arg-type]
    for _ in range(3):
        assert world.post(body).status == 200
    world.shop.work()
    assert world.post(body).status == 200
    world.shop.work()
    all_of_it_once(world, event_id)
    assert world.inbox(event_id).attempts == 1


def test_two_partial_refunds_of_one_charge_are_two_facts(world: World) -> None:
    """Same charge, same type, two events: both reach the raw handler; the repeated delivery of one does not."""
    world.note_effects(REFUND)
    charge = {"id": "ch_1", "object": "charge", "amount": 5998, "refunded": False}
    first, first_id = world.event(REFUND, {**charge, "amount_refunded": 1000})
    second, second_id = world.event(REFUND, {**charge, "amount_refunded": 2000})
    for body in (first, second, first, second):
        assert world.post(body).status == 200
        world.shop.work()
    assert world.effects() == [(first_id, REFUND), (second_id, REFUND)]


def test_a_raw_handler_that_fails_is_run_again_with_nothing_left_of_the_first_run(world: World) -> None:
    """Raw handlers are in the same transaction as the fact of their event: none of it stays, then all of it does."""
    failures = [HandlerFailed("no")]
    world.on(DONE, failing(failures))
    world.note_effects(PaymentSuccessful)
    event_id = paid(world)
    world.shop.work()
    if world.database.is_sql:
        nothing_but_the_attempt(world, event_id)
    world.advance(60)
    world.told.clear()
    world.shop.work()
    all_of_it_once(world, event_id)


def failing(failures: list[HandlerFailed]) -> Any:
    """A handler that raises what is left in the list."""

    def fail(_: object, __: object) -> None:
        if failures:
            raise failures.pop()

    return fail
