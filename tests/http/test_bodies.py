"""JSON values to domain values: what is accepted, and how the rest is named."""

from __future__ import annotations

import pytest

from payments_core.domain.cart import Cart, CheckoutRequest, Line
from payments_core.domain.pricing import PriceClaim
from payments_core.domain.strict_json import read_json
from payments_core.errors import FieldProblem, InvalidRequest
from payments_core.http.bodies import checkout_request, price_claims
from payments_core.http.problems import MAX_PROBLEMS
from payments_core.money import Money
from tests.http.wrong_bodies import REFERENCE, Raw, reference, text, with_line


def read(body: object, default_currency: str = "usd") -> CheckoutRequest:
    return checkout_request(read_json(text(body)), default_currency=default_currency)


def problems(body: object) -> tuple[FieldProblem, ...]:
    with pytest.raises(InvalidRequest) as refused:
        read(body)
    return refused.value.fields


def test_the_reference_body_is_an_exact_cart() -> None:
    """29.99 is 2999 cents; what is not given has its default."""
    assert read(REFERENCE) == CheckoutRequest(
        cart=Cart([Line("Premium T-Shirt", Money(2999, "usd"), 2, "https://example.com/tshirt.jpg")]),
        success_url="https://yourstore.com/success?session_id={CHECKOUT_SESSION_ID}",
        cancel_url="https://yourstore.com/cart",
        customer_email="customer@example.com",
        metadata={},
        ui_mode="hosted_page",
    )


@pytest.mark.parametrize(
    ("currency", "number", "minor"),
    [
        ("usd", "29.99", 2999),
        ("usd", "29.990", 2999),
        ("USD", "2999e-2", 2999),
        ("Eur", "0.01", 1),
        ("usd", "30", 3000),
        ("jpy", "500", 500),
        ("jpy", "500.0", 500),
        ("isk", "5", 500),
        ("ugx", "5.00", 500),
        ("kwd", "5.12", 5120),
        ("usd", "9999999999.99", 999_999_999_999),
    ],
)
def test_a_price_is_read_exactly_in_the_digits_of_its_currency(currency: str, number: str, minor: int) -> None:
    """Stripe's minor units, from any spelling of the same number."""
    line = read(with_line(price=Raw(number), quantity=1) | {"currency": currency}).cart.lines[0]
    assert line.unit == Money(minor, currency.lower())


def test_without_a_currency_the_shop_s_own_is_taken() -> None:
    """The deployment's currency is the default, and its digits count."""
    assert read(with_line(price=500), "jpy").cart.currency == "jpy"


def test_optional_fields_may_be_null() -> None:
    """A field that may be absent may be null: many clients cannot leave one out."""
    body = reference(customerEmail=None, metadata=None, currency=None, uiMode=None)
    body["products"][0] |= {"image": None, "productId": None}
    request = read(body)
    assert (request.customer_email, dict(request.metadata), request.ui_mode) == (None, {}, "hosted_page")


def test_the_embedded_page_needs_no_cancel_url() -> None:
    """It has no way to cancel."""
    request = read(reference(uiMode="embedded_page", cancelUrl=...))
    assert (request.ui_mode, request.cancel_url) == ("embedded_page", None)


def test_the_bounds_themselves_are_accepted() -> None:
    """A hundred lines, the largest quantity, the longest name."""
    lines = [{"name": "n" * 5000, "price": 0.01, "quantity": 999_999}] + [{"name": "n", "price": 1, "quantity": 1}] * 99
    cart = read(reference(products=lines)).cart
    assert (len(cart.lines), cart.lines[0].quantity) == (100, 999_999)


def test_every_problem_is_named_at_once_under_the_client_s_own_names() -> None:
    """A person fixes a form once, not field by field."""
    body = {
        "products": [
            {"name": "", "price": "29.99", "quantity": True, "image": "javascript:x", "colour": "red"},
            {"name": "Mug", "price": 29.999, "quantity": 1},
        ],
        "successUrl": 1,
        "metadata": {"a": 1},
        "uiMode": "popup",
    }
    assert {(one.path, one.message) for one in problems(body)} == {
        ("products[0].name", "must not be empty"),
        ("products[0].price", "must be a number in major units, as 29.99 (no string)"),
        ("products[0].quantity", "must be a whole number from 1 to 999999"),
        ("products[0].image", "must be an absolute http(s) URL without a user name"),
        ("products[0].colour", "is not a field of this request"),
        ("products[1].price", "at most 2 decimal digits in usd"),
        ("successUrl", "must be a string"),
        ("metadata.a", "must be a string"),
        ("uiMode", "must be 'hosted_page' or 'embedded_page'"),
    }


def test_no_problem_repeats_what_was_sent() -> None:
    """A refusal may be logged or shown: it holds no address, no URL and no text of the caller's."""
    secret = "s3cret-value"
    body = reference(
        customerEmail=secret, currency=secret, uiMode=secret, successUrl=[secret], metadata={"a": [secret]}
    )
    body["products"][0] |= {"name": [secret], "price": secret, "quantity": secret, "image": secret}
    found = problems(body)
    assert len(found) == 9
    assert all(secret not in one.message and secret not in one.path for one in found)


def test_the_number_of_problems_and_the_length_of_a_path_are_bounded() -> None:
    """A body made of mistakes does not make a reply as large as itself."""
    found = problems(reference(**{f"{'k' * 1000}{number}": "x" for number in range(1000)}))
    assert [one.path for one in found] == ["k" * 40]
    found = problems(reference(products=[{f"field{number}": 1 for number in range(1000)}]))
    assert len(found) == MAX_PROBLEMS


def test_a_made_up_field_cannot_put_control_characters_into_a_path() -> None:
    """Paths are shown in terminals and logs."""
    assert [one.path for one in problems(reference(**{"a\x1b[31m\n\u202eb": 1}))] == ["a?[31m??b"]


def test_claims_are_read_like_lines() -> None:
    """Product, price and quantity, exact."""
    body = {"products": [{"productId": "prod_1", "price": 29.99, "quantity": 1}], "currency": "EUR"}
    claims = price_claims(read_json(text(body)), default_currency="usd")
    assert claims == (PriceClaim("prod_1", Money(2999, "eur"), 1),)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "products"),
        ({"products": []}, "products"),
        ({"products": [{"price": 1, "quantity": 1}]}, "products[0].productId"),
        ({"products": [{"productId": "", "price": 1, "quantity": 1}]}, "products[0].productId"),
        ({"products": [{"productId": "p", "quantity": 1}]}, "products[0].price"),
        ({"products": [{"productId": "p", "price": "1", "quantity": 1}]}, "products[0].price"),
        ({"products": [{"productId": "p", "price": 0, "quantity": 1}]}, "products[0].price"),
        ({"products": [{"productId": "p", "price": 1}]}, "products[0].quantity"),
        ({"products": [{"productId": "p", "price": 1, "quantity": 1, "name": "x"}]}, "products[0].name"),
        ({"products": [{"productId": "p", "price": 1, "quantity": 1}] * 101}, "products"),
        ({"products": [{"productId": "p", "price": 1, "quantity": 1}], "currency": "zzz"}, "currency"),
        ({"products": [{"productId": "p", "price": 1, "quantity": 1}], "successUrl": "x"}, "successUrl"),
    ],
)
def test_claims_that_cannot_be_used_name_their_field(body: object, path: str) -> None:
    """The same strictness as for a checkout."""
    with pytest.raises(InvalidRequest) as refused:
        price_claims(read_json(text(body)), default_currency="usd")
    assert [one.path for one in refused.value.fields] == [path]


@pytest.mark.parametrize(
    "address",
    [
        "a@b.co",
        "first.last+tag@sub.example.com",
        "o'brien@example.ie",
        "x" * 64 + "@example.com",
        "a@xn--bcher-kva.example",
    ],
)
def test_plausible_addresses_are_accepted(address: str) -> None:
    """The check is for plausibility, not for proof."""
    assert read(reference(customerEmail=address)).customer_email == address


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/t.jpg",
        "http://example.com",
        "HTTPS://EXAMPLE.COM/%20?a=b#c",
        "http://[::1]:80/a",
        "https://a.b/" + "x" * 2036,
    ],
)
def test_http_images_are_accepted(url: str) -> None:
    """Stripe fetches them, so any http(s) URL will do."""
    assert read(with_line(image=url)).cart.lines[0].image == url
