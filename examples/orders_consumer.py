"""A service downstream of the payments: it books orders in its own database, and prints a line for each event.

It has nothing of the shop's but the broker's address. Each event is booked once, however often Kafka delivers it and
wherever this process is killed: the booking and the record that the event was handled are one transaction.

    KAFKA_BROKERS=127.0.0.1:9092 PAYMENTS_DATABASE_URL=sqlite:///orders.db python -m examples.orders_consumer
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from sqlalchemy import BigInteger, Column, MetaData, String, Table, create_engine, insert
from sqlalchemy.engine import make_url

from payments_core.consumer import ConfigurationError, ConsumerSettings, EventConsumer, Transaction
from payments_core.published import PaymentFailed, PaymentSuccessful

metadata = MetaData()
bookings = Table(
    "orders_booking",
    metadata,
    Column("event_id", String(64), primary_key=True),
    Column("session_id", String(255)),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
)


def service(**settings: Any) -> EventConsumer:
    """The consumer with its handlers, over the environment. Raises ConfigurationError for what cannot be used."""
    consumer = EventConsumer.from_env(group="orders", **settings)

    @consumer.on(PaymentSuccessful)
    def book(event: PaymentSuccessful, tx: Transaction) -> None:
        tx.session.execute(
            insert(bookings).values(
                event_id=event.event_id,
                session_id=event.data.session_id,
                amount_minor=event.data.amount,
                currency=event.data.currency,
            )
        )
        items = ", ".join(f"{product.quantity} x {product.name}" for product in event.data.products)
        paid = f"{event.data.money.decimal} {event.data.currency}"
        _tell(f"booked {paid} for {items or 'a payment without lines'} ({event.event_id})")

    @consumer.on(PaymentFailed)
    def note(event: PaymentFailed) -> None:
        _tell(f"declined: {event.data.reason} ({event.event_id})")

    return consumer


def main() -> int:
    """Consume until SIGTERM; the exit code."""
    logging.basicConfig(level=logging.WARNING, format="[orders] %(message)s")
    try:
        consumer = service()
        _create_table(ConsumerSettings.from_env().payments_database_url.get_secret_value())
        consumer.run()
    except ConfigurationError as reason:
        print(f"orders service: {reason}", file=sys.stderr)
        return 1
    return 0


def _create_table(url: str) -> None:
    parts = make_url(url)
    sqlite = parts.get_backend_name() == "sqlite"
    engine = create_engine(parts.set(drivername="sqlite" if sqlite else "postgresql+psycopg"))
    metadata.create_all(engine)
    engine.dispose()


def _tell(line: str) -> None:
    print(f"[orders] {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
