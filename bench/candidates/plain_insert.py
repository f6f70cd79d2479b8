"""The plainest durable insert there is: one statement of the driver's, a transaction of its own, on a held connection.

What grouping is compared with where there is nothing to group (T5).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import psycopg

from payments_core.domain.delivery import ReceivedEvent

_INSERT: Final = (
    "INSERT INTO payments_inbox (account, livemode, event_id, type, body, state, next_at, token, attempts,"
    " received_at) VALUES (%s, %s, %s, %s, %s, 0, statement_timestamp(), 0, 0, statement_timestamp())"
    " ON CONFLICT (account, livemode, event_id) DO NOTHING"
)


class PlainInsert:
    """Receives an event into our inbox, one after another."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._turn = asyncio.Lock()

    async def receive(self, event: ReceivedEvent) -> bool:
        """Store it; True when it is new."""
        values = (event.account or "", int(bool(event.livemode)), event.event_id, event.type, event.body)
        async with self._turn:
            if self._connection is None:
                self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
            return (await self._connection.execute(_INSERT, values, prepare=True)).rowcount == 1
