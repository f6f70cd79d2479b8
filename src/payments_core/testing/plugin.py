"""The pytest plugin: a Stripe, a database and the library in the test's own process, when a test asks for them.

pytest finds it by its entry point `payments_core`. No fixture is automatic, and everything that costs time is imported
when a fixture is first used. `pytest -p no:payments_core` leaves it out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from payments_core import AsyncPayments, Payments
    from payments_core.testing.databases import Databases
    from payments_core.testing.offline import AsyncOfflineStripe, LocatedPayments, OfflineStripe
    from payments_core.testing.signing import SignedEvent

_PATIENCE_S = 10


@pytest.fixture(scope="session")
def _payments_databases() -> Iterator[Databases]:
    from payments_core.testing.databases import databases

    with databases() as ours:
        yield ours


@pytest.fixture
def payments_database_url(_payments_databases: Databases) -> Iterator[str]:
    """An empty SQLite database with the library's schema, deleted after the test. Override it for another one."""
    with _payments_databases.fresh() as url:
        yield url


@pytest.fixture
def payments_settings() -> dict[str, Any]:
    """Override it: settings of `payments` and `async_payments` by their lower-case names, which win over the plugin's.

    What the constructors take beside settings (`session_factory`, `delivery`, …) may stand here, too.
    """
    return {}


@pytest.fixture
def payments_sandbox(payments_settings: dict[str, Any]) -> OfflineStripe:
    """A fresh Stripe in this process, and what a buyer or time does there."""
    from payments_core.testing.offline import WEBHOOK_SECRET, OfflineStripe

    secret = str(payments_settings.get("stripe_webhook_secret") or WEBHOOK_SECRET)
    return OfflineStripe(webhook_secret=secret.split(",", maxsplit=1)[0].strip())


@pytest.fixture
def payments(
    payments_sandbox: OfflineStripe, payments_database_url: str, payments_settings: dict[str, Any]
) -> Iterator[Payments]:
    """`Payments` over the sandbox and a fresh database. Handlers run inside the sandbox's helpers, not behind them."""
    from payments_core import Payments

    made = Payments(**_arguments(payments_sandbox, payments_database_url, payments_settings))
    payments_sandbox.attach(made)
    yield made
    made.close()


@pytest.fixture
def async_payments(
    payments_sandbox: OfflineStripe, payments_database_url: str, payments_settings: dict[str, Any]
) -> Iterator[AsyncPayments]:
    """`AsyncPayments` over the sandbox and a fresh database, for the application's loop or the test's own."""
    from payments_core.testing.offline import LocatedPayments

    made = LocatedPayments(**_arguments(payments_sandbox, payments_database_url, payments_settings))
    payments_sandbox.attach(made)
    yield made
    _close(made)


@pytest.fixture
def async_payments_sandbox(payments_sandbox: OfflineStripe, async_payments: AsyncPayments) -> AsyncOfflineStripe:
    """`payments_sandbox` for async tests: the same helpers, awaited."""
    from payments_core.testing.offline import AsyncOfflineStripe

    return AsyncOfflineStripe(payments_sandbox)


@pytest.fixture
def signed_event(payments_sandbox: OfflineStripe) -> Callable[..., SignedEvent]:
    """Makes events as Stripe sends them: `signed_event("charge.refunded", {"id": "ch_1", "object": "charge"})`.

    Signed with the secret of `payments`, unless `secret=` is another. See payments_core.testing.signing.
    """
    from payments_core.testing import signing

    def make(kind: str, object_: dict[str, Any], **options: Any) -> SignedEvent:
        ours: dict[str, Any] = {
            "secret": payments_sandbox.sandbox.webhook_secret,
            "timestamp_s": payments_sandbox.sandbox.now(),
        }
        return signing.signed_event(kind, object_, **(ours | options))

    return make


def _arguments(offline: OfflineStripe, url: str, given: dict[str, Any]) -> dict[str, Any]:
    from payments_core.app.core import CONSTRUCTOR_OPTIONS

    settings = {"payments_database_url": url, **given}
    made: dict[str, Any] = {"http_client": offline.http_client, "clock": offline.clock, "runner": False}
    for name in CONSTRUCTOR_OPTIONS:
        if name in settings:
            made[name] = settings.pop(name)
    made["settings"] = offline.settings(**settings)
    return made


def _close(payments: LocatedPayments) -> None:
    """Close what nobody has closed: on a loop that runs in another thread, or waits."""
    loop = payments.loop
    if loop is None or loop.is_closed():
        return
    if loop.is_running():
        asyncio.run_coroutine_threadsafe(payments.close(), loop).result(_PATIENCE_S)
    else:
        loop.run_until_complete(payments.close())
