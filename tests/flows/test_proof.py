"""Paid against agreed: what differs when it settles is quarantined, and nobody is told of a success.

S11 of the attack list, and CVE-2026-9189 (an authentic message whose amount and currency nobody compared, so that one
dollar paid an order of two thousand): each thing that the proof compares is changed alone, on each way that leads to a
settlement.
"""

from __future__ import annotations

import logging
from typing import Any

import attrs
import pytest

from payments_core import (
    CheckoutExpired,
    CheckoutSession,
    Difference,
    Money,
    PaymentFailed,
    PaymentMismatch,
    PaymentSuccessful,
)
from payments_core.domain.delivery import InboxState
from payments_core.domain.observations import of_rejection, of_release
from payments_core.domain.payment import PaymentState
from payments_core.errors import InvalidRequest
from payments_core.services.quarantine import Answer, Outcome, explained, reject, release
from tests.flows.shop import BUYER, Shop, declined, intent, own_intent, own_session
from tests.flows.test_handlers import Unlucky
from tests.flows.test_logs import told as logged

DONE = "checkout.session.completed"
INTENT_PAID = "payment_intent.succeeded"
LAPSED = "checkout.session.expired"
LATER_FAILED = "checkout.session.async_payment_failed"


def adjusted(total: int, *, discount: int = 0, shipping: int = 0, tax: int = 0) -> dict[str, Any]:
    """A session's total, with what is said to have been taken off and put on."""
    details = {"amount_discount": discount, "amount_shipping": shipping, "amount_tax": tax}
    return {"amount_total": total, "total_details": details}


#: What is changed in the paid session of an order of 59.98 USD, and what is then found.
ALONE: dict[str, tuple[dict[str, Any], list[str]]] = {
    "amount_total": ({"amount_total": 100}, ["amount_total"]),
    "amount_subtotal": ({"amount_subtotal": 100}, ["amount_subtotal"]),
    "both amounts": ({"amount_subtotal": 100, "amount_total": 100}, ["amount_subtotal", "amount_total"]),
    "more than agreed": ({"amount_subtotal": 5999, "amount_total": 5999}, ["amount_subtotal", "amount_total"]),
    "currency": ({"currency": "jpy"}, ["currency"]),
    "no currency": ({"currency": None}, ["currency"]),
    "reference": ({"metadata": {}}, ["metadata.payments_core_id"]),
    "mode": ({"livemode": True}, ["livemode"]),
    "discount": (adjusted(4998, discount=1000), ["amount_discount"]),
    "shipping": (adjusted(6498, shipping=500), ["amount_shipping"]),
    "tax": (adjusted(6598, tax=600), ["amount_tax"]),
    "free": (
        {"amount_total": 0, "payment_status": "no_payment_required", "payment_intent": None},
        ["amount_total"],
    ),
    "payment_status": ({"payment_status": "no_payment_required"}, ["payment_status"]),
}
EACH = pytest.mark.parametrize(("changed", "codes"), ALONE.values(), ids=ALONE)


def assert_quarantined(shop: Shop, codes: list[str]) -> None:
    """One `payment.mismatch` with these codes, no success, and a payment that waits."""
    (event,) = shop.published()
    assert event["eventType"] == "payment.mismatch"
    assert [one["code"] for one in event["data"]["discrepancies"]] == codes
    payment = shop.only_payment()
    assert payment.state is PaymentState.QUARANTINED
    assert payment.settled_at is None
    assert [one.code for one in payment.discrepancies] == codes
    assert shop.transitions() == [("quarantined", "")]
    assert shop.run(shop.store.health()).quarantined == 1


@EACH
def test_s11_what_differs_alone_is_no_success(shop: Shop, changed: dict[str, Any], codes: list[str]) -> None:
    """By the webhook: 0 fulfilments, one `payment.mismatch`; CVE-2026-9189."""
    opened = shop.checkout()
    fulfilled, odd = shop.on(PaymentSuccessful), shop.on(PaymentMismatch)
    shop.hear(DONE, own_session(shop, opened, **changed))
    assert (fulfilled, len(odd)) == ([], 1)
    assert_quarantined(shop, codes)


@EACH
def test_s11_on_the_success_page(shop: Shop, changed: dict[str, Any], codes: list[str]) -> None:
    """The page brings the news, settles nothing, and never says `paid`: not now, and not when it is asked again."""
    opened = shop.checkout()
    fulfilled = shop.on(PaymentSuccessful)
    own_session(shop, opened, **changed)
    for _ in range(2):
        seen = shop.status(opened.session_id)
        assert (seen.status, seen.payment_status) == ("complete", "unpaid")
    assert fulfilled == []
    assert_quarantined(shop, codes)


@EACH
def test_s11_by_the_reconciler(shop: Shop, changed: dict[str, Any], codes: list[str]) -> None:
    """No webhook comes; what the sweep finds is proved as well, and once quarantined it is not brought again."""
    opened = shop.checkout()
    fulfilled = shop.on(PaymentSuccessful)
    own_session(shop, opened, created=int(shop.clock.now.timestamp()) - 3600, **changed)
    shop.run(shop.payments.core.reconcile())
    shop.work()
    assert fulfilled == []
    assert_quarantined(shop, codes)
    assert shop.run(shop.payments.core.reconcile()).total == 0


@pytest.mark.parametrize("name", [name for name in ALONE if name != "free"])
def test_s11_by_the_wake_up_of_the_intent(shop: Shop, name: str) -> None:
    """The intent's news asks for the session, and what that says is compared."""
    changed, codes = ALONE[name]
    opened = shop.checkout()
    own_session(shop, opened, **changed)
    shop.hear(INTENT_PAID, own_intent(shop, opened, intent(amount_received=changed.get("amount_total", 5998))))
    assert_quarantined(shop, codes)


@pytest.mark.parametrize(
    ("changed", "codes"),
    [
        ({"amount_received": 1}, ["amount_received"]),
        ({"amount_received": None}, ["amount_received"]),
        ({"currency": "jpy"}, ["currency"]),
        ({"livemode": True}, ["livemode"]),
    ],
)
def test_the_amount_received_counts_where_the_intent_is_at_hand(
    shop: Shop, changed: dict[str, Any], codes: list[str]
) -> None:
    """The session says all is well; the intent that came with the news does not."""
    opened = shop.checkout()
    own_session(shop, opened)
    shop.hear(INTENT_PAID, own_intent(shop, opened, {**intent(), **changed}))
    assert_quarantined(shop, codes)


def test_an_intent_that_is_asked_for_the_buyers_address_is_at_hand(shop: Shop) -> None:
    """Whoever has it for another reason compares it."""
    opened = shop.checkout()
    own_intent(shop, opened, intent(amount_received=1, receipt_email="card@example.test"))
    shop.hear(DONE, own_session(shop, opened, customer_details=None))
    assert_quarantined(shop, ["amount_received"])


@pytest.mark.parametrize(
    ("changed", "codes"),
    [
        ({"amount_received": 1}, ["amount_received"]),
        ({"currency": "jpy"}, ["currency"]),
        ({"livemode": True}, ["livemode"]),
        ({}, []),
    ],
)
def test_a_session_that_never_completes_is_proved_by_its_intent(
    shop: Shop, changed: dict[str, Any], codes: list[str]
) -> None:
    """After the minute: what was received against what the session, complete or not, says is due."""
    opened = shop.checkout()
    succeeded = own_intent(shop, opened, {**intent(latest_charge=None), **changed})
    early = shop.hear(INTENT_PAID, succeeded)
    assert shop.inbox(early).state is InboxState.PARKED
    shop.clock.advance(61)
    shop.work()
    if codes:
        assert_quarantined(shop, codes)
    else:
        assert [event["eventType"] for event in shop.published()] == ["payment.successful"]


@pytest.mark.parametrize(("received", "kind"), [(5998, "payment.successful"), (1, "payment.mismatch")])
def test_a_session_that_was_never_saved_here_is_asked_for_by_the_intent(shop: Shop, received: int, kind: str) -> None:
    """The process died between Stripe's answer and its saving: the mark leads here, and the proof is the same."""
    opened = shop.checkout()
    forget_session(shop)
    succeeded = own_intent(shop, opened, intent(amount_received=received))
    own_session(shop, opened)
    shop.hear(INTENT_PAID, succeeded)
    assert [event["eventType"] for event in shop.published()] == [kind]
    assert shop.only_payment().session_id == opened.session_id


def forget_session(shop: Shop) -> None:
    """As if the process had died before it saved Stripe's answer."""
    payment = shop.only_payment()

    async def forget() -> None:
        async with shop.store.transaction() as tx:
            await tx.lock_payment(payment.payment_id)
            await tx.save_payment(attrs.evolve(payment, session_id=None))

    shop.run(forget())


def test_another_session_that_bears_our_mark_is_no_proof(shop: Shop) -> None:
    """A session for one dollar, made in the Dashboard or by another program, with the mark of an order copied to it."""
    opened = shop.checkout()
    other = {**own_session(shop, opened), "id": "cs_other", "payment_intent": "pi_other"}
    shop.gateway.put_session(other)
    shop.hear(DONE, other)
    assert_quarantined(shop, ["session_id"])
    assert shop.only_payment().session_id == opened.session_id


def test_an_old_snapshot_without_amounts_is_asked_for_again(shop: Shop) -> None:
    """An endpoint of an old API version leaves fields out; what is not stated is unknown, and Stripe is asked."""
    opened = shop.checkout()
    old = own_session(shop, opened)
    del old["amount_subtotal"]
    shop.hear(DONE, old)
    assert [event["eventType"] for event in shop.published()] == ["payment.successful"]
    assert shop.gateway.asked("session") == [(opened.session_id,)]


def test_a_snapshot_that_differs_is_compared_with_what_stripe_says_now(shop: Shop) -> None:
    """An endpoint of before 2025-03-31 states a session in the buyer's currency: nobody is quarantined for that."""
    opened = shop.checkout()
    now = own_session(shop, opened)
    shop.hear(DONE, {**now, "currency": "eur", "amount_subtotal": 5500, "amount_total": 5500})
    assert [event["eventType"] for event in shop.published()] == ["payment.successful"]
    assert shop.gateway.asked("session") == [(opened.session_id,)]


def test_another_session_that_bears_our_mark_does_not_end_the_order(shop: Shop) -> None:
    """Neither its expiry, nor its promise, nor its late failure is the order's: a mark can be copied."""
    opened, told = shop.checkout(), shop.on(CheckoutExpired)
    theirs = {"id": "cs_other", "payment_status": "unpaid", "payment_intent": "pi_other"}
    marked = own_session(shop, opened, status="open", payment_status="unpaid", payment_intent=None)
    for kind, status in ((LAPSED, "expired"), (DONE, "complete"), (LATER_FAILED, "complete")):
        other = {**marked, **theirs, "status": status}
        shop.gateway.put_session(other)
        shop.gateway.put_intent(intent("pi_other", status="processing") if kind == DONE else declined("", "pi_other"))
        shop.hear(kind, other)
    assert (told, shop.published(), shop.transitions()) == ([], [], [])
    assert shop.only_payment().state is PaymentState.OPEN


def test_another_intents_decline_gives_the_success_no_name_of_its_own(shop: Shop) -> None:
    """A copied mark's attempt was declined first: the success names the intent that the order was paid by."""
    opened = shop.checkout()
    shop.hear("payment_intent.payment_failed", own_intent(shop, opened, declined("ch_other", "pi_other")))
    own_intent(shop, opened, intent())
    shop.hear(DONE, own_session(shop, opened))
    (event,) = shop.published("payment.successful")
    assert event["data"]["paymentIntentId"] == shop.only_payment().payment_intent_id == "pi_1"


def test_another_intents_decline_ends_no_promise(shop: Shop) -> None:
    """Of a bank debit under way only its own failure says that it failed."""
    opened = shop.checkout()
    own_intent(shop, opened, intent(status="processing"))
    shop.hear(DONE, own_session(shop, opened, payment_status="unpaid"))
    shop.hear("payment_intent.payment_failed", own_intent(shop, opened, declined("ch_other", "pi_other")))
    assert shop.only_payment().state is PaymentState.PROCESSING


def test_another_intent_that_bears_our_mark_does_not_hold_the_orders_money_up(shop: Shop) -> None:
    """Handled before the news of the order's own session, which is paid in full: the order is settled by that."""
    opened = shop.checkout()
    done = own_session(shop, opened)
    own_intent(shop, opened, intent())
    other = own_intent(shop, opened, intent("pi_other", amount=500, amount_received=500, latest_charge="ch_9"))
    shop.hear(INTENT_PAID, other)
    shop.hear(DONE, done)
    (event,) = shop.published()
    assert (event["eventType"], event["data"]["amount"]) == ("payment.successful", 5998)


def test_what_the_buyer_saw_in_his_own_currency_needs_nothing(shop: Shop) -> None:
    """Adaptive pricing: Stripe reports our currency, and the other one beside it."""
    opened = shop.checkout()
    seen = {"presentment_amount": 5520, "presentment_currency": "eur"}
    shop.hear(DONE, own_session(shop, opened, presentment_details=seen, adaptive_pricing={"enabled": True}))
    assert [event["eventType"] for event in shop.published()] == ["payment.successful"]


def test_line_items_are_fetched_only_to_explain(shop: Shop) -> None:
    """Neither a success nor a mismatch asks for them; whoever looks at the mismatch does."""
    for changed in ({}, {"amount_total": 100}):
        shop.hear(DONE, own_session(shop, shop.checkout(), **changed))
    assert shop.gateway.asked("line_items") == []
    odd = next(one for one in shop.all_payments() if one.state is PaymentState.QUARANTINED)
    assert odd.session_id is not None
    line = {"description": "Shirt", "quantity": 1, "currency": "usd", "price": {"unit_amount": 100}}
    shop.gateway.put_line_items(odd.session_id, [line])
    found = shop.run(explained(shop.gateway, odd))
    assert found is not None
    assert (found.agreed, found.charged) == (("2 x 2999 usd Premium T-Shirt",), ("1 x 100 usd Shirt",))


# --- what news of another place may not do


@pytest.mark.parametrize("elsewhere", ["account", "mode"])
def test_s08_s09_a_copied_mark_pays_nothing_of_another_mode_or_account(shop: Shop, elsewhere: str) -> None:
    """Two deployments share a database: money of one is a dead letter where it bears the mark of the other's order."""
    opened = shop.checkout()
    paid = own_session(shop, opened)
    other = {"account": "acct_other"} if elsewhere == "account" else {"livemode": True}
    core = shop.payments.core
    shop.payments.core = attrs.evolve(core, processing=attrs.evolve(core.processing, **other))
    event_id = shop.hear(DONE, paid, **other)
    assert shop.inbox(event_id).state is InboxState.DEAD
    assert f"the payment is of {'another account' if elsewhere == 'account' else 'test mode'}" in str(
        shop.inbox(event_id).error
    )
    assert (shop.published(), shop.only_payment().state) == ([], PaymentState.OPEN)


# --- the life of a quarantined payment


def quarantined(shop: Shop, **changed: Any) -> str:
    """An order that was paid with one dollar; its payment's id."""
    opened = shop.checkout(user_id="user_7")
    shop.hear(DONE, own_session(shop, opened, **{"amount_total": 100, **changed}))
    return shop.only_payment().payment_id


def opened_before(shop: Shop) -> CheckoutSession:
    """The session of the only checkout."""
    (sent,) = shop.gateway.sent
    return CheckoutSession(sent.session_id, None)


def released(shop: Shop, payment_id: str, reason: str = "ops@shop: the buyer was promised this price") -> Answer:
    return shop.run(release(shop.store, payment_id, reason))


def rejected(shop: Shop, payment_id: str) -> Answer:
    return shop.run(reject(shop.store, payment_id, "ops@shop: refunded"))


def test_a_mismatch_is_told_whole(shop: Shop) -> None:
    """To handlers and to the world: who, how much, which objects, and what was agreed."""
    told = shop.on(PaymentMismatch)
    payment_id = quarantined(shop)
    (event,) = shop.published()
    assert event["data"] == {
        "userId": "user_7",
        "email": BUYER,
        "amount": 100,
        "currency": "usd",
        "paymentIntentId": "pi_1",
        "sessionId": shop.only_payment().session_id,
        "discrepancies": [{"code": "amount_total", "expected": 5998, "actual": 100}],
    }
    assert [(one.event_id, one.payment_id, one.discrepancies) for one in told] == [
        (event["eventId"], payment_id, (Difference("amount_total", 5998, 100),))
    ]


def test_no_later_news_leads_out_of_quarantine(shop: Shop) -> None:
    """What is right by now, a failure, an expiry, the page and the reconciler: nothing is undone, nothing decided."""
    quarantined(shop)
    told, failed = shop.on(PaymentSuccessful), shop.on(PaymentFailed)
    opened = opened_before(shop)
    honest = own_session(shop, opened)
    shop.hear(DONE, honest)
    shop.hear("checkout.session.async_payment_succeeded", honest)
    shop.hear(INTENT_PAID, own_intent(shop, opened, intent()))
    shop.hear("payment_intent.payment_failed", own_intent(shop, opened, declined("ch_late")))
    shop.hear("checkout.session.expired", {**honest, "status": "expired", "payment_status": "unpaid"})
    shop.status(opened.session_id)
    shop.run(shop.payments.core.reconcile())
    shop.work()
    assert (told, failed) == ([], [])
    assert [event["eventType"] for event in shop.published()] == ["payment.mismatch"]
    assert shop.only_payment().state is PaymentState.QUARANTINED
    assert shop.transitions() == [("attempt_failed", "ch_late"), ("quarantined", "")]


def test_a_release_settles_once_with_handlers_record_and_event(shop: Shop) -> None:
    """Asked twice, delivered twice: one success, of the amount that came, with who and why."""
    payment_id = quarantined(shop)
    told = shop.on(PaymentSuccessful)
    first, second = released(shop, payment_id), released(shop, payment_id, "another reason")
    assert (first.outcome, second.outcome) == (Outcome.RELEASED, Outcome.REPEATED)
    shop.work()
    third = released(shop, payment_id)
    assert third.outcome is Outcome.NOT_QUARANTINED
    shop.work()
    assert [event["eventType"] for event in shop.published()] == ["payment.mismatch", "payment.successful"]
    success = shop.published()[-1]["data"]
    assert (success["amount"], success["email"], success["userId"]) == (100, BUYER, "user_7")
    assert success["products"] == [{"name": "Premium T-Shirt", "quantity": 2, "price": 2999}]
    assert len(told) == 1
    payment = shop.only_payment()
    assert (payment.state, payment.amount_minor, payment.settled_at is not None) == (PaymentState.SETTLED, 100, True)
    assert payment.discrepancies != ()
    history = shop.run(shop.store.records.history(payment_id))
    assert history is not None
    assert {one.transition: one.reason for one in history.transitions} == {
        "quarantined": "amount_total",
        "settled": "ops@shop: the buyer was promised this price",
    }
    assert shop.status(str(payment.session_id)).payment_status == "paid"
    assert shop.run(shop.store.health()).quarantined == 0
    assert shop.keys() == ["pi_1"] * 2


def test_a_rejection_is_recorded_once_and_told_to_nobody(shop: Shop) -> None:
    """The money that is given back later, or comes once more, changes nothing; the page keeps saying unpaid."""
    payment_id = quarantined(shop)
    told, raw = shop.on(PaymentSuccessful), shop.on("payments_core.payment.rejected")
    assert rejected(shop, payment_id).outcome is Outcome.REJECTED
    assert rejected(shop, payment_id).outcome is Outcome.REPEATED
    assert released(shop, payment_id).outcome is Outcome.CONTRADICTED
    shop.work()
    opened = opened_before(shop)
    shop.hear(DONE, own_session(shop, opened))
    shop.hear("payment_intent.payment_failed", own_intent(shop, opened, declined("ch_late")))
    shop.run(shop.payments.core.reconcile())
    shop.work()
    assert (told, raw) == ([], [])
    assert [event["eventType"] for event in shop.published()] == ["payment.mismatch"]
    payment = shop.only_payment()
    assert (payment.state, payment.amount_minor, payment.settled_at) == (PaymentState.REJECTED, 100, None)
    assert shop.transitions() == [("attempt_failed", "ch_late"), ("quarantined", ""), ("rejected", "")]
    history = shop.run(shop.store.records.history(payment_id))
    assert history is not None
    assert [one.reason for one in history.transitions if one.transition == "rejected"] == ["ops@shop: refunded"]
    status = shop.status(str(payment.session_id))
    assert (status.status, status.payment_status) == ("complete", "unpaid")
    assert shop.run(shop.store.health()).quarantined == 0


@pytest.mark.parametrize("release_first", [True, False])
def test_of_two_decisions_that_race_the_first_that_is_handled_holds(shop: Shop, release_first: bool) -> None:
    """Both were stored, each before the other was there: the second finds the payment decided."""
    payment_id = quarantined(shop)
    told = shop.on(PaymentSuccessful)
    kinds = [of_release, of_rejection] if release_first else [of_rejection, of_release]
    for decision in kinds:
        assert shop.run(shop.store.receive(decision(payment_id, "why").received(account=None, livemode=False)))
    shop.work()
    expected = PaymentState.SETTLED if release_first else PaymentState.REJECTED
    assert (shop.only_payment().state, len(told)) == (expected, release_first)
    assert shop.run(shop.store.health()).dead_letters == 0


def test_a_handler_that_fails_leaves_the_payment_in_quarantine_until_it_has_succeeded(shop: Shop) -> None:
    """The release is retried as every event is: handlers, stamp and outgoing event commit together or not at all."""
    payment_id = quarantined(shop)
    told = shop.on(PaymentSuccessful, Unlucky(1))
    released(shop, payment_id)
    shop.work()
    assert (shop.only_payment().state, len(shop.published())) == (PaymentState.QUARANTINED, 1)
    assert shop.inbox(f"release_{payment_id}").state is InboxState.READY
    shop.clock.advance(4)
    shop.work()
    assert (len(told), len(shop.published("payment.successful"))) == (2, 1)


def test_what_is_released_by_its_intent_has_the_amount_that_was_received(shop: Shop) -> None:
    """The session says 59.98, the intent received one cent: that is what came."""
    opened = shop.checkout()
    own_session(shop, opened)
    shop.hear(INTENT_PAID, own_intent(shop, opened, intent(amount_received=1)))
    assert shop.published()[0]["data"]["amount"] == 1
    released(shop, shop.only_payment().payment_id)
    shop.work()
    assert shop.published("payment.successful")[0]["data"]["amount"] == 1


def test_a_release_needs_nothing_of_stripe_that_is_gone(shop: Shop) -> None:
    """Objects that Stripe does not know any more keep nobody from accepting what was paid."""
    payment_id = quarantined(shop)
    shop.gateway._objects["session"].clear()
    released(shop, payment_id)
    shop.work()
    assert shop.published("payment.successful")[0]["data"]["amount"] == 100


@pytest.mark.parametrize("state", ["open", "settled", "expired"])
def test_what_is_not_quarantined_cannot_be_released(shop: Shop, state: str) -> None:
    """Nothing is stored, and nothing happens."""
    opened = shop.checkout()
    if state == "settled":
        shop.hear(DONE, own_session(shop, opened))
    if state == "expired":
        shop.hear("checkout.session.expired", own_session(shop, opened, status="expired", payment_status="unpaid"))
    before = (shop.published(), shop.all_payments())
    answer = released(shop, shop.only_payment().payment_id)
    shop.work()
    assert answer.outcome is Outcome.NOT_QUARANTINED
    assert (shop.published(), shop.all_payments()) == before
    assert released(shop, "nobody").outcome is Outcome.UNKNOWN


def test_a_reason_is_needed_and_bounded(shop: Shop) -> None:
    """Who and why is what the record is for."""
    payment_id = quarantined(shop)
    for reason in ("", "  \n", "x" * 501):
        with pytest.raises(InvalidRequest):
            released(shop, payment_id, reason)
    assert released(shop, payment_id, "x" * 500).outcome is Outcome.RELEASED


def test_a_release_of_a_payment_that_is_not_here_is_a_dead_letter(shop: Shop) -> None:
    """Restored into another database, say: it is kept and shown, and settles nothing."""
    assert shop.run(shop.store.receive(of_release("nobody", "why").received(account=None, livemode=False)))
    shop.work()
    assert shop.inbox("release_nobody").state is InboxState.DEAD
    assert shop.all_payments() == []


def test_a_webhook_cannot_release(shop: Shop) -> None:
    """Whoever has the webhook's secret can sign, and is still no operator: our own kinds of events come from inside."""
    payment_id = quarantined(shop)
    forged = {"id": payment_id, "reason": "me", "metadata": {"payments_core_id": payment_id}}
    shop.hear("payments_core.payment.released", forged)
    assert shop.published("payment.successful") == []
    assert shop.run(shop.store.health()).dead_letters == 1
    assert released(shop, payment_id).outcome is Outcome.RELEASED


def test_raw_handlers_are_not_called_for_a_release(shop: Shop) -> None:
    """It is no event of Stripe's."""
    raw = shop.on("payments_core.payment.released")
    released(shop, quarantined(shop))
    shop.work()
    assert raw == []
    assert len(shop.published("payment.successful")) == 1


def test_the_page_says_of_a_quarantined_payment_what_it_says_of_money_on_its_way(shop: Shop) -> None:
    """From the row alone: complete, unpaid, and the amount that came; Stripe is not asked."""
    quarantined(shop)
    session_id = str(shop.only_payment().session_id)
    shop.gateway.calls.clear()
    seen = shop.status(session_id)
    assert (seen.status, seen.payment_status, seen.amount_total) == ("complete", "unpaid", Money(100, "usd"))
    assert shop.gateway.calls == []


def test_readiness_counts_and_stays_ready(shop: Shop) -> None:
    """A number of its own; the process can serve all the same."""
    quarantined(shop)
    found = shop.run(shop.payments.core.readiness())
    assert (found.ready, found.checks["quarantinedPayments"], found.checks["deadLetters"]) == (True, 1, 0)


def test_a_mismatch_is_one_warning_of_ids_amounts_and_codes(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """And nothing personal, though the same news comes three times."""
    caplog.set_level(logging.DEBUG)
    payment_id = quarantined(shop)
    for _ in range(2):
        shop.hear(DONE, own_session(shop, opened_before(shop), amount_total=100))
    payment = shop.only_payment()
    facts = {
        "paymentId": payment_id,
        "sessionId": payment.session_id,
        "paymentIntentId": "pi_1",
        "amount": 100,
        "currency": "usd",
        "discrepancies": [{"code": "amount_total", "expected": 5998, "actual": 100}],
    }
    assert logged(caplog, "Payment mismatch") == [("WARNING", facts)]
    assert BUYER not in "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
