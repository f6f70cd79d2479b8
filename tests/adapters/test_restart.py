"""One facade, started and stopped more than once in a process, as test clients and reloaders do."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from payments_core import AsyncPayments, Payments
from payments_core.domain.payment import Payment


def settings(folder: Path) -> dict[str, str]:
    """A configuration over a file of its own."""
    return {
        "stripe_secret_key": "sk_test_1",
        "stripe_webhook_secret": "whsec_of_a_test",
        "payments_database_url": f"sqlite:///{folder / 'payments.db'}",
    }


def test_the_asynchronous_facade_starts_again_on_another_loop(tmp_path: Path) -> None:
    """After its lifespan ended it begins anew, on whatever loop runs then."""
    payments = AsyncPayments.from_env(**settings(tmp_path))

    async def once() -> bool:
        async with payments.lifespan():
            assert await payments.recent_events() == []
            return (await payments.core.readiness()).ready

    assert [asyncio.run(once()) for _ in range(3)] == [True, True, True]


def test_the_synchronous_facade_starts_again_after_it_was_closed(tmp_path: Path) -> None:
    """`close` ends the runner and the connections; the next use begins anew."""
    payments = Payments.from_env(**settings(tmp_path))
    for _ in range(3):
        assert payments.recent_events() == []
        payments.close()


def test_the_drivers_own_log_holds_no_address_even_at_debug(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An application that logs everything at DEBUG still finds no buyer's address in its log."""
    caplog.set_level(logging.DEBUG)
    payments = AsyncPayments.from_env(**settings(tmp_path))
    bought = Payment(
        payment_id="pay_1", created_at=datetime.now(UTC), livemode=False, customer_email="jenny@example.com"
    )

    async def add() -> None:
        async with payments.lifespan():
            await payments.core.store.add_payment(bought)

    asyncio.run(add())
    assert "jenny@example.com" not in caplog.text
