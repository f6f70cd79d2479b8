"""A downstream service in trouble: its processes are killed while they consume, most of them between two commits.

Everything is in the topic twice from the beginning, under the same id. `lost` is an event that is not booked, `doubled`
one that is booked more than once, `out of order` are keys whose events were booked in another order than they were
published. Offsets are reported late, so that every process that takes over is given events that are booked already.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from attrs import frozen
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from sqlalchemy import Column, Integer, MetaData, String, Table, select

from chaos.databases import database, engine_of
from chaos.processes import Child, Crowd, Stuck, until
from chaos.scenario import CannotRun, Result, Scale, Scenario, Setup
from payments_core.adapters.kafka import topics
from payments_core.domain.events import PaymentSuccessful, as_published
from payments_core.domain.strict_json import write_json
from payments_core.money import Money
from payments_core.settings import BrokerSettings
from payments_core.testing.contracts.examples import MOMENT

metadata: Final = MetaData()
booked: Final = Table(
    "booked", metadata, Column("number", Integer, primary_key=True), Column("event_id", String(64), nullable=False)
)

_KEYS: Final = 24
_PARTITIONS: Final = 6
_MEMBERS: Final = 2
_WAIT_S: Final = 120.0
#: A kill comes when so many more events are booked, by chance.
_PROGRESS: Final = 20


@frozen
class Size:
    """How many events, and how many kills."""

    events: int
    kills: int


SIZES: Final = {Scale.SHORT: Size(1_000, 10), Scale.LONG: Size(10_000, 200)}


@frozen
class Scene:
    """A topic of its own, and the books of the service."""

    url: str
    brokers: str
    prefix: str

    @property
    def topic(self) -> str:
        """Its name."""
        return self.prefix + PaymentSuccessful.type

    def publish(self, events: int) -> None:
        """Every event twice, in order per key."""
        producer = Producer({"bootstrap.servers": self.brokers, "enable.idempotence": True})
        for number in range(events):
            for _ in range(2):
                headers: dict[str, str | bytes | None] = {"ce_id": _event_id(number), "ce_specversion": "1.0"}
                producer.produce(self.topic, _body(number), key=_key(number), headers=headers)
            producer.poll(0)
        if producer.flush(60):
            raise CannotRun("the broker did not take the events")

    def booked(self) -> list[str]:
        """Event ids in the order in which they were booked."""
        with engine_of(self.url).connect() as connection:
            return [str(row.event_id) for row in connection.execute(select(booked).order_by(booked.c.number))]


def _event_id(number: int) -> str:
    return f"fact-{number:06d}"


def _key(number: int) -> bytes:
    return f"pi_{zlib.crc32(str(number).encode()) % _KEYS}".encode()


def _body(number: int) -> bytes:
    event = PaymentSuccessful(
        event_id=_event_id(number), payment_id="p", occurred_at=MOMENT, amount=Money(number + 1, "usd")
    )
    return write_json(as_published(event)).encode()


def _killed(kind: str, io: str, setup: Setup) -> Result:
    size, dice = SIZES[setup.scale], random.Random(setup.seed)
    with database(setup, kind) as url, _topic(setup, url) as scene:
        with engine_of(url).begin() as connection:
            metadata.create_all(connection)
        scene.publish(size.events)
        with Crowd(
            {"url": url, "brokers": scene.brokers, "prefix": scene.prefix, "io": io}, setup.folder / "log"
        ) as crowd:
            members = {
                f"orders-{number}": crowd.start("consumer", instance=f"orders-{number}") for number in range(_MEMBERS)
            }
            for _ in range(size.kills):
                _let_work(scene, dice.randrange(1, _PROGRESS))
                name = dice.choice(sorted(members))
                _kill(crowd, members[name])
                members[name] = crowd.start("consumer", instance=name)
            drained = until(lambda: len(set(scene.booked())) >= size.events, _WAIT_S)
            # Whoever is given something again has the time to book it again.
            time.sleep(1)
            crowd.finish(setup.scale)
        return _judged(scene, size, drained=drained)


def _let_work(scene: Scene, more: int) -> None:
    before = len(scene.booked())
    if not until(lambda: len(scene.booked()) >= before + more, _WAIT_S):
        raise Stuck("the consumers do not go on; see what the processes said")


def _kill(crowd: Crowd, child: Child) -> None:
    child.kill()
    child.ended(5)
    crowd.forget(child)


def _judged(scene: Scene, size: Size, *, drained: bool) -> Result:
    found = scene.booked()
    counted = Counter(found)
    by_key: dict[bytes, list[str]] = {}
    for event_id in dict.fromkeys(found):
        by_key.setdefault(_key(int(event_id[5:])), []).append(event_id)
    figures = {
        "events": size.events,
        "kills": size.kills,
        "booked": len(counted),
        "lost": size.events - len(counted),
        "doubled": sum(count > 1 for count in counted.values()),
        "out of order": sum(events != sorted(events) for events in by_key.values()),
    }
    broken = [f"{figures[name]} {name}" for name in ("lost", "doubled", "out of order") if figures[name]]
    return Result(figures, (*broken, *([] if drained else ["the topic was not consumed to its end in time"])))


@contextmanager
def _topic(setup: Setup, url: str) -> Generator[Scene]:
    if setup.kafka_brokers is None:
        raise CannotRun("there is no Kafka; set PAYMENTS_TEST_KAFKA_BROKERS or run `make services`")
    scene = Scene(url, setup.kafka_brokers, f"chaos-{uuid.uuid4().hex[:12]}.")
    settings = BrokerSettings.of(kafka_brokers=tuple(scene.brokers.split(",")), payments_topic_prefix=scene.prefix)
    made, _ = asyncio.run(topics.create(settings, partitions=_PARTITIONS))
    try:
        yield scene
    finally:
        admin: Any = AdminClient({"bootstrap.servers": scene.brokers})
        for gone in admin.delete_topics([topic.name for topic in made]).values():
            gone.exception(30)


SCENARIOS: Final = (
    Scenario(
        "consumer-kill-sqlite",
        "SQLite: a downstream service's processes are killed while they consume; its books are read.",
        partial(_killed, "sqlite", "blocking"),
    ),
    Scenario(
        "consumer-kill-postgresql",
        "PostgreSQL: the same, with handlers on the event loop.",
        partial(_killed, "postgresql", "async"),
    ),
)
