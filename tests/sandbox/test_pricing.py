"""Coupons, promotion codes, tax and shipping on a session, through the API."""

from __future__ import annotations

from typing import Any

import pytest

from payments_core.sandbox import Sandbox
from tests.sandbox.conftest import NOON, Caller, Clock, cart

SESSIONS = "/v1/checkout/sessions"
AMOUNTS = ("amount_subtotal", "amount_total")


def promotion(api: Caller, code: str = "SPRING", **coupon: Any) -> dict[str, Any]:
    """A promotion code for a coupon of its own; 25 % off where nothing else is said."""
    made = api.ok("POST", "/v1/coupons", coupon or {"percent_off": 25})
    return api.ok("POST", "/v1/promotion_codes", {"promotion": {"type": "coupon", "coupon": made["id"]}, "code": code})


def totals(session: dict[str, Any]) -> tuple[int, int, int, int, int]:
    """Subtotal, discount, shipping, tax and total."""
    details = session["total_details"]
    parts = (details["amount_discount"], details["amount_shipping"], details["amount_tax"])
    return (session["amount_subtotal"], *parts, session["amount_total"])


def test_a_coupon_is_taken_off_each_line(api: Caller) -> None:
    """The lines' discounts add up to the session's, and the intent is charged the total."""
    coupon = api.ok("POST", "/v1/coupons", {"amount_off": 1000, "currency": "usd", "name": "Ten off"})
    params = cart(("Shirt", 2999, 1), ("Mug", 1250, 1), discounts=[{"coupon": coupon["id"]}])
    expand = ["line_items.data.discounts", "total_details.breakdown", "discounts.coupon"]

    session = api.ok("POST", SESSIONS, {**params, "expand": expand})
    paid = api.sandbox.pay(session["id"])

    assert totals(session) == (4249, 1000, 0, 0, 3249)
    lines = session["line_items"]["data"]
    assert [line["amount_discount"] for line in lines] == [706, 294]
    assert [line["amount_total"] for line in lines] == [2293, 956]
    assert lines[0]["discounts"][0]["discount"]["source"]["coupon"] == coupon["id"]
    assert session["total_details"]["breakdown"]["discounts"][0]["amount"] == 1000
    assert session["discounts"][0]["coupon"]["name"] == "Ten off"
    assert api.ok("GET", f"/v1/payment_intents/{paid['payment_intent']}")["amount_received"] == 3249


def test_a_code_on_the_session_counts_when_it_is_redeemed(api: Caller, sandbox: Sandbox) -> None:
    """Coupon and code are counted once, at completion; the session names the code."""
    code = promotion(api)
    params = {
        **cart(discounts=[{"promotion_code": code["id"]}]),
        "expand": ["discounts.promotion_code.promotion.coupon"],
    }
    session = api.ok("POST", SESSIONS, params)
    sandbox.decline(session["id"])
    assert api.ok("GET", f"/v1/promotion_codes/{code['id']}")["times_redeemed"] == 0

    sandbox.pay(session["id"])

    assert session["discounts"][0]["promotion_code"]["promotion"]["coupon"]["percent_off"] == 25
    assert api.ok("GET", f"/v1/promotion_codes/{code['id']}")["times_redeemed"] == 1
    assert api.ok("GET", f"/v1/coupons/{code['promotion']['coupon']}")["times_redeemed"] == 1


def test_a_total_of_zero_needs_no_payment(api: Caller, sandbox: Sandbox) -> None:
    """A hundred percent off: complete, `no_payment_required`, and neither intent nor charge."""
    code = promotion(api, percent_off=100)
    session = api.ok("POST", SESSIONS, cart(discounts=[{"promotion_code": code["id"]}]))

    done = sandbox.pay(session["id"])

    assert totals(session) == (5998, 5998, 0, 0, 0)
    assert (done["status"], done["payment_status"], done["payment_intent"]) == ("complete", "no_payment_required", None)
    assert sandbox.events("charge.succeeded", "payment_intent.created") == []


def test_what_is_left_must_be_chargeable(api: Caller) -> None:
    """Between zero and the smallest charge there is nothing."""
    coupon = api.ok("POST", "/v1/coupons", {"amount_off": 5990, "currency": "usd"})

    assert api.refusal("POST", SESSIONS, cart(discounts=[{"coupon": coupon["id"]}]))["code"] == "amount_too_small"


def test_a_coupon_may_be_for_some_products_only(api: Caller) -> None:
    """Named in `applies_to`, which a reply shows on expansion."""
    product = api.ok(
        "POST", "/v1/products", {"name": "Mug", "default_price_data": {"currency": "usd", "unit_amount": 1000}}
    )
    coupon = api.ok(
        "POST",
        "/v1/coupons",
        {"percent_off": 50, "applies_to": {"products": [product["id"]]}, "expand": ["applies_to"]},
    )
    params = cart(discounts=[{"coupon": coupon["id"]}])
    assert api.refusal("POST", SESSIONS, params)["param"] == "discounts[0][coupon]"
    params["line_items"].append({"price": product["default_price"], "quantity": 1})

    assert coupon["applies_to"] == {"products": [product["id"]]}
    assert totals(api.ok("POST", SESSIONS, params)) == (6998, 500, 0, 0, 6498)


@pytest.mark.parametrize(
    "change",
    [
        {"expires_at": NOON + 60},
        {"active": False},
        {"max_redemptions": 1},
        {"restrictions": {"minimum_amount": 6000, "minimum_amount_currency": "usd"}},
    ],
    ids=["over", "off", "used up", "too small an order"],
)
def test_a_code_that_cannot_be_used_is_refused(
    api: Caller, clock: Clock, sandbox: Sandbox, change: dict[str, Any]
) -> None:
    """Whatever the reason, the session is not made."""
    coupon = api.ok("POST", "/v1/coupons", {"percent_off": 10})
    params = {"promotion": {"type": "coupon", "coupon": coupon["id"]}, **change}
    code = api.ok("POST", "/v1/promotion_codes", params)
    wanted = cart(discounts=[{"promotion_code": code["id"]}])
    if "max_redemptions" in change:
        sandbox.pay(api.ok("POST", SESSIONS, wanted)["id"])
    clock.advance(60)

    assert api.refusal("POST", SESSIONS, wanted)["param"] == "discounts[0][promotion_code]"


def test_two_active_codes_are_never_alike(api: Caller) -> None:
    """In any case of letters; a switched-off one makes room."""
    first = promotion(api, "SPRING")
    again = {"promotion": {"type": "coupon", "coupon": first["promotion"]["coupon"]}, "code": "spring"}

    assert api.refusal("POST", "/v1/promotion_codes", again)["code"] == "resource_already_exists"
    api.ok("POST", f"/v1/promotion_codes/{first['id']}", {"active": False})
    assert api.ok("POST", "/v1/promotion_codes", again)["code"] == "spring"
    assert [c["id"] for c in api.ok("GET", "/v1/promotion_codes", {"code": "Spring", "active": False})["data"]] == [
        first["id"]
    ]


def test_a_deleted_coupon_stays_on_the_session_that_has_it(api: Caller, sandbox: Sandbox) -> None:
    """And is for no other."""
    coupon = api.ok("POST", "/v1/coupons", {"percent_off": 10})
    params = cart(discounts=[{"coupon": coupon["id"]}])
    session = api.ok("POST", SESSIONS, params)
    api.ok("DELETE", f"/v1/coupons/{coupon['id']}")

    assert sandbox.pay(session["id"])["amount_total"] == 5398
    assert api.refusal("POST", SESSIONS, params)["code"] == "resource_missing"


def test_tax_rates_are_inside_or_on_top(api: Caller) -> None:
    """Each line says which; the breakdown sums them up by rate."""
    vat = api.ok("POST", "/v1/tax_rates", {"display_name": "VAT", "percentage": 19, "inclusive": True})
    sales = api.ok("POST", "/v1/tax_rates", {"display_name": "Sales tax", "percentage": "8.875", "inclusive": False})
    params = cart(("Book", 11900, 1), ("Lamp", 10000, 1), expand=["total_details.breakdown", "line_items.data.taxes"])
    params["line_items"][0]["tax_rates"] = [vat["id"]]
    params["line_items"][1]["tax_rates"] = [sales["id"]]

    session = api.ok("POST", SESSIONS, params)

    assert totals(session) == (21900, 0, 0, 1900 + 888, 21900 + 888)
    assert [tax["amount"] for tax in session["total_details"]["breakdown"]["taxes"]] == [1900, 888]
    assert session["line_items"]["data"][1]["taxes"][0]["rate"]["percentage"] == 8.875


def test_automatic_tax_takes_what_the_sandbox_was_told(clock: Clock) -> None:
    """On top, unless the price says inside; nothing on what is nontaxable; on shipping as well."""
    api = Caller(Sandbox(clock=clock, tax_percent="8.875"))
    params = cart(("Lamp", 10000, 1), ("Book", 10000, 1), ("Gift card", 10000, 1), automatic_tax={"enabled": True})
    params["line_items"][1]["price_data"]["tax_behavior"] = "inclusive"
    params["line_items"][2]["price_data"]["product_data"]["tax_code"] = "txcd_00000000"
    params["shipping_options"] = [
        {"shipping_rate_data": {"display_name": "Post", "fixed_amount": {"amount": 1000, "currency": "usd"}}}
    ]

    session = api.ok("POST", SESSIONS, params)

    assert totals(session) == (30000, 0, 1000, 888 + 815 + 89, 30000 + 1000 + 888 + 89)
    assert session["automatic_tax"]["status"] == "complete"
    assert session["shipping_cost"]["amount_total"] == 1089
    assert api.ok("GET", "/v1/tax_rates")["data"] == []


@pytest.mark.parametrize("percent", ["x", "-1", "101", "NaN"])
def test_a_tax_that_is_none_is_an_error_of_whoever_sets_it(percent: str) -> None:
    """At once, in words."""
    with pytest.raises(ValueError, match="from 0 to 100"):
        Sandbox(tax_percent=percent)


def test_shipping_is_the_first_way_offered(api: Caller) -> None:
    """Made inline or beforehand, in the session's currency; the inline one is in no list."""
    express = api.ok(
        "POST",
        "/v1/shipping_rates",
        {"display_name": "Express", "type": "fixed_amount", "fixed_amount": {"amount": 1500, "currency": "usd"}},
    )
    inline = {"display_name": "Post", "type": "fixed_amount", "fixed_amount": {"amount": 500, "currency": "usd"}}
    options = [{"shipping_rate_data": inline}, {"shipping_rate": express["id"]}]

    session = api.ok("POST", SESSIONS, cart(shipping_options=options, expand=["shipping_cost.shipping_rate"]))

    assert totals(session) == (5998, 0, 500, 0, 6498)
    assert session["shipping_cost"]["shipping_rate"]["display_name"] == "Post"
    assert [option["shipping_amount"] for option in session["shipping_options"]] == [500, 1500]
    assert [rate["id"] for rate in api.ok("GET", "/v1/shipping_rates")["data"]] == [express["id"]]


def test_a_customer_is_made_of_the_buyer_where_that_was_asked(api: Caller, sandbox: Sandbox) -> None:
    """Once, however many attempts it takes; intent and session name it, and it can be given to the next session."""
    session = api.ok("POST", SESSIONS, cart(customer_creation="always"))
    sandbox.decline(session["id"], email="jenny@example.com")
    paid = sandbox.pay(session["id"], email="jenny@example.com")

    customer = api.ok("GET", f"/v1/customers/{paid['customer']}")
    intent = api.ok("GET", f"/v1/payment_intents/{paid['payment_intent']}")
    again = api.ok("POST", SESSIONS, cart(customer=customer["id"]))

    assert (customer["email"], intent["customer"]) == ("jenny@example.com", customer["id"])
    assert len(sandbox.events("customer.created")) == 1
    assert sandbox.pay(again["id"])["customer"] == customer["id"]
    assert [s["id"] for s in api.ok("GET", SESSIONS, {"customer": customer["id"]})["data"]] == [
        again["id"],
        session["id"],
    ]


@pytest.mark.parametrize(
    ("currency", "filters", "types"),
    [
        ("usd", {}, ["card", "us_bank_account"]),
        ("eur", {}, ["card", "sepa_debit"]),
        ("jpy", {}, ["card"]),
        ("eur", {"allowed_payment_method_types": ["sepa_debit", "paypal"]}, ["sepa_debit"]),
        ("eur", {"excluded_payment_method_types": ["sepa_debit"]}, ["card"]),
    ],
)
def test_the_ways_to_pay_depend_on_currency_and_filters(
    api: Caller, currency: str, filters: dict[str, Any], types: list[str]
) -> None:
    """A session shows what its page offers."""
    params = cart(**filters)
    params["line_items"][0]["price_data"]["currency"] = currency

    assert api.ok("POST", SESSIONS, params)["payment_method_types"] == types
