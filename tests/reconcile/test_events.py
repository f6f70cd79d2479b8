"""The events' sweep: what no webhook brought is found, whatever was lost, and finding it twice changes nothing."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from payments_core import InvalidRequest, PaymentSuccessful, StripeEvent, StripeUnavailable
from payments_core.domain.drift import Drift
from payments_core.domain.payment import PaymentState
from payments_core.domain.reconciliation import OVERLAP, Step
from tests.flows.shop import Shop
from tests.reconcile.world import DONE, SUCCEEDED, days_ago, happens, paid, reconcile


@pytest.mark.parametrize("lost_every", [1, 100], ids=["all lost", "one in a hundred lost"])
def test_all_that_was_lost_is_found(shop: Shop, lost_every: int) -> None:
    """60 payments in three days, of whose deliveries all or 1 % never came: each is settled, once."""
    told = shop.on(PaymentSuccessful)
    deliveries: list[bytes] = []
    for number in range(60):
        deliveries += paid(shop, shop.checkout(), number=number, ago_s=4000 * (60 - number))
    came = [body for place, body in enumerate(deliveries) if place % lost_every]
    for body in came:
        shop.deliver(body)
    shop.work()
    found = reconcile(shop)
    assert found.brought == {
        kind: count
        for kind in (SUCCEEDED, DONE)
        if (count := sum(json.loads(body)["type"] == kind for body in set(deliveries) - set(came)))
    }
    assert found.total == 120 - len(came)
    assert found.seen["event"] == 120
    assert {payment.state for payment in shop.all_payments()} == {PaymentState.SETTLED}
    assert len(told) == len(shop.published("payment.successful")) == 60
    again = reconcile(shop)
    assert (again.total, again.is_complete) == (0, True)
    assert len(told) == 60


def test_a_second_run_begins_where_the_first_ended(shop: Shop) -> None:
    """An hour before that: what Stripe listed late is found, what lies further back is not asked for again."""
    first = reconcile(shop, objects=False)
    shop.clock.advance(10 * 3600)
    happens(shop, "customer.created", {"id": "cus_late"}, ago_s=10 * 3600 + 600)
    happens(shop, "customer.created", {"id": "cus_older"}, ago_s=12 * 3600)
    found = reconcile(shop, objects=False)
    assert found.since == first.until - OVERLAP
    assert found.brought == {"customer.created": 1}
    assert found.seen == {"event": 1}


def test_a_gap_is_not_forgotten(shop: Shop) -> None:
    """A run over the last hours only leaves the days before to the next one."""
    happens(shop, "customer.created", {"id": "cus_1"}, ago_s=5 * 86400)
    assert reconcile(shop, objects=False, since=days_ago(shop, 1)).total == 0
    assert reconcile(shop, objects=False).brought == {"customer.created": 1}


def test_no_more_than_thirty_days_of_events_are_asked_for(shop: Shop) -> None:
    """Stripe lists no older ones."""
    found = reconcile(shop, objects=False, since=days_ago(shop, 365))
    assert found.since > days_ago(shop, 30.01)


def test_only_undelivered_ones_when_asked(shop: Shop) -> None:
    """What some endpoint has taken is left alone, and the usual sweep still looks at it."""
    happens(shop, "customer.created", {"id": "cus_1"}, ago_s=60)
    happens(shop, "customer.updated", {"id": "cus_1"}, ago_s=60, delivered=False)
    assert reconcile(shop, undelivered=True, objects=False).brought == {"customer.updated": 1}
    assert reconcile(shop, objects=False).brought == {"customer.created": 1}


def test_events_reach_raw_handlers_exactly_as_stripe_wrote_them(shop: Shop) -> None:
    """Amounts, long fractions and foreign letters; the id is Stripe's, so a late webhook is a repeat."""
    told: list[StripeEvent] = shop.on("price.updated")
    rates = {"unit_amount": 90071992547409931, "share": Decimal("0.1234567890123456789"), "nickname": "Größe 👕"}
    body, event_id = shop.event("price.updated", {"id": "price_1"})
    document = json.loads(body)
    document["data"]["object"] |= rates
    shop.gateway.put_event(document)
    reconcile(shop)
    assert [event.id for event in told] == [event_id]
    assert dict(told[0].object) == {"id": "price_1", **rates}
    shop.deliver(body)
    shop.work()
    assert len(told) == 1


def test_many_events_of_one_second_are_all_found(shop: Shop) -> None:
    """More than a page in the smallest slice of time there is."""
    for number in range(120):
        happens(shop, "customer.created", {"id": f"cus_{number}"}, ago_s=3600)
    assert reconcile(shop).brought == {"customer.created": 120}


def test_a_busy_stripe_is_asked_again(shop: Shop) -> None:
    """A few refusals in a row are no failure."""
    happens(shop, "customer.created", {"id": "cus_1"}, ago_s=60)
    shop.gateway.fail_next(StripeUnavailable("Stripe limits the rate of our requests."), method="events", times=3)
    assert reconcile(shop).brought == {"customer.created": 1}


def test_an_outage_ends_the_run_and_keeps_what_was_done(shop: Shop) -> None:
    """The next run goes on from there."""
    for number in range(150):
        happens(shop, "customer.created", {"id": f"cus_{number}"}, ago_s=20 * 86400 - number * 3600)
    watch = Fails(shop)
    with pytest.raises(StripeUnavailable):
        reconcile(shop, watch=watch)
    assert watch.brought
    shop.gateway._faults.clear()
    found = reconcile(shop)
    assert found.total == 150 - watch.brought
    assert found.seen["event"] < 150


class Fails:
    """From the second step on Stripe is down."""

    is_over = False

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.brought = 0
        self.steps = 0

    def came(self, step: Step) -> None:
        self.steps += 1
        self.brought = step.brought
        if self.brought:
            self.shop.gateway.fail_next(StripeUnavailable("Stripe could not be reached."), method="events", times=99)

    def found(self, drift: Drift) -> None:
        raise AssertionError("a reconciliation finds no drift")


class Ends(Fails):
    """Asks the run to end as soon as something was brought."""

    def came(self, step: Step) -> None:
        self.brought = step.brought
        self.is_over = bool(step.brought)


def test_a_run_that_is_asked_to_end_ends_after_the_page(shop: Shop) -> None:
    """It says so, and the next one goes on."""
    for number in range(150):
        happens(shop, "customer.created", {"id": f"cus_{number}"}, ago_s=20 * 86400 - number * 3600)
    watch = Ends(shop)
    first = reconcile(shop, watch=watch)
    assert not first.is_complete
    assert 0 < first.total < 150
    second = reconcile(shop)
    assert (second.is_complete, first.total + second.total) == (True, 150)


def test_times_without_a_zone_are_refused(shop: Shop) -> None:
    """Nobody could say which moment is meant."""
    with pytest.raises(InvalidRequest):
        reconcile(shop, since=days_ago(shop, 1).replace(tzinfo=None))


def test_an_accounts_own_events_are_found_once(open_shop: object) -> None:
    """Its webhooks state the account and its list may not: both are the same event."""
    shop: Shop = open_shop(payments_account="acct_1")  # type: ignore[operator]
    body = happens(shop, "customer.created", {"id": "cus_1"}, ago_s=60)
    shop.deliver(json.dumps({**json.loads(body), "account": "acct_1"}).encode())
    happens(shop, "customer.updated", {"id": "cus_1"}, ago_s=60)
    assert reconcile(shop).brought == {"customer.updated": 1}
    assert reconcile(shop).total == 0
