"""Payment intents made by the API: what each step answers, and which events tell of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from payments_core.sandbox import Sandbox
from payments_core.sandbox.known_cards import TEST_CARDS
from tests.sandbox.conftest import NOON, Caller, cart

INTENTS = "/v1/payment_intents"
BACK = "https://shop.test/back"


def wish(**more: Any) -> dict[str, Any]:
    """Twenty dollars, to be confirmed later."""
    return {"amount": 2000, "currency": "usd", **more}


def paid(api: Caller, method: str = "pm_card_visa", **more: Any) -> dict[str, Any]:
    """Twenty dollars, confirmed at once."""
    return api.ok("POST", INTENTS, wish(payment_method=method, confirm=True, return_url=BACK, **more))


def types(sandbox: Sandbox) -> list[str]:
    return [event["type"] for event in sandbox.events()]


def test_an_intent_waits_for_a_method_then_for_its_confirmation_then_is_paid(api: Caller, sandbox: Sandbox) -> None:
    """requires_payment_method, requires_confirmation, succeeded; three events."""
    intent = api.ok("POST", INTENTS, wish(metadata={"order": "7"}, description="Order 7"))
    assert (intent["status"], intent["payment_method"]) == ("requires_payment_method", None)
    path = f"{INTENTS}/{intent['id']}"

    intent = api.ok("POST", path, {"payment_method": "pm_card_visa"})
    assert intent["status"] == "requires_confirmation"
    assert intent["payment_method"].startswith("pm_1")
    intent = api.ok("POST", f"{path}/confirm", {"return_url": BACK, "expand": ["latest_charge"]})

    assert (intent["status"], intent["amount_received"]) == ("succeeded", 2000)
    charge = intent["latest_charge"]
    assert (charge["paid"], charge["captured"], charge["metadata"]) == (True, True, {"order": "7"})
    assert types(sandbox) == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


def test_a_declined_card_answers_402_and_leaves_the_intent_to_be_tried_again(api: Caller, sandbox: Sandbox) -> None:
    """The error names code, decline code, charge, intent and method; the intent remembers it until it is paid."""
    reply = api("POST", INTENTS, wish(payment_method="pm_card_chargeDeclined", confirm=True, return_url=BACK))
    error = reply.body["error"]

    assert (reply.status, error["type"], error["code"]) == (402, "card_error", "card_declined")
    assert error["decline_code"] == "generic_decline"
    assert error["payment_intent"]["status"] == "requires_payment_method"
    assert error["charge"] == error["payment_intent"]["latest_charge"]
    assert error["payment_method"]["card"]["last4"] == "0002"
    assert types(sandbox) == ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]
    path = f"{INTENTS}/{error['payment_intent']['id']}"
    assert api.ok("GET", path)["last_payment_error"]["code"] == "card_declined"

    again = api.ok("POST", f"{path}/confirm", {"payment_method": "pm_card_visa", "return_url": BACK})
    assert (again["status"], again["last_payment_error"]) == ("succeeded", None)


@pytest.mark.parametrize(
    ("name", "code", "decline_code"),
    [
        (name, card.conduct.decline.code, card.conduct.decline.decline_code)
        for card in TEST_CARDS.values()
        for name in card.names
        if card.conduct.decline is not None and not card.conduct.challenge
    ],
)
def test_every_documented_card_that_declines_does(api: Caller, name: str, code: str, decline_code: str | None) -> None:
    """By its test id and by its token."""
    by_token = {"type": "card", "card": {"token": f"tok_{name}"}}
    for method in ({"payment_method": f"pm_card_{name}"}, {"payment_method_data": by_token}):
        reply = api("POST", INTENTS, wish(**method, confirm=True, return_url=BACK))

        error = reply.body["error"]
        assert (reply.status, error["code"], error.get("decline_code")) == (402, code, decline_code)


@pytest.mark.parametrize(
    "name", [name for card in TEST_CARDS.values() if not card.conduct.decline for name in card.names]
)
def test_every_other_documented_card_pays_or_asks_first(api: Caller, name: str) -> None:
    """3-D Secure cards ask, all others pay."""
    asks = "authentication" in name or name in ("threeDSecure2Required", "threeDSecureRequired")

    assert paid(api, f"pm_card_{name}")["status"] == ("requires_action" if asks else "succeeded")


def test_a_declined_payment_is_replayed_under_its_idempotency_key(api: Caller) -> None:
    """The card was tried: the same key brings the same 402 and no second charge."""
    params = wish(payment_method="pm_card_chargeDeclined", confirm=True, return_url=BACK)
    first = api("POST", INTENTS, params, idempotency_key="k")
    again = api("POST", INTENTS, params, idempotency_key="k")

    assert again.body == first.body
    assert (again.status, again.headers["Idempotent-Replayed"]) == (402, "true")
    assert len(api.ok("GET", "/v1/charges")["data"]) == 1


@pytest.mark.parametrize("passed", [True, False])
def test_a_3d_secure_card_waits_for_its_holder(api: Caller, sandbox: Sandbox, passed: bool) -> None:
    """requires_action with a page to go to; then paid, or refused without a charge."""
    intent = paid(api, "pm_card_authenticationRequired")
    assert intent["status"] == "requires_action"
    assert intent["next_action"]["redirect_to_url"]["return_url"] == BACK
    assert intent["next_action"]["redirect_to_url"]["url"].startswith(sandbox.base_url)
    assert types(sandbox)[-1] == "payment_intent.requires_action"

    after = sandbox.authenticate(intent["id"], passed=passed)

    assert after["next_action"] is None
    if passed:
        charge = api.ok("GET", f"/v1/charges/{after['latest_charge']}")
        assert after["status"] == "succeeded"
        assert charge["payment_method_details"]["card"]["three_d_secure"]["result"] == "authenticated"
    else:
        assert (after["status"], after["latest_charge"]) == ("requires_payment_method", None)
        assert after["last_payment_error"]["code"] == "payment_intent_authentication_failure"
        assert types(sandbox)[-1] == "payment_intent.payment_failed"


def test_confirmed_by_hand_the_server_has_the_last_word(api: Caller, sandbox: Sandbox) -> None:
    """`confirmation_method=manual`: a passed challenge leads back to requires_confirmation, and is not asked again."""
    intent = paid(api, "pm_card_authenticationRequired", confirmation_method="manual")

    assert sandbox.authenticate(intent["id"])["status"] == "requires_confirmation"
    assert api.ok("POST", f"{INTENTS}/{intent['id']}/confirm")["status"] == "succeeded"


def test_without_the_buyer_a_3d_secure_card_is_declined(api: Caller) -> None:
    """`off_session` and `error_on_requires_action`: 402 `authentication_required`."""
    for absent in ({"off_session": True}, {"error_on_requires_action": True}):
        reply = api(
            "POST",
            INTENTS,
            wish(payment_method="pm_card_authenticationRequired", confirm=True, return_url=BACK, **absent),
        )
        assert (reply.status, reply.body["error"]["code"]) == (402, "authentication_required")


def test_money_is_held_and_taken_in_part(api: Caller, sandbox: Sandbox) -> None:
    """Manual capture: nothing received until captured, the rest released; a refund then gives back what was taken."""
    intent = paid(api, capture_method="manual")
    assert (intent["status"], intent["amount_capturable"], intent["amount_received"]) == ("requires_capture", 2000, 0)
    path = f"{INTENTS}/{intent['id']}"
    assert api.refusal("POST", f"{path}/capture", {"amount_to_capture": 2001})["code"] == "amount_too_large"
    assert api.refusal("POST", "/v1/refunds", {"payment_intent": intent["id"]})["status"] == 400

    taken = api.ok("POST", f"{path}/capture", {"amount_to_capture": 1500, "expand": ["latest_charge"]})

    assert (taken["status"], taken["amount_received"], taken["amount_capturable"]) == ("succeeded", 1500, 0)
    charge = taken["latest_charge"]
    assert (charge["amount"], charge["amount_captured"], charge["amount_refunded"]) == (2000, 1500, 500)
    assert types(sandbox)[-4:] == [
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "charge.captured",
        "payment_intent.succeeded",
    ]
    assert api.ok("POST", "/v1/refunds", {"payment_intent": intent["id"]})["amount"] == 1500
    assert api.refusal("POST", f"{path}/capture")["code"] == "payment_intent_unexpected_state"


def test_the_capture_of_old_goes_by_charge(api: Caller) -> None:
    """`POST /v1/charges/{id}/capture`, once."""
    charge_id = paid(api, capture_method="manual")["latest_charge"]

    assert api.ok("POST", f"/v1/charges/{charge_id}/capture")["captured"] is True
    assert api.refusal("POST", f"/v1/charges/{charge_id}/capture")["code"] == "charge_already_captured"


def test_a_canceled_hold_is_released(api: Caller) -> None:
    """The charge is refunded whole, and nothing more can be done."""
    intent = paid(api, capture_method="manual")
    path = f"{INTENTS}/{intent['id']}"

    canceled = api.ok("POST", f"{path}/cancel", {"cancellation_reason": "abandoned", "expand": ["latest_charge"]})

    assert (canceled["status"], canceled["cancellation_reason"]) == ("canceled", "abandoned")
    assert (canceled["latest_charge"]["refunded"], canceled["latest_charge"]["captured"]) == (True, False)
    for step in ("confirm", "capture", "cancel"):
        assert api.refusal("POST", f"{path}/{step}")["code"] == "payment_intent_unexpected_state"


@pytest.mark.parametrize(
    ("more", "param", "code"),
    [
        ({"amount": 49}, "amount", "amount_too_small"),
        ({"amount": 10**12}, "amount", "parameter_invalid_integer"),
        ({"currency": "dollars"}, "currency", None),
        ({"customer": "cus_none"}, "customer", "resource_missing"),
        ({"payment_method": "pm_none"}, "payment_method", "resource_missing"),
        ({"payment_method": "pm_card_unheard"}, "payment_method", "sandbox_not_implemented"),
        ({"payment_method_types": ["card"]}, "payment_method_types", "payment_method_types_no_longer_supported"),
        ({"return_url": BACK}, "return_url", None),
        ({"confirmation_method": "by hand"}, "confirmation_method", None),
        ({"transfer_group": "x"}, "transfer_group", "sandbox_not_implemented"),
        ({"colour": "blue"}, "colour", "parameter_unknown"),
        (
            {"payment_method_data": {"type": "card", "card": {"number": "4242424242424242"}}},
            "payment_method_data[card][number]",
            None,
        ),
        (
            {"payment_method_data": {"type": "sofort", "sofort": {"country": "DE"}}},
            "payment_method_data[sofort]",
            "sandbox_not_implemented",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_makes_nothing(
    api: Caller, more: dict[str, Any], param: str, code: str | None
) -> None:
    """400 naming the parameter; no intent is left behind."""
    error = api.refusal("POST", INTENTS, wish(**more) if "amount" not in more else {**wish(), **more})

    assert (error["status"], error["param"], error["code"]) == (400, param, code)
    assert api.ok("GET", INTENTS)["data"] == []


def test_dynamic_payment_methods_want_a_return_url(api: Caller) -> None:
    """Unless redirects are excluded, or only cards are allowed."""
    assert "return_url" in api.refusal("POST", INTENTS, wish(payment_method="pm_card_visa", confirm=True))["message"]
    for way in (
        {"automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}},
        {"allowed_payment_method_types": ["card"]},
    ):
        params = wish(payment_method="pm_card_visa", confirm=True, **way)
        assert api.ok("POST", INTENTS, params)["status"] == "succeeded"


def test_an_older_version_still_names_its_payment_method_types(api: Caller) -> None:
    """As the command-line tool does, which sends no version or an older one."""
    params = wish(payment_method="pm_card_visa", confirm=True, payment_method_types=["card"])

    assert api.ok("POST", INTENTS, params, stripe_version="2026-08-26.dahlia")["automatic_payment_methods"] is None


def test_a_method_is_used_once_unless_it_is_kept_for_a_customer(api: Caller) -> None:
    """`setup_future_usage` attaches it; without, a second payment with it is refused, and another customer's always."""
    customer, other = (api.ok("POST", "/v1/customers", {"name": name})["id"] for name in "AB")
    once = paid(api)["payment_method"]
    assert "previously used" in api.refusal("POST", INTENTS, wish(payment_method=once))["message"]

    kept = paid(api, customer=customer, setup_future_usage="off_session")["payment_method"]

    assert api.ok("GET", f"/v1/payment_methods/{kept}")["customer"] == customer
    assert paid(api, kept, customer=customer)["status"] == "succeeded"
    refused = api.refusal("POST", INTENTS, wish(payment_method=kept, customer=other))
    assert (refused["param"], refused["code"]) == ("payment_method", "resource_missing")
    assert len(api.ok("GET", INTENTS, {"customer": customer})["data"]) == 2
    assert len(api.ok("GET", "/v1/charges", {"customer": customer})["data"]) == 2


def test_what_was_paid_keeps_its_amount_but_not_its_words(api: Caller) -> None:
    """After success only what is said about it can change."""
    intent = paid(api)
    path = f"{INTENTS}/{intent['id']}"

    assert api.refusal("POST", path, {"amount": 100})["code"] == "payment_intent_unexpected_state"
    assert api.ok("POST", path, {"metadata": {"a": "1"}, "description": "later"})["description"] == "later"


@pytest.mark.parametrize("step", ["", "/confirm"])
def test_what_was_said_of_an_intent_can_be_unset(api: Caller, step: str) -> None:
    """On changing and on confirming it, by the empty text; a new one has nothing to unset."""
    words = {"receipt_email": "jenny@example.com", "setup_future_usage": "off_session"}
    intent = api.ok("POST", INTENTS, wish(payment_method="pm_card_visa", **words))
    nothing = dict.fromkeys(words, "")
    changed = api.ok("POST", f"{INTENTS}/{intent['id']}{step}", nothing | ({"return_url": BACK} if step else {}))
    assert {name: intent[name] for name in words} == words
    assert [changed[name] for name in words] == [None, None]
    assert api.refusal("POST", INTENTS, wish(receipt_email=""))["code"] == "parameter_invalid_empty"


def test_a_card_takes_the_suffix_of_a_statement_only(api: Caller) -> None:
    """A whole descriptor is for other ways to pay: refused when a card is to be confirmed, or captured, with it."""
    whole, suffix = {"statement_descriptor": "MY SHOP"}, {"statement_descriptor_suffix": "ORDER 7"}
    waiting = api.ok("POST", INTENTS, wish(payment_method="pm_card_visa", **whole))["id"]
    held = paid(api, capture_method="manual", **suffix)["id"]
    for path, params in (
        (INTENTS, wish(payment_method="pm_card_visa", confirm=True, return_url=BACK, **whole)),
        (f"{INTENTS}/{waiting}/confirm", {"return_url": BACK}),
        (f"{INTENTS}/{held}/capture", whole),
    ):
        refused = api.refusal("POST", path, params)
        assert (refused["status"], refused["param"]) == (400, "statement_descriptor")
        assert "statement_descriptor_suffix" in refused["message"]
    assert api.ok("POST", f"{INTENTS}/{held}/capture")["statement_descriptor_suffix"] == "ORDER 7"


def test_a_sessions_intent_is_checkouts_own(api: Caller, sandbox: Sandbox) -> None:
    """It can be neither confirmed nor canceled, nor its amount changed, by API."""
    session_id = api.ok("POST", "/v1/checkout/sessions", cart())["id"]
    sandbox.decline(session_id)
    intent_id = api.ok("GET", f"/v1/checkout/sessions/{session_id}")["payment_intent"]
    path = f"{INTENTS}/{intent_id}"

    for step, params in (("/confirm", {"payment_method": "pm_card_visa"}), ("/cancel", {}), ("", {"amount": 100})):
        assert api.refusal("POST", path + step, params)["code"] == "payment_intent_unexpected_state"


def test_a_session_can_hold_the_money_and_keep_the_card(api: Caller, sandbox: Sandbox) -> None:
    """`payment_intent_data`: manual capture leaves it unpaid until captured; a card that is kept makes a customer."""
    data = {"capture_method": "manual", "setup_future_usage": "off_session"}
    session_id = api.ok("POST", "/v1/checkout/sessions", cart(payment_intent_data=data))["id"]
    held = sandbox.pay(session_id)
    assert (held["status"], held["payment_status"]) == ("complete", "unpaid")

    api.ok("POST", f"{INTENTS}/{held['payment_intent']}/capture")

    done = api.ok("GET", f"/v1/checkout/sessions/{session_id}")
    (kept,) = api.ok("GET", "/v1/payment_methods", {"customer": done["customer"]})["data"]
    assert (done["payment_status"], kept["card"]["last4"]) == ("paid", "4242")


class Life(RuleBasedStateMachine):
    """One intent through any steps: money is taken once, and the books of intent and charges agree."""

    def __init__(self) -> None:
        super().__init__()
        self.sandbox = Sandbox(clock=lambda: NOON, seed=1)
        self.api = Caller(self.sandbox)
        manual = {"capture_method": "manual"}
        self.intent = self.api.ok("POST", INTENTS, wish(**(manual if self.held() else {})))

    def held(self) -> bool:
        return False

    def step(self, verb: str, **params: Any) -> None:
        self.api("POST", f"{INTENTS}/{self.intent['id']}{verb}", params)
        self.intent = self.api.ok("GET", f"{INTENTS}/{self.intent['id']}")

    @rule(name=st.sampled_from(["visa", "chargeDeclined", "authenticationRequired"]))
    def confirm(self, name: str) -> None:
        self.step("/confirm", payment_method=f"pm_card_{name}", return_url=BACK)

    @precondition(lambda self: self.intent["status"] == "requires_action")
    @rule(passed=st.booleans())
    def answer(self, passed: bool) -> None:
        self.sandbox.authenticate(self.intent["id"], passed=passed)
        self.step("")

    @rule(amount=st.integers(1, 2500))
    def capture(self, amount: int) -> None:
        self.step("/capture", amount_to_capture=amount)

    @rule()
    def cancel(self) -> None:
        self.step("/cancel")

    @rule(amount=st.integers(1, 2500))
    def refund(self, amount: int) -> None:
        self.api("POST", "/v1/refunds", {"payment_intent": self.intent["id"], "amount": amount})

    @invariant()
    def the_books_agree(self) -> None:
        charges = self.api.ok("GET", "/v1/charges", {"payment_intent": self.intent["id"], "limit": 100})["data"]
        taken = [charge for charge in charges if charge["captured"]]
        refunds = self.api.ok("GET", "/v1/refunds", {"payment_intent": self.intent["id"], "limit": 100})["data"]
        assert len(taken) == (self.intent["status"] == "succeeded")
        assert sum(charge["amount_captured"] for charge in taken) == self.intent["amount_received"]
        assert sum(refund["amount"] for refund in refunds) <= self.intent["amount_received"]
        kinds = [event["type"] for event in self.sandbox.events("payment_intent.succeeded", "payment_intent.canceled")]
        assert kinds == {"succeeded": ["payment_intent.succeeded"], "canceled": ["payment_intent.canceled"]}.get(
            self.intent["status"], []
        )


class HeldLife(Life):
    """The same, captured by hand."""

    def held(self) -> bool:
        return True


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)
TestHeldLife = HeldLife.TestCase
TestHeldLife.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)
