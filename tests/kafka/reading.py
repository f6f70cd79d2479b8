"""An independent look at the broker: librdkafka reads everything back, and says nothing of our own code."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

DEADLINE_S = 180.0


@dataclass(frozen=True)
class Read:
    """A message as it lies in the topic."""

    topic: str
    partition: int
    offset: int
    key: str
    value: str
    headers: dict[str, str] = field(repr=False)

    @property
    def event_id(self) -> str:
        return self.headers["ce_id"]


def read_back(brokers: str, topics: Iterable[str], **options: str) -> list[Read]:
    """Everything that is in the topics now, each partition's messages in their order."""
    settings = {"bootstrap.servers": brokers, "group.id": "reader", "enable.auto.commit": False, **options}
    consumer = Consumer({"isolation.level": "read_committed", **settings})  # type: ignore[arg-type]
    try:
        metadata = consumer.list_topics(timeout=30).topics
        wanted = [(topic, number) for topic in topics for number in metadata[topic].partitions]
        ends = {one: _end(consumer, one) for one in wanted}
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for topic, number in wanted])
        return _until(consumer, {one: end for one, end in ends.items() if end})
    finally:
        consumer.close()


def _end(consumer: Consumer, one: tuple[str, int]) -> int:
    """Where a partition ends. One that is new may have a leader that does not know it yet."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            return int(consumer.get_watermark_offsets(TopicPartition(*one), timeout=30)[1])
        except KafkaException as error:
            if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION or time.monotonic() > deadline:
                raise


def _until(consumer: Consumer, ends: dict[tuple[str, int], int]) -> list[Read]:
    found: list[Read] = []
    deadline = time.monotonic() + DEADLINE_S
    while ends:
        assert time.monotonic() < deadline, f"these partitions were not read to their end: {ends}"
        for message in consumer.consume(500, timeout=0.2):
            assert message.error() is None, message.error()
            one = _read(message)
            found.append(one)
            if one.offset + 1 >= ends.get((one.topic, one.partition), 1 << 62):
                del ends[one.topic, one.partition]
    return found


def _read(message: Message) -> Read:
    headers = {name: (value or b"").decode() for name, value in message.headers() or []}
    key, value = message.key(), message.value()
    assert isinstance(key, bytes)
    assert isinstance(value, bytes)
    return Read(
        str(message.topic()),
        int(message.partition() or 0),
        int(message.offset() or 0),
        key.decode(),
        value.decode(),
        headers,
    )


def first_occurrences(messages: Iterable[Read]) -> dict[str, list[str]]:
    """Of each key the events in the order in which they first came; what comes twice counts once."""
    found: dict[str, dict[str, None]] = {}
    for message in messages:
        found.setdefault(message.key, {})[message.event_id] = None
    return {key: list(events) for key, events in found.items()}


def delete(brokers: str, topics: list[str]) -> None:
    """Take topics away; one that is not there is no error."""
    admin = AdminClient({"bootstrap.servers": brokers})
    for future in admin.delete_topics(topics).values():
        error = future.exception(30)
        assert error is None or "UNKNOWN_TOPIC" in str(error), error
