"""The objects' sweep: what no event told is seen on the objects themselves, and told once."""

from __future__ import annotations

import json
from typing import Any

from payments_core import CheckoutExpired, PaymentFailed, PaymentSuccessful, StripeEvent
from payments_core.domain.delivery import InboxState
from payments_core.domain.news import (
    FAILURE_OBSERVED,
    INTENT_OBSERVED,
    INVOICE_OBSERVED,
    REFUND_OBSERVED,
    SESSION_OBSERVED,
)
from payments_core.domain.payment import PaymentState
from tests.flows.shop import Shop, declined, intent, invoice, own_intent, own_session, session
from tests.flows.test_handlers import Unlucky
from tests.reconcile.world import DONE, SUCCEEDED, at, days_ago, happens, paid, reconcile


def lose_events(shop: Shop) -> None:
    """As if Stripe had never made any."""
    shop.gateway._objects["event"].clear()


def test_a_payment_of_which_stripe_made_no_event_is_settled(shop: Shop) -> None:
    """Once, by its session; a second run brings nothing, and a webhook after all finds it done."""
    told = shop.on(PaymentSuccessful)
    bodies = paid(shop, shop.checkout(), ago_s=3600)
    lose_events(shop)
    found = reconcile(shop)
    assert found.brought == {SESSION_OBSERVED: 1}
    assert found.seen == {"session": 1, "payment_intent": 1}
    assert shop.only_payment().state is PaymentState.SETTLED
    for body in bodies:
        shop.deliver(body)
    shop.work()
    assert reconcile(shop).total == 0
    assert len(told) == len(shop.published()) == 1


def test_events_that_wait_are_not_told_a_second_time(shop: Shop) -> None:
    """What the events' sweep has just brought is left to its handling."""
    paid(shop, shop.checkout(), ago_s=3600)
    found = reconcile(shop, work=False)
    assert found.brought == {SUCCEEDED: 1, DONE: 1}
    shop.work()
    assert shop.only_payment().state is PaymentState.SETTLED


def test_a_payment_beyond_the_list_of_events_is_found_as_far_back_as_asked(shop: Shop) -> None:
    """Stripe keeps objects for ever."""
    paid(shop, shop.checkout(), ago_s=80 * 86400)
    shop.clock.now = shop.clock.now.replace(microsecond=0)
    lose_events(shop)
    assert reconcile(shop).seen.get("session") is None
    assert reconcile(shop, since=days_ago(shop, 90)).brought == {SESSION_OBSERVED: 1}
    assert shop.only_payment().state is PaymentState.SETTLED


def test_a_session_that_ran_out_is_told(shop: Shop) -> None:
    """As by its event; a session that is open yet is nothing."""
    told = shop.on(CheckoutExpired)
    own_session(shop, shop.checkout(), status="expired", payment_status="unpaid", payment_intent=None, created=at(shop))
    own_session(shop, shop.checkout(), status="open", payment_status="unpaid", payment_intent=None, created=at(shop))
    assert reconcile(shop).brought == {SESSION_OBSERVED: 1}
    assert reconcile(shop).total == 0
    assert len(told) == 1


def test_a_delayed_payment_is_followed_to_its_end(shop: Shop) -> None:
    """Complete and unpaid is one observation; paid after ten days, behind every window, is another."""
    opened = shop.checkout()
    fields: dict[str, Any] = {"created": at(shop), "payment_status": "unpaid"}
    own_session(shop, opened, **fields)
    shop.gateway.put_intent(intent(status="processing", created=at(shop)))
    assert reconcile(shop).brought == {SESSION_OBSERVED: 1}
    assert shop.only_payment().state is PaymentState.PROCESSING
    shop.clock.advance(10 * 86400)
    assert reconcile(shop).total == 0
    own_session(shop, opened, **{**fields, "payment_status": "paid"})
    found = reconcile(shop)
    assert (found.brought, found.seen["unfinished"]) == ({SESSION_OBSERVED: 1}, 1)
    assert shop.only_payment().state is PaymentState.SETTLED
    assert "unfinished" not in reconcile(shop).seen


def test_a_declined_attempt_is_told_with_its_reason(shop: Shop) -> None:
    """Once for its charge, whether the event comes too or not."""
    told = shop.on(PaymentFailed)
    failed = own_intent(shop, shop.checkout(), {**declined(), "created": at(shop)})
    body = happens(shop, "payment_intent.payment_failed", failed)
    lose_events(shop)
    assert reconcile(shop).brought == {FAILURE_OBSERVED: 1}
    assert [event.reason for event in told] == ["generic_decline"]
    shop.deliver(body)
    shop.work()
    assert reconcile(shop).total == 0
    assert len(told) == len(shop.published()) == 1


def test_a_failure_without_a_charge_is_left_to_its_event(shop: Shop) -> None:
    """Nothing but the event's id tells such failures apart: told from here it would be told twice."""
    no_charge = {**declined(), "created": at(shop), "latest_charge": None}
    no_charge["last_payment_error"] = {**no_charge["last_payment_error"], "charge": None}
    own_intent(shop, shop.checkout(), no_charge)
    assert reconcile(shop).total == 0


def test_payments_that_were_not_started_here_are_found(shop: Shop) -> None:
    """An intent of the Dashboard, and an invoice with the intent that paid it: two payments."""
    told = shop.on(PaymentSuccessful)
    shop.gateway.put_intent(intent("pi_plain", receipt_email="a@b.test", created=at(shop)))
    shop.gateway.put_intent(intent("pi_of_invoice", receipt_email="a@b.test", created=at(shop)))
    shop.gateway.put_invoice(invoice(created=at(shop)), paid_by=["pi_of_invoice"])
    assert reconcile(shop).brought == {INTENT_OBSERVED: 2, INVOICE_OBSERVED: 1}
    assert sorted((event.amount.minor, event.origin) for event in told) == [(900, "foreign"), (5998, "foreign")]
    assert reconcile(shop).total == 0


def test_what_is_no_payment_of_ours_is_passed_over(open_shop: Any) -> None:
    """Another application's objects, foreign ones where they are to be ignored, subscriptions' sessions."""
    shop = open_shop(payments_app="shop", payments_foreign="ignore")
    shop.gateway.put_session(session("cs_other", metadata={"payments_core_app": "other"}, created=at(shop)))
    shop.gateway.put_intent(intent("pi_plain", created=at(shop)))
    shop.gateway.put_invoice(invoice(created=at(shop)))
    shop.gateway.put_session(session("cs_plan", mode="subscription", created=at(shop)))
    found = reconcile(shop)
    assert (found.total, found.seen["session"]) == (0, 2)


def test_another_applications_session_is_not_told(open_shop: Any) -> None:
    """Its mark says whose it is."""
    shop = open_shop(payments_app="shop")
    shop.gateway.put_session(session("cs_other", metadata={"payments_core_app": "other"}, created=at(shop)))
    assert reconcile(shop).total == 0


def test_a_refund_that_no_event_told_is_an_event_of_our_own(shop: Shop) -> None:
    """With the refund exactly as Stripe has it; those that were told are left alone."""
    told: list[StripeEvent] = shop.on(REFUND_OBSERVED)
    refunds = [
        {"id": f"re_{n}", "object": "refund", "amount": 100 + n, "charge": f"ch_{n}", "created": at(shop, 60)}
        for n in range(3)
    ]
    for refund in refunds:
        shop.gateway.put_refund(refund)
    shop.hear("refund.created", refunds[0])
    shop.hear("charge.refunded", {"id": "ch_1", "amount_refunded": 101})
    found = reconcile(shop)
    assert (found.brought, found.seen["refund"]) == ({REFUND_OBSERVED: 1}, 3)
    assert [dict(event.object) for event in told] == [refunds[2]]
    assert reconcile(shop).total == 0
    assert shop.all_payments() == []


def test_a_refund_that_the_events_sweep_brings_is_not_told_twice(shop: Shop) -> None:
    """Its event lies in the inbox by then, handled or not."""
    told = shop.on(REFUND_OBSERVED)
    refund = {"id": "re_1", "object": "refund", "charge": "ch_1", "created": at(shop, 60)}
    shop.gateway.put_refund(refund)
    happens(shop, "refund.created", refund, ago_s=60)
    assert reconcile(shop).brought == {"refund.created": 1}
    assert told == []


def test_a_handler_that_fails_is_retried_as_ever(shop: Shop) -> None:
    """What is brought takes the inbox's path: a second run waits for it instead of bringing it again."""
    told = shop.on(PaymentSuccessful, Unlucky(1))
    paid(shop, shop.checkout(), ago_s=3600)
    lose_events(shop)
    reconcile(shop)
    assert reconcile(shop).total == 0
    shop.clock.advance(10)
    shop.work()
    assert (len(told), shop.only_payment().state) == (2, PaymentState.SETTLED)


NOTICE = {
    "id": "evt_thin",
    "object": "v2.core.event",
    "type": "v2.core.health.event_generation_failure.resolved",
    "livemode": False,
    "created": "2026-11-23T12:00:00.000Z",
}


def named(object_id: str) -> dict[str, Any]:
    """The whole of the notice, as Stripe gives it when it is asked."""
    related = {"id": object_id, "type": "checkout.session", "url": "/v1/checkout/sessions/x"}
    impact = {"event_type": DONE, "related_object": related}
    return {**NOTICE, "data": {"alert_id": "halert_1", "impact": impact, "resolved_at": "2026-11-23T12:00:00.000Z"}}


def test_a_notice_leads_to_the_object_without_an_event(shop: Shop) -> None:
    """Stripe says that it could not make an event: the next run asks which, and looks there, however old it is."""
    raw: list[StripeEvent] = shop.on(NOTICE["type"])
    opened = shop.checkout()
    paid(shop, opened, ago_s=45 * 86400)
    lose_events(shop)
    shop.deliver(json.dumps(NOTICE).encode())
    shop.work()
    assert [(event.id, event.object["object"]) for event in raw] == [("evt_thin", "v2.core.event")]
    assert shop.inbox("evt_thin").state is InboxState.DONE
    shop.gateway.put_notice(named(opened.session_id))
    found = reconcile(shop)
    assert (found.seen["notice"], found.brought) == (1, {SESSION_OBSERVED: 1})
    assert shop.only_payment().state is PaymentState.SETTLED
    shop.clock.advance(7200)
    assert reconcile(shop).total == 0
    assert "notice" not in reconcile(shop).seen


def test_a_notice_that_names_its_object_needs_no_asking(shop: Shop) -> None:
    """Where the event brings the name along; a refund is told like any other."""
    refund = {"id": "re_1", "object": "refund", "charge": "ch_1", "created": at(shop, 50 * 86400)}
    shop.gateway.put_refund(refund)
    shop.deliver(json.dumps(named("re_1")).encode())
    assert reconcile(shop).brought == {REFUND_OBSERVED: 1}
    assert shop.gateway.asked("failure_notice") == []


def test_a_notice_that_cannot_be_read_widens_the_window(shop: Shop) -> None:
    """Stripe does not say which object: those of the week before are looked through."""
    reconcile(shop)
    shop.clock.advance(20 * 86400)
    reconcile(shop)
    paid(shop, shop.checkout(), ago_s=5 * 86400)
    for one in shop.all_payments():
        assert one.state is PaymentState.OPEN
    lose_events(shop)
    assert reconcile(shop).total == 0
    shop.deliver(json.dumps(NOTICE).encode())
    shop.work()
    assert reconcile(shop).brought == {SESSION_OBSERVED: 1}


def test_a_delayed_payment_that_failed_long_after_is_told(shop: Shop) -> None:
    """Its session stays complete and unpaid: its intent is asked for, however long ago both were made."""
    opened, made = shop.checkout(), at(shop)
    own_session(shop, opened, payment_status="unpaid", created=made)
    own_intent(shop, opened, {**intent(status="processing", latest_charge="ch_sepa"), "created": made})
    lose_events(shop)
    reconcile(shop)
    assert shop.only_payment().state is PaymentState.PROCESSING
    for _ in range(5):
        shop.clock.advance(86400)
        reconcile(shop)
    told = shop.on(PaymentFailed)
    own_intent(shop, opened, {**declined("ch_sepa", code="debit_not_authorized"), "created": made})
    assert [reconcile(shop).brought for _ in range(2)] == [{FAILURE_OBSERVED: 1}, {}]
    assert (len(told), shop.only_payment().state) == (1, PaymentState.OPEN)


def test_a_run_under_a_clock_that_was_ahead_hides_nothing_from_later_ones(shop: Shop) -> None:
    """What it remembered lies in the future, where nobody has looked: the next run begins as the first one did."""
    shop.clock.advance(365 * 86400)
    reconcile(shop)
    shop.clock.advance(-365 * 86400)
    paid(shop, shop.checkout(), ago_s=3600)
    assert reconcile(shop).brought == {SUCCEEDED: 1, DONE: 1}
    bodies = paid(shop, shop.checkout(), number=2, ago_s=1800)
    assert bodies
    lose_events(shop)
    assert reconcile(shop).brought == {SESSION_OBSERVED: 1}
