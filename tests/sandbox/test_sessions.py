"""Checkout Sessions through the API: what they hold, what is refused, how they end."""

from __future__ import annotations

from typing import Any

import pytest

from payments_core.sandbox import Sandbox, StripeRefusal
from tests.sandbox.conftest import NOON, Caller, Clock, cart

SESSIONS = "/v1/checkout/sessions"


def test_a_new_session_is_open_and_has_an_address_but_no_intent(api: Caller) -> None:
    """Stripe makes the payment intent late; the totals are there at once."""
    session = api.ok("POST", SESSIONS, cart(("Shirt", 2999, 2), ("Mug", 1250, 1), metadata={"order": "7"}))

    assert session["url"] == f"http://127.0.0.1:12111/c/pay/{session['id']}"
    assert session["id"].startswith("cs_test_")
    assert (session["status"], session["payment_status"]) == ("open", "unpaid")
    assert (session["amount_subtotal"], session["amount_total"], session["currency"]) == (7248, 7248, "usd")
    assert session["payment_intent"] is None
    assert session["expires_at"] == NOON + 86_400
    assert session["metadata"] == {"order": "7"}
    assert "line_items" not in session


def test_an_embedded_session_has_a_client_secret_and_no_address(api: Caller) -> None:
    """`embedded_page` takes a return URL and is shown by the shop itself."""
    params = cart(ui_mode="embedded_page", return_url="https://shop.test/back")
    del params["success_url"], params["cancel_url"]

    session = api.ok("POST", SESSIONS, params)

    assert session["url"] is None
    assert session["client_secret"].startswith(f"{session['id']}_secret_")
    assert session["return_url"] == "https://shop.test/back"


def line(**changes: Any) -> dict[str, Any]:
    """Parameters with one line, changed; a value of None leaves it out."""
    data = {"currency": "usd", "unit_amount": 2999, "product_data": {"name": "Shirt"}}
    data |= changes.pop("price_data", {})
    entry = {"price_data": {k: v for k, v in data.items() if v is not None}, "quantity": 1, **changes}
    return cart(line_items=[{k: v for k, v in entry.items() if v is not None}])


PRICE = "line_items[0][price_data]"
PRODUCT = f"{PRICE}[product_data]"

REFUSED: list[tuple[str, dict[str, Any], str | None, str]] = [
    ("no lines", cart(line_items=[]), "parameter_missing", "line_items"),
    ("101 lines", cart(*[("Mug", 100, 1)] * 101), None, "line_items"),
    ("negative amount", line(price_data={"unit_amount": -1}), "parameter_invalid_integer", f"{PRICE}[unit_amount]"),
    ("fraction", line(price_data={"unit_amount": "29.99"}), "parameter_invalid_integer", f"{PRICE}[unit_amount]"),
    ("no amount", line(price_data={"unit_amount": None}), "parameter_missing", f"{PRICE}[unit_amount]"),
    (
        "both amounts",
        line(price_data={"unit_amount_decimal": "1"}),
        "parameters_exclusive",
        f"{PRICE}[unit_amount_decimal]",
    ),
    ("quantity zero", line(quantity=0), "parameter_invalid_integer", "line_items[0][quantity]"),
    ("no quantity", line(quantity=None), None, "line_items[0][quantity]"),
    ("unknown currency", line(price_data={"currency": "xyz"}), None, f"{PRICE}[currency]"),
    ("empty name", line(price_data={"product_data": {"name": ""}}), "parameter_invalid_empty", f"{PRODUCT}[name]"),
    ("no name", line(price_data={"product_data": {"description": "x"}}), "parameter_missing", f"{PRODUCT}[name]"),
    (
        "image no URL",
        line(price_data={"product_data": {"name": "x", "images": ["javascript:alert(1)"]}}),
        "url_invalid",
        f"{PRODUCT}[images][0]",
    ),
    (
        "nine images",
        line(price_data={"product_data": {"name": "x", "images": ["https://i.test/1"] * 9}}),
        None,
        f"{PRODUCT}[images]",
    ),
    ("no price", cart(line_items=[{"quantity": 1}]), "parameter_missing", "line_items[0][price]"),
    (
        "unknown price",
        cart(line_items=[{"price": "price_none", "quantity": 1}]),
        "resource_missing",
        "line_items[0][price]",
    ),
    (
        "recurring",
        line(price_data={"recurring": {"interval": "month"}}),
        "sandbox_not_implemented",
        f"{PRICE}[recurring]",
    ),
    ("no mode", cart(mode=None), "parameter_missing", "mode"),
    ("subscription", cart(mode="subscription"), "sandbox_not_implemented", "mode"),
    ("nonsense mode", cart(mode="rent"), None, "mode"),
    ("elements", cart(ui_mode="elements"), "sandbox_not_implemented", "ui_mode"),
    ("old ui_mode", cart(ui_mode="hosted"), None, "ui_mode"),
    ("no success_url", cart(success_url=None), "parameter_missing", "success_url"),
    ("relative success_url", cart(success_url="/thanks"), "url_invalid", "success_url"),
    ("long success_url", cart(success_url="https://shop.test/" + "x" * 5000), None, "success_url"),
    ("return_url on a hosted page", cart(return_url="https://shop.test/"), None, "return_url"),
    ("success_url when embedded", cart(ui_mode="embedded_page", return_url="https://shop.test/"), None, "success_url"),
    ("no e-mail address", cart(customer_email="nobody"), "email_invalid", "customer_email"),
    ("long reference", cart(client_reference_id="x" * 201), None, "client_reference_id"),
    ("long metadata key", cart(metadata={"k" * 41: "v"}), None, "metadata"),
    ("long metadata value", cart(metadata={"k": "v" * 501}), None, "metadata[k]"),
    ("51 metadata keys", cart(metadata={f"k{i}": "v" for i in range(51)}), None, "metadata"),
    (
        "payment_method_types",
        cart(payment_method_types=["card"]),
        "payment_method_types_no_longer_supported",
        "payment_method_types",
    ),
    (
        "no card",
        cart(allowed_payment_method_types=["paypal"]),
        "sandbox_not_implemented",
        "allowed_payment_method_types",
    ),
    ("custom fields", cart(custom_fields=[{"key": "x"}]), "sandbox_not_implemented", "custom_fields"),
    ("unknown coupon", cart(discounts=[{"coupon": "x"}]), "resource_missing", "discounts[0][coupon]"),
    (
        "code and coupon",
        cart(discounts=[{"coupon": "x", "promotion_code": "y"}]),
        "parameters_exclusive",
        "discounts[0][coupon]",
    ),
    (
        "discounts and codes",
        cart(discounts=[{"coupon": "x"}], allow_promotion_codes=True),
        "parameters_exclusive",
        "allow_promotion_codes",
    ),
    ("unknown customer", cart(customer="cus_none"), "resource_missing", "customer"),
    ("unknown tax rate", line(tax_rates=["txr_none"]), "resource_missing", "line_items[0][tax_rates][0]"),
    (
        "unknown shipping",
        cart(shipping_options=[{"shipping_rate": "shr_none"}]),
        "resource_missing",
        "shipping_options[0][shipping_rate]",
    ),
    ("six ways of shipping", cart(shipping_options=[{"shipping_rate": "x"}] * 6), None, "shipping_options"),
    (
        "no country",
        cart(shipping_address_collection={"allowed_countries": ["Germany"]}),
        None,
        "shipping_address_collection[allowed_countries][0]",
    ),
    (
        "no code of a country",
        cart(shipping_address_collection={"allowed_countries": ["GB", "UK"]}),
        None,
        "shipping_address_collection[allowed_countries][1]",
    ),
    ("a language of the browser's", cart(locale="en-US"), None, "locale"),
    (
        "no way to pay",
        cart(allowed_payment_method_types=["card", "crad"]),
        None,
        "allowed_payment_method_types[1]",
    ),
    ("no way not to", cart(excluded_payment_method_types=["crad"]), None, "excluded_payment_method_types[0]"),
    ("long text", cart(custom_text={"submit": {"message": "x" * 1201}}), None, "custom_text[submit][message]"),
    ("unknown parameter", cart(colour="blue"), "parameter_unknown", "colour"),
    ("unknown nested parameter", line(colour="blue"), "parameter_unknown", "line_items[0][colour]"),
    ("too soon", cart(expires_at=NOON + 60), None, "expires_at"),
    ("too late", cart(expires_at=NOON + 90_000), None, "expires_at"),
    ("too little", cart(("Dot", 10, 1)), "amount_too_small", "line_items"),
    ("too much", cart(("Moon", 999_999_999_999, 2)), "amount_too_large", "line_items"),
]


@pytest.mark.parametrize(("params", "code", "param"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_stripe_refuses_is_refused_naming_the_parameter(
    api: Caller, params: dict[str, Any], code: str | None, param: str
) -> None:
    """Every refusal is a 400 in Stripe's shape, with the code and the full name of the parameter."""
    error = api.refusal("POST", SESSIONS, params)

    assert (error["status"], error["type"], error["code"], error["param"]) == (
        400,
        "invalid_request_error",
        code,
        param,
    )
    assert api.ok("GET", SESSIONS)["data"] == []


def test_currencies_may_not_be_mixed(api: Caller) -> None:
    """All lines of a session are of one currency."""
    params = cart(("Shirt", 2999, 1), ("Mug", 1250, 1))
    params["line_items"][1]["price_data"]["currency"] = "eur"

    assert api.refusal("POST", SESSIONS, params)["param"] == "line_items[1][price_data]"


@pytest.mark.parametrize("version", ["2026-08-26.dahlia", "2024-06-20"])
def test_an_older_version_may_name_payment_method_types(api: Caller, version: str) -> None:
    """The parameter was removed in endive; a client of an older version still sends it."""
    reply = api("POST", SESSIONS, cart(payment_method_types=["card"]), stripe_version=version)

    assert reply.status == 200
    assert reply.headers["Stripe-Version"] == version


@pytest.mark.parametrize(
    "extra",
    [
        {"automatic_tax": {"enabled": False}},
        {"invoice_creation": {"enabled": False}},
        {"customer_creation": "if_required"},
        {"allow_promotion_codes": False},
        {"allowed_payment_method_types": ["card", "link"]},
        {"submit_type": "donate"},
    ],
)
def test_what_is_the_case_anyway_may_be_asked_for(api: Caller, extra: dict[str, Any]) -> None:
    """A feature that is switched off is no reason to refuse."""
    assert api.ok("POST", SESSIONS, cart(**extra))["status"] == "open"


def test_a_fraction_of_a_cent_is_rounded_per_line(api: Caller) -> None:
    """`unit_amount_decimal` may have decimals; the line's amount is whole."""
    params = cart()
    params["line_items"][0] = {
        "price_data": {"currency": "usd", "unit_amount_decimal": "33.335", "product_data": {"name": "Wire, 1 cm"}},
        "quantity": 100,
    }

    session = api.ok("POST", SESSIONS, {**params, "expand": ["line_items"]})

    assert session["amount_total"] == 3334
    assert session["line_items"]["data"][0]["price"]["unit_amount"] is None
    assert session["line_items"]["data"][0]["price"]["unit_amount_decimal"] == "33.335"


def test_line_items_are_listed_in_the_carts_order_and_paged(api: Caller) -> None:
    """The list endpoint gives all lines, `expand` only the first ten."""
    names = [f"Item {i:02}" for i in range(25)]
    session = api.ok("POST", SESSIONS, cart(*[(name, 100, 1) for name in names], expand=["line_items"]))
    url = f"{SESSIONS}/{session['id']}/line_items"

    first = api.ok("GET", url, {"limit": 20})
    rest = api.ok("GET", url, {"limit": 20, "starting_after": first["data"][-1]["id"]})

    assert [line["description"] for line in first["data"] + rest["data"]] == names
    assert (first["has_more"], rest["has_more"], first["url"]) == (True, False, url)
    assert len(session["line_items"]["data"]) == 10
    assert session["line_items"]["has_more"] is True


def test_inline_products_and_prices_stay_out_of_the_catalogue(api: Caller) -> None:
    """They can be retrieved and expanded, but no list shows them, and they are archived."""
    session = api.ok("POST", SESSIONS, cart(expand=["line_items.data.price.product"]))
    price = session["line_items"]["data"][0]["price"]

    assert price["product"]["name"] == "Premium T-Shirt"
    assert (price["active"], price["product"]["active"]) == (False, False)
    assert api.ok("GET", "/v1/products")["data"] == []
    assert api.ok("GET", "/v1/prices")["data"] == []


def test_update_changes_metadata_alone(api: Caller) -> None:
    """A key is set, another unset by an empty value; other parameters are refused."""
    session = api.ok("POST", SESSIONS, cart(metadata={"a": "1", "b": "2"}))
    url = f"{SESSIONS}/{session['id']}"

    assert api.ok("POST", url, {"metadata": {"a": "", "c": "3"}})["metadata"] == {"b": "2", "c": "3"}
    assert api.ok("POST", url, {"metadata": ""})["metadata"] == {}
    assert api.refusal("POST", url, {"success_url": "https://x.test/"})["code"] == "parameter_unknown"


def test_a_session_runs_out(api: Caller, sandbox: Sandbox, clock: Clock) -> None:
    """At `expires_at` it is expired, its address gone, and one event tells."""
    session = api.ok("POST", SESSIONS, cart(expires_at=NOON + 1800))
    clock.advance(1799)
    assert api.ok("GET", f"{SESSIONS}/{session['id']}")["status"] == "open"
    clock.advance(1)

    expired = api.ok("GET", f"{SESSIONS}/{session['id']}")

    assert (expired["status"], expired["url"], expired["payment_status"]) == ("expired", None, "unpaid")
    assert [event["type"] for event in sandbox.events()] == ["checkout.session.expired"]


def test_only_an_open_session_can_be_expired(api: Caller, sandbox: Sandbox) -> None:
    """Expiring a paid one is refused and changes nothing."""
    session = api.ok("POST", SESSIONS, cart())
    sandbox.pay(session["id"])

    assert api.refusal("POST", f"{SESSIONS}/{session['id']}/expire")["status"] == 400
    assert sandbox.session(session["id"])["status"] == "complete"


def test_sessions_are_found_by_intent_status_and_address(api: Caller, sandbox: Sandbox, clock: Clock) -> None:
    """The filters of the list, alone and together with a time."""
    first = api.ok("POST", SESSIONS, cart())
    clock.advance(10)
    second = api.ok("POST", SESSIONS, cart())
    paid = sandbox.pay(first["id"], email="jenny@example.com")

    def found(**filters: Any) -> list[str]:
        return [session["id"] for session in api.ok("GET", SESSIONS, filters)["data"]]

    assert found() == [second["id"], first["id"]]
    assert found(payment_intent=paid["payment_intent"]) == [first["id"]]
    assert found(status="open") == [second["id"]]
    assert found(customer_details={"email": "jenny@example.com"}) == [first["id"]]
    assert found(created={"gt": NOON}) == [second["id"]]
    assert found(created={"gte": NOON, "lt": NOON + 10}) == [first["id"]]
    assert found(created=NOON) == [first["id"]]


def test_direct_methods_refuse_what_the_api_would(sandbox: Sandbox, api: Caller) -> None:
    """Paying what is expired and a card that is no test card are errors of the test that tries."""
    session = api.ok("POST", SESSIONS, cart())
    with pytest.raises(ValueError, match="test cards only"):
        sandbox.pay(session["id"], card="4111111111111111")
    sandbox.expire(session["id"])
    with pytest.raises(StripeRefusal, match="expired"):
        sandbox.pay(session["id"])
