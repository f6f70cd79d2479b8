"""What a worker imports: one shop in each world, whose handlers write a row and wait for a file where they are told to.

`PAYMENTS_DATABASE_URL` is the test's; `HOLD` names a file: while it is there, handlers wait.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from sqlalchemy import text

from payments_core import AsyncPayments, Payments, StripeEvent, Transaction

SETTINGS = {"stripe_secret_key": "sk_test_123", "stripe_webhook_secret": "whsec_test_secret"}
BEGUN = text("INSERT INTO effects (event_id) VALUES (:event_id)")

payments = Payments.from_env(**SETTINGS)
async_payments = AsyncPayments.from_env(**SETTINGS)
not_payments = "a string"


def _is_held(event: StripeEvent) -> bool:
    begun = os.environ.get("BEGUN")
    if begun:
        Path(begun).write_text(event.id)
    hold = os.environ.get("HOLD")
    return bool(hold) and Path(hold or "").exists()


@payments.on("charge.refunded")
def refunded(event: StripeEvent, tx: Transaction) -> None:
    """Write the effect, then wait."""
    tx.connection.execute(BEGUN, {"event_id": event.id})
    while _is_held(event):
        time.sleep(0.01)


@async_payments.on("charge.refunded")
async def refunded_async(event: StripeEvent, tx: Transaction) -> None:
    """The same on a loop."""
    await tx.connection.execute(BEGUN, {"event_id": event.id})
    while _is_held(event):  # noqa: ASYNC110 - another process says when
        await asyncio.sleep(0.01)
