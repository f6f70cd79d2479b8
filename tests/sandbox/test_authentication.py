"""3-D Secure: the intent waits for the card's holder, who is authenticated or is not."""

from __future__ import annotations

import pytest

from payments_core.sandbox import Sandbox, StripeRefusal
from payments_core.sandbox.cards import ready
from payments_core.sandbox.payments import attempt
from payments_core.sandbox.records.payments import Buyer
from tests.sandbox.conftest import Caller, cart

SESSIONS = "/v1/checkout/sessions"
CARDS = ["4000002500003155", "4000000000003220"]


def kinds(sandbox: Sandbox) -> list[str]:
    return [event["type"] for event in sandbox.events()]


def ask(sandbox: Sandbox, session_id: str) -> None:
    """Try a card whose holder must be authenticated."""
    how = ready("4000002500003155", 12, 2030)
    sandbox.do(lambda c: attempt(c, c.state.sessions.need(session_id), Buyer("jenny@example.com"), how))


@pytest.mark.parametrize("card", CARDS)
def test_after_authentication_the_card_pays(api: Caller, sandbox: Sandbox, card: str) -> None:
    """`requires_action` comes first; the charge says that its holder was authenticated."""
    session = api.ok("POST", SESSIONS, cart())

    paid = sandbox.pay(session["id"], card=card)

    charge = api.ok("GET", "/v1/charges", {"payment_intent": paid["payment_intent"]})["data"][0]
    assert paid["payment_status"] == "paid"
    assert charge["payment_method_details"]["card"]["three_d_secure"]["result"] == "authenticated"
    assert kinds(sandbox) == [
        "payment_intent.created",
        "payment_intent.requires_action",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]


def test_while_it_waits_the_session_is_open(api: Caller, sandbox: Sandbox) -> None:
    """There is no charge yet, and the intent names the next action."""
    session = api.ok("POST", SESSIONS, cart())
    ask(sandbox, session["id"])

    after = api.ok("GET", f"{SESSIONS}/{session['id']}", {"expand": ["payment_intent"]})

    assert (after["status"], after["payment_intent"]["status"]) == ("open", "requires_action")
    assert after["payment_intent"]["next_action"]["type"] == "use_stripe_sdk"
    assert after["payment_intent"]["payment_method"] is not None
    assert api.ok("GET", "/v1/charges")["data"] == []


def test_who_is_not_authenticated_may_try_again(api: Caller, sandbox: Sandbox) -> None:
    """The intent fails without a charge, the session stays open, and another card pays the same intent."""
    session = api.ok("POST", SESSIONS, cart())

    failed = sandbox.pay(session["id"], card=CARDS[0], authenticate=False)
    intent = api.ok("GET", f"/v1/payment_intents/{failed['payment_intent']}")
    paid = sandbox.pay(session["id"])

    assert (failed["status"], intent["status"]) == ("open", "requires_payment_method")
    assert intent["last_payment_error"]["code"] == "payment_intent_authentication_failure"
    assert intent["last_payment_error"]["type"] == "invalid_request_error"
    assert "charge" not in intent["last_payment_error"]
    assert paid["payment_intent"] == failed["payment_intent"]
    assert kinds(sandbox)[:3] == [
        "payment_intent.created",
        "payment_intent.requires_action",
        "payment_intent.payment_failed",
    ]


def test_an_authenticated_card_may_still_be_declined(api: Caller, sandbox: Sandbox) -> None:
    """The issuer knows the buyer and refuses all the same."""
    session = api.ok("POST", SESSIONS, cart())

    after = sandbox.pay(session["id"], card="4000008400001629")

    intent = api.ok("GET", f"/v1/payment_intents/{after['payment_intent']}")
    assert after["status"] == "open"
    assert intent["last_payment_error"]["decline_code"] == "generic_decline"


def test_another_card_ends_the_wait(api: Caller, sandbox: Sandbox) -> None:
    """Who takes another card meanwhile has paid once; the old question is answered by nobody."""
    session = api.ok("POST", SESSIONS, cart())
    ask(sandbox, session["id"])

    paid = sandbox.pay(session["id"])
    assert paid["payment_status"] == "paid"
    with pytest.raises(StripeRefusal):
        sandbox.authenticate(paid["payment_intent"])
    assert len(sandbox.events("charge.succeeded")) == 1


def test_a_session_that_expires_ends_the_wait(api: Caller, sandbox: Sandbox) -> None:
    """The intent is canceled and asks for nothing any more."""
    session = api.ok("POST", SESSIONS, cart())
    ask(sandbox, session["id"])
    intent = sandbox.expire(session["id"])["payment_intent"]

    after = api.ok("GET", f"/v1/payment_intents/{intent}")

    assert (after["status"], after["next_action"]) == ("canceled", None)
