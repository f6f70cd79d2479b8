"""Handlers that fail, messages that cannot be read, a database that is away: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError

from payments_core.adapters.sql.consuming import blocking_consumed
from payments_core.consumer import Rejected, Transaction
from payments_core.domain.consumption import MessageState
from payments_core.drive import run_blocking
from payments_core.errors import ConfigurationError
from payments_core.ports import Io
from payments_core.ports.consuming import KeptRecord
from payments_core.published import PaymentSuccessful
from tests.kafka_consumer.orders import Books, body, book, booked, consumer, ids, once, running, until
from tests.kafka_consumer.topics import Topics

pytestmark = pytest.mark.may_block(reason="the test looks into its database between two waits")


def dead(books: Books) -> list[KeptRecord]:
    """What is dead or due again in a service's database."""
    consumed = blocking_consumed(books.url)
    try:
        return list(run_blocking(consumed.kept(None, 100)))
    finally:
        run_blocking(consumed.close())


async def test_a_handler_that_fails_is_tried_again_in_place(topics: Topics, world: tuple[Books, Io]) -> None:
    """It books once all the same; those behind it in its partition wait, and keep their order."""
    books, io = world
    tries: list[str] = []

    def fail_thrice(event_id: str) -> None:
        tries.append(event_id)
        if event_id == "evt-0002" and tries.count(event_id) <= 3:
            raise RuntimeError("not yet")

    await topics.create(partitions=1)
    await topics.produce(ids(10))
    one = consumer(topics.brokers, topics.prefix, books.url)
    book(one, io, fail_thrice)
    async with running(one):
        await until(lambda: len(books.events()) >= 10)
    assert books.events() == list(ids(10))
    assert tries == ["evt-0000", "evt-0001", *["evt-0002"] * 4, *ids(10)[3:]]
    assert dead(books) == []


async def test_a_slow_handler_keeps_its_partition(topics: Topics, books: Books) -> None:
    """Slower than the silence that the broker allows: the group is kept, and the handler is called once."""
    calls: list[str] = []

    def slow(event_id: str) -> None:
        calls.append(event_id)
        time.sleep(8 if event_id == "evt-0000" else 0)

    await topics.create(partitions=1)
    await topics.produce(ids(3))
    one = consumer(topics.brokers, topics.prefix, books.url)
    book(one, "blocking", slow)
    async with running(one):
        await until(lambda: len(books.events()) >= 3)
    assert calls == list(ids(3))
    assert books.events() == list(ids(3))


async def test_other_partitions_do_not_wait_for_a_failing_one(topics: Topics, world: tuple[Books, Io]) -> None:
    """One message is tried for as long as the test runs; the other partitions drain meanwhile."""
    books, io = world

    def fail(event_id: str) -> None:
        if event_id == "stuck":
            raise RuntimeError("still not")

    await topics.create(partitions=3)
    await topics.send(body("stuck"), key=b"stuck")
    await topics.produce(ids(60), keys=20)
    one = consumer(topics.brokers, topics.prefix, books.url, policy=_patient())
    book(one, io, fail)
    async with running(one):
        await until(lambda: len(books.events()) >= 20, books.events)
    assert books.counted() == once(books.events())
    assert "stuck" not in books.events()


async def test_a_message_whose_attempts_are_used_up_is_dead_and_can_be_replayed(
    topics: Topics, world: tuple[Books, Io], caplog: pytest.LogCaptureFixture
) -> None:
    """It is kept with the place and not the words of the failure, the next ones go on, and a replay books it once."""
    books, io = world
    broken = threading.Event()
    broken.set()

    def fail(event_id: str) -> None:
        if event_id == "evt-0001" and broken.is_set():
            raise RuntimeError("a secret of the buyer's")

    await topics.create(partitions=1)
    await topics.produce(ids(3))
    one = consumer(topics.brokers, topics.prefix, books.url)
    book(one, io, fail)
    with caplog.at_level(logging.INFO, "payments_core.consumer"):
        async with running(one):
            await until(lambda: len(books.events()) >= 2 and len(dead(books)) == 1)
            [kept] = dead(books)
            assert (kept.message_id, kept.state, kept.topic) == ("evt-0001", MessageState.DEAD, topics.name())
            assert kept.reason is not None
            assert kept.reason.startswith("RuntimeError was raised in fail (test_trouble.py, line ")
            broken.clear()
            store = blocking_consumed(books.url)
            assert run_blocking(store.revive_all(None)) == 1
            run_blocking(store.close())
            await until(lambda: "evt-0001" in books.events())
    assert books.counted() == once(ids(3))
    assert dead(books) == []
    assert "secret" not in caplog.text
    assert "Message is a dead letter" in caplog.text


async def test_a_caught_error_that_ended_the_transaction_is_a_dead_letter(
    topics: Topics, world: tuple[Books, Io]
) -> None:
    """Nothing of it could be committed: the message is kept with the reason, and the next one is booked."""
    books, io = world
    taken = "INTO booked (number, event_id) VALUES (99, 'taken')"
    with books.engine.begin() as connection:
        connection.execute(text("INSERT " + taken))
    ending = text(("INSERT OR ROLLBACK " if books.url.startswith("sqlite") else "INSERT ") + taken)
    await topics.create(partitions=1)
    await topics.produce(["evt-a", "evt-b"])
    one = consumer(topics.brokers, topics.prefix, books.url)

    if io == "async":

        @one.on(PaymentSuccessful)
        async def booking(event: PaymentSuccessful, tx: Transaction) -> None:
            await tx.connection.execute(insert(booked).values(event_id=event.event_id))
            if event.event_id == "evt-a":
                with pytest.raises(IntegrityError):
                    await tx.connection.execute(ending)

    else:

        @one.on(PaymentSuccessful)
        def booking_plainly(event: PaymentSuccessful, tx: Transaction) -> None:
            tx.connection.execute(insert(booked).values(event_id=event.event_id))
            if event.event_id == "evt-a":
                with pytest.raises(IntegrityError):
                    tx.connection.execute(ending)

    async with running(one):
        await until(lambda: "evt-b" in books.events())
    assert set(books.events()) == {"taken", "evt-b"}
    [kept] = dead(books)
    assert kept.message_id == "evt-a"
    assert "begin_nested" in str(kept.reason)


POISON: dict[str, tuple[bytes | None, dict[str, bytes]]] = {
    "not-json": (b"{", {}),
    "not-text": (b"\xff\xfe", {}),
    "not-an-object": (b"[1]", {}),
    "no-type": (b'{"eventId": "x"}', {}),
    "no-body": (None, {}),
    "twice-the-same-key": (b'{"eventType": "payment.successful", "eventType": "payment.successful"}', {}),
    "no-data": (b'{"eventId": "x", "eventType": "payment.successful", "timestamp": "2026-11-23T10:58:01.000Z"}', {}),
    "amount-as-text": (body("x").replace(b"5998", b'"5998"'), {}),
    "other-version": (body("x"), {"ce_specversion": b"2.0"}),
}


async def test_poison_is_dead_at_once_with_its_reason(topics: Topics, books: Books) -> None:
    """Each kind is kept once, though it comes twice, and what is behind it is booked."""
    await topics.create(partitions=1)
    for _ in range(2):
        for name, (value, headers) in POISON.items():
            await topics.send(value, headers={"ce_id": name.encode(), **headers})
    await topics.send(body("evt-good"))
    one = consumer(topics.brokers, topics.prefix, books.url)
    book(one, "blocking")
    async with running(one):
        await until(lambda: "evt-good" in books.events())
    assert {kept.message_id for kept in dead(books)} == set(POISON)
    assert len(dead(books)) == len(POISON)
    assert all(kept.reason for kept in dead(books))
    assert books.events() == ["evt-good"]
    assert await topics.lag("orders") == 0


async def test_what_nobody_asked_for_leaves_no_row(topics: Topics, books: Books) -> None:
    """A type that is not known, and one without a handler, on a topic that is consumed."""
    await topics.create(partitions=1)
    await topics.send(body("evt-new", "payment.of-the-future"))
    await topics.send(body("evt-failed", "payment.failed"))
    await topics.send(body("evt-good"))
    one = consumer(topics.brokers, topics.prefix, books.url)
    book(one, "blocking")
    async with running(one):
        await until(lambda: "evt-good" in books.events())
    consumed = blocking_consumed(books.url)
    known = [run_blocking(consumed.is_known(topics.prefix + "orders", name)) for name in ("evt-new", "evt-failed")]
    run_blocking(consumed.close())
    assert known == [False, False]
    assert dead(books) == []


async def test_several_handlers_share_a_transaction(topics: Topics, books: Books) -> None:
    """When the second fails, the first one's writes are undone with it; a rejection is dead at once."""
    await topics.create(partitions=1)
    await topics.produce(["evt-a", "evt-b"])
    one = consumer(topics.brokers, topics.prefix, books.url)
    tries: list[str] = []

    @one.on(PaymentSuccessful)
    async def first(event: PaymentSuccessful, tx: Transaction) -> None:
        await tx.session.execute(insert(booked).values(event_id=event.event_id))

    @one.on("payment.successful")
    async def second(event: PaymentSuccessful) -> None:
        tries.append(event.event_id)
        if event.event_id == "evt-a":
            raise Rejected("The order was cancelled.")
        if len(tries) == 2:
            raise RuntimeError("not yet")

    async with running(one):
        await until(lambda: "evt-b" in books.events())
    assert books.events() == ["evt-b"]
    assert tries == ["evt-a", "evt-b", "evt-b"]
    assert [(kept.message_id, kept.reason) for kept in dead(books)] == [("evt-a", "The order was cancelled.")]


@pytest.mark.parametrize("io", ["blocking", "async"])
async def test_a_database_outage_uses_up_no_attempt(topics: Topics, postgres_url: str, io: Io) -> None:
    """The server turns everybody away for longer than all attempts would last; nothing is lost or dead."""
    books = Books(postgres_url)
    await topics.create()
    await topics.produce(ids(30))
    one = consumer(topics.brokers, topics.prefix, books.url)
    hold = threading.Event()

    def in_the_middle(event_id: str) -> None:
        if event_id == "evt-0020":
            hold.set()

    book(one, io, in_the_middle)
    async with running(one):
        await until(hold.is_set)
        with _turned_away(postgres_url):
            await topics.produce(ids(60)[30:])
            await asyncio.sleep(3)
        await until(lambda: len(books.events()) >= 60, books.events)
    assert books.counted() == once(ids(60))
    assert dead(books) == []
    books.close()


@pytest.mark.parametrize("io", ["blocking", "async"])
async def test_a_connection_that_breaks_under_a_handler_is_an_outage(topics: Topics, postgres_url: str, io: Io) -> None:
    """More often than there are attempts; the message is booked once all the same."""
    books = Books(postgres_url)
    await topics.create(partitions=1)
    await topics.produce(["evt-a"])
    one = consumer(topics.brokers, topics.prefix, books.url)
    suicide = text("SELECT pg_terminate_backend(pg_backend_pid())")
    tries: list[str] = []

    if io == "async":

        @one.on(PaymentSuccessful)
        async def booking(event: PaymentSuccessful, tx: Transaction) -> None:
            tries.append(event.event_id)
            await tx.session.execute(insert(booked).values(event_id=event.event_id))
            if len(tries) < 7:
                await tx.session.execute(suicide)

    else:

        @one.on(PaymentSuccessful)
        def booking_plainly(event: PaymentSuccessful, tx: Transaction) -> None:
            tries.append(event.event_id)
            tx.session.execute(insert(booked).values(event_id=event.event_id))
            if len(tries) < 7:
                tx.session.execute(suicide)

    async with running(one):
        await until(lambda: len(tries) >= 7 and bool(books.events() or dead(books)))
    assert (books.events(), dead(books)) == (["evt-a"], [])
    books.close()


@contextmanager
def _turned_away(url: str) -> Iterator[None]:
    """Nobody may connect to the database, and whoever is connected is thrown out."""
    parts = urlsplit(url.replace("postgresql+psycopg://", "postgresql://", 1))
    name = parts.path.removeprefix("/")

    def tell(allowed: bool) -> None:
        with psycopg.connect(urlunsplit(parts._replace(path="/postgres")), autocommit=True) as connection:
            word: Any = sql.SQL("true" if allowed else "false")
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(sql.Identifier(name), word))
            if not allowed:
                connection.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name]
                )

    tell(allowed=False)
    try:
        yield
    finally:
        tell(allowed=True)


def _patient() -> Any:
    from payments_core.consumer import ConsumptionPolicy

    return ConsumptionPolicy(max_attempts=1000, base_delay_s=0.1, max_delay_s=0.2)


async def test_a_codec_that_is_not_installed_is_told(
    topics: Topics, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to install: trying again would change nothing."""
    monkeypatch.setattr("aiokafka.codec.has_snappy", lambda: False)
    await topics.create(partitions=1)
    await asyncio.to_thread(topics.produce_compressed, "evt-small", "snappy")
    one = consumer(topics.brokers, topics.prefix, books.url)
    book(one, "async")
    async with asyncio.timeout(60):
        with pytest.raises(ConfigurationError, match=r"snappy.*payments-core\[kafka\]"):
            await one.consume()
