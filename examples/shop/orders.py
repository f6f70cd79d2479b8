"""The shop's own tables, and what its handlers write into them.

They are in the database of PAYMENTS_DATABASE_URL, so what a handler writes through `tx.session` commits together with
the payment's own record and the outgoing event: there is never an order without its payment, nor a paid one without
its order. The statements are the same in both worlds; only who executes them differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Insert,
    Integer,
    MetaData,
    Row,
    Select,
    String,
    Table,
    insert,
    select,
)
from sqlalchemy.engine import URL, make_url

from payments_core import PaymentFailed, PaymentSuccessful, StripeEvent

metadata = MetaData()
_number = BigInteger().with_variant(Integer, "sqlite")

orders = Table(
    "shop_order",
    metadata,
    Column("id", _number, primary_key=True),
    Column("payment_id", String(64), nullable=False, unique=True),
    Column("session_id", String(255)),
    Column("payment_intent_id", String(255)),
    Column("amount_minor", _number, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("items", JSON, nullable=False),
    Column("placed_at", DateTime(timezone=True), nullable=False),
)
happenings = Table(
    "shop_happening",
    metadata,
    Column("id", _number, primary_key=True),
    Column("kind", String(100), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("note", String(255), nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
)

#: Stripe's events that the activity panel shows as they are handled.
SHOWN_WEBHOOKS = ("checkout.session.completed", "checkout.session.expired", "payment_intent.payment_failed")


def order_of(event: PaymentSuccessful) -> Insert:
    """The order that a paid cart becomes."""
    return insert(orders).values(
        payment_id=event.payment_id,
        session_id=event.session_id,
        payment_intent_id=event.payment_intent_id,
        amount_minor=event.amount_minor,
        currency=event.currency,
        items=[{"name": product.name, "quantity": product.quantity} for product in event.products],
        placed_at=datetime.now(UTC),
    )


def declined(event: PaymentFailed) -> Insert:
    """A declined attempt, for the activity panel."""
    return _happened("declined attempt", event.payment_intent_id or event.payment_id, event.reason)


def received(event: StripeEvent) -> Insert:
    """A handled webhook, for the activity panel."""
    return _happened(event.type, event.id, str(event.object.get("id", "")))


def newest_orders(limit: int = 20) -> Select[Any]:
    """The newest orders first."""
    return select(orders).order_by(orders.c.id.desc()).limit(limit)


def newest_happenings(limit: int = 20) -> Select[Any]:
    """What was seen last, first."""
    return select(happenings).order_by(happenings.c.id.desc()).limit(limit)


def activity(
    found_orders: Sequence[Row[Any]], seen: Sequence[Row[Any]], events: list[dict[str, Any]]
) -> dict[str, Any]:
    """`/activity.json`: orders and webhooks as the shop keeps them, events exactly as published."""
    return {
        "orders": [
            {
                "orderId": row.id,
                "paymentId": row.payment_id,
                "sessionId": row.session_id,
                "paymentIntentId": row.payment_intent_id,
                "amount": row.amount_minor,
                "currency": row.currency,
                "items": row.items,
                "placedAt": _written(row.placed_at),
            }
            for row in found_orders
        ],
        "events": events,
        "webhooks": [
            {"type": row.kind, "id": row.subject, "note": row.note, "handledAt": _written(row.seen_at)} for row in seen
        ],
    }


def database(url: str, *, asynchronous: bool) -> URL:
    """The address of the payments database, for an engine of the shop's own."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        return parts.set(drivername="sqlite+aiosqlite" if asynchronous else "sqlite")
    return parts.set(drivername="postgresql+psycopg")


def _happened(kind: str, subject: str, note: str) -> Insert:
    return insert(happenings).values(kind=kind, subject=subject, note=note, seen_at=datetime.now(UTC))


def _written(moment: datetime) -> str:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
