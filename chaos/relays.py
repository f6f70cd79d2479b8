"""The relay and its broker in trouble: processes killed at random, a broker killed and frozen, connections cut.

Counted by an independent reader of the topics. `missing` is an event that was committed and is in no topic, `repeats`
are messages that came again (which is allowed after a crash, with the same `ce_id`), `out of order` are keys whose
events first came in another order than they were committed.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from sqlalchemy import text

from chaos.brokers import OwnBroker, everything
from chaos.cutting import CuttingProxy
from chaos.databases import database, engine_of
from chaos.processes import Child, Crowd, until
from chaos.scenario import CannotRun, Figure, Result, Scale, Scenario, Setup
from payments_core.adapters.kafka import topics
from payments_core.adapters.sql import blocking_store
from payments_core.domain.events import DOMAIN_EVENTS
from payments_core.drive import run_blocking
from payments_core.ports import OutboxRow
from payments_core.settings import BrokerSettings
from payments_core.testing.contracts.examples import MOMENT

_TYPES: Final = tuple(event.type for event in DOMAIN_EVENTS)
_WAIT_S: Final = 120.0
_AT_ONCE: Final = 500
_KILL_WITHIN_S: Final = 0.4


@frozen
class Size:
    """How many rows and how much trouble. `batch` is small, so that trouble meets many batches."""

    rows: int
    kills: int
    batch: int = 10


KILLS: Final = {Scale.SHORT: Size(1_200, 15), Scale.LONG: Size(10_000, 200)}
OUTAGES: Final = {Scale.SHORT: Size(1_000, 2, batch=50), Scale.LONG: Size(20_000, 40, batch=50)}
CUTS: Final = {Scale.SHORT: Size(1_000, 10, batch=10), Scale.LONG: Size(20_000, 1_000, batch=10)}


@frozen
class Scene:
    """One outbox, one broker, topics of its own."""

    url: str
    brokers: str
    prefix: str
    keys: int = 40

    @property
    def topics(self) -> list[str]:
        """Their names."""
        return [self.prefix + kind for kind in _TYPES]

    def row(self, number: int) -> OutboxRow:
        """Outgoing event `number`."""
        key, kind = f"pi_{number % self.keys}", _TYPES[number // self.keys % len(_TYPES)]
        return OutboxRow(f"fact-{number}", kind, key, f'{{"n": {number}}}', MOMENT, f"p{number % self.keys}")

    def write(self, numbers: Sequence[int]) -> None:
        """Commit events, in this order."""
        store = blocking_store(self.url, owes_broker=True)
        run_blocking(store.prepare())
        for first in range(0, len(numbers), _AT_ONCE):
            run_blocking(_enqueue(store, [self.row(number) for number in numbers[first : first + _AT_ONCE]]))
        run_blocking(store.close())

    def backlog(self) -> int:
        """Rows that are owed."""
        statement = text("SELECT count(*) FROM payments_outbox WHERE published_at IS NULL AND owed")
        with engine_of(self.url).connect() as connection:
            return int(connection.execute(statement).scalar_one())

    def parked(self) -> int:
        """Rows that the broker is said to have refused."""
        statement = text("SELECT count(*) FROM payments_outbox WHERE parked_reason IS NOT NULL")
        with engine_of(self.url).connect() as connection:
            return int(connection.execute(statement).scalar_one())

    def make_topics(self) -> None:
        """The topics of all types."""
        settings = BrokerSettings.of(kafka_brokers=tuple(self.brokers.split(",")), payments_topic_prefix=self.prefix)
        asyncio.run(topics.create(settings, partitions=3))

    def spec(self, size: Size, **changes: object) -> dict[str, Any]:
        """What a relay's process is told."""
        return {"url": self.url, "brokers": self.brokers, "prefix": self.prefix, "batch": size.batch, **changes}


async def _enqueue(store: Any, rows: Sequence[OutboxRow]) -> None:
    async with store.transaction() as tx:
        await tx.enqueue(rows)


def judged(scene: Scene, rows: int, brokers: str, figures: dict[str, Figure], *broken: str) -> Result:
    """Read everything back, and compare it with what was committed."""
    found = everything(brokers, scene.topics)
    wanted: dict[tuple[str, str], list[str]] = {}
    for number in range(rows):
        row = scene.row(number)
        wanted.setdefault((scene.prefix + row.type, row.key), []).append(row.event_id)
    came: dict[tuple[str, str], dict[str, None]] = {}
    for topic, key, event_id in found:
        came.setdefault((topic, key), {})[event_id] = None
    effects = {event_id for _, _, event_id in found}
    missing = rows - len(effects & {f"fact-{number}" for number in range(rows)})
    disordered = sum(list(came.get(place, ())) != events for place, events in wanted.items())
    counted: dict[str, Figure] = {
        "rows": rows,
        "messages": len(found),
        "repeats": len(found) - len(effects),
        "missing": missing,
        "out of order": disordered,
        "still owed": scene.backlog(),
        "parked": scene.parked(),
        **figures,
    }
    said = [f"{counted[name]} {name}" for name in ("missing", "out of order", "still owed", "parked") if counted[name]]
    return Result(counted, (*said, *broken))


def _killed(kind: str, setup: Setup) -> Result:
    """C03: kill -9 at a random moment, again and again, two relays at a time on PostgreSQL."""
    size, dice = KILLS[setup.scale], random.Random(setup.seed)
    with (
        database(setup, kind) as url,
        _topics(setup, url) as scene,
        Crowd(scene.spec(size), setup.folder / "log") as crowd,
    ):
        scene.write(range(size.rows // 2))
        written, kills = size.rows // 2, 0
        relays: list[Child] = []
        while kills < size.kills:
            while len(relays) < (1 if kind == "sqlite" else 2):
                relays.append(crowd.start("relay"))
            # There is always something to send, so that a kill meets a relay at work.
            more = min(size.rows - written, max(1, size.rows // 2 // size.kills))
            scene.write(range(written, written + more))
            written += more
            time.sleep(dice.uniform(0, _KILL_WITHIN_S))
            victim = relays.pop(dice.randrange(len(relays)))
            victim.kill()
            victim.ended(5)
            crowd.forget(victim)
            kills += 1
        scene.write(range(written, size.rows))
        crowd.start("relay")
        until(lambda: scene.backlog() == 0, _WAIT_S)
        crowd.finish(setup.scale)
        return judged(scene, size.rows, scene.brokers, {"kills": kills})


def _broker_outages(setup: Setup) -> Result:
    """C18: the broker is killed, or frozen and thawed, while rows keep coming; the relay's memory is watched."""
    size, dice = OUTAGES[setup.scale], random.Random(setup.seed)
    broker = OwnBroker(setup.folder / "kafka")
    try:
        with database(setup, "sqlite") as url:
            scene = Scene(url, broker.address, f"outage{setup.seed}.")
            scene.make_topics()
            with Crowd(scene.spec(size), setup.folder / "log") as crowd:
                relay = crowd.start("relay")
                part = size.rows // (2 * size.kills)
                written, rss_mb = 0, 0.0
                for number in range(size.kills):
                    for trouble in (_kill, _freeze):
                        end = trouble(broker)
                        scene.write(range(written, written + part))
                        written += part
                        time.sleep(dice.uniform(0.2, 3.0))
                        end()
                    rss_mb = rss_mb or memory_mb(relay.pid)
                    _until_drained(scene, number)
                scene.write(range(written, size.rows))
                until(lambda: scene.backlog() == 0, _WAIT_S)
                alive, grown = relay.alive, memory_mb(relay.pid) - rss_mb
                crowd.finish(setup.scale)
            broken = [] if alive else ["the relay ended"]
            if grown > 20:
                broken.append(f"the relay's memory grew by {grown:.1f} MB")
            figures: dict[str, Figure] = {"outages": 2 * size.kills, "memory grew MB": round(grown, 1)}
            return judged(scene, size.rows, broker.address, figures, *broken)
    finally:
        broker.close()


def _until_drained(scene: Scene, number: int) -> None:
    if not until(lambda: scene.backlog() == 0, _WAIT_S):
        raise CannotRun(f"the backlog did not drain after outage {number}")


def _kill(broker: OwnBroker) -> Callable[[], None]:
    broker.kill()
    return broker.start


def _freeze(broker: OwnBroker) -> Callable[[], None]:
    broker.freeze()
    return broker.thaw


def _cut(setup: Setup) -> Result:
    """C19: connections cut between the broker's answer and the relay: in one producer's life no message comes twice."""
    size = CUTS[setup.scale]
    with CuttingProxy(share=0.3, seed=setup.seed) as proxy:
        broker = OwnBroker(setup.folder / "kafka", cut_at=proxy.port)
        proxy.target = broker.behind_port
        try:
            with database(setup, "sqlite") as url:
                scene = Scene(url, f"127.0.0.1:{proxy.port}", f"cut{setup.seed}.")
                Scene(url, broker.address, scene.prefix).make_topics()
                with Crowd(scene.spec(size), setup.folder / "log") as crowd:
                    relay = crowd.start("relay")
                    written = 0
                    while proxy.cuts < size.kills and written < size.rows:
                        scene.write(range(written, min(size.rows, written + size.rows // 10)))
                        written = min(size.rows, written + size.rows // 10)
                        _until_drained(scene, written)
                    scene.write(range(written, size.rows))
                    _until_drained(scene, size.rows)
                    # A partition: everything is swallowed for a while.
                    proxy.dark = True
                    scene.write(range(size.rows, size.rows + 50))
                    time.sleep(3)
                    proxy.dark = False
                    _until_drained(scene, size.rows + 50)
                    alive = relay.alive
                    crowd.finish(setup.scale)
                broken = [] if alive else ["the relay ended"]
                result = judged(scene, size.rows + 50, broker.address, {"cuts": proxy.cuts}, *broken)
                repeats = result.figures["repeats"]
                return Result(result.figures, (*result.broken, *([f"{repeats} repeats"] if repeats else [])))
        finally:
            broker.close()


@contextmanager
def _topics(setup: Setup, url: str) -> Generator[Scene]:
    """A scene on the broker that is there."""
    if setup.kafka_brokers is None:
        raise CannotRun("there is no Kafka; set PAYMENTS_TEST_KAFKA_BROKERS or run `make services`")
    scene = Scene(url, setup.kafka_brokers, f"chaos-{uuid.uuid4().hex[:12]}.")
    scene.make_topics()
    try:
        yield scene
    finally:
        from confluent_kafka.admin import AdminClient

        admin: Any = AdminClient({"bootstrap.servers": scene.brokers})
        for future in admin.delete_topics(scene.topics).values():
            future.exception(30)


def memory_mb(pid: int) -> float:
    """What a process holds in memory."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


SCENARIOS: Final = (
    Scenario(
        "relay-killed-sqlite",
        "SQLite: relays are killed while they publish; a reader counts.",
        partial(_killed, "sqlite"),
    ),
    Scenario(
        "relay-killed-postgresql",
        "PostgreSQL: two relays at a time are killed while they publish; a reader counts.",
        partial(_killed, "postgresql"),
    ),
    Scenario(
        "broker-outages", "Kafka is killed and frozen while events keep coming; the relay catches up.", _broker_outages
    ),
    Scenario("relay-cut-off", "Connections to Kafka are cut after a batch went in, before its answer.", _cut),
)
