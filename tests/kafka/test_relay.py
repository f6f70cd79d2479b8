"""The relay end to end: what the outbox owes is in the topics, whole, in order, and told as CloudEvents."""

from __future__ import annotations

import json
import logging

import pytest

from payments_core.domain.events import isoformat_utc
from payments_core.ports import OutboxRow
from payments_core.testing.contracts.examples import MOMENT
from tests.kafka.reading import read_back
from tests.kafka.scenes import TYPES, Deployment, of_topics, story, write
from tests.metering.figures import Figures


async def test_everything_owed_is_published_once_in_order_of_its_key(deployment: Deployment) -> None:
    """Of each key, in each topic; nothing is left, and nothing comes twice."""
    rows = [story(number, keys=23) for number in range(1_000)]
    await write(deployment.url, rows)
    relay, _ = deployment.make_relay(hands=2 if deployment.url.startswith("postgres") else 1)
    await relay.drain()
    await relay.close()
    assert deployment.backlog() == 0
    assert (relay.tally.published, relay.tally.parked) == (1_000, 0)
    found = read_back(deployment.brokers, deployment.topics)
    assert len(found) == 1_000
    told: dict[tuple[str, str], list[str]] = {}
    for message in found:
        told.setdefault((message.topic.removeprefix(deployment.prefix), message.key), []).append(message.event_id)
    assert told == of_topics(rows)


async def test_a_message_is_a_cloud_event_in_binary_mode(deployment: Deployment) -> None:
    """Topic, key, value and headers, and the trace where there is one."""
    payload = json.dumps({"eventId": "e1", "name": "Café \N{SNOWMAN}"}, ensure_ascii=False)
    traced = OutboxRow("e1", TYPES[0], "pi_é", payload, MOMENT, "p1", f"00-{'a' * 32}-{'b' * 16}-01")
    await write(deployment.url, [traced, OutboxRow("e2", TYPES[1], "pi_2", "{}", MOMENT, "p2")])
    relay, _ = deployment.make_relay()
    await relay.drain()
    await relay.close()
    first, second = sorted(read_back(deployment.brokers, deployment.topics), key=lambda one: one.event_id)
    assert (first.topic, first.key, first.value) == (deployment.prefix + TYPES[0], "pi_é", payload)
    assert first.headers == {
        "ce_specversion": "1.0",
        "ce_id": "e1",
        "ce_type": TYPES[0],
        "ce_source": "/payments-core",
        "ce_time": isoformat_utc(MOMENT),
        "content-type": "application/json",
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
    }
    assert "traceparent" not in second.headers


async def test_a_broker_that_is_down_is_told_once_and_nothing_is_marked(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """One line at the loss, one at the return, however many tries lie between."""
    caplog.set_level(logging.INFO)
    await write(deployment.url, [story(number, keys=3) for number in range(10)])
    nowhere = Deployment(deployment.url, "127.0.0.1:1", deployment.prefix)
    relay, errands = nowhere.make_relay()
    tries = 0

    async def rest(seconds: float, *, early: bool) -> None:
        nonlocal tries
        tries += 1
        assert seconds >= 0.05
        if tries == 5:
            relay.publishers[0]._arguments["bootstrap_servers"] = deployment.brokers.split(",")  # type: ignore[attr-defined]
        if tries == 6:
            errands.leave()

    errands.rest = rest  # type: ignore[method-assign]
    await relay.run()
    await relay.close()
    assert deployment.backlog() == 0
    said = [record.getMessage() for record in caplog.records if record.name == "payments_core.relay"]
    assert len(said) == 2
    assert said[0].startswith("Outgoing events wait: Kafka could not be used (ConnectionRefusedError)")
    assert said[1] == "Outgoing events are published again"
    assert not [record for record in caplog.records if record.name.startswith("aiokafka")]


async def test_an_empty_outbox_asks_nothing_of_the_broker(deployment: Deployment) -> None:
    """A relay with nothing to send does not even connect."""
    relay, _ = Deployment(deployment.url, "127.0.0.1:1", deployment.prefix).make_relay()
    await relay.drain()
    await relay.close()
    assert relay.tally.published == 0


async def test_the_refused_rows_of_a_batch_are_parked_and_the_rest_goes_on(deployment: Deployment) -> None:
    """By reason, and only what stands behind them in their key waits; released, they go when the cause is mended."""
    rows = [story(number, keys=5) for number in range(20)]
    await write(deployment.url, [*rows, OutboxRow("lost", "no.such", "pi_9", "{}", MOMENT, "p9")])
    figures = Figures()
    relay, _ = deployment.make_relay(meter=figures.meter)
    await relay.drain()
    assert figures.of("payments.outbox.events") == {"published": 20, "parked": 1}
    [parked] = await relay.outbox.parked(after=0, limit=10)
    assert parked.event_id == "lost"
    assert f"Kafka has no topic {deployment.prefix}no.such" in parked.reason
    assert deployment.backlog() == 1
    before = relay.tally.parked
    await relay.drain()
    assert relay.tally.parked == before
    assert await relay.outbox.release(["lost"]) == 1
    await relay.drain()
    assert relay.tally.parked == before + 1
    await relay.close()
