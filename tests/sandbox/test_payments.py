"""Paying: intents, charges, events, and what a decline leaves behind."""

from __future__ import annotations

import pytest

from payments_core.sandbox import Sandbox
from tests.sandbox.conftest import Caller, cart

SESSIONS = "/v1/checkout/sessions"

DECLINES = [
    ("4000000000000002", "card_declined", "generic_decline"),
    ("4000000000009995", "card_declined", "insufficient_funds"),
    ("4000000000009987", "card_declined", "lost_card"),
    ("4000000000000069", "expired_card", None),
    ("4000000000000127", "incorrect_cvc", None),
]


def test_paying_completes_the_session_and_tells_in_order(api: Caller, sandbox: Sandbox) -> None:
    """One intent, one charge, four events; the session knows its intent and its buyer."""
    session = api.ok("POST", SESSIONS, cart())

    paid = sandbox.pay(session["id"], email="jenny@example.com")

    assert (paid["status"], paid["payment_status"], paid["url"]) == ("complete", "paid", None)
    assert paid["customer_details"]["email"] == "jenny@example.com"
    assert [event["type"] for event in sandbox.events()] == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]
    intent = api.ok("GET", f"/v1/payment_intents/{paid['payment_intent']}", {"expand": ["latest_charge"]})
    assert (intent["status"], intent["amount"], intent["amount_received"]) == ("succeeded", 5998, 5998)
    assert intent["latest_charge"]["paid"] is True
    assert intent["latest_charge"]["payment_method_details"]["card"]["last4"] == "4242"


def test_intent_metadata_is_copied_to_intent_and_charge(api: Caller, sandbox: Sandbox) -> None:
    """`payment_intent_data` reaches what is made later; the session's own metadata does not."""
    data = {"metadata": {"order": "7"}, "description": "Order 7"}
    session = api.ok("POST", SESSIONS, cart(metadata={"cart": "1"}, payment_intent_data=data))
    intent_id = sandbox.pay(session["id"])["payment_intent"]

    intent = api.ok("GET", f"/v1/payment_intents/{intent_id}")
    charge = api.ok("GET", "/v1/charges", {"payment_intent": intent_id})["data"][0]

    assert intent["metadata"] == charge["metadata"] == {"order": "7"}
    assert intent["description"] == charge["description"] == "Order 7"


@pytest.mark.parametrize(("card", "code", "decline_code"), DECLINES)
def test_a_declined_card_leaves_the_session_open(
    api: Caller, sandbox: Sandbox, card: str, code: str, decline_code: str | None
) -> None:
    """The failed charge is kept, and the intent says why in `last_payment_error`."""
    session = api.ok("POST", SESSIONS, cart())

    charge = sandbox.decline(session["id"], card=card, email="jenny@example.com")

    after = api.ok("GET", f"{SESSIONS}/{session['id']}", {"expand": ["payment_intent"]})
    error = after["payment_intent"]["last_payment_error"]
    assert (after["status"], after["payment_status"], after["url"]) == ("open", "unpaid", session["url"])
    assert after["payment_intent"]["status"] == "requires_payment_method"
    assert (error["type"], error["code"], error.get("decline_code")) == ("card_error", code, decline_code)
    assert error["charge"] == charge["id"] == after["payment_intent"]["latest_charge"]
    assert error["payment_method"]["billing_details"]["email"] == "jenny@example.com"
    assert (charge["failure_code"], charge["paid"], charge["status"]) == (code, False, "failed")


def test_after_a_decline_the_same_intent_is_paid(api: Caller, sandbox: Sandbox) -> None:
    """Two charges, one intent, and the error is gone."""
    session = api.ok("POST", SESSIONS, cart())
    failed = sandbox.decline(session["id"])
    paid = sandbox.pay(session["id"], card="5555555555554444")

    charges = api.ok("GET", "/v1/charges", {"payment_intent": paid["payment_intent"]})["data"]
    intent = api.ok("GET", f"/v1/payment_intents/{paid['payment_intent']}")

    assert failed["payment_intent"] == paid["payment_intent"]
    assert [charge["status"] for charge in charges] == ["succeeded", "failed"]
    assert charges[0]["payment_method_details"]["card"]["brand"] == "mastercard"
    assert intent["last_payment_error"] is None
    assert [event["type"] for event in sandbox.events("payment_intent.created")] == ["payment_intent.created"]


def test_an_event_keeps_the_object_as_it_was(api: Caller, sandbox: Sandbox) -> None:
    """The decline's snapshot still tells the decline after the payment has succeeded."""
    session = api.ok("POST", SESSIONS, cart())
    sandbox.decline(session["id"])
    sandbox.pay(session["id"])

    (failure,) = sandbox.events("payment_intent.payment_failed")

    assert failure["data"]["object"]["status"] == "requires_payment_method"
    assert failure["data"]["object"]["last_payment_error"]["decline_code"] == "generic_decline"


def test_an_expired_session_cancels_its_intent(api: Caller, sandbox: Sandbox) -> None:
    """An attempt was made, then the session ended: nobody can pay the intent any more."""
    session = api.ok("POST", SESSIONS, cart())
    intent_id = sandbox.decline(session["id"])["payment_intent"]
    sandbox.expire(session["id"])

    intent = api.ok("GET", f"/v1/payment_intents/{intent_id}")

    assert (intent["status"], intent["cancellation_reason"]) == ("canceled", "expired")


def test_a_session_of_zero_total_needs_no_payment(api: Caller, sandbox: Sandbox) -> None:
    """It completes without intent or charge."""
    session = api.ok("POST", SESSIONS, cart(("Sample", 0, 1)))

    done = sandbox.pay(session["id"])

    assert (done["status"], done["payment_status"], done["payment_intent"]) == ("complete", "no_payment_required", None)
    assert [event["type"] for event in sandbox.events()] == ["checkout.session.completed"]
    assert api.ok("GET", "/v1/charges")["data"] == []


def test_card_numbers_are_nowhere_in_the_state(api: Caller, sandbox: Sandbox) -> None:
    """Neither number nor security code is kept; brand and last four digits are."""
    session = api.ok("POST", SESSIONS, cart())
    sandbox.decline(session["id"])
    sandbox.pay(session["id"])

    everything = repr(sandbox.state) + repr(list(sandbox.state.charges)) + repr(list(sandbox.state.methods))

    assert "4242424242424242" not in everything + repr(sandbox.events())
    assert "4000000000000002" not in everything + repr(sandbox.events())


def test_what_was_paid_is_the_pending_balance(api: Caller, sandbox: Sandbox) -> None:
    """Per currency, without declined charges."""
    session = api.ok("POST", SESSIONS, cart())
    sandbox.decline(session["id"])
    sandbox.pay(session["id"])

    assert api.ok("GET", "/v1/balance")["pending"] == [
        {"amount": 5998, "currency": "usd", "source_types": {"card": 5998}}
    ]


def test_there_are_no_invoices(api: Caller) -> None:
    """Asking for an intent's invoice gives a real, empty list."""
    payment = {"type": "payment_intent", "payment_intent": "pi_3x"}

    found = api.ok("GET", "/v1/invoice_payments", {"payment": payment})

    assert found == {"object": "list", "data": [], "has_more": False, "url": "/v1/invoice_payments"}


def test_the_page_by_api_pays_what_was_expected_with_what_is_taken(api: Caller) -> None:
    """`/v1/payment_pages`, for Stripe's tool: another total, a wrong kind of method, a decline, a payment."""
    session_id = api.ok("POST", SESSIONS, cart())["id"]
    path = f"/v1/payment_pages/{session_id}"
    iban = {"type": "sepa_debit", "sepa_debit": {"iban": "AT611904300234573201"}}
    debit = api.ok("POST", "/v1/payment_methods", {**iban, "billing_details": {"name": "A", "email": "a@b.example"}})

    assert api.ok("GET", path)["id"] == session_id
    wrong = {"payment_method": "pm_card_visa", "expected_amount": 5997}
    assert api.refusal("POST", f"{path}/confirm", wrong)["param"] == "expected_amount"
    assert api.refusal("POST", f"{path}/confirm", {"payment_method": debit["id"]})["param"] == "payment_method"
    assert api.ok("GET", "/v1/payment_intents")["data"] == []
    declined = {"payment_method": "pm_card_chargeDeclined", "expected_amount": 5998}
    assert api.refusal("POST", f"{path}/confirm", declined)["code"] == "card_declined"
    paid = {"payment_method": "pm_card_visa", "expected_amount": 5998}
    assert api.ok("POST", f"{path}/confirm", paid)["payment_status"] == "paid"
