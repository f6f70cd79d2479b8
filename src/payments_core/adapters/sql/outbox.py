"""Outgoing events: written with what caused them, read back by whoever shows them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final
from zlib import crc32

from sqlalchemy import Insert, func, literal_column, select

from payments_core.adapters.sql.connector import Connector, Link, changed, one, rows
from payments_core.adapters.sql.statements import Dialect, given, now_sql
from payments_core.adapters.sql.tables import PARTITIONS, outbox
from payments_core.ports import OutboxRow


def partition(key: str) -> int:
    """The partition of a key; all rows of one key are in one."""
    return crc32(key.encode("utf-8", "replace")) % PARTITIONS


#: What is given for a row; when it was written is the database's to say.
COLUMNS: Final = ("event_id", "type", "key", "part", "payload", "payment_id", "traceparent", "occurred_at", "owed")


def columns(row: OutboxRow, *, owed: bool) -> dict[str, Any]:
    """The values of COLUMNS."""
    return {
        "event_id": row.event_id,
        "type": row.type,
        "key": row.key,
        "part": partition(row.key),
        "payload": row.payload,
        "payment_id": row.payment_id,
        "traceparent": row.traceparent,
        "occurred_at": row.occurred_at,
        "owed": owed,
    }


async def enqueue(link: Link, dialect: Dialect, written: Sequence[OutboxRow], *, owed: bool) -> None:
    """Insert the rows one after another, so that their ids rise in this order."""
    for row in written:
        await changed(link, _enqueued(dialect.name), columns(row, owed=owed) | dialect.moment())


@cache
def _enqueued(name: str) -> Insert:
    return outbox.insert().values(given(COLUMNS, created_at=now_sql(name)))


async def backlog(link: Link) -> int:
    """How many rows a broker is owed."""
    found = await one(
        link,
        select(func.count()).select_from(outbox).where(outbox.c.published_at.is_(None), literal_column("owed")),
    )
    return 0 if found is None else int(found[0])


async def recent(connector: Connector, limit: int) -> Sequence[str]:
    """The payloads of the newest rows, newest first."""
    async with connector.transaction(writes=False) as link:
        found = await rows(link, select(outbox.c.payload).order_by(outbox.c.id.desc()).limit(limit))
    return [row.payload for row in found]
