"""The demo over a PostgreSQL database of the user's own."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from tests.examples.demo import card, running, until
from tests.examples.test_shop import REFERENCE_CALL


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_a_payment_runs_over_postgresql(framework: str, postgres_url: str, tmp_path: Path) -> None:
    """An empty database gets its schema first; then one payment gives one order and one event, as over SQLite."""
    with running(tmp_path, FRAMEWORK=framework, PAYMENTS_DATABASE_URL=postgres_url) as demo:
        made = httpx2.post(f"{demo.api}/create-checkout-session", json=REFERENCE_CALL, timeout=30).json()
        assert httpx2.post(made["url"], data=card("4242424242424242"), timeout=30).status_code == 303
        until(lambda: demo.events_of(made["sessionId"]))
        activity = demo.activity()
        assert [order["amount"] for order in activity["orders"]] == [5998]
        assert [event["eventType"] for event in activity["events"]] == ["payment.successful"]
