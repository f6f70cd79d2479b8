"""The public surface as a developer types it: never run, only checked by both type checkers."""

from __future__ import annotations

from typing import Any, assert_type

from fastapi import APIRouter, Depends, FastAPI, Request
from flask import Blueprint, Flask

from payments_core import (
    AsyncPayments,
    Cart,
    CheckoutRequest,
    CheckoutSession,
    Line,
    Money,
    PaymentFailed,
    Payments,
    PaymentSuccessful,
    SessionStatus,
    Settings,
    StripeEvent,
    Transaction,
)
from payments_core.webhooks import AsyncWebhookDispatcher, Dispatched, WebhookDispatcher
from payments_fastapi import create_router
from payments_fastapi import install_error_handlers as install_in_fastapi
from payments_flask import create_blueprint
from payments_flask import install_error_handlers as install_in_flask

CHECKOUT = CheckoutRequest(Cart([Line("T-Shirt", Money(2999, "usd"), 2)]), "https://shop.example/thanks")


async def under_fastapi() -> None:
    """A FastAPI application."""
    payments = AsyncPayments.from_env(stripe_secret_key="sk_test_1")

    @payments.on(PaymentSuccessful)
    async def fulfil(event: PaymentSuccessful, tx: Transaction) -> None:
        assert_type(event.amount, Money)
        assert_type(event.email, str | None)
        await tx.session.execute(None)

    assert_type(await payments.create_checkout_session(CHECKOUT, user_id="user_1"), CheckoutSession)
    assert_type(await payments.session_status("cs_test_1"), SessionStatus)
    assert_type(await payments.recent_events(), list[dict[str, Any]])

    def signed_in(request: Request) -> str | None:
        return request.headers.get("x-user")

    router = create_router(payments, user_id=signed_in, dependencies=[Depends(signed_in)])
    assert_type(router, APIRouter)
    app = FastAPI()
    app.include_router(router, prefix="/api/payments")
    install_in_fastapi(app)
    assert_type(fulfil.__name__, str)


def under_flask() -> None:
    """A Flask application."""
    payments = Payments(Settings.of(stripe_secret_key="sk_test_1"))

    @payments.on("payment.failed")
    def declined(event: PaymentFailed, tx: Transaction) -> None:
        assert_type(event.reason, str)
        tx.session.add(object())

    @payments.on("charge.refunded")
    def refunded(event: StripeEvent) -> None:
        assert_type(event.id, str)

    assert_type(payments.create_checkout_session(CHECKOUT), CheckoutSession)
    assert_type(payments.create_checkout_session(CHECKOUT, idempotency_key="order-1"), CheckoutSession)
    assert_type(payments.run_due(), int)
    blueprint = create_blueprint(payments, webhooks=False)
    assert_type(blueprint, Blueprint)
    app = Flask(__name__)
    app.register_blueprint(blueprint, url_prefix="/api/payments")
    install_in_flask(app)
    assert_type((declined.__name__, refunded.__name__), tuple[str, str])


async def alone() -> None:
    """The dispatcher without the rest."""
    dispatcher = WebhookDispatcher(secrets=["whsec_of_the_endpoint"])

    @dispatcher.on("payment_intent.payment_failed")
    def failed(event: StripeEvent) -> None: ...

    assert_type(dispatcher.dispatch(b"", None), Dispatched)
    assert_type(await AsyncWebhookDispatcher(secrets=["whsec_of_the_endpoint"]).dispatch(b"", None), Dispatched)
    assert_type(failed.__name__, str)
