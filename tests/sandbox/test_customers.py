"""Customers and the payment methods that are kept for them."""

from __future__ import annotations

from typing import Any

import pytest

from payments_core.sandbox import Sandbox
from tests.sandbox.conftest import Caller, cart
from tests.sandbox.test_intents import types

CUSTOMERS, METHODS, INTENTS = "/v1/customers", "/v1/payment_methods", "/v1/payment_intents"


def test_a_customer_is_made_changed_listed_and_deleted(api: Caller, sandbox: Sandbox) -> None:
    """What is given is kept, what is unset is gone, and a deleted one is known as such."""
    made = api.ok(
        "POST",
        CUSTOMERS,
        {"email": "jenny@example.com", "name": "Jenny", "metadata": {"a": "1"}, "address": {"city": "Bonn"}},
    )
    path = f"{CUSTOMERS}/{made['id']}"
    changed = api.ok("POST", path, {"name": "", "phone": "1", "metadata": {"a": "", "b": "2"}, "address": ""})

    assert made["address"]["city"] == "Bonn"
    assert (changed["name"], changed["phone"], changed["metadata"], changed["address"]) == (None, "1", {"b": "2"}, None)
    assert [c["id"] for c in api.ok("GET", CUSTOMERS, {"email": "jenny@example.com"})["data"]] == [made["id"]]
    assert api.ok("DELETE", path) == {"id": made["id"], "object": "customer", "deleted": True}
    assert api.ok("GET", path)["deleted"] is True
    assert api.ok("GET", CUSTOMERS)["data"] == []
    assert api.refusal("POST", path, {"name": "X"})["code"] == "resource_missing"
    assert types(sandbox) == ["customer.created", "customer.updated", "customer.deleted"]
    (updated,) = sandbox.events("customer.updated")
    assert updated["data"]["previous_attributes"]["name"] == "Jenny"


@pytest.mark.parametrize("name", ["business_name", "individual_name"])
def test_a_name_that_is_shown_only_when_set_can_be_unset(api: Caller, sandbox: Sandbox, name: str) -> None:
    """Each change tells what was before, null where there was none."""
    path = f"{CUSTOMERS}/{api.ok('POST', CUSTOMERS)['id']}"
    assert api.ok("POST", path, {name: "Fry"})[name] == "Fry"
    assert name not in api.ok("POST", path, {name: ""})
    told = [event["data"]["previous_attributes"] for event in sandbox.events("customer.updated")]
    assert told == [{name: None}, {name: "Fry"}]


def test_a_customers_tax_exemption_can_be_unset(api: Caller) -> None:
    """The empty text makes it `none`, on making one as well."""
    made = api.ok("POST", CUSTOMERS, {"tax_exempt": "exempt"})
    assert api.ok("POST", f"{CUSTOMERS}/{made['id']}", {"name": "Jenny"})["tax_exempt"] == "exempt"
    assert api.ok("POST", f"{CUSTOMERS}/{made['id']}", {"tax_exempt": ""})["tax_exempt"] == "none"
    assert api.ok("POST", CUSTOMERS, {"tax_exempt": ""})["tax_exempt"] == "none"


def test_an_address_that_is_none_is_refused(api: Caller) -> None:
    """On making a customer and on changing one, in Stripe's words; the empty text takes the address away."""
    path = f"{CUSTOMERS}/{api.ok('POST', CUSTOMERS, {'email': 'jenny@example.com'})['id']}"
    for where in (CUSTOMERS, path):
        refused = api.refusal("POST", where, {"email": "notanemail"})
        assert (refused["code"], refused["param"]) == ("email_invalid", "email")
        assert refused["message"] == "Invalid email address: notanemail"
    assert api.ok("POST", path, {"name": "Jenny"})["email"] == "jenny@example.com"
    assert api.ok("POST", path, {"email": ""})["email"] is None


def test_a_method_is_attached_listed_made_the_default_and_detached(api: Caller, sandbox: Sandbox) -> None:
    """Detaching takes it from the customer's default, too."""
    customer = api.ok("POST", CUSTOMERS, {"name": "Jenny"})["id"]
    method = api.ok("POST", METHODS, {"type": "card", "card": {"token": "tok_mastercard"}})["id"]

    assert api.ok("POST", f"{METHODS}/{method}/attach", {"customer": customer})["customer"] == customer
    settings = {"invoice_settings": {"default_payment_method": method}}
    expanded = api.ok(
        "POST", f"{CUSTOMERS}/{customer}", {**settings, "expand": ["invoice_settings.default_payment_method"]}
    )
    assert expanded["invoice_settings"]["default_payment_method"]["card"]["brand"] == "mastercard"
    for path, more in ((METHODS, {"customer": customer}), (f"{CUSTOMERS}/{customer}/payment_methods", {})):
        assert [found["id"] for found in api.ok("GET", path, {"type": "card", **more})["data"]] == [method]

    api.ok("POST", f"{METHODS}/{method}/detach")

    assert api.ok("GET", f"{CUSTOMERS}/{customer}")["invoice_settings"]["default_payment_method"] is None
    assert api.ok("GET", METHODS, {"customer": customer})["data"] == []
    assert api.refusal("POST", f"{METHODS}/{method}/detach")["status"] == 400
    assert types(sandbox)[-2:] == ["customer.updated", "payment_method.detached"]


@pytest.mark.parametrize("how", ["detached", "customer deleted", "paid with"])
def test_what_was_given_up_or_spent_is_used_no_more(api: Caller, how: str) -> None:
    """Neither for a payment, at once or of an intent made before, nor for an invoice or another attaching."""
    customer, other = (api.ok("POST", CUSTOMERS, {"name": name})["id"] for name in "AB")
    method = api.ok("POST", METHODS, {"type": "card", "card": {"token": "tok_visa"}})["id"]
    intent = {"amount": 1000, "currency": "usd", "payment_method": method, "return_url": "https://shop.test/"}
    if how != "paid with":
        api.ok("POST", f"{METHODS}/{method}/attach", {"customer": customer})
    owner = {"customer": customer} if how != "paid with" else {}
    waiting = api.ok("POST", INTENTS, {"amount": 1000, "currency": "usd", "payment_method": method, **owner})["id"]
    if how == "detached":
        api.ok("POST", f"{METHODS}/{method}/detach")
    elif how == "customer deleted":
        api.ok("DELETE", f"{CUSTOMERS}/{customer}")
    else:
        api.ok("POST", INTENTS, {**intent, "confirm": True})

    api.ok("POST", "/v1/invoiceitems", {"customer": other, "currency": "usd", "amount": 1000})
    invoice = api.ok("POST", "/v1/invoices", {"customer": other, "pending_invoice_items_behavior": "include"})["id"]
    session = api.ok("POST", "/v1/checkout/sessions", cart())["id"]
    for path, params in (
        (INTENTS, {**intent, "confirm": True}),
        (f"{INTENTS}/{waiting}/confirm", {"return_url": "https://shop.test/"}),
        (f"/v1/invoices/{invoice}/pay", {"payment_method": method}),
        (f"/v1/payment_pages/{session}/confirm", {"payment_method": method}),
        (f"{METHODS}/{method}/attach", {"customer": other}),
    ):
        assert "previously used" in api.refusal("POST", path, params)["message"]


def test_a_declined_card_is_not_kept(api: Caller) -> None:
    """402 on attaching, and no customer is made with it; but the one card that is declined later only."""
    customer = api.ok("POST", CUSTOMERS, {"name": "Jenny"})["id"]

    refused = api.refusal("POST", f"{METHODS}/pm_card_chargeDeclined/attach", {"customer": customer})
    assert (refused["status"], refused["code"]) == (402, "card_declined")
    assert api.refusal("POST", CUSTOMERS, {"payment_method": "pm_card_chargeDeclined"})["status"] == 402
    assert len(api.ok("GET", CUSTOMERS)["data"]) == 1
    api.ok("POST", f"{METHODS}/pm_card_chargeCustomerFail/attach", {"customer": customer})


def test_a_test_id_is_a_new_method_each_time(api: Caller) -> None:
    """As at Stripe: `pm_card_visa` names a kind of card."""
    first, second = (api.ok("GET", f"{METHODS}/pm_card_visa")["id"] for _ in range(2))

    assert first != second
    assert api.ok("GET", f"{METHODS}/{first}")["card"]["last4"] == "4242"


@pytest.mark.parametrize(
    ("params", "param", "code"),
    [
        ({}, "type", "parameter_missing"),
        ({"type": "card"}, "card", "parameter_missing"),
        ({"type": "paypal"}, "type", "sandbox_not_implemented"),
        ({"type": "gold"}, "type", None),
        ({"type": "card", "card": {"token": "tok_none"}}, "card[token]", "sandbox_not_implemented"),
        ({"type": "card", "card": {"token": "visa"}}, "card[token]", "resource_missing"),
        ({"type": "card", "card": {"number": "4242424242424242"}}, "card[number]", None),
    ],
)
def test_other_methods_are_refused(api: Caller, params: dict[str, Any], param: str, code: str | None) -> None:
    """Card numbers first of all: Stripe takes none over this API either."""
    error = api.refusal("POST", METHODS, params)

    assert (error["param"], error["code"]) == (param, code)
    assert api.ok("GET", METHODS)["data"] == []


def test_the_words_of_a_method_can_change(api: Caller, sandbox: Sandbox) -> None:
    """Billing details, expiry and metadata."""
    customer = api.ok("POST", CUSTOMERS, {"payment_method": "pm_card_visa"})["id"]
    (method,) = api.ok("GET", f"{CUSTOMERS}/{customer}/payment_methods")["data"]

    changed = api.ok(
        "POST",
        f"{METHODS}/{method['id']}",
        {"billing_details": {"email": "a@b.example", "address": {"country": "DE"}}, "card": {"exp_month": 5}},
    )

    assert (changed["billing_details"]["email"], changed["card"]["exp_month"]) == ("a@b.example", 5)
    assert changed["billing_details"]["address"]["country"] == "DE"
    assert types(sandbox)[-1] == "payment_method.updated"
