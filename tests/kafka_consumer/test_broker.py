"""A broker of the test's own that is killed and started again under a consumer at work."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests._services import unavailable
from tests.kafka_consumer.orders import Books, book, consumer, ids, once, running, until
from tests.kafka_consumer.topics import Topics
from tools.services import ServiceUnavailable, kafka
from tools.services.base import Running, end, free_port

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.chaos,
    pytest.mark.timeout(900),
    pytest.mark.may_block(reason="the test starts a broker, and looks into its database between two waits"),
]


class Broker:
    """One node on a port that stays the same."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PAYMENTS_SERVICES_KAFKA_PORT", str(free_port()))
        self.home = home
        self.node: Running = kafka.start(home)

    def end(self, how: signal.Signals) -> None:
        """Stop the node, or kill it."""
        end(self.node, how, 30)

    def start(self) -> None:
        """Start it again on what it has on disk."""
        self.node = kafka.start(self.home)


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """Gone at the end."""
    try:
        made = Broker(tmp_path, monkeypatch)
    except ServiceUnavailable as error:
        pytest.skip(unavailable("kafka", str(error)))
    yield made
    made.end(signal.SIGKILL)


async def test_a_broker_that_is_killed_and_comes_back(broker: Broker, books: Books) -> None:
    """Work goes on by itself, whether it was killed or stopped; each event is booked once, and none is lost."""
    topics = Topics(broker.node.url)
    await topics.create()
    one = consumer(topics.brokers, topics.prefix, books.url)
    book(one, "blocking")
    async with running(one):
        for number, how in enumerate((signal.SIGKILL, signal.SIGTERM)):
            await topics.produce(ids(100 * (number + 1))[100 * number :], repeats=2)
            await until(lambda: len(books.events()) > 100 * number + 5)  # noqa: B023
            await asyncio.to_thread(broker.end, how)
            await asyncio.sleep(3)
            await asyncio.to_thread(broker.start)
        await topics.produce(ids(300)[200:])
        await until(lambda: len(books.counted()) >= 300, books.events)
    assert books.counted() == once(ids(300))
    assert await topics.lag("orders") == 0


async def test_a_consumer_waits_for_a_broker_and_for_its_topics(broker: Broker, books: Books) -> None:
    """Started while there is neither, it consumes as soon as there are both."""
    broker.end(signal.SIGTERM)
    topics = Topics(broker.node.url)
    one = consumer(topics.brokers, topics.prefix, books.url)
    book(one, "async")
    async with running(one):
        await asyncio.sleep(1)
        await asyncio.to_thread(broker.start)
        await asyncio.sleep(1)
        await topics.create()
        await topics.produce(ids(10))
        await until(lambda: len(books.events()) >= 10)
    assert books.counted() == once(ids(10))


async def test_a_consumer_ends_while_the_broker_is_away(broker: Broker, books: Books) -> None:
    """Nobody has to kill it."""
    topics = Topics(broker.node.url)
    await topics.create()
    await topics.produce(ids(10))
    one = consumer(topics.brokers, topics.prefix, books.url)
    book(one, "async")
    async with running(one):
        await until(lambda: len(books.events()) >= 10)
        await asyncio.to_thread(broker.end, signal.SIGKILL)
        await asyncio.sleep(1)
        ending = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - ending < 30
