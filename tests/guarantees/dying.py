"""A worker that dies inside its handler, after the handler's write and before the commit: `python -m` this.

Arguments: `blocking` or `async`, the database's URL, the Unix time to take for now. Ends with status 9, saying nothing.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from payments_core import AsyncPayments, Payments, PaymentSuccessful, Settings
from payments_core.adapters.memory import MemoryGateway
from tests.flows.shop import SECRET

WRITE = text("INSERT INTO shop_effect (fact, kind) VALUES ('of the dead', 'payment.successful')")


def main(io: str, url: str, now_s: str) -> None:
    """Handle what is due, and die of it."""
    settings = Settings.of(stripe_secret_key="sk_test_123", stripe_webhook_secret=SECRET, payments_database_url=url)
    now = datetime.fromtimestamp(int(now_s) + 1, UTC)
    common: dict[str, Any] = {"clock": lambda: now, "runner": False}
    if io == "blocking":
        blocking = Payments(settings, gateway=MemoryGateway(), **common)

        @blocking.on(PaymentSuccessful)
        def die(_: PaymentSuccessful, tx: Any) -> None:
            tx.session.execute(WRITE)
            os._exit(9)

        blocking.start()
        blocking.run_due()
    else:
        asyncio.run(_die_async(settings, common))


async def _die_async(settings: Settings, common: dict[str, Any]) -> None:
    payments = AsyncPayments(settings, gateway=MemoryGateway(io="async"), **common)

    @payments.on(PaymentSuccessful)
    async def die(_: PaymentSuccessful, tx: Any) -> None:
        await tx.session.execute(WRITE)
        os._exit(9)

    await payments.start()
    await payments.run_due()


if __name__ == "__main__":
    main(*sys.argv[1:])
