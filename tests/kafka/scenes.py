"""What the relay's tests have in common: rows in an outbox, relays as processes, and a deployment's names."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from payments_core.adapters.kafka import topics
from payments_core.adapters.kafka.producing import Patience
from payments_core.adapters.kafka.publisher import KafkaPublisher
from payments_core.adapters.sql import Limits, async_store
from payments_core.adapters.sql.relaying import async_outbox
from payments_core.app.relays import LoopErrands
from payments_core.domain.events import DOMAIN_EVENTS
from payments_core.ports import Meter, OutboxRow, Unmetered
from payments_core.ports.publishing import OwedRow
from payments_core.services.relay import Relay
from payments_core.settings import RelaySettings
from payments_core.testing.contracts.examples import MOMENT

DEADLINE_S = 180.0
TYPES = tuple(event.type for event in DOMAIN_EVENTS)
COMMAND = "from payments_core.cli import main; main()"
#: A test does not wait for a topic that nobody makes, nor long for a broker that is down.
HASTY = Patience(delivery_s=6, request_s=2, topic_s=0.3)


@dataclass(frozen=True)
class Deployment:
    """One outbox and one broker, with topics of its own."""

    url: str
    brokers: str
    prefix: str

    @property
    def topics(self) -> list[str]:
        return [self.prefix + one for one in TYPES]

    def settings(self, **changes: Any) -> RelaySettings:
        values: dict[str, Any] = {
            "kafka_brokers": tuple(self.brokers.split(",")),
            "payments_topic_prefix": self.prefix,
            "payments_database_url": self.url,
        }
        return RelaySettings.of(**{**values, **changes})

    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PAYMENTS_", "STRIPE_"))},
            "KAFKA_BROKERS": self.brokers,
            "PAYMENTS_TOPIC_PREFIX": self.prefix,
            "PAYMENTS_DATABASE_URL": self.url,
        }

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-c", COMMAND, *arguments]
        return subprocess.run(
            line, env=self.environment(), capture_output=True, text=True, check=False, timeout=DEADLINE_S
        )

    def relay(self, log: Path) -> subprocess.Popen[bytes]:
        """`payments relay` as a process of its own."""
        with log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-c", COMMAND, "relay"], env=self.environment(), stdout=output, stderr=output
            )

    def make_relay(
        self, *, publisher: KafkaPublisher | None = None, hands: int = 1, meter: Meter | None = None
    ) -> tuple[Relay, LoopErrands]:
        """A relay in this process that is soon out of patience."""
        errands = LoopErrands()
        made = [publisher or KafkaPublisher(self.settings(), patience=HASTY) for _ in range(hands)]
        return Relay(async_outbox(self.url), made, errands, lambda: 0.1, meter=meter or Unmetered()), errands

    def backlog(self) -> int:
        """Rows that are owed, parked ones included."""
        return int(self.query("SELECT count(*) FROM payments_outbox WHERE published_at IS NULL AND owed")[0][0])

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        if self.url.startswith("sqlite"):
            with contextlib.closing(sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=30)) as connection:
                return connection.execute(statement).fetchall()
        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def drained(self, *, down_to: int = 0, within_s: float = DEADLINE_S) -> bool:
        """Wait until so many rows are owed at most; whether it came to that."""
        return wait_until(lambda: self.backlog() <= down_to, within_s)


def story(number: int, *, keys: int, size: int = 300) -> OutboxRow:
    """Outgoing event `number`, of one of so many payments, of any type."""
    event_id = f"fact-{number:06}"
    return OutboxRow(
        event_id,
        TYPES[number % len(TYPES)],
        f"pi_{number % keys}",
        f'{{"eventId": "{event_id}", "fill": "{"x" * size}"}}',
        MOMENT,
        f"p{number % keys}",
    )


def expected(rows: Sequence[OutboxRow]) -> dict[str, list[str]]:
    """Of each key the events in the order in which they were written."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.key, []).append(row.event_id)
    return found


def of_topics(rows: Sequence[OutboxRow]) -> dict[tuple[str, str], list[str]]:
    """The same for each type and key: topics are read one beside the other."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        found.setdefault((row.type, row.key), []).append(row.event_id)
    return found


async def write(url: str, rows: Sequence[OutboxRow]) -> None:
    """Commit rows to the outbox, in this order."""
    store = async_store(url, owes_broker=True, limits=Limits(pool_size=1))
    await store.prepare()
    async with store.transaction() as tx:
        await tx.enqueue(rows)
    await store.close()


def written(url: str, rows: Sequence[OutboxRow]) -> None:
    """The same for a test that has no loop."""
    asyncio.run(write(url, rows))


async def make_topics(deployment: Deployment) -> None:
    """The topics of all types."""
    await topics.create(deployment.settings(), partitions=3)


def owed(row_id: int, key: str = "k", kind: str = TYPES[0], payload: str = "{}") -> OwedRow:
    """A row as a publisher gets it."""
    return OwedRow(row_id, f"fact-{row_id}", kind, key, payload, MOMENT)


def new_prefix() -> str:
    """Begins the names of topics that no other test uses."""
    return f"relay-{uuid.uuid4().hex[:12]}."


def wait_until(condition: Callable[[], bool], within_s: float = DEADLINE_S) -> bool:
    """Wait for a condition that another process brings about; whether it came to hold."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def stopped(process: subprocess.Popen[bytes]) -> int:
    """SIGTERM, and the exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(DEADLINE_S)
