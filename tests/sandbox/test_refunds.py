"""Refunds: whole and in part, what they change on the charge, what is told, and what is refused."""

from __future__ import annotations

import pytest

from tests.sandbox.conftest import Caller, cart

REFUNDS = "/v1/refunds"


def paid(api: Caller) -> str:
    """The payment intent of a session of 59.98 that was paid."""
    session = api.ok("POST", "/v1/checkout/sessions", cart())
    return str(api.sandbox.pay(session["id"])["payment_intent"])


def test_two_partial_refunds_and_the_rest(api: Caller) -> None:
    """Each is an object and an event of its own; the charge says how much is gone, and when all is."""
    intent = paid(api)
    first = api.ok("POST", REFUNDS, {"payment_intent": intent, "amount": 1000, "reason": "requested_by_customer"})
    charge = f"/v1/charges/{first['charge']}"
    assert (first["amount"], first["currency"], first["status"]) == (1000, "usd", "succeeded")
    assert [api.ok("GET", charge)[name] for name in ("amount_refunded", "refunded")] == [1000, False]
    rest = api.ok("POST", REFUNDS, {"charge": first["charge"], "metadata": {"why": "broken"}})
    assert (rest["amount"], rest["metadata"]) == (4998, {"why": "broken"})
    assert [api.ok("GET", charge)[name] for name in ("amount_refunded", "refunded")] == [5998, True]
    assert api.ok("GET", "/v1/balance")["pending"][0]["amount"] == 0
    told = [event["data"]["object"]["id"] for event in api.sandbox.events("refund.created")]
    assert told == [first["id"], rest["id"]]
    assert [e["data"]["previous_attributes"] for e in api.sandbox.events("charge.refunded")] == [
        {"amount_refunded": 0},
        {"amount_refunded": 1000},
    ]


def test_refunds_are_listed_and_found(api: Caller) -> None:
    """By their charge, their intent and their time; the newest first."""
    one, two = paid(api), paid(api)
    made = [api.sandbox.refund(intent, 100)["id"] for intent in (one, two, one)]
    assert [refund["id"] for refund in api.ok("GET", REFUNDS)["data"]] == made[::-1]
    assert [refund["id"] for refund in api.ok("GET", REFUNDS, {"payment_intent": two})["data"]] == [made[1]]
    assert api.ok("GET", REFUNDS, {"created": {"gt": api.sandbox.now()}})["data"] == []
    assert api.ok("GET", f"{REFUNDS}/{made[0]}", {"expand": ["charge"]})["charge"]["payment_intent"] == one


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({}, "parameter_missing", "payment_intent"),
        ({"payment_intent": "pi_none"}, "resource_missing", "payment_intent"),
        ({"charge": "ch_none"}, "resource_missing", "charge"),
        ({"payment_intent": "PAID", "amount": 5999}, None, "amount"),
        ({"payment_intent": "PAID", "amount": 0}, "parameter_invalid_integer", "amount"),
        ({"payment_intent": "PAID", "reason": "expired"}, None, "reason"),
        ({"payment_intent": "PAID", "reverse_transfer": True}, "sandbox_not_implemented", "reverse_transfer"),
    ],
)
def test_what_cannot_be_refunded_is_refused(
    api: Caller, params: dict[str, object], code: str | None, param: str
) -> None:
    """Nothing named, nothing there, more than there is, words and features that do not exist."""
    intent = paid(api)
    told = len(api.sandbox.events())
    refusal = api.refusal("POST", REFUNDS, {key: intent if value == "PAID" else value for key, value in params.items()})
    assert (refusal["code"], refusal["param"]) == (code, param)
    assert len(api.sandbox.events()) == told


def test_what_is_gone_or_never_came_is_not_refunded(api: Caller) -> None:
    """A charge that was refunded whole, one that was declined, and an intent without any."""
    intent = paid(api)
    api.sandbox.refund(intent)
    assert api.refusal("POST", REFUNDS, {"payment_intent": intent})["code"] == "charge_already_refunded"
    session = api.ok("POST", "/v1/checkout/sessions", cart())
    declined = api.sandbox.decline(session["id"])
    assert api.refusal("POST", REFUNDS, {"payment_intent": declined["payment_intent"]})["param"] == "charge"


def test_a_lost_event_is_nowhere(api: Caller) -> None:
    """Neither in the list nor on its way, as when Stripe fails to make one."""
    intent = paid(api)
    for event in api.sandbox.events("checkout.session.completed"):
        api.sandbox.lose_event(event["id"])
    assert api.ok("GET", "/v1/events", {"type": "checkout.session.completed"})["data"] == []
    assert [post.event for post in api.sandbox.due()] == [event["id"] for event in api.sandbox.events()]
    assert api.ok("GET", f"/v1/payment_intents/{intent}")["status"] == "succeeded"


def test_there_are_no_invoices(api: Caller) -> None:
    """The list is empty, and an id is not found."""
    assert api.ok("GET", "/v1/invoices", {"status": "paid", "created": {"gte": 0}})["data"] == []
    assert api.refusal("GET", "/v1/invoices/in_1")["code"] == "resource_missing"


@pytest.mark.parametrize(
    ("currency", "debit", "kind"),
    [("eur", "AT611904300234573201", "sepa_debit"), ("usd", "000123456789", "us_bank_account")],
)
def test_the_refund_of_a_debit_is_no_cards(api: Caller, currency: str, debit: str, kind: str) -> None:
    """It says which way the money went."""
    data = {"currency": currency, "unit_amount": 1000, "product_data": {"name": "Mug"}}
    session = api.ok("POST", "/v1/checkout/sessions", cart(line_items=[{"quantity": 1, "price_data": data}]))
    intent = api.sandbox.pay(session["id"], debit=debit)["payment_intent"]
    api.sandbox.settle(session["id"])
    assert api.ok("POST", REFUNDS, {"payment_intent": intent})["destination_details"] == {"type": kind}
