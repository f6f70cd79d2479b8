"""A part of the broker takes nothing: what is owed to it waits, and everything else goes on."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from aiokafka.errors import NotEnoughReplicasError

from payments_core.adapters.kafka import publisher as publisher_module
from payments_core.adapters.kafka.producing import Message, Patience, Producer, Sending, place_of
from payments_core.adapters.kafka.publisher import KafkaPublisher
from payments_core.adapters.memory import MemoryStore
from payments_core.app.relays import LoopErrands
from payments_core.ports import OutboxRow
from payments_core.ports.publishing import BrokerUnavailable, OwedRow, Refusal
from payments_core.services.relay import Relay
from payments_core.testing.contracts.examples import MOMENT
from tests.kafka.reading import read_back
from tests.kafka.scenes import HASTY, Deployment, of_topics, owed, write

STUCK, SOUND = "payment.failed", "payment.successful"


class Short(Producer):
    """A client whose broker answers for one topic that it has too few replicas of it."""

    async def send(self, messages: Iterable[Message], partitions: Mapping[str, int], sent: list[Sending]) -> None:
        """See Producer."""
        sound: list[Message] = []
        for one in messages:
            if one.row.type == STUCK:
                answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
                answer.set_exception(NotEnoughReplicasError())
                sent.append(Sending(*place_of(one, partitions), [one], answer))
            else:
                sound.append(one)
        await super().send(sound, partitions, sent)


class HalfBroker:
    """A publisher whose broker takes nothing of one type, as with too few replicas, and is waited for in vain."""

    def __init__(self) -> None:
        self.has: dict[str, list[str]] = defaultdict(list)
        self.now_s = 0.0

    async def publish(self, rows: Sequence[OwedRow]) -> tuple[Sequence[int], Mapping[int, Refusal]]:
        """See Publisher."""
        shut = {row.key for row in rows if row.type == STUCK}
        taken = [row for row in rows if row.key not in shut]
        for row in taken:
            self.has[row.key].append(row.event_id)
        if shut:
            self.now_s += Patience().delivery_s
            unanswered = [row.row_id for row in rows if row.type == STUCK]
            acknowledged = [row.row_id for row in taken]
            raise BrokerUnavailable("too few replicas", acknowledged=acknowledged, unanswered=unanswered)
        return [row.row_id for row in taken], {}

    async def close(self) -> None:
        """Nothing is held."""


def rows_of(kind: str, keys: Sequence[str]) -> list[OutboxRow]:
    """One event of that type for each key."""
    return [OutboxRow(f"{kind}-{key}", kind, key, "{}", MOMENT, key) for key in keys]


def numbered(name: str, count: int) -> list[str]:
    """Keys of a name."""
    return [f"{name}{number:03}" for number in range(count)]


async def half_relayed(rows: Sequence[OutboxRow], rests: int) -> HalfBroker:
    """What a relay with batches of ten has brought to such a broker, after so many rests."""
    store = MemoryStore(io="async", owes_broker=True)
    async with store.transaction() as tx:
        await tx.enqueue(rows)
    broker, errands = HalfBroker(), LoopErrands()
    left = rests

    async def rest(seconds: float, *, early: bool) -> None:
        nonlocal left
        broker.now_s += seconds
        left -= 1
        if left == 0:
            errands.leave()

    errands.rest = rest  # type: ignore[method-assign]
    errands.monotonic_s = lambda: broker.now_s  # type: ignore[method-assign]
    relay = Relay(store.outbox, [broker], errands, lambda: 0.5, batch_rows=10)
    await relay.run()
    return broker


async def test_a_topic_that_takes_nothing_does_not_starve_the_others() -> None:
    """However many of its events stand before theirs."""
    sound = numbered("sound", 50)
    rows = [*rows_of(STUCK, numbered("stuck", 100)), *rows_of(SOUND, sound)]
    broker = await half_relayed(rows, rests=30)
    assert set(broker.has) == set(sound)


async def test_what_stands_behind_an_unanswered_event_of_its_key_waits() -> None:
    """Whatever topic it is for."""
    rows = [*rows_of(STUCK, ["k1"]), *rows_of(SOUND, ["k1", "k2"])]
    broker = await half_relayed(rows, rests=5)
    assert broker.has == {"k2": [f"{SOUND}-k2"]}


async def test_the_events_of_a_topic_that_is_usable_again_come_in_order(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the other topics were published meanwhile."""
    rows = [*rows_of(STUCK, numbered("a", 20)), *rows_of(SOUND, numbered("a", 20)), *rows_of(SOUND, numbered("b", 20))]
    await write(deployment.url, rows)
    monkeypatch.setattr(publisher_module, "Producer", Short)
    relay, _ = deployment.make_relay()
    await relay.drain()
    await relay.close()
    assert deployment.backlog() == 40
    monkeypatch.undo()
    relay, _ = deployment.make_relay()
    await relay.drain()
    await relay.close()
    assert deployment.backlog() == 0
    told: dict[tuple[str, str], list[str]] = {}
    for message in read_back(deployment.brokers, deployment.topics):
        told.setdefault((message.topic.removeprefix(deployment.prefix), message.key), []).append(message.event_id)
    assert told == of_topics(rows)


async def test_a_publisher_goes_on_with_what_has_nothing_to_do_with_the_trouble(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with the second events of their keys; what was sent in vain is named."""
    monkeypatch.setattr(publisher_module, "Producer", Short)
    rows = [owed(1, "k1", STUCK), owed(2, "k1", SOUND), *(owed(number, "k2", SOUND) for number in range(3, 6))]
    publisher = KafkaPublisher(deployment.settings(), patience=HASTY)
    with pytest.raises(BrokerUnavailable, match="too few replicas") as told:
        await publisher.publish(rows)
    await publisher.close()
    assert list(told.value.acknowledged) == [3, 4, 5]
    assert list(told.value.unanswered) == [1]


async def test_a_call_that_takes_long_leaves_the_rest_to_the_next(deployment: Deployment) -> None:
    """What it settled can be marked: nothing begins again from the start."""
    rows = [owed(number, f"k{number}", SOUND, "x" * 2_000_000) for number in range(2)]
    rows += [owed(number, "k9", SOUND) for number in range(2, 6)]
    publisher = KafkaPublisher(deployment.settings(), patience=Patience(call_s=0, topic_s=0.3))
    settled: list[int] = []
    calls = 0
    while left := [row for row in rows if row.row_id not in settled]:
        acknowledged, refused = await publisher.publish(left)
        assert acknowledged or refused
        settled += [*acknowledged, *refused]
        calls += 1
    await publisher.close()
    assert (sorted(settled), calls) == (list(range(6)), 4)
