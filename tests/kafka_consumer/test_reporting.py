"""What the broker is told while the group changes under it, over a client that does as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from payments_core.adapters.kafka import consumer
from payments_core.adapters.kafka.consumer import ConsumerLimits, KafkaMessages
from payments_core.domain.consumption import Message
from payments_core.ports.consuming import Lane
from payments_core.settings import BrokerSettings

PLACE = TopicPartition("payment.successful", 0)


class Client:
    """A member of a group whose partition is taken away while the first offset is reported, and then given back."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self._next = 0
        self._has_it = self._is_paused = False
        self._listener: Any = None

    async def start(self) -> None:
        """There is nothing to start."""

    async def stop(self) -> None:
        """Nor to stop."""

    def subscribe(self, *, topics: list[str], listener: Any) -> None:
        assert topics == [PLACE.topic]
        self._listener = listener

    async def topics(self) -> set[str]:
        return {PLACE.topic}

    def assignment(self) -> set[TopicPartition]:
        return {PLACE} if self._has_it else set()

    def pause(self, _: TopicPartition) -> None:
        self._is_paused = True

    def resume(self, _: TopicPartition) -> None:
        self._is_paused = False

    async def getmany(self, *, timeout_ms: int) -> Mapping[TopicPartition, list[ConsumerRecord[bytes, bytes]]]:
        if self._is_paused:
            await asyncio.sleep(timeout_ms / 1000)
            return {}
        if not self._has_it:
            self._has_it, self._next = True, max(self.told, default=0)
            self._listener.on_partitions_assigned([PLACE])
        self._next += 1
        record = ConsumerRecord(PLACE.topic, PLACE.partition, self._next - 1, 0, 0, None, b"{}", None, 0, 2, ())
        return {PLACE: [record]}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.told.append(offsets[PLACE])
        if len(self.told) == 1:
            self._has_it = self._is_paused = False
            await self._listener.on_partitions_revoked([PLACE])


async def test_a_partition_that_goes_while_its_offset_is_reported_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rebalance comes when it likes; the messages behind it are handled, and reported in their turn."""
    client = Client()
    monkeypatch.setattr(consumer, "AIOKafkaConsumer", lambda **_: client)
    limits = ConsumerLimits(commit_s=1e-9)
    messages = KafkaMessages(BrokerSettings.of(kafka_brokers="broker:9092"), "orders", [PLACE.topic], limits)
    handled: list[int] = []

    async def deliver(message: Message, _: Lane) -> bool:
        handled.append(message.position)
        if len(handled) == 3:
            messages.stop()
        return True

    await asyncio.wait_for(messages.run(deliver), 10)
    assert handled == [0, 1, 2]
    assert client.told[-1] == 3
