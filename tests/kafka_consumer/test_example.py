"""The demo with a broker: the shop publishes, the orders service books in its own database, on the same terminal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import create_engine, text

from examples.orders_consumer import service
from payments_core import ConfigurationError
from tests.examples.demo import Demo, card, running, until
from tests.kafka_consumer.topics import Topics

CART = {
    "products": [{"name": "Premium T-Shirt", "price": 29.99, "quantity": 2}],
    "successUrl": "https://yourstore.com/success?session_id={CHECKOUT_SESSION_ID}",
    "cancelUrl": "https://yourstore.com/cart",
}


@pytest.fixture(params=["fastapi", "flask"])
def demo(request: pytest.FixtureRequest, kafka_brokers: str, tmp_path: Path) -> Iterator[Demo]:
    """The demo on the broker, under a prefix of its own."""
    topics = Topics(kafka_brokers)
    orders = f"sqlite:///{tmp_path / 'orders.db'}"
    given = {"KAFKA_BROKERS": kafka_brokers, "PAYMENTS_TOPIC_PREFIX": topics.prefix, "ORDERS_DATABASE_URL": orders}
    with running(tmp_path, FRAMEWORK=request.param, **given) as started:
        yield started
    asyncio.run(topics.delete())


def test_a_paid_cart_is_booked_downstream(demo: Demo, tmp_path: Path) -> None:
    """A declined attempt and a payment are told on the demo's terminal; the orders service has the payment's row."""
    made = httpx2.post(f"{demo.api}/create-checkout-session", json=CART).raise_for_status().json()
    assert httpx2.post(made["url"], data=card("4000000000000002"), timeout=30).status_code == 402
    assert httpx2.post(made["url"], data=card("4242424242424242"), timeout=30).status_code == 303
    until(lambda: "[orders] booked" in demo.output.read_text(), within_s=60)
    until(lambda: "[orders] declined: generic_decline" in demo.output.read_text(), within_s=60)
    [success] = [one for one in demo.events_of(made["sessionId"]) if one["eventType"] == "payment.successful"]
    assert f"[orders] booked 59.98 usd for 2 x Premium T-Shirt ({success['eventId']})\n" in demo.output.read_text()
    engine = create_engine(f"sqlite:///{tmp_path / 'orders.db'}")
    with engine.connect() as connection:
        found = connection.execute(text("SELECT event_id, session_id, amount_minor, currency FROM orders_booking"))
        assert [tuple(row) for row in found] == [(success["eventId"], made["sessionId"], 5998, "usd")]
    engine.dispose()
    assert "Traceback" not in demo.output.read_text()
    assert json.dumps(CART["products"]) not in demo.output.read_text()


def test_the_service_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a broker's address it does not start."""
    monkeypatch.delenv("KAFKA_BROKERS", raising=False)
    with pytest.raises(ConfigurationError, match="KAFKA_BROKERS is not set"):
        service().run()
