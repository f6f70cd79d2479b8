"""What each piece of news does to a payment that was started here: the table of the payment's states, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from payments_core import Cart, CheckoutExpired, Line, Money, PaymentFailed, PaymentSuccessful
from payments_core.domain.delivery import InboxState
from payments_core.domain.payment import PaymentState
from tests.flows.shop import BUYER, Shop, declined, intent, own_intent, own_session

DONE = "checkout.session.completed"
LATER_PAID = "checkout.session.async_payment_succeeded"
LATER_FAILED = "checkout.session.async_payment_failed"
LAPSED = "checkout.session.expired"
INTENT_PAID = "payment_intent.succeeded"
INTENT_FAILED = "payment_intent.payment_failed"

FREE = Cart([Line("Sample", Money(0, "usd"), 1)])
NOTHING_DUE: dict[str, Any] = {
    "payment_status": "no_payment_required",
    "amount_subtotal": 0,
    "amount_total": 0,
    "payment_intent": None,
}


def test_a_completed_paid_session_settles_the_payment(shop: Shop) -> None:
    """The event is told once, composed of our own cart and Stripe's totals, in the published shape."""
    opened = shop.checkout(user_id="user_7")
    told = shop.on(PaymentSuccessful)
    shop.hear(DONE, own_session(shop, opened))
    payment = shop.payment_of(opened.session_id)
    assert (payment.state, payment.amount_minor, payment.currency) == (PaymentState.SETTLED, 5998, "usd")
    assert payment.settled_at is not None
    assert shop.transitions() == [("settled", "")]
    (event,) = shop.published()
    assert event["eventType"] == "payment.successful"
    assert event["data"] == {
        "userId": "user_7",
        "email": BUYER,
        "amount": 5998,
        "currency": "usd",
        "products": [{"name": "Premium T-Shirt", "quantity": 2, "price": 2999}],
        "paymentIntentId": "pi_1",
        "sessionId": opened.session_id,
    }
    assert [(one.event_id, one.origin) for one in told] == [(event["eventId"], "here")]


def test_the_snapshot_of_a_paid_session_made_here_is_not_refetched(shop: Shop) -> None:
    """Paid is final: Stripe is not asked again."""
    opened = shop.checkout()
    shop.hear(DONE, own_session(shop, opened))
    assert shop.gateway.asked("session") == []
    assert shop.only_payment().state is PaymentState.SETTLED


def test_a_total_of_zero_settles_without_an_intent(shop: Shop) -> None:
    """`no_payment_required`: amount 0, no intent, and the session's id is the key of its events."""
    opened = shop.checkout(cart=FREE)
    shop.hear(DONE, own_session(shop, opened, **NOTHING_DUE))
    (event,) = shop.published("payment.successful")
    assert (event["data"]["amount"], event["data"]["paymentIntentId"]) == (0, None)
    assert shop.keys() == [opened.session_id]
    assert shop.gateway.asked("intent") == []
    assert shop.status(opened.session_id).payment_status == "no_payment_required"


def test_a_session_with_nothing_to_pay_that_runs_out_is_no_success(shop: Shop) -> None:
    """It says `no_payment_required` from its beginning to its end; whoever never completed it has ordered nothing."""
    opened = shop.checkout(cart=FREE)
    shop.hear(LAPSED, own_session(shop, opened, **NOTHING_DUE, status="expired"))
    assert [event["eventType"] for event in shop.published()] == ["checkout.expired"]
    assert shop.only_payment().state is PaymentState.EXPIRED


def test_an_unpaid_completed_session_is_processing(shop: Shop) -> None:
    """A delayed method: the buyer has acted, nothing is told, no money is claimed."""
    opened = shop.checkout()
    own_intent(shop, opened, intent(status="processing"))
    shop.hear(DONE, own_session(shop, opened, payment_status="unpaid"))
    assert shop.only_payment().state is PaymentState.PROCESSING
    assert shop.transitions() == [("processing", "")]
    assert shop.published() == []


def test_a_delayed_payment_that_arrives_settles(shop: Shop) -> None:
    """`async_payment_succeeded` after `unpaid` ends in one success."""
    opened = shop.checkout()
    own_intent(shop, opened, intent(status="processing"))
    shop.hear(DONE, own_session(shop, opened, payment_status="unpaid"))
    shop.hear(LATER_PAID, own_session(shop, opened))
    assert shop.only_payment().state is PaymentState.SETTLED
    assert [event["eventType"] for event in shop.published()] == ["payment.successful"]


def test_a_stale_unpaid_snapshot_is_checked_with_stripe(shop: Shop) -> None:
    """The snapshot says unpaid, Stripe by now says paid: what counts is now."""
    opened = shop.checkout()
    stale = {**own_session(shop, opened), "payment_status": "unpaid"}
    shop.hear(DONE, stale)
    assert shop.only_payment().state is PaymentState.SETTLED
    assert shop.gateway.asked("session") == [(opened.session_id,)]


def test_a_delayed_payment_that_fails_is_one_fact_whoever_tells_it(shop: Shop) -> None:
    """The session's and the intent's news of the same charge are one `payment.failed`."""
    opened = shop.checkout()
    own_intent(shop, opened, intent(status="processing"))
    shop.hear(DONE, own_session(shop, opened, payment_status="unpaid"))
    failed = own_intent(shop, opened, declined("ch_sepa", code="debit_not_authorized", decline_code=None))
    told = shop.on(PaymentFailed)
    shop.hear(LATER_FAILED, own_session(shop, opened, payment_status="unpaid"))
    second = shop.hear(INTENT_FAILED, failed)
    assert (shop.inbox(second).state, len(told)) == (InboxState.DONE, 1)
    (event,) = shop.published()
    assert (event["eventType"], event["data"]["reason"]) == ("payment.failed", "debit_not_authorized")
    assert event["data"]["sessionId"] == opened.session_id
    assert shop.transitions() == [("attempt_failed", "ch_sepa"), ("processing", "")]
    assert shop.only_payment().state is PaymentState.OPEN


def test_the_intents_failure_first_and_the_sessions_second_is_the_same_fact(shop: Shop) -> None:
    """The other order gives the same event id and the same single event."""
    opened = shop.checkout()
    failed = own_intent(shop, opened, declined("ch_sepa"))
    shop.hear(INTENT_FAILED, failed)
    shop.hear(LATER_FAILED, own_session(shop, opened, payment_status="unpaid"))
    assert len(shop.published("payment.failed")) == 1
    assert shop.transitions() == [("attempt_failed", "ch_sepa")]


def test_a_failed_delayed_payment_is_not_processing_again_when_its_completion_comes_late(shop: Shop) -> None:
    """Any order ends the same: the late `completed` of a payment that has failed promises nothing."""
    opened = shop.checkout()
    own_intent(shop, opened, declined("ch_sepa"))
    unpaid = own_session(shop, opened, payment_status="unpaid")
    shop.hear(LATER_FAILED, unpaid)
    shop.hear(DONE, unpaid)
    assert shop.only_payment().state is PaymentState.OPEN


def test_a_decline_that_is_told_late_does_not_end_a_promise(shop: Shop) -> None:
    """A card was declined, then a bank debit was promised; the card's news comes last, and the promise stands."""
    opened = shop.checkout()
    own_intent(shop, opened, intent(status="processing", latest_charge="ch_sepa"))
    shop.hear(DONE, own_session(shop, opened, payment_status="unpaid"))
    mark = {"metadata": dict(shop.gateway.sent[0].params["metadata"])}
    shop.hear(INTENT_FAILED, {**declined("ch_card"), **mark})
    assert len(shop.published("payment.failed")) == 1
    assert shop.only_payment().state is PaymentState.PROCESSING


def test_an_expired_session_is_told_once(shop: Shop) -> None:
    """`checkout.expired`, with what the session would have cost."""
    opened = shop.checkout(customer_email="given@example.test")
    told = shop.on(CheckoutExpired)
    gone = own_session(
        shop, opened, status="expired", payment_status="unpaid", payment_intent=None, customer_details=None
    )
    shop.hear(LAPSED, gone)
    shop.hear(LAPSED, gone)
    (event,) = shop.published()
    assert event["eventType"] == "checkout.expired"
    assert event["data"] == {
        "userId": None,
        "email": "given@example.test",
        "amount": 5998,
        "currency": "usd",
        "sessionId": opened.session_id,
    }
    assert len(told) == 1
    assert shop.only_payment().state is PaymentState.EXPIRED
    assert shop.status(opened.session_id).status == "expired"


def test_an_expired_payment_that_is_paid_after_all_is_settled(shop: Shop) -> None:
    """Money outranks everything."""
    opened = shop.checkout()
    shop.hear(LAPSED, own_session(shop, opened, status="expired", payment_status="unpaid"))
    shop.hear(DONE, own_session(shop, opened))
    assert [event["eventType"] for event in shop.published()] == ["checkout.expired", "payment.successful"]
    assert shop.only_payment().state is PaymentState.SETTLED


def test_an_expiry_after_settlement_changes_nothing(shop: Shop) -> None:
    """Late news of expiry never undoes a success."""
    opened = shop.checkout()
    paid = own_session(shop, opened)
    shop.hear(DONE, paid)
    shop.hear(LAPSED, {**paid, "status": "expired", "payment_status": "unpaid"})
    assert shop.only_payment().state is PaymentState.SETTLED
    assert shop.transitions() == [("settled", "")]


def test_an_intent_before_its_session_is_parked_and_uses_no_attempt(shop: Shop) -> None:
    """The wake-up waits for its cause; the session then settles, and the intent finds it done."""
    opened = shop.checkout()
    paid_intent = own_intent(shop, opened, intent())
    shop.gateway.change_session(opened.session_id, status="open", payment_status="unpaid")
    early = shop.hear(INTENT_PAID, paid_intent)
    parked = shop.inbox(early)
    assert (parked.state, parked.attempts) == (InboxState.PARKED, 0)
    assert shop.published() == []
    shop.hear(DONE, own_session(shop, opened))
    shop.clock.advance(5)
    shop.work()
    assert shop.inbox(early).state is InboxState.DONE
    (event,) = shop.published()
    assert event["data"]["products"] == [{"name": "Premium T-Shirt", "quantity": 2, "price": 2999}]


def test_a_parked_intent_settles_by_itself_after_a_minute(shop: Shop) -> None:
    """The session's news never comes: the intent and our own row are enough."""
    opened = shop.checkout(user_id="user_7")
    shop.gateway.put_charge({"id": "ch_1", "billing_details": {"email": BUYER}})
    paid_intent = own_intent(shop, opened, intent())
    early = shop.hear(INTENT_PAID, paid_intent)
    for _ in range(30):
        shop.clock.advance(2)
        shop.work()
        if shop.published():
            break
    assert shop.inbox(early).state is InboxState.DONE
    (event,) = shop.published()
    assert event["data"] == {
        "userId": "user_7",
        "email": BUYER,
        "amount": 5998,
        "currency": "usd",
        "products": [{"name": "Premium T-Shirt", "quantity": 2, "price": 2999}],
        "paymentIntentId": "pi_1",
        "sessionId": opened.session_id,
    }
    # The session's own news, arriving after all, adds nothing.
    shop.hear(DONE, own_session(shop, opened))
    assert len(shop.published()) == 1


def test_an_intent_never_settles_its_session_before_the_minute_is_over(shop: Shop) -> None:
    """For 59 seconds the session is waited for."""
    opened = shop.checkout()
    early = shop.hear(INTENT_PAID, own_intent(shop, opened, intent()))
    for _ in range(19):
        shop.clock.advance(3.1)
        shop.work()
    assert shop.inbox(early).state is InboxState.PARKED
    assert shop.published() == []


def test_an_intent_whose_session_is_already_paid_settles_by_the_session(shop: Shop) -> None:
    """The wake-up finds the session complete at Stripe, and tells what the session says."""
    opened = shop.checkout()
    paid_intent = own_intent(shop, opened, intent(receipt_email="card@example.test"))
    own_session(shop, opened)
    shop.hear(INTENT_PAID, paid_intent)
    (event,) = shop.published()
    assert (event["data"]["amount"], event["data"]["email"]) == (5998, BUYER)


def test_three_declines_and_a_success_are_four_facts(shop: Shop) -> None:
    """One `payment.failed` per declined charge, then one `payment.successful`."""
    opened = shop.checkout()
    failed, told = shop.on(PaymentFailed), shop.on("payment.successful")
    for number in range(3):
        attempt = declined(f"ch_{number}", decline_code=("insufficient_funds", "lost_card", None)[number])
        shop.hear(INTENT_FAILED, own_intent(shop, opened, attempt))
    assert shop.only_payment().state is PaymentState.OPEN
    shop.hear(DONE, own_session(shop, opened))
    assert [one.reason for one in failed] == ["insufficient_funds", "lost_card", "card_declined"]
    assert len({one.event_id for one in (*failed, *told)}) == 4
    assert [event["eventType"] for event in shop.published()] == ["payment.failed"] * 3 + ["payment.successful"]
    assert shop.keys() == ["pi_1"] * 4


def test_a_decline_without_a_charge_is_told_apart_by_its_event(shop: Shop) -> None:
    """Two refusals before any charge was made (a card check) are two facts."""
    opened = shop.checkout()
    attempt = declined(charge_id="", code="incorrect_cvc", decline_code=None, charge=None)
    for _ in range(2):
        shop.hear(INTENT_FAILED, own_intent(shop, opened, attempt))
    assert len({event["eventId"] for event in shop.published("payment.failed")}) == 2


def test_a_failed_authentication_is_a_fact_of_its_own(shop: Shop) -> None:
    """It makes no charge, and `latest_charge` is an earlier attempt's: a decline and two of them are three facts."""
    opened = shop.checkout()
    refused = {"code": "payment_intent_authentication_failure", "decline_code": None, "charge": None}
    shop.hear(INTENT_FAILED, own_intent(shop, opened, declined("ch_1")))
    for _ in range(2):
        shop.hear(INTENT_FAILED, own_intent(shop, opened, declined("ch_1", **refused)))
    assert len({event["eventId"] for event in shop.published("payment.failed")}) == 3


@pytest.mark.parametrize("intent_first", [True, False])
def test_a_voucher_that_runs_out_is_one_fact_whoever_tells_it(shop: Shop, intent_first: bool) -> None:
    """It has no charge: the session's and the intent's news of it are one by the payment method."""
    opened = shop.checkout()
    done = own_session(shop, opened, payment_status="unpaid")
    own_intent(shop, opened, intent(status="requires_action", latest_charge=None))
    shop.hear(DONE, done)
    ran_out = {"code": "payment_intent_payment_attempt_expired", "decline_code": None, "charge": None}
    failed = own_intent(shop, opened, declined("", **ran_out, payment_method={"id": "pm_oxxo"}))
    told = [(INTENT_FAILED, failed), (LATER_FAILED, done)]
    for kind, subject in told if intent_first else reversed(told):
        shop.hear(kind, subject)
    assert len(shop.published("payment.failed")) == 1
    assert ("attempt_failed", "pm_oxxo") in shop.transitions()


def test_a_failure_after_settlement_is_recorded_and_not_published(shop: Shop) -> None:
    """Whoever was told of it would undo what was paid for."""
    opened = shop.checkout()
    failed = shop.on(PaymentFailed)
    shop.hear(DONE, own_session(shop, opened))
    shop.hear(INTENT_FAILED, own_intent(shop, opened, declined("ch_late")))
    assert shop.only_payment().state is PaymentState.SETTLED
    assert shop.transitions() == [("attempt_failed", "ch_late"), ("settled", "")]
    assert failed == []
    assert [event["eventType"] for event in shop.published()] == ["payment.successful"]


def test_the_reason_of_a_decline_is_the_snapshots(shop: Shop) -> None:
    """Stripe has forgotten it by the time it is asked: the next attempt is under way."""
    opened = shop.checkout()
    snapshot = own_intent(shop, opened, declined("ch_1", decline_code="lost_card"))
    own_intent(shop, opened, intent(status="processing", last_payment_error=None))
    shop.hear(INTENT_FAILED, snapshot)
    (event,) = shop.published("payment.failed")
    assert event["data"]["reason"] == "lost_card"
    assert shop.gateway.asked("intent") == []


def test_the_email_is_what_the_buyer_typed_before_what_the_shop_gave(shop: Shop) -> None:
    """Customer details first, then the address of the request, then the card form's."""
    opened = shop.checkout(customer_email="shop-knows@example.test")
    shop.hear(DONE, own_session(shop, opened, customer_details={"email": "typed@example.test"}))
    second = shop.checkout(customer_email="shop-knows@example.test")
    shop.hear(DONE, own_session(shop, second, customer_details=None, payment_intent="pi_2"))
    third = shop.checkout()
    shop.gateway.put_charge({"id": "ch_3", "billing_details": {"email": "card@example.test"}})
    own_intent(shop, third, intent("pi_3", latest_charge="ch_3"))
    shop.hear(DONE, own_session(shop, third, customer_details=None, payment_intent="pi_3"))
    fourth = shop.checkout(cart=FREE)
    shop.hear(DONE, own_session(shop, fourth, customer_details=None, **NOTHING_DUE))
    emails = [event["data"]["email"] for event in shop.published()]
    assert emails == ["typed@example.test", "shop-knows@example.test", "card@example.test", None]


def test_the_user_is_the_one_of_the_request_and_not_of_later_metadata(shop: Shop) -> None:
    """Who pays was agreed before Stripe was called; what is edited in the Dashboard later does not change it."""
    opened = shop.checkout(metadata={"userId": "from-metadata"})
    changed = own_session(shop, opened)
    shop.hear(DONE, {**changed, "client_reference_id": "edited", "metadata": {**changed["metadata"], "userId": "x"}})
    (event,) = shop.published()
    assert event["data"]["userId"] == "from-metadata"


def test_an_invoice_of_our_own_session_adds_no_second_success(shop: Shop) -> None:
    """`invoice_creation`: the invoice of a payment-mode session is another name of the same payment."""
    opened = shop.checkout()
    receipt = {
        "id": "in_1", "object": "invoice", "status": "paid", "total": 5998, "currency": "usd",
        "billing_reason": "manual", "metadata": {},
    }  # fmt: skip
    own_session(shop, opened, invoice="in_1")
    shop.gateway.put_invoice(receipt, paid_by=["pi_1"])
    shop.hear("invoice.paid", receipt)
    shop.hear(DONE, own_session(shop, opened, invoice="in_1"))
    shop.hear("invoice.payment_succeeded", receipt)
    assert [event["eventType"] for event in shop.published()] == ["payment.successful"]
    assert shop.only_payment().invoice_id == "in_1"


def test_the_key_of_a_payments_events_never_changes(shop: Shop) -> None:
    """It expires under its session's id; when it is paid after all, the intent's id comes too late to be the key."""
    opened = shop.checkout()
    shop.hear(LAPSED, own_session(shop, opened, status="expired", payment_status="unpaid", payment_intent=None))
    shop.hear(DONE, own_session(shop, opened))
    assert shop.keys() == [opened.session_id] * 2


def test_the_time_of_a_fact_is_stripes(shop: Shop) -> None:
    """`timestamp` is when the event was created, RFC 3339 in UTC; without one it is ours."""
    opened = shop.checkout()
    shop.hear(DONE, own_session(shop, opened), created=1767225600)
    second = shop.checkout()
    shop.hear(DONE, own_session(shop, second, payment_intent="pi_2"), created=-5)
    stamps = [event["timestamp"] for event in shop.published()]
    assert stamps[0] == "2026-01-01T00:00:00.000Z"
    assert stamps[1].startswith("2026-11-23T12:00:00.")
