"""A downstream service for these tests: it books each event in a table without any key that could hide a repeat."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, insert, select
from sqlalchemy.engine import make_url

from payments_core.adapters.kafka.consumer import ConsumerLimits
from payments_core.adapters.sql import upgrade
from payments_core.consumer import ConsumerSettings, ConsumptionPolicy, EventConsumer, Transaction
from payments_core.ports import Io
from payments_core.published import PaymentSuccessful

DEADLINE_S = 180
QUICK = ConsumptionPolicy(base_delay_s=0.01, max_delay_s=0.05)
LIMITS = ConsumerLimits(session_s=6, grace_s=5, topics_s=1)

metadata = MetaData()
booked = Table(
    "booked", metadata, Column("number", Integer, primary_key=True), Column("event_id", String(64), nullable=False)
)


class Books:
    """A service's database: its own table beside the library's."""

    def __init__(self, url: str) -> None:
        self.url = url
        upgrade(url)
        self.engine = create_engine(make_url(url), pool_pre_ping=True)
        metadata.create_all(self.engine)

    def events(self) -> list[str]:
        """The event ids in the order of booking."""
        with self.engine.connect() as connection:
            return [str(row.event_id) for row in connection.execute(select(booked).order_by(booked.c.number))]

    def counted(self) -> Counter[str]:
        """How often each event was booked."""
        return Counter(self.events())

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def body(event_id: str, event_type: str = "payment.successful") -> bytes:
    """An event as it is published."""
    data = {
        "userId": "u1",
        "email": None,
        "amount": 5998,
        "currency": "usd",
        "products": [{"name": "Tee", "quantity": 2, "price": 2999}],
        "paymentIntentId": "pi_1",
        "sessionId": "cs_1",
    }
    event = {"eventId": event_id, "eventType": event_type, "timestamp": "2026-11-23T10:58:01.000Z", "data": data}
    return json.dumps(event).encode()


def consumer(brokers: str, prefix: str, url: str, *, group: str = "orders", **options: Any) -> EventConsumer:
    """A consumer of these tests' topics, without handlers."""
    settings = ConsumerSettings.of(
        kafka_brokers=brokers, payments_topic_prefix=prefix, payments_database_url=url, payments_consumer_max_attempts=4
    )
    policy = ConsumptionPolicy(max_attempts=4, base_delay_s=0.01, max_delay_s=0.05)
    return EventConsumer(prefix + group, settings=settings, **{"policy": policy, "limits": LIMITS, **options})


def book(into: EventConsumer, io: Io, before: Callable[[str], None] = lambda _: None) -> None:
    """Register the handler that books in this world; `before` is called ahead of every booking."""
    if io == "async":

        @into.on(PaymentSuccessful)
        async def booking(event: PaymentSuccessful, tx: Transaction) -> None:
            before(event.event_id)
            await tx.session.execute(insert(booked).values(event_id=event.event_id))

    else:

        @into.on(PaymentSuccessful)
        def booking_plainly(event: PaymentSuccessful, tx: Transaction) -> None:
            before(event.event_id)
            tx.session.execute(insert(booked).values(event_id=event.event_id))


@asynccontextmanager
async def running(*consumers: EventConsumer) -> AsyncIterator[None]:
    """Consume in the background; whatever ends a consumer ends the test."""
    tasks = [asyncio.create_task(one.consume()) for one in consumers]
    watcher = asyncio.current_task()

    def ended(_: asyncio.Task[None]) -> None:
        if watcher is not None:
            watcher.cancel()

    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield
    finally:
        for one in consumers:
            one.stop()
        for task in tasks:
            task.remove_done_callback(ended)
        await asyncio.gather(*tasks)


async def until(condition: Callable[[], bool], told: Callable[[], object] = lambda: "") -> None:
    """Wait until a condition holds, checked on a thread."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_S
    while not await asyncio.to_thread(condition):
        assert asyncio.get_running_loop().time() < deadline, told()
        await asyncio.sleep(0.05)


def sqlite(folder: Path) -> str:
    """The URL of a file of its own."""
    return f"sqlite:///{folder / 'orders.db'}"


def ids(count: int) -> Sequence[str]:
    """Event ids."""
    return [f"evt-{number:04d}" for number in range(count)]


def once(event_ids: Iterable[str]) -> Counter[str]:
    """Each exactly once."""
    return Counter(dict.fromkeys(event_ids, 1))
