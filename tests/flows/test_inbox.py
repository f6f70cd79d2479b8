"""From a signed body to the end of its event: duplicates, unreadable bodies, retries, dead letters."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence

import attrs
import pytest

from payments_core import ConfigurationError, InvalidSignature, StripeUnavailable
from payments_core.domain.delivery import LATE_LEASES, ClaimedEvent, InboxState
from payments_core.domain.payment import PaymentState
from payments_core.domain.signature import sign
from tests.flows.conftest import Open
from tests.flows.shop import SECRET, Shop, intent, own_session, session

DONE = "checkout.session.completed"


def now_s(shop: Shop) -> int:
    return int(shop.clock.now.timestamp())


def test_an_unsigned_body_is_neither_stored_nor_told(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """G8: refused, nothing in the inbox, and not a character of the body in the log."""
    body, _ = shop.event(DONE, session("cs_forged"), id="evt_canary_forged")
    for signature in (None, "", sign(body, "whsec_other_secret", timestamp_s=now_s(shop))):
        with pytest.raises(InvalidSignature):
            shop.run(shop.payments.core.receive_webhook(body, signature))
    shop.work()
    assert shop.run(shop.store.next_due_s()) is None
    assert shop.run(shop.store.health()).dead_letters == 0
    assert "canary" not in caplog.text
    assert "cs_forged" not in caplog.text


def test_every_current_secret_is_accepted(open_shop: Open) -> None:
    """While a secret is rolled, both sign."""
    rolled = open_shop(stripe_webhook_secret="whsec_older_one, whsec_newer_one")
    for number, secret in enumerate(("whsec_older_one", "whsec_newer_one")):
        body, _ = rolled.event("customer.created", {"id": f"cus_{number}"})
        rolled.run(rolled.payments.core.receive_webhook(body, sign(body, secret, timestamp_s=now_s(rolled))))
    rolled.work()
    assert rolled.inbox("evt_2").state is InboxState.DONE


def test_the_same_event_delivered_often_is_one_row_and_one_effect(shop: Shop) -> None:
    """Stripe delivers at least once; a duplicate is acknowledged and changes nothing, before and after handling."""
    opened = shop.checkout()
    told = shop.on("payment.successful")
    body, event_id = shop.event(DONE, own_session(shop, opened))
    for _ in range(3):
        shop.deliver(body)
    shop.work()
    shop.deliver(body)
    shop.work()
    assert shop.inbox(event_id).attempts == 1
    assert len(told) == len(shop.published()) == 1


def test_two_event_ids_for_one_fact_are_one_fact(shop: Shop) -> None:
    """Stripe documents two Event objects for one change: the transition is unique, not the event."""
    opened = shop.checkout()
    told = shop.on("payment.successful")
    paid = own_session(shop, opened)
    shop.hear(DONE, paid)
    second = shop.hear(DONE, paid)
    assert shop.inbox(second).state is InboxState.DONE
    assert len(told) == len(shop.published()) == 1


def test_the_same_event_id_of_two_accounts_is_two_events(shop: Shop) -> None:
    """Event ids are unique per account and mode only: neither hides the other."""
    body, _ = shop.event("customer.created", {"id": "cus_1"}, id="evt_same")
    other, _ = shop.event("customer.created", {"id": "cus_1"}, id="evt_same", account="acct_other")
    shop.deliver(body)
    shop.deliver(other)
    assert shop.run(shop.payments.core.run_due()) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b"\xff\xfe",
        b'{"id":"evt_\xff","type":"x","data":{"object":{}}}',
        b'{"id":"evt_1","type":"\xff","data":{"object":{}}}',
        b'{"id":"evt_1","type":"x","account":"\xff","data":{"object":{}}}',
        b'{"id":"evt_1","type":"x","created":"\xff","data":{"object":{}}}',
        b'{"id":"evt_1","type":"x","data":{}}',
        b'{"id":"evt_1","type":"x","data":{"object":[]}}',
        b'{"id":7,"type":"x","data":{"object":{}}}',
        b'{"id":"evt_1","type":"x","data":{"object":{"amount":NaN}}}',
        b'{"id":"evt_1","type":"","data":{"object":{}}}',
        b'{"id":"evt_\\u0000","type":"x","data":{"object":{}}}',
        b"[" * 3000 + b"]" * 3000,
        b'{"object":"v2.core.event","id":"evt_1","type":"v1.checkout.session.completed","related_object":{}}',
    ],
)
def test_a_signed_body_that_cannot_be_read_is_kept_dead_and_reported(shop: Shop, body: bytes) -> None:
    """S05: acknowledged once (no retry loop), kept as it came, a dead letter that health shows."""
    shop.deliver(body)
    shop.deliver(body)
    shop.work()
    assert shop.run(shop.store.health()).dead_letters == 1
    assert shop.published() == []


@pytest.mark.parametrize(
    "ambiguous",
    [
        b'"amount_total":5998,"amount_total":1',
        b'"big":' + b"9" * 5000,
        b'"half":"\\ud800"',
        b'"deep":' + b"[" * 70 + b"]" * 70,
    ],
)
def test_a_body_that_two_parsers_could_read_differently_is_not_acted_on(shop: Shop, ambiguous: bytes) -> None:
    """The envelope is read and stored; the strict reader then buries it, and no payment is touched."""
    body = b'{"id":"evt_odd","type":"' + DONE.encode() + b'","data":{"object":{"id":"cs_1",' + ambiguous + b"}}}"
    shop.deliver(body)
    shop.work()
    assert shop.run(shop.store.health()).dead_letters == 1
    assert (shop.all_payments(), shop.published()) == ([], [])


def test_an_object_without_an_id_is_a_dead_letter(shop: Shop) -> None:
    """News about nothing in particular cannot be acted on, now or later."""
    event_id = shop.hear(DONE, {"object": "checkout.session"})
    assert shop.inbox(event_id).state is InboxState.DEAD


def test_an_event_of_a_type_nobody_knows_is_acknowledged(shop: Shop) -> None:
    """It is done at once, with no payment and no question to Stripe."""
    event_id = shop.hear("radar.early_fraud_warning.created", {"id": "issfr_1"})
    assert shop.inbox(event_id).state is InboxState.DONE
    assert shop.gateway.calls == []


def test_an_object_stripe_does_not_know_is_retried_and_then_dead(shop: Shop) -> None:
    """The smallest reference webhook: acknowledged, tried over about a day, then a dead letter; nothing told."""
    subject = {
        "id": "cs_test_123",
        "payment_intent": "pi_test_123",
        "amount_total": 2999,
        "currency": "usd",
        "customer_details": {"email": "test@example.com"},
    }
    shop.deliver(json.dumps({"id": "evt_test_webhook", "type": DONE, "data": {"object": subject}}).encode())
    shop.work()
    first = shop.inbox("evt_test_webhook")
    assert (first.state, first.attempts) == (InboxState.READY, 1)
    for _ in range(11):
        shop.clock.advance(6 * 3600 + 1)
        shop.work()
    last = shop.inbox("evt_test_webhook")
    assert (last.state, last.attempts) == (InboxState.DEAD, 12)
    assert shop.run(shop.store.health()).dead_letters == 1
    assert shop.published() == []


def test_an_outage_of_stripe_delays_and_loses_nothing(shop: Shop) -> None:
    """Unreachable twice: tried again after the backoff, and settled once."""
    opened = shop.checkout()
    own_session(shop, opened)
    shop.gateway.fail_next(StripeUnavailable("Stripe could not be reached."), method="session", times=2)
    event_id = shop.hear("payment_intent.succeeded", intent(metadata=shop.gateway.sent[0].params["metadata"]))
    assert shop.inbox(event_id).state is InboxState.READY
    assert shop.run(shop.store.next_due_s()) == pytest.approx(3, abs=0.1)
    shop.clock.advance(3.1)
    shop.work()
    assert shop.run(shop.store.next_due_s()) == pytest.approx(9, abs=0.1)
    shop.clock.advance(9.1)
    shop.work()
    assert len(shop.published()) == 1
    assert shop.only_payment().state is PaymentState.SETTLED


def test_a_worker_that_dies_leaves_its_event_to_the_next(shop: Shop) -> None:
    """The lease runs out and the event is taken again; the first one, back from the dead, changes nothing."""
    opened = shop.checkout()
    body, event_id = shop.event(DONE, own_session(shop, opened))
    shop.deliver(body)
    (stale,) = shop.run(shop.store.claim(limit=1, lease_s=30))
    shop.work()
    assert shop.published() == []
    shop.clock.advance(31)
    shop.work()
    assert len(shop.published()) == 1
    shop.run(shop.payments.core.processing.process(stale))
    assert (shop.inbox(event_id).state, shop.inbox(event_id).attempts) == (InboxState.DONE, 2)
    assert len(shop.published()) == 1


def test_the_fencing_token_stops_a_worker_that_lost_its_lease(shop: Shop) -> None:
    """Its event is leased by another worker: the done-stamp is refused, and no handler runs."""
    opened = shop.checkout()
    told = shop.on("payment.successful")
    body, event_id = shop.event(DONE, own_session(shop, opened))
    shop.deliver(body)
    (first,) = shop.run(shop.store.claim(limit=1, lease_s=30))
    assert shop.run(shop.store.assign_lane(first, shop.only_payment().payment_id))
    shop.clock.advance(31)
    (stale,) = shop.run(shop.store.claim(limit=1, lease_s=30))
    shop.clock.advance(30 * LATE_LEASES + 1)
    (current,) = shop.run(shop.store.claim(limit=1, lease_s=30))
    assert shop.run(shop.payments.core.processing.process(stale)) == "lost"
    assert (told, shop.published(), shop.transitions()) == ([], [], [])
    assert shop.run(shop.payments.core.processing.process(current)) == "done"
    assert shop.inbox(event_id).state is InboxState.DONE
    assert len(told) == 1


def test_events_of_one_payment_wait_for_one_another(shop: Shop) -> None:
    """While one event of a payment is leased, another one is given back without an attempt."""
    opened = shop.checkout()
    paid = own_session(shop, opened)
    first, _ = shop.event(DONE, paid)
    second, second_id = shop.event(DONE, paid)
    shop.deliver(first)
    (held,) = shop.run(shop.store.claim(limit=1, lease_s=30))
    assert shop.run(shop.store.assign_lane(held, shop.only_payment().payment_id))
    shop.deliver(second)
    assert shop.run(shop.payments.core.run_due()) == 1
    waiting = shop.inbox(second_id)
    assert (waiting.state, waiting.attempts) == (InboxState.READY, 0)
    assert shop.published() == []
    assert shop.run(shop.payments.core.processing.process(held)) == "done"
    shop.clock.advance(1)
    shop.work()
    assert len(shop.published()) == 1


def test_webhooks_need_a_secret(open_shop: Open) -> None:
    """Without one nothing can be believed: the error says which variable to set."""
    closed = open_shop(stripe_webhook_secret=None)
    with pytest.raises(ConfigurationError, match="STRIPE_WEBHOOK_SECRET"):
        closed.run(closed.payments.core.receive_webhook(b"{}", sign(b"{}", SECRET, timestamp_s=now_s(closed))))


class Aging:
    """A Crew of one hand for whom each event takes 16 s; `leaving_after` events it is told to stop."""

    def __init__(self, *, leaving_after: int) -> None:
        self.is_leaving = False
        self._left = leaving_after
        self._now_s = 0.0

    def nudge(self) -> None:
        pass

    async def pause(self, seconds: float) -> None:
        self._now_s += seconds

    def monotonic_s(self) -> float:
        return self._now_s

    async def each(
        self, items: Sequence[ClaimedEvent], work: Callable[[ClaimedEvent], Awaitable[object]], *, hands: int
    ) -> None:
        assert hands >= 1
        for item in items:
            await work(item)
            self._now_s += 16
            self._left -= 1
            self.is_leaving = self._left <= 0


@pytest.mark.parametrize("leaving_after", [100, 1], ids=["too late", "leaving"])
def test_what_cannot_begin_is_given_back_and_uses_no_attempt(shop: Shop, leaving_after: int) -> None:
    """What would begin too late to be completed, or after the order to stop, is left to another worker."""
    handled = shop.on("charge.refunded")
    ids = [shop.event("charge.refunded", {"id": f"ch_{number}"}) for number in range(3)]
    for body, _ in ids:
        shop.deliver(body)
    processing = shop.payments.core.processing
    assert shop.run(attrs.evolve(processing, crew=Aging(leaving_after=leaving_after)).run_due()) == 3
    assert len(handled) == 1
    rows = [shop.inbox(event_id) for _, event_id in ids]
    assert [(row.state.name, row.attempts) for row in rows] == [("DONE", 1), ("READY", 0), ("READY", 0)]
    shop.work()
    assert len(handled) == 3
