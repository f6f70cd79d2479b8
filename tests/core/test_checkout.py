"""What is sent to open a checkout, the limits of metadata, and the comparison of prices."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_core import Cart, CheckoutRequest, Discrepancy, InvalidRequest, Line, Money, PriceClaim
from payments_core.domain.cart import cart_from_json, cart_to_json
from payments_core.domain.checkout import check_metadata, session_params
from payments_core.domain.payment import Payment
from payments_core.domain.pricing import CatalogPrice, changes_prices, confirm, require_product_ids, verify_claims
from payments_core.errors import FieldProblem, ProductIdRequired, UnknownProduct

NOW = datetime(2026, 11, 23, tzinfo=UTC)
TEE = Line("Premium T-Shirt", Money(2999, "usd"), 2, "https://example.com/tshirt.jpg")
MUG = Line("Mug", Money(500, "usd"), 1, product_id="prod_mug", price_id="price_mug")


def params(request: CheckoutRequest, *, app: str | None = None, **changes: Any) -> dict[str, Any]:
    payment = Payment(payment_id="p1", created_at=NOW, livemode=False, cart=request.cart)
    return session_params(request, attrs.evolve(payment, **changes), app=app)


def test_the_reference_call() -> None:
    """The parameters of a hosted checkout, whole."""
    request = CheckoutRequest(
        Cart([TEE, MUG]),
        "https://yourstore.com/success?session_id={CHECKOUT_SESSION_ID}",
        "https://yourstore.com/cart",
        "customer@example.com",
        {"order": "A1"},
    )
    marks = {"order": "A1", "payments_core_id": "p1", "payments_core_app": "shop"}
    assert params(request, app="shop", user_id="user_7") == {
        "mode": "payment",
        "ui_mode": "hosted_page",
        "line_items": [
            {
                "price_data": {
                    "currency": "usd",
                    "product_data": {"name": "Premium T-Shirt", "images": ["https://example.com/tshirt.jpg"]},
                    "unit_amount": 2999,
                },
                "quantity": 2,
            },
            {"price": "price_mug", "quantity": 1},
        ],
        "currency": "usd",
        "metadata": marks,
        "payment_intent_data": {"metadata": marks},
        "success_url": "https://yourstore.com/success?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://yourstore.com/cart",
        "customer_email": "customer@example.com",
        "client_reference_id": "user_7",
    }


def test_what_is_not_given_is_not_sent() -> None:
    """No null, no empty string: those would unset something at Stripe."""
    sent = params(CheckoutRequest(Cart([TEE]), "https://a.test/"))
    assert set(sent) == {"mode", "ui_mode", "line_items", "metadata", "payment_intent_data", "success_url"}
    assert sent["metadata"] == {"payments_core_id": "p1"}


def test_a_price_with_several_currencies_is_charged_in_the_agreed_one() -> None:
    """Stripe would take the price's own currency, or that of the buyer's country; a declared line says its own."""
    assert params(CheckoutRequest(Cart([TEE, MUG]), "https://a.test/"))["currency"] == "usd"
    assert "currency" not in params(CheckoutRequest(Cart([TEE]), "https://a.test/"))


def test_an_embedded_checkout_returns_instead_of_redirecting() -> None:
    """`return_url` carries the success URL, and there is no cancel URL."""
    sent = params(CheckoutRequest(Cart([MUG]), "https://a.test/ok", "https://a.test/no", ui_mode="embedded_page"))
    assert sent["ui_mode"] == "embedded_page"
    assert sent["return_url"] == "https://a.test/ok"
    assert not {"success_url", "cancel_url"} & set(sent)


def test_our_marks_win_over_the_callers_metadata() -> None:
    """S15: should a reserved key ever come this far, it is overwritten."""
    request = CheckoutRequest(Cart([MUG]), "https://a.test/", metadata={"payments_core_id": "stolen"})
    assert params(request)["metadata"]["payments_core_id"] == "p1"


def test_what_was_verified_is_charged_and_not_what_was_asked() -> None:
    """The payment's cart carries the confirmed prices."""
    request = CheckoutRequest(Cart([attrs.evolve(MUG, price_id=None)]), "https://a.test/")
    assert params(request, cart=Cart([MUG]))["line_items"] == [{"price": "price_mug", "quantity": 1}]


def test_a_user_id_too_long_for_stripe_stays_with_us() -> None:
    """`client_reference_id` takes 200 characters; the row keeps it whole."""
    request = CheckoutRequest(Cart([MUG]), "https://a.test/")
    assert params(request, user_id="u" * 200)["client_reference_id"] == "u" * 200
    assert "client_reference_id" not in params(request, user_id="u" * 201)


@pytest.mark.parametrize(
    ("metadata", "has_user"),
    [
        ({}, True),
        ({f"key{number}": "v" for number in range(48)}, False),
        ({"k" * 40: "v" * 500}, False),
        ({"userId": "guest"}, False),
        ({"order": "=cmd()", "note": "\x1b[31m é"}, True),
        ({"empty": ""}, True),
    ],
)
def test_metadata_within_stripes_limits_is_accepted(metadata: dict[str, str], has_user: bool) -> None:
    """48 keys of ours to give (two are the library's), 40 and 500 characters."""
    check_metadata(metadata, has_user=has_user)
    assert len(metadata) <= 48


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({f"key{number}": "v" for number in range(49)}, "metadata"),
        ({"k" * 41: "v"}, "metadata." + "k" * 40),
        ({"key": "v" * 501}, "metadata.key"),
        ({"": "v"}, "metadata."),
        ({"a[b]": "v"}, "metadata.a[b]"),
        ({"a]": "v"}, "metadata.a]"),
        ({"nul": "a\x00b"}, "metadata.nul"),
        ({"nu\x00l": "a"}, "metadata.nu\x00l"),
        ({"payments_core_id": "x"}, "metadata.payments_core_id"),
        ({"payments_core_app": "x"}, "metadata.payments_core_app"),
        ({"PAYMENTS_CORE_anything": "x"}, "metadata.PAYMENTS_CORE_anything"),
        ({"userId": "somebody else"}, "metadata.userId"),
    ],
)
def test_metadata_beyond_them_is_refused_with_the_key(metadata: dict[str, str], path: str) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidRequest) as refused:
        check_metadata(metadata, has_user=True)
    assert [field.path for field in refused.value.fields] == [path]


def test_every_wrong_key_is_named() -> None:
    """One round trip for the client."""
    with pytest.raises(InvalidRequest) as refused:
        check_metadata({"a": "v" * 501, "b": "ok", "payments_core_x": "c"}, has_user=False)
    assert [field.path for field in refused.value.fields] == ["metadata.a", "metadata.payments_core_x"]


CATALOGUE = {
    "prod_mug": CatalogPrice("price_mug", {"usd": 500, "eur": 450, "jpy": 700}),
    "mug-2026": CatalogPrice("price_mug", {"usd": 500}),
    "prod_old": CatalogPrice("price_old", {"usd": 5}, sellable=False, reason="its product is not active"),
    "prod_gone": CatalogPrice("price_gone", {"usd": 5}, sellable=False),
}


def claim(unit: int, product_id: str = "prod_mug", currency: str = "usd") -> PriceClaim:
    return PriceClaim(product_id, Money(unit, currency), 1)


def test_claims_that_match_are_no_discrepancy() -> None:
    """In each currency of the price."""
    assert verify_claims([claim(500), claim(450, currency="eur"), claim(500, "mug-2026")], CATALOGUE) == ()


def test_discrepancies_come_in_the_callers_order_and_in_major_units() -> None:
    """Exact decimals with the currency's digits, as HTTP speaks them."""
    found = verify_claims([claim(1), claim(500), claim(70, currency="jpy")], CATALOGUE)
    assert found == (
        Discrepancy("prod_mug", Decimal("5.00"), Decimal("0.01")),
        Discrepancy("prod_mug", Decimal(700), Decimal(70)),
    )


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (claim(5, "prod_none"), "the catalogue does not sell it"),
        (claim(5, "prod_old"), "its product is not active"),
        (claim(5, "mug-2026", "eur"), "it has no price in eur"),
        (claim(5, "prod_gone"), "it is not for sale"),
    ],
)
def test_what_is_not_for_sale_is_named_with_its_line(wrong: PriceClaim, words: str) -> None:
    """Even where the price would have matched."""
    with pytest.raises(UnknownProduct, match=words) as refused:
        verify_claims([claim(500), wrong], CATALOGUE)
    assert refused.value.fields == (FieldProblem("products[1].productId", words),)
    assert str(refused.value) == f"Product {wrong.product_id!r} cannot be sold: {words}."


def test_an_entry_of_the_catalogue_without_a_price_is_for_sale_in_no_currency() -> None:
    """For sale as such, without a reason why not; asked for in dollars there is none."""
    entry = CatalogPrice("price_mug")
    assert (dict(entry.units), entry.sellable, entry.reason) == ({}, True, None)
    with pytest.raises(UnknownProduct, match="it has no price in usd"):
        verify_claims([claim(500)], {"prod_mug": entry})


def test_confirmed_lines_carry_stripes_price() -> None:
    """And the others stay as they were declared."""
    cart = Cart([TEE, attrs.evolve(MUG, price_id=None)])
    confirmed, differing = confirm(cart, CATALOGUE)
    assert differing == ()
    assert [line.price_id for line in confirmed.lines] == [None, "price_mug"]


def test_a_line_that_differs_is_told_and_the_others_are_not() -> None:
    """In the cart's order, with what the catalogue charges and what was claimed."""
    cheap, dear = (attrs.evolve(MUG, unit=Money(unit, "usd")) for unit in (1, 501))
    _, differing = confirm(Cart([cheap, TEE, MUG, dear]), CATALOGUE)
    assert differing == (
        Discrepancy("prod_mug", Decimal("5.00"), Decimal("0.01")),
        Discrepancy("prod_mug", Decimal("5.00"), Decimal("5.01")),
    )


def test_a_line_of_a_cart_that_is_not_for_sale_is_named_by_its_place() -> None:
    """Counted as the client counts: from zero, lines without a product among them."""
    with pytest.raises(UnknownProduct) as refused:
        confirm(Cart([TEE, attrs.evolve(MUG, product_id="prod_old")]), CATALOGUE)
    assert [field.path for field in refused.value.fields] == ["products[1].productId"]


def test_policy_catalog_names_every_line_without_a_product() -> None:
    """And `declared` asks for none."""
    cart = Cart([TEE, MUG, TEE])
    require_product_ids(cart, "declared")
    with pytest.raises(ProductIdRequired) as refused:
        require_product_ids(cart, "catalog")
    required = "is required under the price policy of this shop"
    assert refused.value.fields == tuple(FieldProblem(f"products[{index}].productId", required) for index in (0, 2))
    assert str(refused.value) == "Every line must name a product that the catalogue sells (productId)."


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 1000)), min_size=1, max_size=20))
def test_the_subtotal_is_the_sum_and_survives_storage(lines: list[tuple[int, int]]) -> None:
    """What is agreed is what the row keeps."""
    cart = Cart([Line("x", Money(unit, "eur"), quantity) for unit, quantity in lines])
    assert cart.subtotal == Money(sum(unit * quantity for unit, quantity in lines), "eur")
    assert cart_from_json(cart_to_json(cart)) == cart


def test_no_address_in_the_repr_of_a_request() -> None:
    """Requests end up in tracebacks."""
    shown = repr(CheckoutRequest(Cart([TEE]), "https://a.test/", None, "buyer@example.test", {"note": "private"}))
    assert "buyer@" not in shown
    assert "private" not in shown


def test_a_confirmed_line_bears_the_catalogues_name_where_it_has_one() -> None:
    """Whoever fulfils by name is not to be told another one."""
    cart = Cart([Line("Grand piano", Money(500, "usd"), 1, product_id="mug")])
    for name, expected in (("Mug", "Mug"), (None, "Grand piano"), ("", "Grand piano")):
        confirmed, differing = confirm(cart, {"mug": CatalogPrice("price_mug", {"usd": 500}, name=name)})
        assert (confirmed.lines[0].name, confirmed.lines[0].price_id, differing) == (expected, "price_mug", ())


@pytest.mark.parametrize(
    "event_type",
    ["product.created", "product.updated", "product.deleted", "price.created", "price.updated", "price.deleted"],
)
def test_news_of_the_catalogue_may_change_prices(event_type: str) -> None:
    """Unless it names what it changes, and that is nothing which costs or is sold."""
    assert changes_prices(event_type, {})
    assert changes_prices(event_type, {"active": False})
    assert changes_prices(event_type, {"metadata": {}, "name": "old"})
    assert changes_prices(event_type, {"a_field_of_next_year": 1})
    for field in (
        "description", "features", "images", "marketing_features", "metadata", "nickname", "package_dimensions",
        "shippable", "statement_descriptor", "tax_behavior", "tax_code", "unit_label", "updated", "url",
    ):  # fmt: skip
        assert not changes_prices(event_type, {field: "old", "updated": 1}), field


@pytest.mark.parametrize(
    "event_type", ["checkout.session.completed", "product", "price", "products.created", "", "x.price.updated"]
)
def test_other_news_changes_no_price(event_type: str) -> None:
    """Whatever it names."""
    assert not changes_prices(event_type, {"default_price": "x"})
    assert not changes_prices(event_type, {})
