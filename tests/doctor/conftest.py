"""A deployment as `payments doctor` finds it: an environment, a database, and a Stripe that can be broken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe
from click.testing import CliRunner, Result

from payments_core.adapters.sql import upgrade
from payments_core.cli import _group
from tests.gateway.stripe_server import StripeServer, running

#: Stands in every secret of these tests, and must be printed nowhere.
CANARY = "canary4711"
ROUTE = "https://shop.example/api/payments/webhooks/stripe"
NEEDED = [
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
]

Found = dict[tuple[str, str], dict[str, Any]]
Doctor = Callable[..., Found]
Run = Callable[..., Result]


def endpoint(name: str = "we_1", **fields: object) -> dict[str, Any]:
    """An enabled webhook endpoint of ours that gets what is needed."""
    return {
        "id": name,
        "object": "webhook_endpoint",
        "api_version": stripe.api_version,
        "enabled_events": NEEDED,
        "livemode": False,
        "status": "enabled",
        "url": ROUTE,
        **fields,
    }


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StripeServer]:
    """A Stripe that has one good endpoint."""
    monkeypatch.setattr(stripe.HTTPClient, "_sleep_time_seconds", lambda self, retries: 0.0)
    with running() as stripe_server:
        stripe_server.put(endpoint())
        yield stripe_server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file with the schema."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    upgrade(url)
    return url


@pytest.fixture
def run(server: StripeServer, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in a deployment in which all is well; keywords change variables, None unsets one."""
    monkeypatch.chdir(tmp_path)
    well = {
        "STRIPE_SECRET_KEY": f"sk_test_{CANARY}",
        "STRIPE_WEBHOOK_SECRET": f"whsec_{CANARY}",
        "STRIPE_API_BASE": server.url,
        "PAYMENTS_DATABASE_URL": sqlite_url,
        "PAYMENTS_PRICE_POLICY": "catalog",
        "PAYMENTS_REDIRECT_HOSTS": "shop.example",
        "COLUMNS": "80",
    }

    def invoke(*words: str, **changes: str | None) -> Result:
        return CliRunner().invoke(_group(), ["doctor", *words], env={**well, **changes})

    return invoke


@pytest.fixture
def doctor(run: Run) -> Doctor:
    """The findings by area and name; the exit code is as they say, and no secret is in them."""

    def look(*words: str, **changes: str | None) -> Found:
        ran = run("--json", *words, **changes)
        assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
        assert CANARY not in ran.output
        report = json.loads(ran.stdout)
        found: Found = {(one["area"], one["name"]): one for one in report["findings"]}
        assert len(found) == len(report["findings"])
        assert ran.exit_code == (1 if report["counts"]["failed"] else 0)
        for one in found.values():
            assert (one["todo"] is not None) == (one["outcome"] in ("warning", "failed")) or one["outcome"] == "skipped"
        return found

    return look


def outcomes(found: Found, *names: tuple[str, str]) -> list[str]:
    """How these checks came out."""
    return [found[name]["outcome"] for name in names]


def not_ok(found: Found) -> dict[tuple[str, str], str]:
    """What came out as anything but ok or skipped."""
    return {name: one["outcome"] for name, one in found.items() if one["outcome"] in ("warning", "failed")}
