"""One-off invoices: drafted, finalized, paid or given up, and the events of each step."""

from __future__ import annotations

from typing import Any

import pytest

from payments_core.sandbox import Sandbox
from tests.sandbox.conftest import NOON, Caller, cart
from tests.sandbox.test_intents import types

INVOICES, ITEMS, SESSIONS = "/v1/invoices", "/v1/invoiceitems", "/v1/checkout/sessions"


def customer(api: Caller, method: str = "pm_card_visa") -> str:
    """A customer with a default payment method."""
    made = api.ok("POST", "/v1/customers", {"email": "jenny@example.com"})["id"]
    attached = api.ok("POST", f"/v1/payment_methods/{method}/attach", {"customer": made})["id"]
    api.ok("POST", f"/v1/customers/{made}", {"invoice_settings": {"default_payment_method": attached}})
    return made


def draft(api: Caller, owner: str, *amounts: int, **more: Any) -> dict[str, Any]:
    """A draft with one line for each amount."""
    for amount in amounts or (2000,):
        api.ok("POST", ITEMS, {"customer": owner, "amount": amount, "currency": "usd", "description": f"{amount}"})
    return api.ok("POST", INVOICES, {"customer": owner, "pending_invoice_items_behavior": "include", **more})


def test_an_invoice_is_drafted_finalized_and_paid(api: Caller, sandbox: Sandbox) -> None:
    """Numbered, with a payment intent, then paid; the news of it in Stripe's order."""
    owner = customer(api)
    invoice = draft(api, owner, 2000, -500)
    path = f"{INVOICES}/{invoice['id']}"
    assert (invoice["status"], invoice["total"], invoice["number"]) == ("draft", 1500, None)
    assert [line["amount"] for line in api.ok("GET", f"{path}/lines")["data"]] == [2000, -500]
    seen = len(types(sandbox))

    finalized = api.ok("POST", f"{path}/finalize", {"expand": ["payments.data.payment.payment_intent"]})
    assert (finalized["status"], finalized["number"][-5:]) == ("open", "-0001")
    assert finalized["status_transitions"]["finalized_at"] == NOON
    (payment,) = finalized["payments"]["data"]
    assert payment["payment"]["payment_intent"]["amount"] == 1500
    done = api.ok("POST", f"{path}/pay")

    assert (done["status"], done["amount_paid"], done["amount_remaining"], done["attempt_count"]) == (
        "paid",
        1500,
        0,
        1,
    )
    assert types(sandbox)[seen:] == [
        "payment_intent.created",
        "invoice.finalized",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]
    assert "already paid" in api.refusal("POST", f"{path}/pay")["message"]
    by_intent = {"payment": {"type": "payment_intent", "payment_intent": payment["payment"]["payment_intent"]["id"]}}
    (found,) = api.ok("GET", "/v1/invoice_payments", by_intent)["data"]
    assert (found["invoice"], found["status"], found["amount_paid"]) == (invoice["id"], "paid", 1500)
    assert api.ok("GET", f"/v1/invoice_payments/{found['id']}") == found


def test_a_declined_invoice_stays_open_and_can_be_paid_otherwise(api: Caller, sandbox: Sandbox) -> None:
    """402, `invoice.payment_failed`; then with another card."""
    path = f"{INVOICES}/{draft(api, customer(api, 'pm_card_chargeCustomerFail'))['id']}"

    refused = api.refusal("POST", f"{path}/pay")
    assert (refused["status"], refused["code"], types(sandbox)[-1]) == (402, "card_declined", "invoice.payment_failed")
    assert (api.ok("GET", path)["status"], api.ok("GET", path)["attempt_count"]) == ("open", 1)

    assert api.ok("POST", f"{path}/pay", {"payment_method": "pm_card_visa"})["status"] == "paid"


def test_an_invoice_whose_card_asks_for_its_holder(api: Caller, sandbox: Sandbox) -> None:
    """402 that says so; the challenge of its payment intent pays it."""
    invoice = draft(api, customer(api))
    refused = api.refusal(
        "POST", f"{INVOICES}/{invoice['id']}/pay", {"payment_method": "pm_card_authenticationRequired"}
    )
    assert (refused["status"], refused["code"]) == (402, "invoice_payment_intent_requires_action")

    sandbox.authenticate(refused["payment_intent"]["id"])

    assert api.ok("GET", f"{INVOICES}/{invoice['id']}")["status"] == "paid"


def test_an_invoice_paid_elsewhere_has_no_payment_that_succeeded(api: Caller, sandbox: Sandbox) -> None:
    """`paid_out_of_band`: `invoice.paid` alone, and its payment intent is canceled."""
    done = api.ok("POST", f"{INVOICES}/{draft(api, customer(api))['id']}/pay", {"paid_out_of_band": True})

    assert (done["status"], done["amount_paid_off_stripe"]) == ("paid", 2000)
    assert types(sandbox)[-2:] == ["payment_intent.canceled", "invoice.paid"]


def test_an_invoice_of_nothing_is_paid_at_once(api: Caller, sandbox: Sandbox) -> None:
    """No payment intent."""
    path = f"{INVOICES}/{draft(api, customer(api), 500, -500)['id']}"

    assert api.ok("POST", f"{path}/finalize")["status"] == "paid"
    assert api.ok("GET", "/v1/payment_intents")["data"] == []
    assert types(sandbox)[-3:] == ["invoice.finalized", "invoice.paid", "invoice.payment_succeeded"]


def test_an_invoice_is_voided_or_written_off(api: Caller, sandbox: Sandbox) -> None:
    """Void ends it with its payment intent; uncollectible can still be paid."""
    owner = customer(api)
    void, bad = (f"{INVOICES}/{draft(api, owner)['id']}" for _ in range(2))
    for path in (void, bad):
        api.ok("POST", f"{path}/finalize")

    assert api.ok("POST", f"{void}/void")["status"] == "void"
    assert types(sandbox)[-2:] == ["payment_intent.canceled", "invoice.voided"]
    assert api.refusal("POST", f"{void}/pay")["status"] == 400
    assert api.ok("POST", f"{bad}/mark_uncollectible")["status"] == "uncollectible"
    assert api.ok("POST", f"{bad}/pay")["status"] == "paid"
    assert len(api.ok("GET", INVOICES, {"status": "void", "customer": owner})["data"]) == 1


def test_a_draft_can_be_changed_and_deleted_a_finalized_one_hardly(api: Caller) -> None:
    """Its items with it."""
    owner = customer(api)
    invoice = draft(api, owner, description="first")
    path, item = f"{INVOICES}/{invoice['id']}", api.ok("GET", ITEMS, {"invoice": invoice["id"]})["data"][0]["id"]
    assert api.ok("POST", path, {"description": "second", "footer": "f"})["description"] == "second"
    assert api.ok("POST", f"{ITEMS}/{item}", {"amount": 2500})["amount"] == 2500
    assert api.ok("GET", path)["total"] == 2500

    api.ok("POST", f"{path}/finalize")
    assert api.refusal("POST", path, {"footer": "g"})["code"] == "invoice_not_editable"
    assert api.refusal("POST", f"{ITEMS}/{item}", {"amount": 1})["code"] == "invoice_not_editable"
    assert api.refusal("DELETE", path)["status"] == 400

    other = draft(api, owner)["id"]
    assert api.ok("DELETE", f"{INVOICES}/{other}")["deleted"] is True
    assert api.ok("GET", ITEMS, {"pending": True})["data"] == []


def test_items_by_price_and_described_inline(api: Caller) -> None:
    """On a draft of their own currency and customer."""
    owner = customer(api)
    price = api.ok("POST", "/v1/prices", {"currency": "usd", "unit_amount": 700, "product_data": {"name": "Mug"}})
    invoice = api.ok("POST", INVOICES, {"customer": owner})
    base = {"customer": owner, "invoice": invoice["id"]}

    item = api.ok("POST", ITEMS, {**base, "pricing": {"price": price["id"]}, "quantity": 3})
    inline = {"currency": "usd", "product": price["product"], "unit_amount_decimal": "0.5"}
    odd = api.ok("POST", ITEMS, {**base, "price_data": inline, "quantity": 3})

    assert (item["amount"], item["description"]) == (2100, "Mug")
    assert item["pricing"]["price_details"] == {"price": price["id"], "product": price["product"]}
    assert odd["amount"] == 2
    assert api.ok("GET", f"{INVOICES}/{invoice['id']}")["total"] == 2102
    assert api.refusal("POST", ITEMS, {**base, "amount": 5, "currency": "eur"})["param"] == "currency"
    assert api.ok("DELETE", f"{ITEMS}/{item['id']}")["deleted"] is True
    assert api.ok("GET", f"{INVOICES}/{invoice['id']}")["total"] == 2


@pytest.mark.parametrize(
    ("params", "param", "code"),
    [
        ({}, "customer", "parameter_missing"),
        ({"customer": "cus_none"}, "customer", "resource_missing"),
        ({"auto_advance": True}, "auto_advance", "sandbox_not_implemented"),
        ({"subscription": "sub_1"}, "subscription", "sandbox_not_implemented"),
        ({"colour": "blue"}, "colour", "parameter_unknown"),
    ],
)
def test_what_an_invoice_cannot_be(api: Caller, params: dict[str, Any], param: str, code: str) -> None:
    """Refused naming the parameter."""
    error = api.refusal("POST", INVOICES, params)

    assert (error["param"], error["code"]) == (param, code)


def test_an_invoice_is_sent_without_a_mail(api: Caller, sandbox: Sandbox) -> None:
    """`send_invoice` alone: finalized, due when it says, and told."""
    owner = customer(api)
    invoice = draft(api, owner, collection_method="send_invoice", days_until_due=30)

    sent = api.ok("POST", f"{INVOICES}/{invoice['id']}/send")

    assert (sent["status"], sent["due_date"], types(sandbox)[-1]) == ("open", NOON + 30 * 86_400, "invoice.sent")
    assert api.refusal("POST", f"{INVOICES}/{draft(api, owner)['id']}/send")["status"] == 400


@pytest.mark.parametrize("debit", [None, "000123456789"], ids=["card", "bank debit"])
def test_a_session_makes_an_invoice_once_it_is_paid(api: Caller, sandbox: Sandbox, debit: str | None) -> None:
    """`invoice_creation`: paid already, made out to the customer of the session, with its lines, linked both ways."""
    wish = {"enabled": True, "invoice_data": {"description": "Order 7", "metadata": {"order": "7"}}}
    session_id = api.ok("POST", SESSIONS, cart(invoice_creation=wish))["id"]
    sandbox.pay(session_id, debit=debit)
    if debit is not None:
        assert api.ok("GET", f"{SESSIONS}/{session_id}")["invoice"] is None
        sandbox.settle(session_id)

    session = api.ok("GET", f"{SESSIONS}/{session_id}", {"expand": ["invoice.payments"]})

    invoice = session["invoice"]
    assert (invoice["status"], invoice["total"], invoice["amount_paid"]) == ("paid", 5998, 5998)
    assert (invoice["customer"], invoice["description"]) == (session["customer"], "Order 7")
    assert [(line["quantity"], line["amount"]) for line in invoice["lines"]["data"]] == [(2, 5998)]
    assert invoice["payments"]["data"][0]["payment"]["payment_intent"] == session["payment_intent"]
    told = [kind for kind in types(sandbox) if kind.startswith("invoice")]
    assert told == [
        "invoice.created",
        "invoice.finalized",
        "invoice_payment.paid",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]
    end = "checkout.session.async_payment_succeeded" if debit else "checkout.session.completed"
    assert sandbox.events(end)[0]["data"]["object"]["invoice"] == invoice["id"]


def test_an_invoice_of_a_session_is_of_plain_lines_alone(api: Caller) -> None:
    """With promotion codes, tax or shipping it is refused, rather than made with other totals."""
    params = cart(invoice_creation={"enabled": True}, allow_promotion_codes=True)

    assert api.refusal("POST", SESSIONS, params)["param"] == "invoice_creation"
    assert api.ok("POST", SESSIONS, cart(invoice_creation={"enabled": False}))["invoice_creation"]["enabled"] is False
