"""Bank debits: complete and unpaid at first, paid or failed when the bank answers."""

from __future__ import annotations

from typing import Any

import pytest

from payments_core.sandbox import Sandbox, StripeRefusal
from tests.sandbox.conftest import Caller, Clock, cart

SESSIONS = "/v1/checkout/sessions"
PAYS, PAYS_LATER = "AT611904300234573201", "AT321904300235473204"
FAILS, FAILS_LATER = "AT861904300235473202", "AT051904300235473205"


def euros(**more: Any) -> dict[str, Any]:
    """A session in EUR, where SEPA Direct Debit is."""
    params = cart(**more)
    params["line_items"][0]["price_data"]["currency"] = "eur"
    return params


def kinds(sandbox: Sandbox) -> list[str]:
    return [event["type"] for event in sandbox.events()]


def test_a_debit_completes_the_session_unpaid(api: Caller, sandbox: Sandbox) -> None:
    """The intent is processing, the charge pending; the completion says `unpaid`."""
    session = api.ok("POST", SESSIONS, euros())

    after = sandbox.pay(session["id"], debit=PAYS)

    assert (after["status"], after["payment_status"], after["url"]) == ("complete", "unpaid", None)
    intent = api.ok("GET", f"/v1/payment_intents/{after['payment_intent']}", {"expand": ["latest_charge"]})
    charge = intent["latest_charge"]
    assert (intent["status"], intent["amount_received"]) == ("processing", 0)
    assert (charge["status"], charge["paid"], charge["payment_method_details"]["type"]) == (
        "pending",
        False,
        "sepa_debit",
    )
    assert charge["payment_method_details"]["sepa_debit"]["last4"] == "3201"
    assert kinds(sandbox) == [
        "payment_intent.created",
        "charge.pending",
        "payment_intent.processing",
        "checkout.session.completed",
    ]


@pytest.mark.parametrize(("debit", "after_s"), [(PAYS, 5), (PAYS_LATER, 180), ("DE89370400440532013000", 5)])
def test_the_bank_pays_when_its_time_has_come(
    api: Caller, sandbox: Sandbox, clock: Clock, debit: str, after_s: int
) -> None:
    """Not a second earlier; the session is then paid, and two events tell."""
    session = api.ok("POST", SESSIONS, euros())
    sandbox.pay(session["id"], debit=debit)
    assert sandbox.next_due_in() == 0
    clock.advance(after_s - 1)
    assert sandbox.session(session["id"])["payment_status"] == "unpaid"
    clock.advance(1)

    assert sandbox.session(session["id"])["payment_status"] == "paid"
    assert kinds(sandbox)[-3:] == [
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.async_payment_succeeded",
    ]


@pytest.mark.parametrize(("debit", "after_s"), [(FAILS, 5), (FAILS_LATER, 180)])
def test_the_bank_refuses_when_its_time_has_come(
    api: Caller, sandbox: Sandbox, clock: Clock, debit: str, after_s: int
) -> None:
    """The session stays complete and unpaid; intent and charge say why."""
    session = api.ok("POST", SESSIONS, euros())
    sandbox.pay(session["id"], debit=debit)
    clock.advance(after_s)

    after = api.ok("GET", f"{SESSIONS}/{session['id']}", {"expand": ["payment_intent.latest_charge"]})

    intent = after["payment_intent"]
    assert (after["status"], after["payment_status"]) == ("complete", "unpaid")
    assert intent["status"] == "requires_payment_method"
    assert intent["last_payment_error"]["code"] == "payment_intent_payment_attempt_failed"
    assert intent["last_payment_error"]["payment_method"]["type"] == "sepa_debit"
    assert intent["latest_charge"]["status"] == "failed"
    assert kinds(sandbox)[-3:] == [
        "charge.failed",
        "payment_intent.payment_failed",
        "checkout.session.async_payment_failed",
    ]


def test_a_test_answers_for_the_bank(api: Caller, sandbox: Sandbox) -> None:
    """`settle` and `fail` end a debit at once, whatever its account would have done, and once only."""
    first, second = (api.ok("POST", SESSIONS, euros())["id"] for _ in range(2))
    sandbox.pay(first, debit=FAILS_LATER)
    sandbox.pay(second, debit=PAYS_LATER)

    assert sandbox.settle(first)["payment_status"] == "paid"
    assert sandbox.fail(second)["payment_status"] == "unpaid"
    for answered in (first, second):
        with pytest.raises(StripeRefusal, match="No debit"):
            sandbox.settle(answered)


def test_an_account_in_dollars_may_never_answer(api: Caller, sandbox: Sandbox, clock: Clock) -> None:
    """ACH Direct Debit with its test accounts; this one stays processing until somebody answers for the bank."""
    session = api.ok("POST", SESSIONS, cart())
    sandbox.pay(session["id"], debit="000000000009")
    clock.advance(30 * 86_400)
    assert sandbox.session(session["id"])["payment_status"] == "unpaid"

    assert sandbox.settle(session["id"])["payment_status"] == "paid"


def test_a_debit_under_way_cannot_be_refunded_and_is_no_balance(api: Caller, sandbox: Sandbox) -> None:
    """The money is not there yet."""
    session = api.ok("POST", SESSIONS, euros())
    intent = sandbox.pay(session["id"], debit=PAYS)["payment_intent"]

    assert api.refusal("POST", "/v1/refunds", {"payment_intent": intent})["status"] == 400
    assert api.ok("GET", "/v1/balance")["pending"][0]["amount"] == 0


@pytest.mark.parametrize("number", ["DE02120300000000202051", "AT00", "1", "000999999991"])
def test_only_test_accounts_are_debited(api: Caller, sandbox: Sandbox, number: str) -> None:
    """A real account is refused, and not repeated."""
    session = api.ok("POST", SESSIONS, euros())

    with pytest.raises(ValueError, match=r"invalid|test") as refused:
        sandbox.pay(session["id"], debit=number)

    assert number not in str(refused.value)
    assert sandbox.session(session["id"])["status"] == "open"
