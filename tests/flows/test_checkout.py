"""Opening a checkout: verified first, written down second, Stripe third."""

from __future__ import annotations

import pytest

from payments_core import (
    Cart,
    Discrepancy,
    InvalidRequest,
    Line,
    Money,
    PriceClaim,
    PriceVerificationError,
    StripeError,
    StripeUnavailable,
)
from payments_core.domain.payment import PaymentState
from payments_core.errors import ProductIdRequired, RedirectNotAllowed, UnknownProduct
from tests.flows.conftest import Open
from tests.flows.shop import Shop, declined, own_session

MUG = {"id": "prod_mug", "active": True, "name": "Mug", "default_price": "price_mug"}
PRICE = {
    "id": "price_mug", "active": True, "product": "prod_mug", "currency": "usd", "unit_amount": 500,
    "lookup_key": "mug-2026", "currency_options": {"eur": {"unit_amount": 450}},
}  # fmt: skip


def mugs(unit: int = 500, product_id: str | None = "prod_mug", currency: str = "usd") -> Cart:
    return Cart([Line("Mug", Money(unit, currency), 2, product_id=product_id)])


@pytest.fixture
def stocked(shop: Shop) -> Shop:
    """A shop whose catalogue sells a mug at 5.00."""
    shop.gateway.put_product(MUG)
    shop.gateway.put_price(PRICE)
    return shop


def test_the_payment_is_written_down_before_stripe_is_called(shop: Shop) -> None:
    """Stripe fails: the row is there with the cart and the key, so that whatever Stripe did can be found again."""
    shop.gateway.fail_next(StripeUnavailable("Stripe could not be reached."), method="create_session")
    with pytest.raises(StripeUnavailable):
        shop.checkout(user_id="user_7", customer_email="b@example.test")
    payment = shop.only_payment()
    assert (payment.state, payment.user_id, payment.session_id) == (PaymentState.OPEN, "user_7", None)
    assert payment.cart is not None
    assert payment.cart.subtotal == Money(5998, "usd")
    assert shop.gateway.asked("create_session") == [(str(payment.idempotency_key),)]


def test_the_mark_goes_on_the_session_and_on_its_intent(open_shop: Open) -> None:
    """Stripe makes the intent late and copies `payment_intent_data.metadata`."""
    shop = open_shop(payments_app="shop")
    opened = shop.checkout(metadata={"order": "A1"})
    params = shop.gateway.sent[0].params
    marks = {"order": "A1", "payments_core_id": shop.only_payment().payment_id, "payments_core_app": "shop"}
    assert params["metadata"] == marks
    assert params["payment_intent_data"] == {"metadata": marks}
    assert shop.only_payment().session_id == opened.session_id


def test_news_that_overtakes_the_answer_finds_its_payment(shop: Shop) -> None:
    """The decline of an intent whose session this process never heard the answer about: routed by our mark."""
    shop.gateway.fail_next(StripeUnavailable("cut off"), method="create_session")
    with pytest.raises(StripeUnavailable):
        shop.checkout()
    payment_id = shop.only_payment().payment_id
    shop.hear("payment_intent.payment_failed", {**declined(), "metadata": {"payments_core_id": payment_id}})
    assert [event["eventType"] for event in shop.published()] == ["payment.failed"]
    assert shop.only_payment().payment_intent_id == "pi_1"


def test_a_confirmed_line_is_charged_by_stripes_own_price(stocked: Shop) -> None:
    """The number the caller sent is compared and then dropped."""
    stocked.checkout(cart=mugs())
    assert stocked.gateway.sent[0].params["line_items"] == [{"price": "price_mug", "quantity": 2}]
    payment = stocked.only_payment()
    assert payment.cart is not None
    assert payment.cart.lines[0].price_id == "price_mug"


def test_a_confirmed_line_bears_the_catalogues_name(stocked: Shop) -> None:
    """Who fulfils by name must not be sent a dear thing under the id and at the price of a cheap one."""
    cart = Cart([Line("Grand piano", Money(500, "usd"), 2, product_id="prod_mug")])
    opened = stocked.checkout(cart=cart)
    stocked.hear("checkout.session.completed", own_session(stocked, opened, amount_subtotal=1000, amount_total=1000))
    (event,) = stocked.published("payment.successful")
    assert event["data"]["products"] == [{"name": "Mug", "quantity": 2, "price": 500}]


def test_a_price_with_several_currencies_is_charged_in_the_agreed_one(stocked: Shop) -> None:
    """The session is opened in it, at its amount."""
    opened = stocked.checkout(cart=mugs(450, currency="eur"))
    assert stocked.gateway.sent[0].params["currency"] == "eur"
    session = stocked.run(stocked.gateway.session(opened.session_id))
    assert (session.amount_subtotal, session.currency) == (900, "eur")


def test_a_price_archived_since_it_was_remembered_is_found_out(stocked: Shop) -> None:
    """Stripe refuses the old price: the answer is the new one, and what was remembered is forgotten."""
    stocked.checkout(cart=mugs())
    stocked.gateway.put_price({**PRICE, "active": False})
    stocked.gateway.put_price({**PRICE, "id": "price_new", "unit_amount": 700, "lookup_key": None})
    stocked.gateway.put_product({**MUG, "default_price": "price_new"})
    with pytest.raises(PriceVerificationError) as refused:
        stocked.checkout(cart=mugs())
    assert [str(one.expected_price) for one in refused.value.discrepancies] == ["7.00"]
    stocked.checkout(cart=mugs(700))
    assert stocked.gateway.sent[-1].params["line_items"] == [{"price": "price_new", "quantity": 2}]


def test_a_product_archived_since_it_was_remembered_is_found_out(stocked: Shop) -> None:
    """Not a puzzle about a refused field, but what is the matter."""
    stocked.checkout(cart=mugs())
    stocked.gateway.put_price({**PRICE, "active": False})
    with pytest.raises(UnknownProduct, match="its price is not active"):
        stocked.checkout(cart=mugs())


def test_a_session_at_another_amount_than_agreed_is_not_handed_out(stocked: Shop) -> None:
    """A price's amount in another currency may be changed at Stripe at any time, also after it was remembered."""
    stocked.checkout(cart=mugs(450, currency="eur"))
    stocked.gateway.put_price({**PRICE, "currency_options": {"eur": {"unit_amount": 490}}})
    with pytest.raises(PriceVerificationError) as refused:
        stocked.checkout(cart=mugs(450, currency="eur"))
    assert [str(one.expected_price) for one in refused.value.discrepancies] == ["4.90"]
    assert stocked.checkout(cart=mugs(490, currency="eur")).url is not None


@pytest.mark.parametrize("named", [{"key": "order-1"}, {"user_id": "u"}])
def test_the_same_holds_for_what_is_opened_once(stocked: Shop, named: dict[str, str]) -> None:
    """Under a key or as a user's cart: the refusal is explained, and no session at another amount is handed out."""
    stocked.checkout(cart=mugs())
    stocked.gateway.put_price({**PRICE, "active": False})
    with pytest.raises(UnknownProduct, match="its price is not active"):
        stocked.checkout(cart=mugs(), **named)
    stocked.gateway.put_price(PRICE)
    stocked.checkout(cart=mugs(450, currency="eur"))
    stocked.gateway.put_price({**PRICE, "currency_options": {"eur": {"unit_amount": 490}}})
    with pytest.raises(PriceVerificationError):
        stocked.checkout(cart=mugs(450, currency="eur"), **named)


@pytest.mark.parametrize("name", ["prod_mug", "price_mug", "mug-2026"])
def test_a_wrong_price_is_refused_by_whatever_name(stocked: Shop, name: str) -> None:
    """Product id, price id or lookup key: nothing is written, nothing sent."""
    with pytest.raises(PriceVerificationError) as refused:
        stocked.checkout(cart=mugs(1, name))
    (found,) = refused.value.discrepancies
    assert (found.product_id, str(found.expected_price), str(found.provided_price)) == (name, "5.00", "0.01")
    assert (stocked.all_payments(), stocked.gateway.sent) == ([], [])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"active": False}, "not active"),
        ({"recurring": {"interval": "month"}}, "recurring"),
        ({"unit_amount": None}, "whole"),
        ({"currency": "gbp"}, "no price in usd"),
    ],
)
def test_what_is_not_for_sale_is_an_unknown_product(stocked: Shop, changes: dict[str, object], words: str) -> None:
    """Named, with the reason and the field."""
    stocked.gateway.put_price({**PRICE, **changes})
    with pytest.raises(UnknownProduct, match=words) as refused:
        stocked.checkout(cart=mugs())
    assert [field.path for field in refused.value.fields] == ["products[0].productId"]
    with pytest.raises(UnknownProduct, match="'prod_none' cannot be sold"):
        stocked.checkout(cart=mugs(product_id="prod_none"))


def test_prices_can_be_asked_without_a_checkout(stocked: Shop) -> None:
    """`verify_prices`: the lines that differ, in the caller's order, in any of the price's currencies."""
    verify = stocked.payments.core.verify_prices
    right, wrong = PriceClaim("prod_mug", Money(500, "usd"), 1), PriceClaim("mug-2026", Money(450, "usd"), 1)
    assert list(stocked.run(verify([right]))) == []
    assert list(stocked.run(verify([PriceClaim("prod_mug", Money(450, "eur"), 9)]))) == []
    (found,) = stocked.run(verify([right, wrong]))
    assert isinstance(found, Discrepancy)
    assert found.product_id == "mug-2026"
    # What is remembered is not asked for again.
    assert stocked.gateway.asked("catalogue") == [("prod_mug",), ("mug-2026",)]


def test_policy_catalog_needs_a_product_on_every_line(open_shop: Open) -> None:
    """And says which line has none, before anything else happens."""
    shop = open_shop(payments_price_policy="catalog")
    with pytest.raises(ProductIdRequired) as refused:
        shop.checkout()
    assert [field.path for field in refused.value.fields] == ["products[0].productId"]
    assert (shop.all_payments(), shop.gateway.calls) == ([], [])


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"success_url": "https://evil.test/"}, RedirectNotAllowed),
        ({"cancel_url": "javascript:alert(1)"}, RedirectNotAllowed),
        ({"metadata": {"payments_core_id": "mine"}}, InvalidRequest),
        ({"metadata": {"userId": "someone else"}}, InvalidRequest),
    ],
)
def test_what_is_refused_leaves_nothing(open_shop: Open, changes: dict[str, object], kind: type[Exception]) -> None:
    """No row, no call to Stripe."""
    shop = open_shop(payments_redirect_hosts="shop.test")
    with pytest.raises(kind):
        shop.checkout(user_id="user_7", **changes)
    assert (shop.all_payments(), shop.gateway.calls) == ([], [])


def test_a_refusal_of_stripes_passes_through(shop: Shop) -> None:
    """With Stripe's code, and the payment left open."""
    refusal = StripeError("Stripe refused the request.", "amount_too_small", param="line_items")
    shop.gateway.fail_next(refusal, method="create_session")
    with pytest.raises(StripeError) as raised:
        shop.checkout()
    assert raised.value is refusal
    assert shop.only_payment().state is PaymentState.OPEN


def test_two_checkouts_are_two_payments(shop: Shop) -> None:
    """Each has its own id and its own idempotency key."""
    first, second = shop.checkout(), shop.checkout()
    assert first.session_id != second.session_id
    assert len({one.idempotency_key for one in shop.gateway.sent}) == 2
    assert len({payment.payment_id for payment in shop.all_payments()}) == 2
