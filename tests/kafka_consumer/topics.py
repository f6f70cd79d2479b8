"""Topics of one test on a real broker, and what is produced into them."""

from __future__ import annotations

import asyncio
import uuid
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from confluent_kafka import Producer

from tests.kafka_consumer.orders import body

SUCCESSFUL = "payment.successful"


def key_of(event_id: str, keys: int) -> bytes:
    """The key of an event, one of so many."""
    return f"pi_{zlib.crc32(event_id.encode()) % keys}".encode()


class Topics:
    """The topics under a prefix of the test's own."""

    def __init__(self, brokers: str) -> None:
        self.brokers = brokers
        self.prefix = f"t{uuid.uuid4().hex[:12]}."

    def name(self, event_type: str = SUCCESSFUL) -> str:
        """A topic's full name."""
        return self.prefix + event_type

    async def create(self, event_type: str = SUCCESSFUL, partitions: int = 3) -> None:
        """Make a topic."""
        async with _admin(self.brokers) as admin:
            await admin.create_topics([NewTopic(self.name(event_type), partitions, 1)])

    async def produce(
        self, event_ids: Iterable[str], *, event_type: str = SUCCESSFUL, repeats: int = 1, keys: int = 7
    ) -> None:
        """Send events, each several times, spread over partitions by key."""
        async with AIOKafkaProducer(bootstrap_servers=self.brokers, enable_idempotence=True) as producer:
            sent = []
            for event_id in event_ids:
                headers = [("ce_id", event_id.encode()), ("ce_specversion", b"1.0"), ("ce_type", event_type.encode())]
                for _ in range(repeats):
                    value, key = body(event_id, event_type), key_of(event_id, keys)
                    sent.append(await producer.send(self.name(event_type), value, key=key, headers=headers))
            await asyncio.gather(*sent)

    async def send(
        self, value: bytes | None, *, key: bytes | None = b"k", headers: dict[str, bytes] | None = None
    ) -> None:
        """Send one message as it is."""
        async with AIOKafkaProducer(bootstrap_servers=self.brokers) as producer:
            named = list((headers or {}).items())
            await producer.send_and_wait(self.name(), value, key=key, headers=named)

    async def produce_in_transaction(self, event_ids: Iterable[str], *, commit: bool) -> None:
        """Send events in a transaction of Kafka's, which is committed or aborted."""
        producer = AIOKafkaProducer(bootstrap_servers=self.brokers, transactional_id=f"{self.prefix}shop")
        async with producer:
            await producer.begin_transaction()
            for event_id in event_ids:
                await producer.send_and_wait(self.name(), body(event_id), key=b"k")
            await (producer.commit_transaction() if commit else producer.abort_transaction())

    def produce_compressed(self, event_id: str, codec: str) -> None:
        """Send an event as a producer with that `compression.type` does."""
        producer = Producer({"bootstrap.servers": self.brokers, "compression.type": codec})
        # Alike enough that compressing pays: else the client leaves it as it is.
        for _ in range(20):
            producer.produce(self.name(), body(event_id), key=b"k")
        assert producer.flush(30) == 0

    async def lag(self, group: str) -> int:
        """How many messages the broker thinks the group has not consumed."""
        reader = AIOKafkaConsumer(bootstrap_servers=self.brokers, group_id=self.prefix + group)
        async with reader, _admin(self.brokers) as admin:
            described = await admin.describe_topics([self.name()])
            places = [TopicPartition(self.name(), one["partition"]) for one in described[0]["partitions"]]
            ends = await reader.end_offsets(places)
            committed = await admin.list_consumer_group_offsets(self.prefix + group)
            return sum(
                end - max(0, committed[place].offset if place in committed else 0) for place, end in ends.items()
            )

    async def delete(self) -> None:
        """Remove what was made."""
        async with _admin(self.brokers) as admin:
            mine = [name for name in await admin.list_topics() if name.startswith(self.prefix)]
            if mine:
                await admin.delete_topics(mine)


@asynccontextmanager
async def _admin(brokers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()
