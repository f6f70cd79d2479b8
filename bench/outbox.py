"""A backlog: so many outgoing events, two to a payment, of the size that a payment with two lines has."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Final

import psycopg

from payments_core.adapters.sql import upgrade
from payments_core.adapters.sql.outbox import partition
from payments_core.ports.publishing import OwedRow

TYPE: Final = "payment.successful"
_MOMENT: Final = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
_NAMESPACE: Final = uuid.UUID(int=7)
_PAYLOAD: Final = (
    '{"eventId":"%s","eventType":"payment.successful","timestamp":"2026-11-23T12:30:00.000Z","data":{"userId":"user_42",'
    '"email":"buyer@shop.example","amount":5998,"currency":"usd","products":[{"name":"Premium T-Shirt","quantity":1,'
    '"price":2999},{"name":"Premium T-Shirt, second colour","quantity":1,"price":2999}],"paymentIntentId":"%s",'
    '"sessionId":"cs_test_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V2w3X4y5Z6"}}'
)
_COLUMNS: Final = "event_id, type, key, part, payload, payment_id, occurred_at, created_at, owed"


def owed(number: int) -> OwedRow:
    """Event `number`."""
    event_id, key = str(uuid.uuid5(_NAMESPACE, str(number))), f"pi_3Q{number // 2:022}"
    return OwedRow(number, event_id, TYPE, key, _PAYLOAD % (event_id, key), _MOMENT)


def fill(url: str, count: int) -> None:
    """The schema, and so many rows that a broker is owed, with statistics as they were when the table was empty."""
    upgrade(url)
    with psycopg.connect(url, autocommit=True) as connection:
        with connection.cursor().copy(f"COPY payments_outbox ({_COLUMNS}) FROM STDIN".encode()) as rows:
            for number in range(count):
                row = owed(number)
                part = partition(row.key)
                values = (row.event_id, row.type, row.key, part, row.payload, f"p{number // 2}", _MOMENT, _MOMENT, True)
                rows.write_row(values)
        connection.execute("VACUUM payments_outbox")
