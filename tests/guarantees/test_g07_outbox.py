"""G7, its half in the database: what the world must be told is owed until it is published, in order per key.

What the relay rests on is shown here, and the relay itself in `test_g07_relay`: rows of one key are in the order of
their commits, a row that commits late is neither lost nor skipped, and everything stays owed while nobody
publishes. A reader here does what a relay does: takes what is unpublished, by id, and marks it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from payments_core import PaymentFailed, PaymentSuccessful
from payments_core.ports import StoreTransaction
from payments_core.testing.contracts.examples import outgoing, payment
from tests.flows.shop import declined, own_intent, own_session
from tests.guarantees.databases import PostgresDatabase
from tests.guarantees.world import DONE, World
from tests.guarantees.worlds import on_postgresql, tries, with_sql

BROKER = "127.0.0.1:9092"
HELD = 20261124
PATIENCE_S = 30.0


class Reader:
    """What a relay does to the outbox, but for sending."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.read: list[tuple[str, str]] = []

    def look(self) -> list[str]:
        """Take what is owed and mark it published; the event ids."""
        found = self._world.sql.query(
            "SELECT id, key, event_id FROM payments_outbox WHERE published_at IS NULL AND owed ORDER BY part, id"
        )
        for row_id, key, event_id in found:
            self._world.sql.query("UPDATE payments_outbox SET published_at = created_at WHERE id = ?", row_id)
            self.read.append((key, event_id))
        return [event_id for _, _, event_id in found]


def test_the_facts_of_a_payment_have_one_key_and_the_order_of_their_commits(world: World) -> None:
    """Two declines and a success, told apart and in this order, whatever other payments do in between."""
    others: list[str] = []
    opened = world.checkout()
    world.note_effects(PaymentFailed, PaymentSuccessful)
    for charge in ("ch_1", "ch_2", "paid"):
        other = world.checkout()
        if charge == "paid":
            world.hear(DONE, own_session(world, opened))  # type: ignore[arg-type]
        else:
            failed = own_intent(world, opened, declined(charge, decline_code=charge))  # type: ignore[arg-type]
            world.hear("payment_intent.payment_failed", failed)
        others.append(f"pi_{charge}")
        world.hear(DONE, own_session(world, other, payment_intent=f"pi_{charge}"))  # type: ignore[arg-type]
    ours = [event for key, event in world.database.outgoing() if key == "pi_1"]
    told = {event["eventId"]: event for event in world.published()}
    assert [told[one]["data"].get("reason", "paid") for one in ours] == ["ch_1", "ch_2", "paid"]
    assert [fact for fact, _ in world.effects()] == [event for _, event in world.database.outgoing()]
    assert sorted({key for key, _ in world.database.outgoing()}) == sorted(["pi_1", *others])


def test_everything_stays_owed_while_nobody_publishes(world: World) -> None:
    """With a broker named the backlog grows, is shown by /ready, and outlives time and restarts."""
    web = world.deploy(kafka_brokers=BROKER)
    for number in range(3):
        opened = world.checkout()
        world.deliver(DONE, own_session(world, opened, payment_intent=f"pi_{number}"))  # type: ignore[arg-type]
        web.work()
    world.advance(30 * 24 * 3600)
    successor = world.deploy(kafka_brokers=BROKER)
    for deployment in (web, successor):
        health = deployment.wait(deployment.payments.core.store.health())
        assert health.outbox_backlog == 3
    assert len(world.published()) == 3


def test_without_a_broker_events_are_kept_and_are_no_backlog(world: World) -> None:
    """Handlers run at settlement, broker or not; nothing is owed that nobody asked for."""
    world.note_effects(PaymentSuccessful)
    world.hear(DONE, own_session(world, world.checkout()))  # type: ignore[arg-type]
    assert (len(world.published()), len(world.effects())) == (1, 1)
    assert world.ready()["outboxBacklog"] == 0


@with_sql
def test_what_is_owed_is_found_once_and_in_order(world: World) -> None:
    """A reader by state finds each row once, as it is committed."""
    web, reader = world.deploy(kafka_brokers=BROKER), Reader(world)
    for number in range(4):
        opened = world.checkout()
        world.deliver(DONE, own_session(world, opened, payment_intent=f"pi_{number % 2}"))  # type: ignore[arg-type]
        web.work()
        assert len(reader.look()) == 1
    assert reader.read == world.database.outgoing()
    assert reader.look() == []


@on_postgresql
def test_a_row_with_a_lower_id_that_commits_later_is_not_skipped(world: World) -> None:
    """Ids are given before the commit. A reader by state finds the late row; one by id never would: the control."""
    first, second = (world.deploy(kafka_brokers=BROKER) for _ in range(2))
    release = hold_commit(world, "pi_slow")
    reader = Reader(world)
    with ThreadPoolExecutor(1) as threads:
        slow = world.checkout()
        world.deliver(DONE, own_session(world, slow, payment_intent="pi_slow"))  # type: ignore[arg-type]
        running = threads.submit(first.work)
        wait_for_a_waiter(world)
        quick = world.checkout()
        world.deliver(DONE, own_session(world, quick, payment_intent="pi_quick"))  # type: ignore[arg-type]
        second.work()
        assert len(reader.look()) == 1
        cursor = world.sql.query("SELECT max(id) FROM payments_outbox")[0][0]
        release()
        running.result(PATIENCE_S)
    assert world.sql.query("SELECT key FROM payments_outbox WHERE id > ?", cursor) == []
    assert len(reader.look()) == 1
    assert [key for key, _ in reader.read] == ["pi_quick", "pi_slow"]
    assert [key for key, _ in world.database.outgoing()] == ["pi_slow", "pi_quick"]


@on_postgresql
def test_of_many_interleavings_none_loses_a_row_or_the_order_of_a_key(world: World) -> None:
    """Up to four transactions open at once, ended in any order, some rolled back, with readers in between (C17)."""
    relayed = world.deploy(kafka_brokers=BROKER)

    @tries(15, 1000)
    @given(st.integers(0, 2**32))
    def interleave(seed: int) -> None:
        world.database.empty()
        relayed.wait(an_interleaving(world, relayed.payments.core.store, random.Random(seed)))  # noqa: S311 - no secret

    interleave()


async def an_interleaving(world: World, store: Any, dice: random.Random) -> None:
    """Facts of four payments, each payment's one after another as its lock demands, in transactions that overlap."""
    names = [f"p{number}" for number in range(4)]
    for name in names:
        await store.add_payment(payment(name))
    opened: dict[str, tuple[AsyncExitStack, str]] = {}
    committed: list[tuple[str, str]] = []
    reader, count = Reader(world), 0
    for _ in range(24):
        name = dice.choice(names)
        if name not in opened:
            count += 1
            stack = AsyncExitStack()
            tx: StoreTransaction = await stack.enter_async_context(store.transaction())
            await tx.lock_payment(name)
            await tx.enqueue([outgoing(f"fact-{count}", key=name)])
            opened[name] = (stack, f"fact-{count}")
        else:
            await end(opened, name, committed if dice.random() < 0.8 else None)
        if dice.random() < 0.3:
            reader.look()
    for name in list(opened):
        await end(opened, name, committed)
    reader.look()
    assert sorted(reader.read) == sorted(committed)
    for name in names:
        assert [one for one in reader.read if one[0] == name] == [one for one in committed if one[0] == name]


class Undone(Exception):
    """Ends a transaction without a commit."""


async def end(
    opened: dict[str, tuple[AsyncExitStack, str]], name: str, committed: list[tuple[str, str]] | None
) -> None:
    """Commit the payment's transaction, or roll it back."""
    stack, event_id = opened.pop(name)
    if committed is not None:
        await stack.aclose()
        committed.append((name, event_id))
        return
    with suppress(Undone):
        await stack.__aexit__(Undone, Undone(), None)


def hold_commit(world: World, key: str) -> Callable[[], object]:
    """Let commits wait that put a row of this key into the outbox; what lets them go on."""
    world.sql.script(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN PERFORM pg_advisory_xact_lock({HELD}); RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON payments_outbox DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
        f" WHEN (NEW.key = '{key}') EXECUTE FUNCTION hold()",
    )
    assert isinstance(world.database, PostgresDatabase)
    holder = world.database.connect()
    holder.execute(f"SELECT pg_advisory_lock({HELD})".encode())
    return holder.close


def wait_for_a_waiter(world: World) -> None:
    """Wait until a session waits for another's lock."""
    deadline = time.monotonic() + PATIENCE_S
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while not world.sql.query(waiting):
        assert time.monotonic() < deadline, "nobody waits"
        threading.Event().wait(0.01)
