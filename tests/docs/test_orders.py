"""The pages about a shop's own orders: each file on them runs as a program of its own, over a sandbox."""

from __future__ import annotations

import json
import runpy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from stripe import StripeClient

from payments_core import Cart, CheckoutRequest, Line, Money, Payments, PaymentSuccessful
from payments_core.domain.signature import sign
from payments_core.sandbox import Sandbox, running
from tests.docs.conftest import SECRET, Namespace
from tests.docs.pages import DOCS

RunPage = Callable[[Path], list[Namespace]]
SIGNATURE = "Stripe-Signature"
REQUEST = CheckoutRequest(
    Cart([Line("Premium T-Shirt", Money(2999, "usd"), 2)]), "https://shop.test/thanks", "https://shop.test/cart"
)


@pytest.fixture
def stripe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A Stripe for the page's shop, which sends nothing by itself."""
    with running(webhook_secret=SECRET) as sandbox:
        monkeypatch.setenv("STRIPE_API_BASE", sandbox.base_url)
        yield sandbox


@contextmanager
def orders() -> Iterator[Session]:
    """The page's own tables, to be looked at and written to."""
    engine = create_engine("sqlite:///payments.db")
    with Session(engine) as db:
        yield db
        db.commit()
    engine.dispose()


def order_7(names: Namespace) -> Any:
    """The order, with all its columns."""
    with orders() as db:
        found = db.get(names["Order"], 7)
        db.expunge(found)
        return found


def news(stripe: Sandbox, *kinds: str) -> list[tuple[bytes, dict[str, str]]]:
    """All events of these types as Stripe sends them: bodies and headers."""
    bodies = [json.dumps(event).encode() for event in stripe.events(*kinds)]
    return [(body, {SIGNATURE: sign(body, SECRET, timestamp_s=int(time.time()))}) for body in bodies]


def tell(payments: Payments, stripe: Sandbox, *kinds: str) -> None:
    """All of them are received, and handled."""
    for body, headers in news(stripe, *kinds):
        payments.receive_webhook(body, headers[SIGNATURE])
        payments.run_due()


@pytest.fixture
def flask_shop(run_page: RunPage, place: Path, stripe: Sandbox) -> Iterator[Namespace]:
    """The page's Flask shop with order 7; what is due is handled by the test alone."""
    run_page(DOCS / "how-to/orders.md")
    names = runpy.run_path(str(place / "orders_flask.py"))
    with orders() as db:
        db.add(names["Order"](id=7, price=Decimal("29.99")))
    names["payments"].start(runner=False)
    yield names
    names["payments"].close()
    names["engine"].dispose()


def test_an_order_is_marked_as_paid_in_flask(flask_shop: Namespace, stripe: Sandbox) -> None:
    """However often its buyer presses the button, the order has one session, and is paid when that is paid."""
    client = flask_shop["app"].test_client()
    first, second = (client.post("/orders/7/pay") for _ in range(2))
    assert (first.status_code, first.location) == (303, second.location)
    stripe.pay(order_7(flask_shop).session_id)
    [(body, headers)] = news(stripe, "checkout.session.completed")
    client.post("/api/payments/webhooks/stripe", data=body, headers=headers)
    assert order_7(flask_shop).paid_at is None
    flask_shop["payments"].run_due()
    assert order_7(flask_shop).paid_at is not None


def test_a_payment_without_its_order_is_tried_again(
    flask_shop: Namespace, stripe: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """The handler raises where no order has the session, and the log says so."""
    flask_shop["app"].test_client().post("/orders/7/pay")
    stripe.pay(order_7(flask_shop).session_id)
    with orders() as db:
        db.get(flask_shop["Order"], 7).session_id = None
    tell(flask_shop["payments"], stripe, "checkout.session.completed")
    assert "LookupError was raised in mark_paid" in caplog.text


def test_an_order_is_marked_as_paid_in_fastapi(run_page: RunPage, place: Path, stripe: Sandbox) -> None:
    """The same, awaited; the buyer is back before the webhook."""
    run_page(DOCS / "how-to/orders.md")
    names = runpy.run_path(str(place / "orders_fastapi.py"))
    with orders() as db:
        db.add(names["Order"](id=7, price=Decimal("29.99")))
    with TestClient(names["app"], follow_redirects=False) as client:
        first, second = (client.post("/orders/7/pay") for _ in range(2))
        assert (first.status_code, first.headers["location"]) == (303, second.headers["location"])
        session_id = order_7(names).session_id
        stripe.pay(session_id)
        state = client.get(f"/api/payments/checkout-sessions/{session_id}").json()
        assert state["paymentStatus"] == "paid"
        assert order_7(names).paid_at is not None
        assert client.portal is not None
        client.portal.call(names["engine"].dispose)


def test_a_refund_is_made_once_and_noted(run_page: RunPage, stripe: Sandbox) -> None:
    """The same reference gives back once; the order has the sum; the session stays paid, and the revenue whole."""
    names = run_page(DOCS / "how-to/refunds.md")[0]
    payments: Payments = names["payments"]
    payments.start(runner=False)
    session = payments.create_checkout_session(REQUEST)
    with orders() as db:
        db.add(names["Order"](id=7, session_id=session.session_id))
    stripe.pay(session.session_id)
    tell(payments, stripe, "checkout.session.completed", "payment_intent.succeeded")
    order = order_7(names)
    for _ in range(2):
        names["give_back"](order, 1000, "1")
    names["give_back"](order, 500, "2")
    tell(payments, stripe, "charge.refunded")
    assert order_7(names).refunded_minor == 1500
    assert payments.session_status(session.session_id).payment_status == "paid"
    payments.close()


def test_a_state_is_read_in_words(run_page: RunPage, stripe: Sandbox) -> None:
    """Open, paid and unknown, as the page's function says them."""
    names = run_page(DOCS / "how-to/state.md")[0]
    payments: Payments = names["payments"]
    payments.start(runner=False)
    session = payments.create_checkout_session(REQUEST)
    assert (names["state_of"](session.session_id), names["state_of"]("cs_test_of_nobody")) == ("open", "unknown")
    stripe.pay(session.session_id)
    tell(payments, stripe, "checkout.session.completed")
    assert names["state_of"](session.session_id) == "paid"
    payments.close()


def test_an_old_shops_orders_are_not_fulfilled_again(stripe: Sandbox) -> None:
    """With PAYMENTS_FOREIGN=ignore neither webhook nor reconciliation tells handlers of what the old code opened."""
    payments = Payments.from_env(payments_foreign="ignore")
    payments.start(runner=False)
    told: list[str | None] = []
    payments.on(PaymentSuccessful)(lambda event: told.append(event.session_id))
    client = StripeClient("sk_test_old_code", base_addresses={"api": stripe.base_url})
    line = {"quantity": 1, "price_data": {"currency": "usd", "unit_amount": 4711, "product_data": {"name": "Mug"}}}
    old = client.v1.checkout.sessions.create(
        {"mode": "payment", "line_items": [line], "success_url": "https://shop.test/t"}  # type: ignore[list-item]
    )
    new = payments.create_checkout_session(REQUEST)
    for session_id in (old.id, new.session_id):
        stripe.pay(session_id)
    tell(payments, stripe, "checkout.session.completed")
    payments.reconcile()
    payments.run_due()
    assert told == [new.session_id]
    payments.close()


def test_after_a_restore_what_was_paid_since_is_settled(stripe: Sandbox, place: Path) -> None:
    """What the backup knows comes as its own; what was opened after it comes as foreign, and is missed before."""
    payments = Payments.from_env()
    payments.start(runner=False)
    known = payments.create_checkout_session(REQUEST)
    payments.close()
    backup = (place / "payments.db").read_bytes()
    payments.start(runner=False)
    lost = payments.create_checkout_session(REQUEST)
    for session in (known, lost):
        stripe.pay(session.session_id)
    payments.close()
    (place / "payments.db").write_bytes(backup)

    restored = Payments.from_env()
    told: list[tuple[str | None, str]] = []
    restored.on(PaymentSuccessful)(lambda event: told.append((event.session_id, event.origin)))
    restored.start(runner=False)
    restored.reconcile()
    while restored.run_due():
        pass
    assert sorted(told) == sorted([(known.session_id, "here"), (lost.session_id, "foreign")])
    restored.close()
