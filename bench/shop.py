"""A shop with work to do: events of sessions that were opened here, received and not handled yet.

Made through the public facade once, and copied for every round: each candidate gets the same inbox.
"""

from __future__ import annotations

import time
from typing import Any, Final

from attrs import evolve

from bench.databases import upgraded
from bench.postgres import Postgres, execute, number
from bench.webhooks import SECRET, completed, event_id, some_session
from payments_core import Cart, CheckoutRequest, Line, Money, Payments, Settings
from payments_core.adapters.memory import MemoryGateway
from payments_core.adapters.sql import blocking_store
from payments_core.domain.signature import sign

TEMPLATE: Final = "bench_shop_template"
_TABLE: Final = "CREATE TABLE shop_order (session_id text PRIMARY KEY, amount_minor bigint NOT NULL)"
#: Every event handled, its order written, its payment told to the world: once.
_EFFECTS: Final = {
    "orders": "SELECT count(*) FROM shop_order",
    "handled events": "SELECT count(*) FROM payments_inbox WHERE state = 2",
    "outgoing events": "SELECT count(*) FROM payments_outbox",
}


def make(server: Postgres, events: int) -> None:
    """Make the template with that many events waiting."""
    url = server.create(TEMPLATE)
    upgraded(url)
    execute(url, _TABLE)
    receive(url, events)
    execute(url, "VACUUM ANALYZE")


def receive(url: str, events: int) -> None:
    """Open that many sessions, and take in the event that each was paid."""
    gateway, store = MemoryGateway(), blocking_store(url)
    settings = Settings.of(stripe_secret_key="sk_test_bench", stripe_webhook_secret=SECRET)
    payments = Payments(settings, store=store, gateway=gateway, runner=False)
    try:
        for index in range(events):
            _sell(payments, gateway, index)
    finally:
        payments.close()


def _sell(payments: Payments, gateway: MemoryGateway, index: int) -> None:
    cart = Cart([Line("Premium T-Shirt", Money(2999, "usd"), 2)])
    asked = CheckoutRequest(cart, success_url="https://shop.test/ok", cancel_url="https://shop.test/cart")
    opened = payments.create_checkout_session(asked)
    mark: dict[str, Any] = dict(gateway.sent[-1].params["metadata"])
    session = evolve(some_session(), id=opened.session_id, payment_intent=f"pi_{index:012d}", metadata=mark)
    body = completed(session, event_id(index))
    payments.receive_webhook(body, sign(body, SECRET, timestamp_s=int(time.time())))


def effects(url: str) -> dict[str, int]:
    """What was done in that database."""
    return {name: number(url, query) for name, query in _EFFECTS.items()}
