"""FastAPI under TestClient, whose loop runs in another thread: a plain test reaches it there."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from stripe import StripeClient

from payments_core import AsyncPayments, PaymentSuccessful
from payments_core.testing import OfflineStripe
from payments_core.webhooks import WebhookDispatcher
from payments_fastapi import create_router

PREFIX = "/api/payments"
CART = {
    "products": [{"name": "Premium T-Shirt", "price": 29.99, "quantity": 2}],
    "successUrl": "https://shop.test/thanks",
    "cancelUrl": "https://shop.test/cart",
}


def fastapi_shop(payments: AsyncPayments) -> FastAPI:
    """The smallest shop."""
    app = FastAPI()
    app.include_router(create_router(payments), prefix=PREFIX)
    return app


def test_a_plain_test_pays_in_an_asynchronous_shop(
    async_payments: AsyncPayments, payments_sandbox: OfflineStripe
) -> None:
    """Delivered and handled on the application's loop before the helper returns."""
    orders: list[int] = []

    @async_payments.on(PaymentSuccessful)
    async def fulfil(event: PaymentSuccessful) -> None:
        orders.append(event.amount_minor)

    with TestClient(fastapi_shop(async_payments)) as client:
        session = client.post(f"{PREFIX}/create-checkout-session", json=CART).json()
        payments_sandbox.decline(session)
        payments_sandbox.pay(session)
        assert orders == [5998]
        payments_sandbox.assert_effect_once(lambda: orders, session)
        payments_sandbox.advance(86_400)
        state = client.get(f"{PREFIX}/checkout-sessions/{session['sessionId']}").json()
    assert state["paymentStatus"] == "paid"


def test_without_a_running_application_the_helper_says_what_is_missing(
    async_payments: AsyncPayments, payments_sandbox: OfflineStripe
) -> None:
    """No loop, no delivery; in words."""
    client = TestClient(fastapi_shop(async_payments))
    session = client.post(f"{PREFIX}/create-checkout-session", json=CART).json()

    with pytest.raises(RuntimeError, match=r"TestClient as a context manager"):
        payments_sandbox.pay(session)


def test_a_view_of_the_shops_own_hears_of_events(payments_sandbox: OfflineStripe) -> None:
    """`deliver_to`: its status counts, and a refusal is tried again when time passes."""
    heard: list[str] = []

    def view(body: bytes, headers: dict[str, str]) -> int:
        dispatched = WebhookDispatcher(secrets=["whsec_offline_test_secret"]).dispatch(
            body, headers["Stripe-Signature"]
        )
        heard.append(dispatched.event.type)
        return 500 if len(heard) < 3 else 200

    payments_sandbox.deliver_to(view)
    stripe = StripeClient("sk_test_x", http_client=payments_sandbox.http_client)
    stripe.v1.products.create({"name": "Tee"})
    assert payments_sandbox.deliver() == 1
    pending = payments_sandbox.sandbox.events()[0]["pending_webhooks"]
    payments_sandbox.advance(7)

    assert heard == ["product.created"] * 3
    assert (pending, payments_sandbox.sandbox.events()[0]["pending_webhooks"]) == (1, 0)
