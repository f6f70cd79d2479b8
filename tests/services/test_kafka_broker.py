"""The Apache Kafka that the relay's tests run on: a real broker, a real round trip."""

from __future__ import annotations

import asyncio
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

MESSAGES = 20
DEADLINE_S = 180


async def test_what_was_produced_is_consumed_in_order_of_its_key(kafka_brokers: str) -> None:
    """Acknowledged messages of one key come back complete, in order, with key and headers."""
    topic = f"payments-test-{uuid.uuid4().hex}"
    async with asyncio.timeout(DEADLINE_S):
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka_brokers)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(topic, num_partitions=3, replication_factor=1)])
            await _produce(kafka_brokers, topic)
            assert await _consume(kafka_brokers, topic) == [
                (b"pi_1", str(number).encode(), (("ce_id", str(number).encode()),)) for number in range(MESSAGES)
            ]
        finally:
            await admin.delete_topics([topic])
            await admin.close()


async def _produce(brokers: str, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=brokers, acks="all", enable_idempotence=True) as producer:
        for number in range(MESSAGES):
            value = str(number).encode()
            await producer.send_and_wait(topic, value, key=b"pi_1", headers=[("ce_id", value)])


async def _consume(brokers: str, topic: str) -> list[tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]]:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=brokers, group_id=f"{topic}-group", auto_offset_reset="earliest"
    )
    async with consumer:
        received = [await consumer.getone() for _ in range(MESSAGES)]
        await consumer.commit()
    return [(message.key, message.value, tuple(message.headers)) for message in received]
