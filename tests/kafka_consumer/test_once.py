"""Each published event has its effect once, in every database and world, on a real broker."""

from __future__ import annotations

import pytest

from payments_core.ports import Io
from tests.kafka_consumer.orders import Books, book, consumer, ids, once, running, until
from tests.kafka_consumer.topics import Topics

pytestmark = pytest.mark.may_block(reason="the test looks into its database between two waits")


async def test_duplicates_have_one_effect(topics: Topics, world: tuple[Books, Io]) -> None:
    """A producer that sends everything three times books everything once; the broker is told that all is consumed."""
    books, io = world
    await topics.create()
    await topics.produce(ids(100), repeats=3)
    one = consumer(topics.brokers, topics.prefix, books.url)
    book(one, io)
    async with running(one):
        await until(lambda: len(books.events()) >= 100, books.events)
        await topics.produce(["evt-last"])
        await until(lambda: "evt-last" in books.events())
    assert books.counted() == once([*ids(100), "evt-last"])
    assert await topics.lag("orders") == 0


async def test_what_a_producer_took_back_never_happened(topics: Topics, books: Books) -> None:
    """Of messages in transactions the committed ones are handled, those of an aborted one are not."""
    await topics.create(partitions=1)
    await topics.produce_in_transaction(["evt-kept"], commit=True)
    await topics.produce_in_transaction(["evt-taken-back"], commit=False)
    await topics.produce(["evt-last"])
    one = consumer(topics.brokers, topics.prefix, books.url)
    book(one, "async")
    async with running(one):
        await until(lambda: "evt-last" in books.events(), books.events)
    assert books.events() == ["evt-kept", "evt-last"]
