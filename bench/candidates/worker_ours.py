"""Our worker loop: claims and handles what is due until nothing is, with a handler that inserts one row.

Run as `python -m bench.candidates.worker_ours blocking|async`; prints how many events it claimed, in how long, and with
how much CPU.
"""

from __future__ import annotations

import asyncio
import json
import sys

from sqlalchemy import text

from bench.candidates.place import begin, database_url, secret, since
from payments_core import AsyncPayments, Payments, PaymentSuccessful, Settings
from payments_core.adapters.memory import MemoryGateway
from payments_core.adapters.sql import async_store, blocking_store
from payments_core.ports import Transaction

_ORDER = text("INSERT INTO shop_order (session_id, amount_minor) VALUES (:session_id, :amount)")


def _settings() -> Settings:
    return Settings.of(stripe_secret_key="sk_test_bench", stripe_webhook_secret=secret())


def _row(event: PaymentSuccessful) -> dict[str, object]:
    return {"session_id": event.session_id, "amount": event.amount.minor}


def blocking() -> dict[str, float]:
    """The synchronous facade."""
    payments = Payments(_settings(), store=blocking_store(database_url()), gateway=MemoryGateway())

    @payments.on(PaymentSuccessful)
    def order(event: PaymentSuccessful, tx: Transaction) -> None:
        tx.connection.execute(_ORDER, _row(event))

    handled, begun = 0, begin()
    while claimed := payments.run_due():
        handled += claimed
    return {"handled": handled, **since(begun)}


async def on_a_loop() -> dict[str, float]:
    """The asynchronous facade."""
    payments = AsyncPayments(_settings(), store=async_store(database_url()), gateway=MemoryGateway(io="async"))

    @payments.on(PaymentSuccessful)
    async def order(event: PaymentSuccessful, tx: Transaction) -> None:
        await tx.connection.execute(_ORDER, _row(event))

    handled, begun = 0, begin()
    while claimed := await payments.run_due():
        handled += claimed
    return {"handled": handled, **since(begun)}


def main() -> None:
    """Entry point."""
    print(json.dumps(blocking() if sys.argv[1] == "blocking" else asyncio.run(on_a_loop())))


if __name__ == "__main__":
    main()
