"""What the strategies draw is what Stripe would take, and what may happen."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from payments_core import Cart, CheckoutRequest, Money, PaymentFailed, Payments, PaymentSuccessful, StripeError
from payments_core.money import step_minor
from payments_core.testing import OfflineStripe, signed_event, strategies
from payments_core.testing.databases import databases


@given(strategies.money(min_minor=100, max_minor=10_000))
def test_amounts_are_whole_steps_of_their_currency(amount: Money) -> None:
    """Within the bounds, as far as the steps allow."""
    assert amount.minor % step_minor(amount.currency) == 0
    assert 100 <= amount.minor <= 10_000


@given(strategies.carts("eur", max_lines=4))
def test_carts_have_one_currency_and_a_price_for_every_line(cart: Cart) -> None:
    """Their total is the sum of their lines."""
    assert {line.unit.currency for line in cart.lines} == {"eur"}
    assert 1 <= len(cart.lines) <= 4
    assert cart.subtotal.minor == sum(line.total.minor for line in cart.lines) > 0


@settings(max_examples=20, deadline=None)
@given(strategies.checkout_requests())
def test_the_sandbox_takes_every_request_that_is_large_enough(request: CheckoutRequest) -> None:
    """No request that is drawn is refused for its form."""
    offline = OfflineStripe()
    with databases() as ours, ours.fresh() as url:
        payments = Payments(offline.settings(payments_database_url=url), http_client=offline.http_client, runner=False)
        refused: str | None = None
        try:
            payments.create_checkout_session(request)
        except StripeError as error:
            refused = error.code
        payments.close()
    assert refused in (None, "amount_too_small", "amount_too_large")


@given(st.data())
def test_every_event_arrives_at_least_once(data: st.DataObject) -> None:
    """In some order, and not more often than allowed."""
    events = list(range(data.draw(st.integers(1, 6))))
    order = data.draw(strategies.delivery_orders(events, max_copies=2))
    assert set(order) == set(events)
    assert all(order.count(event) <= 2 for event in events)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_payment_ends_the_same_in_every_order(data: st.DataObject) -> None:
    """A success is told once, a declined attempt at most once each, whatever the order and the copies."""
    events: list[dict[str, Any]] = data.draw(strategies.payment_events().filter(bool))
    order = data.draw(strategies.delivery_orders(events))
    offline = OfflineStripe()
    with databases() as ours, ours.fresh() as url:
        payments = Payments(offline.settings(payments_database_url=url), http_client=offline.http_client, runner=False)
        told: list[object] = []
        payments.on(PaymentSuccessful)(told.append)
        payments.on(PaymentFailed)(told.append)
        for event in order:
            sent = signed_event(
                event["type"], event["data"]["object"], secret=offline.sandbox.webhook_secret, event_id=event["id"]
            )
            payments.receive_webhook(sent.body, sent.signature)
            while payments.run_due():
                pass
        payments.close()
    succeeded = sum(isinstance(one, PaymentSuccessful) for one in told)
    assert succeeded <= sum(event["type"] == "payment_intent.succeeded" for event in events)
    assert len(told) - succeeded <= sum(event["type"] == "payment_intent.payment_failed" for event in events)
