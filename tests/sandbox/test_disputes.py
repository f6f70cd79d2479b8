"""Disputes, inquiries and early fraud warnings, from the test cards that make them."""

from __future__ import annotations

from typing import Any

import pytest

from payments_core.sandbox import Sandbox
from tests.sandbox.conftest import Caller, cart
from tests.sandbox.test_intents import paid, types


def disputed(api: Caller, name: str = "createDispute") -> dict[str, Any]:
    """A payment with a card of this name, and its dispute."""
    intent = paid(api, f"pm_card_{name}")
    (dispute,) = api.ok("GET", "/v1/disputes", {"payment_intent": intent["id"]})["data"]
    return dispute


@pytest.mark.parametrize(
    ("name", "reason"), [("createDispute", "fraudulent"), ("createDisputeProductNotReceived", "product_not_received")]
)
def test_a_dispute_takes_the_money_at_once(api: Caller, sandbox: Sandbox, name: str, reason: str) -> None:
    """Created and withdrawn, after the payment; the charge says so and cannot be refunded any more."""
    dispute = disputed(api, name)

    assert (dispute["status"], dispute["reason"], dispute["amount"]) == ("needs_response", reason, 2000)
    assert [entry["net"] for entry in dispute["balance_transactions"]] == [-3500]
    assert api.ok("GET", "/v1/balance")["pending"][0]["amount"] == 2000 - 3500
    assert dispute["is_charge_refundable"] is False
    assert types(sandbox)[-3:] == [
        "payment_intent.succeeded",
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
    ]
    assert api.ok("GET", f"/v1/charges/{dispute['charge']}")["disputed"] is True
    assert api.refusal("POST", "/v1/refunds", {"charge": dispute["charge"]})["code"] == "charge_disputed"


def test_a_card_on_the_page_disputes_as_well(api: Caller, sandbox: Sandbox) -> None:
    """4000 0000 0000 0259 paid on Checkout; the session completes before the dispute."""
    session_id = api.ok("POST", "/v1/checkout/sessions", cart())["id"]

    assert sandbox.pay(session_id, card="4000000000000259")["payment_status"] == "paid"

    assert types(sandbox)[-3:] == [
        "checkout.session.completed",
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
    ]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ("winning_evidence", "won", ["charge.dispute.closed", "charge.dispute.funds_reinstated"]),
        ("losing_evidence", "lost", ["charge.dispute.closed"]),
        ("we sent it", "under_review", []),
    ],
)
def test_evidence_decides_as_its_words_say(
    api: Caller, sandbox: Sandbox, words: str, status: str, told: list[str]
) -> None:
    """Staged first, then handed in; what is won comes back."""
    dispute = disputed(api)
    path = f"/v1/disputes/{dispute['id']}"
    staged = api.ok("POST", path, {"evidence": {"customer_name": "Jenny"}, "submit": False})
    assert (staged["status"], staged["evidence_details"]["submission_count"]) == ("needs_response", 0)
    seen = len(types(sandbox))

    answered = api.ok("POST", path, {"evidence": {"uncategorized_text": words}})

    assert (answered["status"], answered["evidence_details"]["submission_count"]) == (status, 1)
    assert answered["evidence"]["customer_name"] == "Jenny"
    assert types(sandbox)[seen:] == ["charge.dispute.updated", *told]
    assert sum(entry["amount"] for entry in answered["balance_transactions"]) == (0 if status == "won" else -2000)
    assert api.refusal("POST", path, {"evidence": {"customer_name": "X"}})["status"] == 400


def test_giving_in_loses_a_dispute(api: Caller, sandbox: Sandbox) -> None:
    """`close`, once."""
    path = f"/v1/disputes/{disputed(api)['id']}/close"

    assert api.ok("POST", path)["status"] == "lost"
    assert types(sandbox)[-1] == "charge.dispute.closed"
    assert api.refusal("POST", path)["status"] == 400


def test_an_inquiry_takes_no_money_and_ends_with_a_refund(api: Caller, sandbox: Sandbox) -> None:
    """It can be answered by giving the money back."""
    inquiry = disputed(api, "createDisputeInquiry")
    assert (inquiry["status"], inquiry["is_charge_refundable"]) == ("warning_needs_response", True)
    assert (inquiry["balance_transactions"], types(sandbox)[-1]) == ([], "charge.dispute.created")

    api.ok("POST", "/v1/refunds", {"charge": inquiry["charge"]})

    after = api.ok("GET", f"/v1/disputes/{inquiry['id']}")
    assert (after["status"], types(sandbox)[-1]) == ("warning_closed", "charge.dispute.closed")


def test_an_inquiry_can_become_a_dispute(api: Caller, sandbox: Sandbox) -> None:
    """`escalate_inquiry_evidence`: the money is taken then, and it is answered as a dispute."""
    path = f"/v1/disputes/{disputed(api, 'createDisputeInquiry')['id']}"

    escalated = api.ok("POST", path, {"evidence": {"uncategorized_text": "escalate_inquiry_evidence"}})

    assert (escalated["status"], len(escalated["balance_transactions"])) == ("needs_response", 1)
    assert types(sandbox)[-1] == "charge.dispute.funds_withdrawn"
    assert api.ok("POST", path, {"evidence": {"uncategorized_text": "winning_evidence"}})["status"] == "won"


def test_an_early_fraud_warning_is_worth_acting_on_until_the_money_went_back(api: Caller, sandbox: Sandbox) -> None:
    """`actionable` ends with a full refund."""
    intent = paid(api, "pm_card_createIssuerFraudRecord")
    (warning,) = api.ok("GET", "/v1/radar/early_fraud_warnings", {"charge": intent["latest_charge"]})["data"]
    assert (warning["actionable"], types(sandbox)[-1]) == (True, "radar.early_fraud_warning.created")

    sandbox.refund(intent["id"])

    assert api.ok("GET", f"/v1/radar/early_fraud_warnings/{warning['id']}")["actionable"] is False
    assert api.ok("GET", "/v1/radar/early_fraud_warnings", {"charge": "ch_none"})["data"] == []
