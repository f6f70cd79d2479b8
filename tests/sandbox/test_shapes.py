"""Every object against the fields, types and literals of Stripe's own at the pinned version.

`Caller` checks each reply, the fixture `sandbox` each event; here are the states that other tests do not reach.
"""

from __future__ import annotations

import re
from typing import Any

import stripe

from payments_core.sandbox import Sandbox
from payments_core.sandbox.state import API_VERSION
from tests.sandbox import oracle, pinned
from tests.sandbox.conftest import Caller, cart

SESSIONS = "/v1/checkout/sessions"


def sessions(api: Caller) -> dict[str, dict[str, Any]]:
    """One session of every kind, with all that can be expanded."""
    sandbox: Sandbox = api.sandbox
    expand = {"expand": ["line_items", "payment_intent.latest_charge"]}
    embedded = cart(ui_mode="embedded_page", return_url="https://shop.test/back")
    del embedded["success_url"], embedded["cancel_url"]
    made = {
        "open": cart(customer_email="jenny@example.com"),
        "embedded": embedded,
        "declined": cart(),
        "paid": cart(payment_intent_data={"metadata": {"order": "7"}}),
        "expired": cart(),
        "free": cart(("Sample", 0, 1)),
    }
    ids = {kind: api.ok("POST", SESSIONS, params)["id"] for kind, params in made.items()}
    sandbox.decline(ids["declined"], card="4000000000000127")
    sandbox.pay(ids["paid"])
    sandbox.pay(ids["free"])
    sandbox.expire(ids["expired"])
    return {kind: api.ok("GET", f"{SESSIONS}/{session_id}", expand) for kind, session_id in ids.items()}


def test_sessions_intents_charges_and_lines_have_stripes_shape(api: Caller) -> None:
    """Open, embedded, declined, paid, expired and free ones, with everything inside them."""
    assert [session["status"] for session in sessions(api).values()].count("open") == 3


def test_the_catalogue_has_stripes_shape(api: Caller) -> None:
    """Products and prices, with default price and currency options."""
    product = api.ok(
        "POST",
        "/v1/products",
        {
            "name": "Shirt",
            "images": ["https://i.test/1.png"],
            "marketing_features": [{"name": "Soft"}],
            "default_price_data": {"currency": "usd", "unit_amount": 2999},
            "expand": ["default_price.currency_options"],
        },
    )
    assert set(product["default_price"]["currency_options"]) == {"usd"}


def test_events_and_endpoints_have_stripes_shape(api: Caller) -> None:
    """Every event of every session, and the object inside each."""
    paid = sessions(api)["paid"]
    api.sandbox.refund(paid["payment_intent"]["id"], 100)
    events = api.ok("GET", "/v1/events", {"limit": 100})["data"]
    api.ok("GET", "/v1/webhook_endpoints")

    assert len(events) >= 9


def test_what_changes_a_price_has_stripes_shape(api: Caller) -> None:
    """Coupon, promotion code, tax rate and shipping rate, alone and expanded in a session that has them all."""
    expand = ["applies_to", "currency_options"]
    product = api.ok(
        "POST", "/v1/products", {"name": "Mug", "default_price_data": {"currency": "usd", "unit_amount": 900}}
    )
    coupon = api.ok(
        "POST",
        "/v1/coupons",
        {"amount_off": 100, "currency": "usd", "applies_to": {"products": [product["id"]]}, "expand": expand},
    )
    code = api.ok("POST", "/v1/promotion_codes", {"promotion": {"type": "coupon", "coupon": coupon["id"]}})
    rate = api.ok("POST", "/v1/tax_rates", {"display_name": "VAT", "percentage": 20, "inclusive": False})
    shipping = {
        "display_name": "Post",
        "fixed_amount": {"amount": 500, "currency": "usd"},
        "delivery_estimate": {"minimum": {"unit": "day", "value": 2}},
    }
    params = cart(
        discounts=[{"promotion_code": code["id"]}],
        shipping_options=[{"shipping_rate": api.ok("POST", "/v1/shipping_rates", shipping)["id"]}],
        shipping_address_collection={"allowed_countries": ["DE"]},
        custom_text={"submit": {"message": "Thank you"}},
        line_items=[{"price": product["default_price"], "quantity": 1, "tax_rates": [rate["id"]]}],
        expand=[
            "discounts.promotion_code.promotion.coupon",
            "line_items.data.discounts",
            "line_items.data.taxes",
            "shipping_cost.shipping_rate",
            "total_details.breakdown",
        ],
    )
    session = api.ok("POST", SESSIONS, params)

    assert session["line_items"]["data"][0]["taxes"][0]["amount"] == 160


def test_bank_debits_have_stripes_shape(api: Caller) -> None:
    """Methods and charges of both kinds, and the session they complete."""
    for debit in ("AT611904300234573201", "000123456789"):
        session = api.ok("POST", SESSIONS, cart())
        api.sandbox.pay(session["id"], debit=debit)
        expand = {"expand": ["payment_intent.latest_charge", "payment_intent.payment_method"]}
        paid = api.ok("GET", f"{SESSIONS}/{session['id']}", expand)
        assert paid["payment_intent"]["status"] == "processing"


def test_account_and_balance_have_stripes_shape(api: Caller) -> None:
    """The two that stand alone."""
    assert api.ok("GET", "/v1/account")["object"] == "account"
    assert api.ok("GET", "/v1/balance")["object"] == "balance"


def test_a_session_shows_every_field_that_is_not_left_out_on_purpose(api: Caller) -> None:
    """What a hosted session lacks is what Stripe too shows only when it is used."""
    session = sessions(api)["paid"]

    assert pinned.classes("checkout/_session.py")["Session"].keys() - session.keys() == {
        "name_collection",
        "optional_items",
        "redirect_on_completion",
        "return_url",
        "tax_id_collection",
    }


def test_the_oracle_notices(api: Caller) -> None:
    """A field too many, one missing, a wrong type, a wrong word, deep inside as well."""
    session = sessions(api)["paid"]
    intent = session["payment_intent"]
    assert oracle.problems(session) == []
    del intent["latest_charge"]["amount"], session["line_items"]["url"]
    session |= {"colour": "blue", "status": "lost", "livemode": "no", "customer": {"object": "charge"}}
    intent["metadata"] = {"order": 7}

    found = " ".join(oracle.problems(session))

    for path in ("latest_charge.amount: missing", "line_items.url: missing", "session.colour: unknown"):
        assert path in found
    for path in ("session.status: 'lost'", "session.livemode: 'no'", "a Charge, where a Customer", "metadata.order: 7"):
        assert path in found


def test_what_is_read_from_the_sdk_is_what_was_extracted_from_its_wheel(extracted: dict[str, Any]) -> None:
    """Objects, fields, types and endpoints: the oracle reads the pinned version, whatever is installed."""
    for module, named in extracted["objects"].items():
        mine = {name: dict(fields) for name, fields in pinned.classes(module).items() if fields}
        theirs = {name: {key: field["type"] for key, field in fields.items()} for name, fields in named.items()}
        assert mine == {name: fields for name, fields in theirs.items() if fields}
    theirs = {
        (e["service"], e["method"], e["http"], re.sub(r"{[^}]*}", "{}", e["path"])) for e in extracted["endpoints"]
    }
    assert theirs == {(e.service, e.method, e.http, e.path) for e in pinned.endpoints()}
    assert extracted["_meta"]["api_version"] == stripe.api_version == API_VERSION
