"""G7, its half at the broker: a real Kafka, a relay that finds it down, and one that dies in the worst moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from payments_core.adapters.kafka.publisher import KafkaPublisher
from payments_core.adapters.sql import upgrade
from payments_core.ports.publishing import BrokerUnavailable, Outbox
from tests.kafka.reading import delete, first_occurrences, read_back
from tests.kafka.scenes import HASTY, Deployment, make_topics, new_prefix, of_topics, story, written


@pytest.fixture(params=["sqlite", "postgres"])
def relayed(request: pytest.FixtureRequest, kafka_brokers: str, tmp_path: Path) -> Iterator[Deployment]:
    """An outbox and topics of its own."""
    file = f"sqlite:///{tmp_path / 'payments.db'}"
    url: str = file if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    upgrade(url)
    made = Deployment(url, kafka_brokers, new_prefix())
    asyncio.run(make_topics(made))
    yield made
    delete(kafka_brokers, made.topics)


def test_the_backlog_of_an_outage_drains_in_order_when_the_broker_is_back(relayed: Deployment) -> None:
    """Nothing is marked while it is down; afterwards everything is there, once, each payment's events in order."""
    rows = [story(number, keys=11) for number in range(300)]
    written(relayed.url, rows)
    down = Deployment(relayed.url, "127.0.0.1:1", relayed.prefix)
    for _ in range(3):
        with pytest.raises(BrokerUnavailable):
            drain(down)
    assert relayed.backlog() == len(rows)
    drain(relayed)
    assert relayed.backlog() == 0
    assert len(read_back(relayed.brokers, relayed.topics)) == len(rows)
    assert as_it_came(relayed) == of_topics(rows)


def test_a_relay_that_dies_costs_a_repeat_with_the_same_id(relayed: Deployment) -> None:
    """It dies between the broker's answer and the mark: the next one sends those again, and the order holds."""
    rows = [story(number, keys=11) for number in range(300)]
    written(relayed.url, rows)
    asyncio.run(publish_and_die(relayed))
    assert relayed.backlog() == len(rows)
    drain(relayed)
    found = read_back(relayed.brokers, relayed.topics)
    assert len(found) > len(rows)
    assert {message.event_id for message in found} == {row.event_id for row in rows}
    assert as_it_came(relayed) == of_topics(rows)


async def publish_and_die(deployment: Deployment) -> None:
    """What is left of a relay that was killed there: messages, and no mark."""
    relay, _ = deployment.make_relay()
    outbox: Outbox = relay.outbox
    publisher = KafkaPublisher(deployment.settings(), patience=HASTY)
    async with outbox.batch(1_000) as batch:
        acknowledged, _ = await publisher.publish(batch.rows)
        assert acknowledged
    await publisher.close()
    await relay.close()


def drain(deployment: Deployment) -> None:
    """A relay that sends what is owed and ends."""

    async def run() -> None:
        relay, _ = deployment.make_relay()
        try:
            await relay.drain()
        finally:
            await relay.close()

    asyncio.run(run())


def as_it_came(deployment: Deployment) -> Mapping[tuple[str, str], list[str]]:
    """Of each type and key the events in the order in which they first came."""
    return {
        (topic.removeprefix(deployment.prefix), key): events
        for topic in deployment.topics
        for key, events in first_occurrences(read_back(deployment.brokers, [topic])).items()
    }
