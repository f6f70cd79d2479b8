"""A Kafka broker for the bench: the one that runs here, or one started for the run; topics are made and taken away."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from bench.measured import CannotMeasure
from payments_core.adapters.kafka import topics
from payments_core.settings import BrokerSettings
from tools.services import SERVICES, ServiceUnavailable, ensure, running, stop

_KAFKA: Final = SERVICES["kafka"]
_ROOT: Final = Path(__file__).resolve().parent.parent


@contextmanager
def broker(home: Path) -> Generator[str]:
    """The address of a broker, running until the block ends. Raises CannotMeasure where there is none."""
    given = os.environ.get(_KAFKA.variable)
    found = running(_KAFKA, _ROOT / ".services")
    if given or found is not None:
        yield given or (found.url if found is not None else "")
        return
    try:
        started, ours = ensure(_KAFKA, home)
    except ServiceUnavailable as reason:
        raise CannotMeasure(str(reason)) from None
    try:
        yield started.url
    finally:
        if ours:
            stop(_KAFKA, home)


@contextmanager
def fresh_topics(brokers: str) -> Generator[str]:
    """The prefix of topics of its own, with three partitions each."""
    prefix = f"bench-{uuid.uuid4().hex[:12]}."
    settings = BrokerSettings.of(kafka_brokers=tuple(brokers.split(",")), payments_topic_prefix=prefix)
    asyncio.run(topics.create(settings, partitions=3))
    try:
        yield prefix
    finally:
        admin: Any = AdminClient({"bootstrap.servers": brokers})
        for future in admin.delete_topics(topics.needed(settings)).values():
            future.exception(30)


def messages(brokers: str, prefix: str) -> int:
    """How many lie in the topics of this prefix."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "bench"})
    try:
        told = consumer.list_topics(timeout=30).topics
        places = [
            TopicPartition(name, part) for name in told if name.startswith(prefix) for part in told[name].partitions
        ]
        return sum(high - low for low, high in (consumer.get_watermark_offsets(one, timeout=30) for one in places))
    finally:
        consumer.close()
