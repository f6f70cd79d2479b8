"""The bare driver's loop, given what a handler is promised: SQLAlchemy's connection.

The same claim and the same three effects, of which the library's two are one statement on the driver's own connection;
the handler's goes through SQLAlchemy, as `tx.connection` does. It knows no payments, no lanes and no transitions
either: no library that keeps that promise can be much faster.

Run as `python -m bench.candidates.worker_bound blocking|psycopg|asyncpg`: one event after another, or four at once on a
loop by one of two drivers.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from bench.candidates.place import begin, database_url, since
from bench.candidates.worker_raw import CLAIM, LIMIT

HANDS: Final = 4
_CLAIM: Final = CLAIM.replace("%s", "$1")
_SETTLE: Final = """
WITH stamped AS (UPDATE payments_inbox SET state = 2, done_at = now() WHERE seq = $1 AND state = 1 AND token = $2
                 RETURNING seq)
INSERT INTO payments_outbox (event_id, type, key, part, payload, payment_id, occurred_at, created_at, owed)
SELECT $3, 'PAYMENT_SUCCESSFUL', $4, 0, $5, $4, now(), now(), false FROM stamped RETURNING event_id
"""
_ORDER: Final = text("INSERT INTO shop_order (session_id, amount_minor) VALUES (:session_id, :amount)")

#: Runs a statement with the server's placeholders on the driver's connection; its rows.
Fetch: TypeAlias = Callable[[Any, str, list[Any]], Awaitable[list[Any]]]


async def _by_psycopg(driver: Any, statement: str, values: list[Any]) -> list[Any]:
    from psycopg import AsyncRawCursor

    cursor = AsyncRawCursor(driver)
    await cursor.execute(statement.encode(), values)
    return await cursor.fetchall()


async def _by_asyncpg(driver: Any, statement: str, values: list[Any]) -> list[Any]:
    found: list[Any] = await driver.fetch(statement, *values)
    return found


_FETCH: Final[dict[str, Fetch]] = {"psycopg": _by_psycopg, "asyncpg": _by_asyncpg}


def _read(claimed: Any) -> tuple[dict[str, Any], list[Any]]:
    """The parameters of the order, and those of the library's part."""
    seq, token, body = claimed
    event = json.loads(body)
    session = event["data"]["object"]
    payment_id = session["metadata"]["payments_core_id"]
    told = {"eventType": "PAYMENT_SUCCESSFUL", "sessionId": session["id"], "amount": session["amount_total"]}
    order = {"session_id": session["id"], "amount": session["amount_total"]}
    return order, [seq, token, event["id"], payment_id, json.dumps(told)]


def blocking() -> dict[str, float]:
    """One after another."""
    from psycopg import RawCursor

    engine = create_engine(database_url().replace("postgresql://", "postgresql+psycopg://", 1))

    def fetch(connection: Connection, statement: str, values: list[Any]) -> list[Any]:
        driver: Any = connection.connection.driver_connection
        return RawCursor(driver).execute(statement.encode(), values).fetchall()

    def claim() -> list[Any]:
        with engine.begin() as connection:
            return fetch(connection, _CLAIM, [LIMIT])

    handled, begun = 0, begin()
    while claims := claim():
        for order, settled in map(_read, claims):
            with engine.begin() as connection:
                connection.execute(_ORDER, order)
                _require(fetch(connection, _SETTLE, settled))
        handled += len(claims)
    return {"handled": handled, **since(begun)}


def _require(settled: list[Any]) -> None:
    if not settled:
        raise RuntimeError("the lease was lost")


async def on_a_loop(driver: str) -> dict[str, float]:
    """Four at once."""
    url = database_url().replace("postgresql://", f"postgresql+{driver}://", 1)
    engine, fetch = create_async_engine(url), _FETCH[driver]

    async def hand(claims: Iterable[Any]) -> None:
        for claimed in claims:
            order, settled = _read(claimed)
            async with engine.begin() as connection:
                # The first statement begins the transaction, whichever driver it is.
                await connection.execute(_ORDER, order)
                _require(await fetch((await connection.get_raw_connection()).driver_connection, _SETTLE, settled))

    async def claim() -> list[Any]:
        async with engine.begin() as connection:
            return await fetch((await connection.get_raw_connection()).driver_connection, _CLAIM, [LIMIT])

    handled, begun = 0, begin()
    while claims := await claim():
        left = iter(claims)
        await asyncio.gather(*(hand(left) for _ in range(HANDS)))
        handled += len(claims)
    found = {"handled": handled, **since(begun)}
    await engine.dispose()
    return found


def main() -> None:
    """Entry point."""
    print(json.dumps(blocking() if sys.argv[1] == "blocking" else asyncio.run(on_a_loop(sys.argv[1]))))


if __name__ == "__main__":
    main()
