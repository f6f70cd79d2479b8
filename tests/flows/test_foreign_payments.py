"""Payments that were not started here: invoices, the Dashboard, other applications on the same Stripe account."""

from __future__ import annotations

import pytest

from payments_core import PaymentSuccessful
from payments_core.domain.delivery import InboxState
from payments_core.domain.payment import PaymentState
from payments_core.errors import StripeError, StripeUnavailable
from tests.flows.conftest import Open
from tests.flows.shop import BUYER, DROPPED, Document, Shop, declined, intent, invoice, session

DONE = "checkout.session.completed"
PAID = "payment_intent.succeeded"


def subscribe(shop: Shop, **fields: object) -> Document:
    """A subscription's session at Stripe, with its first invoice and that invoice's intent."""
    made = session("cs_sub", mode="subscription", payment_intent=None, invoice="in_1", amount_total=900, **fields)
    shop.gateway.put_session(made)
    shop.gateway.put_invoice(invoice(), paid_by=["pi_1"])
    shop.gateway.put_intent(intent(amount=900, amount_received=900))
    return made


def test_a_subscriptions_session_links_and_its_invoice_brings_the_news(shop: Shop) -> None:
    """The session alone tells nothing; the invoice settles, with its lines, under the same payment."""
    shop.hear(DONE, subscribe(shop))
    assert shop.published() == []
    assert shop.transitions() == []
    shop.hear("invoice.paid", invoice())
    (event,) = shop.published()
    assert event["data"] == {
        "userId": None,
        "email": BUYER,
        "amount": 900,
        "currency": "usd",
        "products": [{"name": "Plan", "quantity": 1, "price": 900}],
        "paymentIntentId": None,
        "sessionId": "cs_sub",
    }
    assert shop.only_payment().state is PaymentState.SETTLED


def test_the_invoice_before_its_subscription_session_is_the_same_payment(shop: Shop) -> None:
    """Any order: one payment, one success, and every name linked."""
    made = subscribe(shop)
    shop.hear("invoice.paid", invoice())
    shop.hear(PAID, intent(amount=900, amount_received=900))
    shop.hear(DONE, made)
    payment = shop.only_payment()
    assert (payment.invoice_id, payment.session_id, payment.payment_intent_id) == ("in_1", "cs_sub", "pi_1")
    assert len(shop.published()) == 1


def test_both_events_of_a_paid_invoice_are_one_fact(shop: Shop) -> None:
    """`invoice.paid` and `invoice.payment_succeeded`: settled once per invoice."""
    subscribe(shop)
    shop.hear("invoice.paid", invoice())
    shop.hear("invoice.payment_succeeded", invoice())
    assert shop.transitions() == [("settled", "")]


def test_each_invoice_of_a_subscription_is_a_payment(shop: Shop) -> None:
    """The renewal is another fact than the first payment."""
    subscribe(shop)
    shop.hear("invoice.paid", invoice())
    renewal = invoice("in_2", billing_reason="subscription_cycle")
    shop.gateway.put_invoice(renewal, paid_by=["pi_2"])
    shop.hear("invoice.paid", renewal)
    assert len({event["eventId"] for event in shop.published("payment.successful")}) == 2


def test_a_trials_invoice_of_zero_tells_nothing(shop: Shop) -> None:
    """Nothing was paid: the trial's invoice is linked and that is all."""
    trial = invoice(total=0)
    shop.gateway.put_invoice(trial)
    shop.hear("invoice.paid", trial)
    assert shop.published() == []
    assert shop.only_payment().state is PaymentState.OPEN


def test_an_invoice_that_is_not_paid_now_tells_nothing(shop: Shop) -> None:
    """The event says paid; Stripe now says otherwise, and is believed."""
    shop.gateway.put_invoice(invoice(status="void"))
    shop.hear("invoice.paid", invoice())
    assert shop.published() == []


def test_a_setup_session_tells_nothing(shop: Shop) -> None:
    """A card was saved, no money moved."""
    made = session(
        "cs_setup", mode="setup", payment_status="no_payment_required", payment_intent=None, amount_total=None
    )
    shop.gateway.put_session(made)
    event_id = shop.hear(DONE, made)
    assert shop.inbox(event_id).state is InboxState.DONE
    assert (shop.published(), shop.transitions()) == ([], [])


def test_an_intent_of_an_invoice_links_and_does_not_settle(shop: Shop) -> None:
    """Its invoice brings the news, not the intent."""
    shop.gateway.put_invoice(invoice(), paid_by=["pi_1"])
    shop.hear(PAID, intent())
    assert shop.published() == []
    assert shop.only_payment().invoice_id == "in_1"
    shop.hear("invoice.paid", invoice())
    assert [event["data"]["paymentIntentId"] for event in shop.published()] == ["pi_1"]
    assert shop.keys() == ["pi_1"]


def test_an_invoice_paid_by_two_intents_settles_once(shop: Shop) -> None:
    """Partial payments: two intents, one invoice, one success of the invoice's total."""
    shop.gateway.put_invoice(invoice(billing_reason="manual"), paid_by=["pi_1", "pi_2"])
    shop.hear(PAID, intent("pi_1", amount_received=400))
    shop.hear(PAID, intent("pi_2", amount_received=500, latest_charge="ch_2"))
    shop.hear("invoice.paid", invoice(billing_reason="manual"))
    (event,) = shop.published()
    assert event["data"]["amount"] == 900
    assert len(shop.all_payments()) == 1


def test_an_intent_of_a_subscription_whose_session_is_unpaid_links_and_does_not_settle(shop: Shop) -> None:
    """A part of the first invoice came, by a debit: while its session stays unpaid, the invoice brings the news."""
    shop.hear(DONE, subscribe(shop, payment_status="unpaid"))
    shop.gateway.put_intent(intent(amount=400, amount_received=400))
    part = shop.hear(PAID, intent(amount=400, amount_received=400))
    shop.clock.advance(120)
    shop.work()
    assert shop.inbox(part).state is InboxState.DONE
    assert (shop.published(), shop.transitions()) == ([], [])
    shop.hear("invoice.paid", invoice())
    (event,) = shop.published()
    assert (event["data"]["amount"], len(event["data"]["products"])) == (900, 1)


def test_a_line_of_no_whole_piece_is_no_product(shop: Shop) -> None:
    """Metered use of nothing, and three quarters of an hour, which Stripe states as a quantity of 0: not one piece."""
    unused = {"id": "il_2", "description": "API calls", "quantity": 0, "currency": "usd", "amount": 0}
    part = {"id": "il_3", "description": "Hours", "quantity": 0, "currency": "usd", "amount": 75}
    lines = [*invoice()["lines"]["data"], *({**one, "price": {"unit_amount": 100}} for one in (unused, part))]
    shop.gateway.put_invoice({**invoice(), "lines": {"object": "list", "data": lines}})
    shop.hear("invoice.paid", invoice())
    (event,) = shop.published()
    assert event["data"]["products"] == [{"name": "Plan", "quantity": 1, "price": 900}]


def test_an_invoice_that_a_told_intent_is_attached_to_is_not_told_again(shop: Shop) -> None:
    """Paid first, the invoice made afterwards: the same money, of which one success was told."""
    shop.gateway.put_intent(intent(amount=900, amount_received=900))
    shop.hear(PAID, intent())
    shop.gateway.put_invoice(invoice(billing_reason="manual"), paid_by=["pi_1"])
    shop.hear("invoice.paid", invoice(billing_reason="manual"))
    shop.hear("invoice.payment_succeeded", invoice(billing_reason="manual"))
    assert [event["data"]["amount"] for event in shop.published()] == [900]
    assert shop.only_payment().invoice_id == "in_1"


@pytest.mark.parametrize("first", ["invoice.paid", PAID])
def test_an_intent_attached_after_a_declined_attempt_and_its_invoice_are_one_payment(shop: Shop, first: str) -> None:
    """The decline was news before there was an invoice; whichever news of the success comes first, it is told once."""
    shop.hear("payment_intent.payment_failed", declined())
    shop.gateway.put_invoice(invoice(billing_reason="manual"), paid_by=["pi_1"])
    shop.gateway.put_intent(intent(amount=900, amount_received=900))
    documents = {"invoice.paid": invoice(billing_reason="manual"), PAID: intent(amount=900, amount_received=900)}
    for event_type in sorted(documents, key=lambda one: one != first):
        shop.hear(event_type, documents[event_type])
    assert [event["data"]["amount"] for event in shop.published("payment.successful")] == [900]
    assert len(shop.all_payments()) == 1


def test_an_invoice_of_which_a_told_intent_paid_a_part_is_told_as_well(shop: Shop) -> None:
    """What else paid it would be told by nobody."""
    shop.gateway.put_intent(intent(amount=400, amount_received=400))
    shop.hear(PAID, intent())
    shop.gateway.put_invoice(invoice(billing_reason="manual"), paid_by=["pi_1"])
    shop.hear("invoice.paid", invoice(billing_reason="manual"))
    assert [event["data"]["amount"] for event in shop.published()] == [400, 900]


def test_an_intent_of_neither_settles_from_itself(shop: Shop) -> None:
    """A payment made in the Dashboard or by other code: amount of the intent, no products, origin foreign."""
    told = shop.on(PaymentSuccessful)
    shop.gateway.put_charge({"id": "ch_1", "billing_details": {"email": "card@example.test"}})
    shop.gateway.put_intent(intent(amount_received=700))
    shop.hear(PAID, intent(metadata={"userId": "user_9"}))
    (event,) = shop.published()
    assert event["data"] == {
        "userId": None,
        "email": "card@example.test",
        "amount": 700,
        "currency": "usd",
        "products": [],
        "paymentIntentId": "pi_1",
        "sessionId": None,
    }
    assert [one.origin for one in told] == ["foreign"]


def test_a_key_that_may_not_read_charges_tells_the_payment_without_an_address(shop: Shop) -> None:
    """A restricted key: the address is all that a charge is asked for, and no reason to lose a payment."""
    shop.gateway.put_intent(intent())
    shop.gateway.fail_next(StripeError("The API key may not do this."), method="charge")
    shop.hear(PAID, intent())
    (event,) = shop.published("payment.successful")
    assert event["data"]["email"] is None


def test_a_charge_that_cannot_be_asked_for_now_is_waited_for(shop: Shop) -> None:
    """Stripe is away for a moment: the payment is told a little later, with the payer's address."""
    shop.gateway.put_charge({"id": "ch_1", "billing_details": {"email": "card@example.test"}})
    shop.gateway.put_intent(intent())
    shop.gateway.fail_next(StripeUnavailable("Stripe could not be reached."), method="charge")
    shop.hear(PAID, intent())
    assert shop.published() == []
    shop.clock.advance(60)
    shop.work()
    assert [event["data"]["email"] for event in shop.published("payment.successful")] == ["card@example.test"]


def test_an_intent_that_has_not_succeeded_now_tells_nothing(shop: Shop) -> None:
    """A snapshot is old; what Stripe says now decides."""
    shop.gateway.put_intent(intent(status="canceled"))
    shop.hear(PAID, intent())
    assert shop.published() == []


def test_a_foreign_sessions_lines_and_user_come_from_stripe(shop: Shop) -> None:
    """A payment link or a session of the Dashboard: refetched, its lines asked for, its reference the user."""
    made = session("cs_link", client_reference_id="user_3", metadata={"userId": "second choice"})
    shop.gateway.put_session(made)
    line = {"description": "Mug", "quantity": 3, "currency": "usd", "price": {"unit_amount": 500}}
    shop.gateway.put_line_items("cs_link", [line, {**line, "description": "Tip", "price": None}])
    shop.hear(DONE, made)
    (event,) = shop.published()
    assert event["data"]["products"] == [{"name": "Mug", "quantity": 3, "price": 500}]
    assert event["data"]["userId"] == "user_3"
    assert shop.gateway.asked("session") == [("cs_link",)]
    assert shop.only_payment().origin == "foreign"


def test_a_foreign_session_and_its_intent_are_one_payment(shop: Shop) -> None:
    """Whichever comes first, both lead to one row and one success."""
    made = session("cs_link")
    shop.gateway.put_session(made)
    shop.gateway.put_intent(intent())
    shop.hear(PAID, intent())
    shop.hear(DONE, made)
    assert len(shop.all_payments()) == 1
    assert len(shop.published("payment.successful")) == 1


def test_a_foreign_decline_is_told_as_foreign(shop: Shop) -> None:
    """A declined attempt of a payment from elsewhere names its intent and has no session."""
    shop.hear("payment_intent.payment_failed", declined())
    (event,) = shop.published()
    assert event["data"] == {
        "userId": None,
        "email": BUYER,
        "amount": 5998,
        "currency": "usd",
        "reason": "generic_decline",
        "paymentIntentId": "pi_1",
    }


def test_foreign_payments_can_be_ignored(open_shop: Open) -> None:
    """`PAYMENTS_FOREIGN=ignore`: acknowledged, no row, nothing told; our own are told all the same."""
    shop = open_shop(payments_foreign="ignore")
    shop.gateway.put_intent(intent())
    event_id = shop.hear(PAID, intent())
    assert shop.inbox(event_id).state is InboxState.DONE
    assert (shop.all_payments(), shop.published()) == ([], [])
    opened = shop.checkout()
    marks = shop.gateway.sent[0].params["metadata"]
    shop.hear(DONE, session(opened.session_id, metadata=marks, payment_intent="pi_own"))
    assert len(shop.published()) == 1


@pytest.mark.parametrize(
    ("ours", "mark"),
    [
        ("shop", {"payments_core_app": "blog"}),
        ("shop", {"payments_core_app": "blog", "payments_core_id": "of-the-blog"}),
        ("shop", {"payments_core_id": "of-an-unnamed-app"}),
        (None, {"payments_core_app": "blog"}),
    ],
)
def test_what_bears_another_applications_mark_is_ignored(open_shop: Open, ours: str | None, mark: Document) -> None:
    """Two applications share a Stripe account: each leaves the other's objects alone."""
    shop = open_shop(payments_app=ours)
    made = session("cs_blog", metadata=mark)
    shop.gateway.put_session(made)
    shop.gateway.put_intent(intent(metadata=mark))
    shop.hear(DONE, made)
    event_id = shop.hear(PAID, intent(metadata=mark))
    assert shop.inbox(event_id).state is InboxState.DONE
    assert (shop.all_payments(), shop.published()) == ([], [])


@pytest.mark.parametrize("intent_first", [True, False])
def test_another_applications_invoice_is_ignored_whatever_comes_first(shop: Shop, intent_first: bool) -> None:
    """The intent bears no mark: its invoice is asked for."""
    marked = invoice("in_b", billing_reason="manual", metadata={"payments_core_app": "blog"})
    shop.gateway.put_intent(intent("pi_b"))
    shop.gateway.put_invoice(marked, paid_by=["pi_b"])
    news = [("payment_intent.succeeded", intent("pi_b")), ("invoice.paid", marked)]
    for kind, subject in news if intent_first else reversed(news):
        shop.hear(kind, subject)
    assert (shop.all_payments(), shop.published()) == ([], [])


def test_our_own_mark_outranks_a_changed_name(open_shop: Open) -> None:
    """The application was renamed between checkout and payment: the id is in our database, so it is ours."""
    shop = open_shop(payments_app="old-name")
    opened = shop.checkout()
    marks = {**shop.gateway.sent[0].params["metadata"], "payments_core_app": "other"}
    shop.hear(DONE, session(opened.session_id, metadata=marks))
    assert len(shop.published()) == 1


def test_a_marked_object_whose_payment_is_unknown_is_told_rather_than_lost(shop: Shop) -> None:
    """Neither side has a name and the id is not in the database (restored from a backup): told as foreign."""
    made = session("cs_lost", metadata={"payments_core_id": "gone"})
    shop.gateway.put_session(made)
    shop.hear(DONE, made)
    assert [payment.origin for payment in shop.all_payments()] == ["foreign"]
    assert len(shop.published()) == 1


@pytest.mark.parametrize(
    ("settings", "envelope"),
    [
        ({}, {"livemode": True}),
        ({}, {"account": "acct_other"}),
        ({"payments_account": "acct_ours"}, {"account": "acct_other"}),
    ],
)
def test_an_event_of_another_mode_or_account_is_a_dead_letter(
    open_shop: Open, settings: Document, envelope: Document
) -> None:
    """It is reported and has no effect: no row, nothing told, no retries."""
    shop = open_shop(**settings)
    shop.gateway.put_session(session("cs_x"))
    event_id = shop.hear(DONE, session("cs_x"), **envelope)
    row = shop.inbox(event_id)
    assert row.state is InboxState.DEAD
    assert row.error is not None
    assert "mode" in row.error or "PAYMENTS_ACCOUNT" in row.error
    assert (shop.all_payments(), shop.published(), shop.gateway.calls) == ([], [], [])


@pytest.mark.parametrize("envelope", [{"livemode": DROPPED}, {"livemode": None}, {"account": None}])
def test_a_mode_or_account_that_is_not_stated_is_unknown_and_not_wrong(open_shop: Open, envelope: Document) -> None:
    """What Stripe does not say cannot mismatch."""
    shop = open_shop(payments_account="acct_ours")
    shop.gateway.put_session(session("cs_x"))
    shop.hear(DONE, session("cs_x"), **envelope)
    assert len(shop.published()) == 1
