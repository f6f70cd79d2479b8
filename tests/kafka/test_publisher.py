"""The contract of the publisher on a real Kafka, and what only Kafka can refuse."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, for_code
from blockbuster import blockbuster_ctx

from payments_core.adapters.kafka.connection import connection
from payments_core.adapters.kafka.producing import Message, Producer, Sending
from payments_core.adapters.kafka.publisher import LARGEST_BYTES, KafkaPublisher
from payments_core.adapters.kafka.refusals import refusal
from payments_core.errors import ConfigurationError
from payments_core.ports.publishing import BrokerUnavailable, Publisher, Refusal
from payments_core.settings import BrokerSettings
from payments_core.testing.contracts import PublisherContract, PublisherWorld
from payments_core.testing.contracts.publisher import KIND, OTHER
from tests.kafka.reading import delete, read_back
from tests.kafka.scenes import DEADLINE_S, HASTY, new_prefix, owed

LIMIT_BYTES = 5_000


class KafkaWorld(PublisherWorld):
    """Topics of this test's own, of which one takes small messages only."""

    too_large_chars = 2 * LIMIT_BYTES

    def __init__(self, brokers: str) -> None:
        super().__init__()
        self.brokers = brokers
        self.prefix = new_prefix()
        self.names = [self.prefix + kind for kind in (KIND, OTHER)]

    def settings(self) -> BrokerSettings:
        return BrokerSettings.of(kafka_brokers=tuple(self.brokers.split(",")), payments_topic_prefix=self.prefix)

    def make_publisher(self) -> Publisher:
        return KafkaPublisher(self.settings(), patience=HASTY)

    def make_unreachable(self) -> Publisher:
        return KafkaPublisher(BrokerSettings.of(kafka_brokers=("127.0.0.1:1",)), patience=HASTY)

    async def arrived(self) -> Sequence[tuple[str, str]]:
        found = await asyncio.to_thread(read_back, self.brokers, self.names)
        return [(message.key, message.event_id) for message in found]

    async def make_topics(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.brokers)
        await admin.start()
        small = {"max.message.bytes": str(LIMIT_BYTES)}
        try:
            await admin.create_topics(
                [NewTopic(self.names[0], 3, 1, topic_configs=small), NewTopic(self.names[1], 1, 1)]
            )
        finally:
            await admin.close()


@pytest.fixture
def kafka_world(kafka_brokers: str) -> Iterator[KafkaWorld]:
    """A real broker with two topics of this test's own."""
    world = KafkaWorld(kafka_brokers)
    asyncio.run(world.make_topics())
    yield world
    delete(kafka_brokers, world.names)


class TestPublisher(PublisherContract):
    @pytest.fixture
    def world(self, kafka_world: KafkaWorld) -> Iterator[PublisherWorld]:
        """In which a blocking call of ours on the event loop fails the test."""
        with blockbuster_ctx(["payments_core.adapters"]):
            yield kafka_world


async def test_what_is_larger_than_any_message_is_not_even_sent(kafka_world: KafkaWorld) -> None:
    """A request of that size could make the broker hang up on everything else."""
    publisher = KafkaPublisher(kafka_world.settings(), patience=HASTY)
    rows = [owed(1, payload="x" * LARGEST_BYTES, kind=OTHER), owed(2, key="other", kind=OTHER)]
    acknowledged, refused = await publisher.publish(rows)
    await publisher.close()
    assert list(acknowledged) == [2]
    assert str(LARGEST_BYTES) in refused[1].reason


async def test_the_largest_message_that_is_sent_is_taken(kafka_world: KafkaWorld) -> None:
    """Our limit is not beyond the broker's own."""
    publisher = KafkaPublisher(kafka_world.settings(), patience=HASTY)
    small = owed(1, kind=OTHER)
    rest = 400
    acknowledged, refused = await publisher.publish([owed(1, payload="x" * (LARGEST_BYTES - rest), kind=OTHER), small])
    await publisher.close()
    assert (list(acknowledged), dict(refused)) == ([1, 1], {})


async def test_a_limit_of_the_topic_below_the_size_of_a_batch_parks_nothing(kafka_world: KafkaWorld) -> None:
    """Together they are too large, each alone is not: all of them arrive, in order."""
    publisher = KafkaPublisher(kafka_world.settings(), patience=HASTY)
    rows = [owed(number, key=f"k{number % 30}", payload="x" * 1_000) for number in range(90)]
    acknowledged, refused = await publisher.publish(rows)
    await publisher.close()
    assert (sorted(acknowledged), dict(refused)) == (list(range(90)), {})
    arrived = await kafka_world.arrived()
    for key in {row.key for row in rows}:
        assert [event for at, event in arrived if at == key] == [row.event_id for row in rows if row.key == key]


async def test_a_topic_that_is_made_late_is_waited_for(kafka_brokers: str) -> None:
    """A broker that has just come back does not know its topics at once, and nothing is parked for that."""
    world = KafkaWorld(kafka_brokers)
    publisher = KafkaPublisher(world.settings())
    sending = asyncio.ensure_future(publisher.publish([owed(1)]))
    await asyncio.sleep(0)
    await world.make_topics()
    acknowledged, refused = await sending
    await publisher.close()
    delete(kafka_brokers, world.names)
    assert (list(acknowledged), dict(refused)) == ([1], {})


async def test_a_topic_that_goes_away_is_refused_once_that_is_known(kafka_world: KafkaWorld) -> None:
    """At first nobody can say; then the broker knows no such topic."""
    publisher = KafkaPublisher(kafka_world.settings(), patience=HASTY)
    await publisher.publish([owed(1, kind=OTHER)])
    await asyncio.to_thread(delete, kafka_world.brokers, [kafka_world.names[1]])
    refused: Mapping[int, Refusal] = {}
    async with asyncio.timeout(DEADLINE_S):
        while not refused:
            with suppress(BrokerUnavailable):
                _, refused = await publisher.publish([owed(2, kind=OTHER)])
    await publisher.close()
    assert "has no topic" in refused[2].reason


async def test_nobody_is_told_that_a_queued_batch_was_not_waited_for(kafka_world: KafkaWorld) -> None:
    """In an outage there would be a line for each of them: what comes of it is said once."""
    said: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["message"]))
    producer, sent = Producer(connection(kafka_world.settings()), HASTY, 16_384), list[Sending]()
    publisher = kafka_world.open()
    # The topic is new: a publisher waits until the broker knows it.
    assert await publisher.publish([owed(0, kind=OTHER)]) == ([0], {})
    await producer.start()
    await producer.partitions(kafka_world.names[1])
    message = Message(owed(1), kafka_world.names[1], b"key", b"{}", [])
    await producer.send([message], {kafka_world.names[1]: 1}, sent)
    await producer.give_up()
    assert isinstance(sent[0].error, KafkaConnectionError)
    await publisher.close()
    del producer, sent
    gc.collect()
    await asyncio.sleep(0)
    assert [line for line in said if "never retrieved" in line] == []


def test_a_publisher_without_a_broker_is_refused() -> None:
    """At construction, with the variable's name."""
    with pytest.raises(ConfigurationError, match="KAFKA_BROKERS is not set"):
        KafkaPublisher(BrokerSettings.of())


def test_a_record_that_the_broker_calls_invalid_is_refused_and_a_fault_of_its_own_is_not() -> None:
    """INVALID_RECORD is about the row, UNKNOWN_SERVER_ERROR may pass; the client alone would take one for the other."""
    assert refusal(for_code(87)(), "topic") is not None
    assert refusal(for_code(-1)(), "topic") is None
