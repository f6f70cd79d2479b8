"""Verification: each way in which Stripe and this database can differ is seen, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from payments_core import CheckoutSession, DriftKind, DriftReport, Money, PaymentSuccessful
from payments_core.domain.drift import Drift
from payments_core.domain.reconciliation import Step
from payments_core.services.quarantine import reject, release
from tests.flows.shop import Shop, intent, invoice, own_session, session
from tests.flows.test_handlers import Unlucky
from tests.flows.test_own_payments import FREE, NOTHING_DUE
from tests.reconcile.world import at, days_ago, paid, reconcile, verify

DAY = 86400


def settled(shop: Shop, *, number: int = 1, ago_s: float = DAY, **fields: Any) -> str:
    """A payment that both sides agree on; its session's id."""
    opened = shop.checkout()
    for body in paid(shop, opened, number=number, ago_s=ago_s, **fields):
        shop.deliver(body)
    shop.work()
    return opened.session_id


def told(report: DriftReport) -> list[tuple[DriftKind, Money | None, Money | None]]:
    return [(drift.kind, drift.at_stripe, drift.here) for drift in report.drifts]


def test_no_drift_where_both_agree(shop: Shop) -> None:
    """Own payments, a free one, foreign ones, an invoice with its intent; and it changes nothing."""
    for number in range(5):
        settled(shop, number=number, ago_s=number * DAY / 3)
    shop.hear(
        "checkout.session.completed", own_session(shop, shop.checkout(cart=FREE), **NOTHING_DUE, created=at(shop))
    )
    shop.gateway.put_intent(intent("pi_plain", receipt_email="a@b.test", created=at(shop)))
    shop.hear("payment_intent.succeeded", intent("pi_plain"))
    shop.gateway.put_intent(intent("pi_sub", created=at(shop)))
    shop.gateway.put_invoice(invoice(created=at(shop)), paid_by=["pi_sub"])
    shop.hear("invoice.paid", invoice())
    before = (shop.all_payments(), shop.published(), shop.transitions())
    report = verify(shop)
    assert told(report) == []
    assert (report.total, report.pending, report.has_drift, report.is_complete) == (0, 0, False, True)
    assert report.compared["session"] == 6
    assert report.compared["payment"] == 8
    assert before == (shop.all_payments(), shop.published(), shop.transitions())


def test_a_payment_that_is_missing_here_is_told_once(shop: Shop) -> None:
    """Its session and its intent are one payment; foreign ones of every kind are seen as well."""
    opened = shop.checkout()
    paid(shop, opened, ago_s=DAY)
    shop.gateway.put_session(session("cs_link", payment_intent="pi_link", created=at(shop, DAY)))
    shop.gateway.put_intent(intent("pi_link", created=at(shop, DAY)))
    shop.gateway.put_intent(intent("pi_plain", amount_received=700, created=at(shop, DAY)))
    shop.gateway.put_intent(intent("pi_sub", created=at(shop, DAY)))
    shop.gateway.put_invoice(invoice(created=at(shop, DAY)), paid_by=["pi_sub"])
    report = verify(shop)
    assert {drift.kind for drift in report.drifts} == {DriftKind.MISSING}
    assert {(drift.session_id, drift.invoice_id, drift.at_stripe) for drift in report.drifts} == {
        (opened.session_id, None, Money(5998, "usd")),
        ("cs_link", None, Money(5998, "usd")),
        (None, None, Money(700, "usd")),
        (None, "in_1", Money(900, "usd")),
    }
    assert report.total == 4


def test_a_payment_that_stripe_does_not_call_paid_is_a_ghost(shop: Shop) -> None:
    """Whether Stripe has the object in another state or not at all."""
    one, two = settled(shop, number=1), settled(shop, number=2, ago_s=2 * DAY)
    shop.gateway.change_session(one, payment_status="unpaid")
    shop.gateway.put_intent(intent("pi_1", status="requires_payment_method", created=at(shop, DAY)))
    del shop.gateway._objects["session"][two], shop.gateway._objects["intent"]["pi_2"]
    report = verify(shop)
    assert told(report) == [(DriftKind.GHOST, None, Money(5998, "usd"))] * 2
    assert {drift.session_id for drift in report.drifts} == {one, two}


@pytest.mark.parametrize(
    ("fields", "kind", "there"),
    [
        ({"amount_total": 6000}, DriftKind.AMOUNT, Money(6000, "usd")),
        ({"currency": "eur"}, DriftKind.CURRENCY, Money(5998, "eur")),
    ],
)
def test_amounts_and_currencies_are_compared(shop: Shop, fields: Any, kind: DriftKind, there: Money) -> None:
    """What Stripe says now against what was settled here."""
    shop.gateway.change_session(settled(shop), **fields)
    assert told(verify(shop)) == [(kind, there, Money(5998, "usd"))]


def test_an_own_intent_that_received_less_is_seen(shop: Shop) -> None:
    """Its session says what was due, and was settled by; the money that came is the intent's to say."""
    settled(shop)
    shop.gateway.put_intent({**shop.gateway._objects["intent"]["pi_1"], "amount_received": 1})
    assert told(verify(shop)) == [(DriftKind.AMOUNT, Money(1, "usd"), Money(5998, "usd"))]


def odd(shop: Shop, total: int) -> str:
    """A payment that came short; its session's id."""
    opened = shop.checkout()
    shop.hear("checkout.session.completed", own_session(shop, opened, amount_total=total, created=at(shop, DAY)))
    return opened.session_id


@pytest.mark.parametrize("decide", [release, reject])
def test_a_quarantined_payment_is_told_until_it_is_decided(shop: Shop, decide: Any) -> None:
    """Once, with what was agreed and what came, whether Stripe still lists it or not; afterwards both sides agree."""
    listed, gone = (odd(shop, total) for total in (100, 200))
    del shop.gateway._objects["session"][gone]
    report = verify(shop)
    assert sorted(told(report), key=str) == [
        (DriftKind.QUARANTINED, Money(100, "usd"), Money(5998, "usd")),
        (DriftKind.QUARANTINED, Money(200, "usd"), Money(5998, "usd")),
    ]
    assert {(drift.session_id, drift.detail) for drift in report.drifts} == {
        (listed, "differs in amount_total"),
        (gone, "differs in amount_total"),
    }
    payment = shop.payment_of(listed)
    shop.run(decide(shop.store, payment.payment_id, "ada: agreed"))
    shop.work()
    assert [drift.session_id for drift in verify(shop).drifts] == [gone]


def charge(**fields: Any) -> dict[str, Any]:
    """What the buyer of a payment that came short was charged."""
    paid_out = {"amount": 100, "amount_captured": 100, "amount_refunded": 0, "currency": "usd", "disputed": False}
    return {"id": "ch_1", "object": "charge", **paid_out, **fields}


@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({}, [Money(100, "usd")]),
        ({"amount_refunded": 40}, [Money(60, "usd")]),
        ({"amount_refunded": 100}, []),
        ({"amount_captured": 0}, []),
        ({"disputed": True}, []),
    ],
    ids=["nothing back", "a part back", "all back", "never taken", "the bank decides"],
)
def test_a_rejected_payment_that_was_not_refunded_is_told(
    shop: Shop, fields: Any, kept: list[Money], is_listed: bool
) -> None:
    """Until all of its money was given back; once, whether its session still comes up at Stripe or not."""
    session_id = odd(shop, 100)
    shop.run(reject(shop.store, shop.payment_of(session_id).payment_id, "ada: will be refunded"))
    shop.work()
    shop.gateway.put_intent(intent("pi_1", amount_received=100, created=at(shop, DAY)))
    shop.gateway.put_charge(charge(**fields))
    if not is_listed:
        shop.gateway._objects["session"][session_id]["created"] = at(shop, 400 * DAY)
        shop.gateway._objects["intent"]["pi_1"]["created"] = at(shop, 400 * DAY)
    report = verify(shop)
    assert told(report) == [(DriftKind.NOT_REFUNDED, amount, None) for amount in kept]
    assert {drift.session_id for drift in report.drifts} == {session_id for _ in kept}


def copied(shop: Shop, opened: CheckoutSession, *, number: int, amount: int) -> list[tuple[str, Any]]:
    """A paid session, and its intent, of somebody else who copied the order's mark; their news."""
    mark = {"metadata": dict(shop.gateway.sent[0].params["metadata"])}
    money = {"amount_subtotal": amount, "amount_total": amount, "created": at(shop, DAY)}
    other = {**session(f"cs_{number}", payment_intent=f"pi_{number}", **money), **mark}
    taken = {"amount": amount, "amount_received": amount, "latest_charge": f"ch_{number}", "created": at(shop, DAY)}
    paid_by = {**intent(f"pi_{number}", **taken), **mark}
    shop.gateway.put_session(other)
    shop.gateway.put_intent(paid_by)
    shop.gateway.put_charge({**charge(amount_captured=amount), "id": f"ch_{number}"})
    return [("checkout.session.completed", other), ("payment_intent.succeeded", paid_by)]


def test_a_second_payment_under_a_settled_orders_mark_is_told(shop: Shop) -> None:
    """The order is settled once, by its own session; the other's money is told once, session and intent together."""
    opened = shop.checkout()
    for body in paid(shop, opened, ago_s=DAY):
        shop.deliver(body)
    shop.work()
    for kind, subject in copied(shop, opened, number=2, amount=5998):
        shop.hear(kind, subject)
    report = verify(shop)
    assert told(report) == [(DriftKind.SECOND_PAYMENT, Money(5998, "usd"), Money(5998, "usd"))]
    assert (report.drifts[0].session_id, report.drifts[0].payment_intent_id) == ("cs_2", "pi_2")
    shop.gateway.put_charge({**charge(amount_captured=5998, amount_refunded=5998), "id": "ch_2"})
    assert told(verify(shop)) == []


def test_an_order_that_another_intent_settled_is_seen_to_be_paid_twice(shop: Shop) -> None:
    """Its own session was open when the copy's money came; when its buyer pays it as well, that is told."""
    opened = shop.checkout()
    own_session(shop, opened, status="open", payment_status="unpaid", payment_intent=None, created=at(shop, DAY))
    _, (kind, theirs) = copied(shop, opened, number=2, amount=5998)
    shop.hear(kind, theirs)
    for _ in range(20):
        shop.clock.advance(10)
        shop.work()
    assert shop.only_payment().payment_intent_id == "pi_2"
    for body in paid(shop, opened, ago_s=DAY):
        shop.deliver(body)
    shop.work()
    assert [(drift.kind, drift.payment_intent_id) for drift in verify(shop).drifts] == [
        (DriftKind.SECOND_PAYMENT, "pi_1")
    ]


@pytest.mark.parametrize("decide", [None, reject])
def test_the_orders_own_money_is_seen_after_another_sessions(shop: Shop, decide: Any) -> None:
    """Somebody's dollar under the order's mark was quarantined; then the buyer paid the order's own session."""
    opened = shop.checkout()
    own_session(shop, opened, status="open", payment_status="unpaid", payment_intent=None, created=at(shop, DAY))
    (kind, dollar), _ = copied(shop, opened, number=2, amount=100)
    shop.hear(kind, dollar)
    kinds = {DriftKind.QUARANTINED: Money(100, "usd"), DriftKind.SECOND_PAYMENT: Money(5998, "usd")}
    if decide is not None:
        shop.run(decide(shop.store, shop.only_payment().payment_id, "ada: the dollar is refunded"))
        shop.gateway.put_charge({**charge(amount_refunded=100), "id": "ch_2"})
        kinds = {DriftKind.NOT_REFUNDED: Money(5998, "usd")}
    for body in paid(shop, opened, ago_s=DAY):
        shop.deliver(body)
    shop.work()
    shop.gateway.put_charge(charge(amount_captured=5998))
    report = verify(shop)
    assert {drift.kind: drift.at_stripe for drift in report.drifts} == kinds
    assert report.total == len(kinds)


def test_a_part_of_an_invoice_is_no_difference(shop: Shop) -> None:
    """Nothing is due to be settled until the invoice is paid."""
    shop.gateway.put_invoice(invoice(status="open", total=10000, created=at(shop, DAY)), paid_by=["pi_part"])
    shop.gateway.put_intent(intent("pi_part", created=at(shop, DAY)))
    assert verify(shop).total == 0
    shop.hear("payment_intent.succeeded", intent("pi_part"))
    assert verify(shop).total == 0


def test_a_part_of_a_subscriptions_first_invoice_is_no_difference(shop: Shop) -> None:
    """The payment has a session besides, which says nothing of money; a reconciliation changes nothing either."""
    fields = {"mode": "subscription", "payment_intent": None, "invoice": "in_1", "payment_status": "unpaid"}
    made = session("cs_plan", **fields, created=at(shop, DAY))
    shop.gateway.put_session(made)
    shop.gateway.put_invoice(invoice(status="open", total=10000, created=at(shop, DAY)), paid_by=["pi_part"])
    shop.gateway.put_intent(intent("pi_part", created=at(shop, DAY)))
    shop.hear("checkout.session.completed", made)
    for _ in range(2):
        assert verify(shop).total == 0
        reconcile(shop)
    shop.clock.advance(120)
    shop.work()
    assert shop.published() == []
    assert verify(shop).total == 0


def test_dead_letters_and_what_waits_too_long_are_seen(shop: Shop) -> None:
    """With the reason; what has just come is not late."""
    shop.on(PaymentSuccessful, Unlucky(10**6))
    opened = shop.checkout()
    _, done = paid(shop, opened, ago_s=DAY)
    shop.deliver(done)
    for _ in range(12):
        shop.work()
        shop.clock.advance(13 * 3600)
    shop.deliver(shop.event("customer.created", {"id": "cus_late"})[0])
    shop.clock.advance(16 * 60)
    shop.deliver(shop.event("customer.created", {"id": "cus_new"})[0])
    report = verify(shop)
    kinds = {drift.kind: drift for drift in report.drifts}
    assert set(kinds) == {DriftKind.DEAD_LETTER, DriftKind.UNHANDLED, DriftKind.MISSING}
    assert "raised" in (kinds[DriftKind.DEAD_LETTER].detail or "")
    assert report.total == 3


def test_what_is_on_its_way_is_pending(shop: Shop) -> None:
    """Paid a minute ago with no webhook yet, and in the inbox since a minute: neither is drift, after a while both."""
    paid(shop, shop.checkout(), number=1, ago_s=60)
    _, done = paid(shop, shop.checkout(), number=2, ago_s=5 * DAY)
    shop.deliver(done)
    report = verify(shop)
    assert (report.total, report.pending) == (0, 2)
    shop.clock.advance(16 * 60)
    assert sorted(drift.kind for drift in verify(shop).drifts) == [
        DriftKind.MISSING,
        DriftKind.MISSING,
        DriftKind.UNHANDLED,
    ]


def test_a_window_leaves_out_what_lies_outside(shop: Shop) -> None:
    """As far back as asked, and no further."""
    paid(shop, shop.checkout(), number=1, ago_s=400 * DAY)
    paid(shop, shop.checkout(), number=2, ago_s=2 * DAY)
    assert verify(shop).total == 1
    assert verify(shop, since=days_ago(shop, 500)).total == 2
    assert verify(shop, since=days_ago(shop, 500), until=days_ago(shop, 100)).total == 1


def test_others_payments_are_no_drift(open_shop: Any) -> None:
    """Another application's, and foreign ones where they are ignored."""
    shop = open_shop(payments_app="shop", payments_foreign="ignore")
    shop.gateway.put_session(session("cs_other", metadata={"payments_core_app": "other"}, created=at(shop, DAY)))
    shop.gateway.put_intent(intent(created=at(shop, DAY)))
    shop.gateway.put_invoice(invoice(created=at(shop, DAY)))
    assert verify(shop).total == 0


class Notes:
    """Notes what it is told, and ends the run after so many steps."""

    def __init__(self, ends_after: int = 10**6) -> None:
        self.drifts: list[Drift] = []
        self.shares: list[float] = []
        self.ends_after = ends_after

    @property
    def is_over(self) -> bool:
        return len(self.shares) >= self.ends_after

    def came(self, step: Step) -> None:
        self.shares.append(step.share)

    def found(self, drift: Drift) -> None:
        self.drifts.append(drift)


def test_progress_and_differences_are_told_as_they_come(shop: Shop) -> None:
    """The share grows to the whole; a run that is ended says so."""
    for number in range(3):
        paid(shop, shop.checkout(), number=number, ago_s=(number + 1) * 7 * DAY)
    notes = Notes()
    report = verify(shop, watch=notes)
    assert tuple(notes.drifts) == report.drifts
    assert notes.shares == sorted(notes.shares)
    assert notes.shares[-1] == 1
    assert not verify(shop, watch=Notes(ends_after=1)).is_complete


def test_many_are_compared_without_asking_for_each() -> None:
    """A settled payment that came up in the lists is not asked for one by one."""
    shop = Shop("blocking", None)
    for number in range(250):
        settled(shop, number=number, ago_s=number)
    shop.gateway.calls.clear()
    report = verify(shop)
    assert (report.total, report.compared["session"]) == (0, 250)
    assert shop.gateway.asked("session") == []
    assert len(shop.gateway.calls) < 60


def test_a_session_of_a_subscription_is_settled_by_its_invoice(shop: Shop) -> None:
    """Its own state says nothing of money."""
    shop.gateway.put_session(session("cs_plan", mode="subscription", payment_intent=None, created=at(shop, DAY)))
    shop.gateway.put_invoice(invoice(created=at(shop, DAY)))
    own = session("cs_plan", mode="subscription", payment_intent=None, invoice="in_1")
    shop.hear("checkout.session.completed", own)
    shop.hear("invoice.paid", invoice())
    assert verify(shop).total == 0
