"""`payments topics` against a broker that makes topics by itself, as Kafka does unless it is told not to."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from payments_core.adapters.kafka import topics
from payments_core.settings import BrokerSettings
from tests._services import unavailable
from tools.services import ServiceUnavailable, kafka
from tools.services.base import end

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def willing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The broker's address."""
    home = tmp_path_factory.mktemp("willing")
    try:
        running = kafka.start(home, {"auto.create.topics.enable": "true", "num.partitions": "1"})
    except ServiceUnavailable as error:
        pytest.skip(unavailable("kafka", str(error)))
    try:
        yield running.url
    finally:
        end(running, signal.SIGKILL, 10)


async def test_looking_makes_no_topic(willing: str) -> None:
    """What was missing is still missing when the broker has made other topics; `payments doctor` looks the same way."""
    settings = BrokerSettings.of(kafka_brokers=(willing,), payments_topic_prefix="looked-at.")
    assert not any(one.exists for one in await topics.found(settings))
    await topics.create(BrokerSettings.of(kafka_brokers=(willing,), payments_topic_prefix="later."))
    assert not any(one.exists for one in await topics.found(settings))


async def test_topics_are_made_as_we_want_them(willing: str) -> None:
    """And not as the broker would make them, by our asking whether they are there: with one partition."""
    settings = BrokerSettings.of(kafka_brokers=(willing,), payments_topic_prefix="made.")
    found, made = await topics.create(settings)
    assert made == topics.needed(settings)
    assert {one.partitions for one in found} == {topics.PARTITIONS}
