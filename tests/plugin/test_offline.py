"""The plugin's fixtures in a plain test and in an async one: what a shop's own tests would say."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from stripe import HTTPClient, StripeClient

from payments_core import (
    AsyncPayments,
    Cart,
    CheckoutExpired,
    CheckoutRequest,
    Line,
    Money,
    PaymentFailed,
    Payments,
    PaymentSuccessful,
    Transaction,
)
from payments_core.testing import AsyncOfflineStripe, OfflineStripe

REQUEST = CheckoutRequest(
    Cart([Line("Tee", Money(2999, "usd"), 2)]), "https://shop.test/thanks", "https://shop.test/cart"
)


def test_a_paid_session_is_handled_before_the_helper_returns(
    payments: Payments, payments_sandbox: OfflineStripe
) -> None:
    """No runner, no waiting."""
    orders: list[PaymentSuccessful] = []
    payments.on(PaymentSuccessful)(orders.append)
    session = payments.create_checkout_session(REQUEST)

    paid = payments_sandbox.pay(session)

    assert paid["payment_status"] == "paid"
    assert [(order.session_id, order.amount_minor) for order in orders] == [(session.session_id, 5998)]
    assert payments.session_status(session.session_id).payment_status == "paid"


async def test_the_same_on_a_loop(async_payments: AsyncPayments, async_payments_sandbox: AsyncOfflineStripe) -> None:
    """Awaited; nothing to open or close."""
    orders: list[PaymentSuccessful] = []

    @async_payments.on(PaymentSuccessful)
    async def fulfil(event: PaymentSuccessful) -> None:
        orders.append(event)

    session = await async_payments.create_checkout_session(REQUEST)
    await async_payments_sandbox.pay(session)

    await async_payments_sandbox.assert_effect_once(lambda: orders, session)
    assert (await async_payments.session_status(session.session_id)).payment_status == "paid"


def test_declines_expiries_refunds_and_disputes(payments: Payments, payments_sandbox: OfflineStripe) -> None:
    """What a buyer, time and the shop can do."""
    told: list[Any] = []
    for kind in (PaymentFailed, CheckoutExpired, "charge.refunded", "charge.dispute.created"):
        payments.on(kind)(told.append)
    first, second = (payments.create_checkout_session(REQUEST) for _ in range(2))

    charge = payments_sandbox.decline(first)
    payments_sandbox.pay(first)
    refund = payments_sandbox.refund(first, 1000)
    payments_sandbox.expire(second)
    dispute = payments_sandbox.dispute(first, "product_not_received")

    assert (dispute["amount"], dispute["reason"]) == (5998, "product_not_received")
    assert charge["status"] == "failed"
    assert refund["amount"] == 1000
    assert [type(one).__name__ for one in told] == ["PaymentFailed", "StripeEvent", "CheckoutExpired", "StripeEvent"]


def test_time_moves_for_sandbox_and_library_alike(payments: Payments, payments_sandbox: OfflineStripe) -> None:
    """A session runs out a day later; a handler that failed is tried again by the library's own backoff."""
    told: list[Any] = []
    payments.on(CheckoutExpired)(told.append)
    failures = iter([RuntimeError("first"), RuntimeError("second")])

    @payments.on(PaymentSuccessful)
    def fulfil(event: PaymentSuccessful) -> None:
        for failure in failures:
            raise failure
        told.append(event)

    session = payments.create_checkout_session(REQUEST)
    payments.create_checkout_session(REQUEST)
    payments_sandbox.pay(session)
    assert told == []

    before = payments_sandbox.sandbox.now()
    payments_sandbox.advance(timedelta(hours=2))
    assert [type(one).__name__ for one in told] == ["PaymentSuccessful"]
    payments_sandbox.advance(86_400)

    assert [type(one).__name__ for one in told] == ["PaymentSuccessful", "CheckoutExpired"]
    assert 93_600 <= payments_sandbox.sandbox.now() - before < 93_660


def test_an_effect_that_is_not_guarded_is_found_out(payments: Payments, payments_sandbox: OfflineStripe) -> None:
    """A raw handler runs once per event id, and two events of one fact are two ids."""
    orders: list[str] = []
    payments.on("checkout.session.completed")(lambda event: orders.append(event.object["id"]))
    payments_sandbox.pay(payments.create_checkout_session(REQUEST))

    payments_sandbox.assert_effect_once(lambda: orders, twins=False)
    with pytest.raises(
        AssertionError, match=r"2 times, not once, after a second event of the same fact as checkout\.se"
    ):
        payments_sandbox.assert_effect_once(lambda: orders)


def test_an_effect_that_never_happened_is_found_out_first(payments: Payments, payments_sandbox: OfflineStripe) -> None:
    """The sentence says so."""
    with pytest.raises(AssertionError, match=r"0 times, not once, before anything was delivered again"):
        payments_sandbox.assert_effect_once(list)


def test_handlers_write_into_the_tests_own_database(
    payments: Payments, payments_sandbox: OfflineStripe, payments_database_url: str
) -> None:
    """The fixture names it, and `tx.session` is in it; the rows of an effect are counted."""

    @payments.on(PaymentSuccessful)
    def fulfil(event: PaymentSuccessful, tx: Transaction) -> None:
        tx.session.execute(text("CREATE TABLE IF NOT EXISTS orders (session_id TEXT)"))
        tx.session.execute(text("INSERT INTO orders VALUES (:id)"), {"id": event.session_id})

    session = payments.create_checkout_session(REQUEST)
    payments_sandbox.pay(session)

    def orders() -> list[Any]:
        with closing(sqlite3.connect(payments_database_url.removeprefix("sqlite:///"))) as connection:
            return connection.execute("SELECT session_id FROM orders").fetchall()

    payments_sandbox.assert_effect_once(orders, session)


def test_deliveries_go_wrong_on_request_and_arrive_as_time_passes(
    payments: Payments, payments_sandbox: OfflineStripe
) -> None:
    """Every event late, out of order, twice and with a twin: one order all the same."""
    orders: list[PaymentSuccessful] = []
    payments.on(PaymentSuccessful)(orders.append)
    payments_sandbox.chaos("duplicate=1,reorder=1,delay=1:30,twin=1", seed=4)
    payments_sandbox.pay(payments.create_checkout_session(REQUEST))
    assert orders == []

    payments_sandbox.advance(60)

    assert len(orders) == 1
    assert all(delivery.delivered for delivery in payments_sandbox.sandbox.deliveries())
    assert len(payments_sandbox.sandbox.deliveries()) == 2 * len(payments_sandbox.events())


def opened_by_stripes_client(http_client: HTTPClient) -> str:
    """The id of a session that the library has not opened."""
    client = StripeClient("sk_test_x", http_client=http_client)
    data = {"currency": "usd", "unit_amount": 1000, "product_data": {"name": "Tee"}}
    session = client.v1.checkout.sessions.create(
        {"mode": "payment", "success_url": "https://shop.test/", "line_items": [{"quantity": 1, "price_data": data}]}
    )
    return session.id


def test_a_session_of_stripes_own_client_has_its_effect_once(
    payments: Payments, payments_sandbox: OfflineStripe
) -> None:
    """What the library did not open is told to it all the same, and once in effect."""
    orders: list[PaymentSuccessful] = []
    payments.on(PaymentSuccessful)(orders.append)
    session = opened_by_stripes_client(payments_sandbox.http_client)

    payments_sandbox.pay(session)

    payments_sandbox.assert_effect_once(lambda: orders, session)


async def test_so_has_one_on_an_event_loop(
    async_payments: AsyncPayments, async_payments_sandbox: AsyncOfflineStripe
) -> None:
    """The same for `AsyncPayments`."""
    orders: list[PaymentSuccessful] = []

    @async_payments.on(PaymentSuccessful)
    async def fulfil(event: PaymentSuccessful) -> None:
        orders.append(event)

    session = opened_by_stripes_client(async_payments_sandbox.offline.http_client)
    await async_payments_sandbox.pay(session)
    await async_payments_sandbox.assert_effect_once(lambda: orders, session)


def test_another_endpoint_of_the_test_does_not_disturb_the_library(
    payments: Payments, payments_sandbox: OfflineStripe
) -> None:
    """What is for another address is not taken for ours, and time passes over it quickly."""
    orders: list[PaymentSuccessful] = []
    payments.on(PaymentSuccessful)(orders.append)
    client = StripeClient("sk_test_x", http_client=payments_sandbox.http_client)
    client.v1.webhook_endpoints.create({"url": "https://elsewhere.test/", "enabled_events": ["*"]})
    payments_sandbox.pay(payments.create_checkout_session(REQUEST))
    payments_sandbox.advance(timedelta(days=4))

    assert len(orders) == 1
    assert {delivery.last_status for delivery in payments_sandbox.sandbox.deliveries()} == {200, None}
