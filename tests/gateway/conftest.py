"""A Stripe on loopback for each test, and retries that do not wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe

from tests.gateway.stripe_server import StripeServer, running


@pytest.fixture
def server() -> Iterator[StripeServer]:
    with running() as stripe_server:
        yield stripe_server


@pytest.fixture(autouse=True)
def hasty_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK waits half a second and more before it tries again; nothing here depends on how long."""
    monkeypatch.setattr(stripe.HTTPClient, "_sleep_time_seconds", lambda self, retries: 0.0)
