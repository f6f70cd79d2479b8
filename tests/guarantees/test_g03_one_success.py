"""G3: one payment is one `payment.successful`, whoever brings the news, in whatever order, however often.

Bringers are the webhooks of session, intent and charge, the buyer's success page and the reconciler. A Hypothesis state
machine lets them come and go, with two workers, handlers that fail, workers that die between claim and completion and
come back as zombies, and holds what the world was told against the pure model of `model.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest
from attrs import frozen
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from payments_core import CheckoutExpired, PaymentFailed, PaymentMismatch, PaymentSuccessful
from payments_core.domain.delivery import ClaimedEvent, InboxState
from payments_core.domain.payment import PaymentState
from payments_core.services.quarantine import release
from tests.flows.shop import declined, intent, own_intent, own_session
from tests.guarantees.model import FAILURE, SUCCESS, Model, News, Proof
from tests.guarantees.world import DONE, World
from tests.guarantees.worlds import tries

FACTS = (PaymentSuccessful, PaymentFailed, CheckoutExpired)
NOTHING = News(Proof.NOTHING)
PAID = News(Proof.PAID)


@frozen
class Piece:
    """A webhook that tells of a step, and what it proves."""

    type: str
    subject: dict[str, Any]
    news: News


class Life(RuleBasedStateMachine):
    """The life of one payment, told by many."""

    def __init__(self, world: World) -> None:
        super().__init__()
        world.again()
        self.world = world
        self.model = Model()
        self.trouble = 0
        self.failures_left, self.deaths_left = 5, 4
        self.zombies: list[ClaimedEvent] = []
        self.pieces: list[Piece] = []
        self.sent: list[tuple[bytes, str]] = []
        self.news: dict[str, News] = {}
        self.done: set[str] = set()
        self.is_complete = False
        self.other = world.deploy()
        for deployment in (world.shop, self.other):
            for fact in FACTS:
                world.on(fact, self.stumble, deployment)
            world.note_effects(*FACTS, deployment=deployment)

    def stumble(self, _: object, __: object) -> None:
        """A handler that fails while there is trouble."""
        if self.trouble:
            self.trouble -= 1
            raise ArithmeticError

    @initialize(charges=st.integers(0, 2), end=st.sampled_from(["paid", "delayed", "expired"]))
    def begin(self, charges: int, end: str) -> None:
        """Our own payment, and what is going to happen to it."""
        self.session = self.world.checkout(customer_email="buyer@example.test")
        self.end = end
        self.ahead: Iterator[str] = iter([f"ch_{number}" for number in range(charges)] + steps_of(end))
        self.news[f"observed_{self.session.session_id}"] = PAID

    @rule()
    def something_happens_at_stripe(self) -> None:
        """The next step; its news is on the way."""
        step = next(self.ahead, None)
        if step is not None:
            self.pieces += self.pieces_of(step)

    @precondition(lambda self: self.pieces)
    @rule(data=st.data())
    def news_arrives(self, data: st.DataObject) -> None:
        """Any piece of news, under a new event id."""
        self.deliver(data.draw(st.sampled_from(self.pieces), label="piece"))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def an_event_is_delivered_again(self, data: st.DataObject) -> None:
        """The same body, perhaps long after it was handled."""
        body, _ = data.draw(st.sampled_from(self.sent), label="again")
        assert self.world.post(body).status == 200

    @rule(works=st.booleans())
    def the_buyer_comes_back(self, works: bool) -> None:
        """The success page looks at Stripe, with or without a worker that has time for it."""
        self.world.shop.works_for_pages = works
        self.world.shop.wait(self.world.shop.payments.session_status(self.session.session_id))

    @precondition(lambda self: self.pieces)
    @rule(data=st.data())
    def news_cannot_be_delivered(self, data: st.DataObject) -> None:
        """Stripe lists the event; no webhook ever tells of it."""
        piece = data.draw(st.sampled_from(self.pieces), label="undelivered")
        self.news[list_undelivered(self.world, piece.type, piece.subject)] = piece.news

    @rule()
    def a_reconciliation_runs(self) -> None:
        """It brings what was not delivered; several runs bring it once."""
        self.world.shop.wait(self.world.shop.payments.reconcile(objects=False))

    @rule(second=st.booleans())
    def a_worker_works(self, second: bool) -> None:
        """One of two."""
        (self.other if second else self.world.shop).work()

    @precondition(lambda self: self.deaths_left)
    @rule(limit=st.integers(1, 3))
    def a_worker_claims_and_dies(self, limit: int) -> None:
        """Between claim and completion; it may come back as a zombie."""
        found = self.other.wait(self.other.payments.core.store.claim(limit=limit, lease_s=30))
        self.deaths_left -= bool(found)
        self.zombies += found

    @precondition(lambda self: self.zombies)
    @rule()
    def a_zombie_returns(self) -> None:
        """It does what it had begun, not knowing that its lease may be over."""
        self.other.wait(self.other.payments.core.processing.process(self.zombies.pop(0)))

    @precondition(lambda self: self.failures_left)
    @rule()
    def a_handler_will_fail(self) -> None:
        """A few times in a life: what fails for ever is a dead letter, which is another guarantee."""
        self.failures_left -= 1
        self.trouble += 1

    @rule(seconds=st.sampled_from([1, 4, 31, 61, 7200]))
    def time_passes(self, seconds: int) -> None:
        """Leases run out, retries and parked events become due."""
        self.world.advance(seconds)

    @invariant()
    def the_world_was_told_what_the_model_owes(self) -> None:
        """At every moment, not only in the end; and the shop's own table says the same as the outbox."""
        if not hasattr(self, "session"):
            return
        done = {name for name, row in self.world.database.inbox().items() if row.state is InboxState.DONE}
        for name in done - self.done:
            if self.news[name].proof is Proof.PROMISED and self.is_complete:
                self.news[name] = PAID
        self.done = done
        facts = self.told()
        self.model.hear({self.news[name] for name in done}, [name for name, _ in facts])
        assert self.world.effects() == [(event["eventId"], event["eventType"]) for _, event in facts]

    def teardown(self) -> None:
        """The rest happens, everything is delivered, handlers are well: the payment's end is the only possible one."""
        if not hasattr(self, "session"):
            return
        for step in self.ahead:
            self.pieces += self.pieces_of(step)
        for piece in self.pieces:
            self.deliver(piece)
        self.a_reconciliation_runs()
        self.trouble = 0
        self.world.drain()
        self.the_world_was_told_what_the_model_owes()
        assert {row.state for row in self.world.database.inbox().values()} == {InboxState.DONE}
        ended = PaymentState.EXPIRED if self.end == "expired" else PaymentState.SETTLED
        assert self.world.state() is ended
        assert self.model.success is (ended is PaymentState.SETTLED)

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """The facts in the order of telling, declined charges by the charge that their transition is recorded under."""
        events = self.world.published()
        return [(self.name_of(event), event) for event in events]

    def name_of(self, event: dict[str, Any]) -> str:
        """An event's type, and the charge of a failure: its reason names it."""
        return f"{FAILURE}:{event['data']['reason']}" if event["eventType"] == FAILURE else str(event["eventType"])

    def deliver(self, piece: Piece) -> None:
        """Send it under a new event id."""
        body, event_id = self.world.event(piece.type, piece.subject)
        assert self.world.post(body).status == 200
        self.sent.append((body, event_id))
        self.news[event_id] = piece.news

    def pieces_of(self, step: str) -> list[Piece]:
        """Let the step happen at Stripe; the webhooks that tell of it."""
        world, opened = self.world, self.session
        if step.startswith("ch_"):
            failed = own_intent(world, opened, declined(step, decline_code=step))  # type: ignore[arg-type]
            charge = {"id": step, "object": "charge", "payment_intent": failed["id"], "status": "failed"}
            news = News(Proof.DECLINED, step)
            return [Piece("payment_intent.payment_failed", failed, news), Piece("charge.failed", charge, NOTHING)]
        if step == "expired":
            changes: dict[str, Any] = {"status": "expired", "payment_status": "unpaid", "payment_intent": None}
            gone = own_session(world, opened, **changes)  # type: ignore[arg-type]
            return [Piece("checkout.session.expired", gone, News(Proof.EXPIRED))]
        if step == "promised":
            own_intent(world, opened, intent(status="processing"))  # type: ignore[arg-type]
            unpaid = own_session(world, opened, payment_status="unpaid")  # type: ignore[arg-type]
            return [Piece(DONE, unpaid, News(Proof.PROMISED))]
        if step == "captured":
            succeeded = own_intent(world, opened, intent())  # type: ignore[arg-type]
            charge = {"id": "ch_1", "object": "charge", "payment_intent": "pi_1", "status": "succeeded"}
            return [Piece("payment_intent.succeeded", succeeded, PAID), Piece("charge.succeeded", charge, NOTHING)]
        self.is_complete = True
        complete = own_session(world, opened)  # type: ignore[arg-type]
        name = "checkout.session.async_payment_succeeded" if self.end == "delayed" else DONE
        return [Piece(name, complete, PAID)]


def steps_of(end: str) -> list[str]:
    """What happens after the declines; the money may arrive before the session knows of it."""
    return {"paid": ["captured", "complete"], "delayed": ["promised", "captured", "complete"]}.get(end, ["expired"])


def test_whoever_brings_the_news_in_whatever_order_the_world_is_told_what_the_model_owes(world: World) -> None:
    """The state machine, on this store and under this facade."""
    few = {"memory": 15, "sqlite": 8, "postgresql": 6}[world.name.partition("-")[0]]
    run_state_machine_as_test(lambda: Life(world), settings=tries(few, few * 60))


@pytest.mark.parametrize("order", list(permutations(["session", "intent", "charge", "page"])), ids="-".join)
def test_every_order_of_the_bringers_ends_in_one_success(order: tuple[str, ...], memory_or_sqlite: World) -> None:
    """All twenty-four, each handled before the next comes, then all of them again at once."""
    world = memory_or_sqlite
    world.note_effects(PaymentSuccessful)
    opened = world.checkout()
    succeeded = own_intent(world, opened, intent())  # type: ignore[arg-type]
    complete = own_session(world, opened)  # type: ignore[arg-type]
    pieces: dict[str, tuple[str, Any]] = {
        "session": (DONE, complete),
        "intent": ("payment_intent.succeeded", succeeded),
        "charge": ("charge.succeeded", {"id": "ch_1", "object": "charge", "payment_intent": "pi_1"}),
    }
    for name in (*order, *order):
        if name == "page":
            world.shop.wait(world.shop.payments.session_status(opened.session_id))
        else:
            world.hear(*pieces[name])
    world.drain()
    (event,) = world.published()
    assert (event["eventType"], event["data"]["amount"]) == (SUCCESS, 5998)
    assert world.effects() == [(event["eventId"], SUCCESS)]


@pytest.mark.parametrize("listed", [True, False], ids=["an-event-is-listed", "only-the-session-is-there"])
def test_what_no_webhook_told_is_brought_by_the_reconciler_once(world: World, listed: bool) -> None:
    """Twice reconciled, looked at by the buyer, and at last delivered after all: one success."""
    world.note_effects(PaymentSuccessful)
    opened = world.checkout()
    complete = own_session(world, opened, created=world.now_s - 7200)  # type: ignore[arg-type]
    if listed:
        list_undelivered(world, DONE, complete)
    for _ in range(2):
        world.shop.wait(world.shop.payments.reconcile())
    world.drain()
    assert (world.kinds(), len(world.effects())) == ([SUCCESS], 1)
    world.shop.wait(world.shop.payments.session_status(opened.session_id))
    world.hear(DONE, complete)
    world.drain()
    assert (world.kinds(), len(world.effects())) == ([SUCCESS], 1)


def list_undelivered(world: World, event_type: str, subject: dict[str, Any]) -> str:
    """An event that Stripe lists and has not delivered; its id."""
    body, event_id = world.event(event_type, subject, created=world.now_s - 5)
    world.gateway.put_event(json.loads(body), delivered=False)
    return event_id


def test_a_late_failure_never_undoes_a_success(world: World) -> None:
    """It is recorded, and nobody is told: whoever was told would take back what was paid for."""
    world.note_effects(*FACTS)
    opened = world.checkout()
    world.hear(DONE, own_session(world, opened))  # type: ignore[arg-type]
    late = own_intent(world, opened, declined("ch_late"))  # type: ignore[arg-type]
    world.hear("payment_intent.payment_failed", late)
    world.hear("checkout.session.async_payment_failed", own_session(world, opened))  # type: ignore[arg-type]
    world.hear("checkout.session.expired", own_session(world, opened, status="expired"))  # type: ignore[arg-type]
    world.drain()
    assert world.state() is PaymentState.SETTLED
    assert world.kinds() == [SUCCESS]
    assert [kind for _, kind in world.effects()] == [SUCCESS]
    assert world.database.transitions() == [("attempt_failed", "ch_late"), ("settled", "")]


def test_a_released_payment_is_one_success_whoever_asks_and_however_often(world: World) -> None:
    """Asked for by many at once, taken by a worker that dies and comes back, retried by a handler that failed."""
    fails = [True]

    def stumble(_: object, __: object) -> None:
        if fails and fails.pop():
            raise ArithmeticError

    other = world.deploy()
    for deployment in (world.shop, other):
        world.on(PaymentSuccessful, stumble, deployment)
        world.note_effects(PaymentSuccessful, PaymentMismatch, deployment=deployment)
    paid = own_session(world, world.checkout(), amount_total=100)  # type: ignore[arg-type]
    world.hear(DONE, paid)
    (payment_id,) = world.database.payments()
    for deployment in (world.shop, other, world.shop):
        deployment.wait(release(deployment.payments.core.store, payment_id, "ada: agreed by mail"))
    zombies = other.wait(other.payments.core.store.claim(limit=3, lease_s=30))
    assert len(zombies) == 1
    world.hear(DONE, paid)
    world.advance(31)
    world.shop.work()
    other.wait(other.payments.core.processing.process(zombies[0]))
    world.drain()
    other.work()
    assert (world.kinds(), world.state()) == (["payment.mismatch", SUCCESS], PaymentState.SETTLED)
    assert [kind for _, kind in world.effects()] == ["payment.mismatch", SUCCESS]


def test_a_payment_that_expired_and_is_paid_after_all_is_a_success(world: World) -> None:
    """Money outranks everything."""
    world.note_effects(*FACTS)
    opened = world.checkout()
    gone = own_session(world, opened, status="expired", payment_status="unpaid")  # type: ignore[arg-type]
    world.hear("checkout.session.expired", gone)
    world.hear(DONE, own_session(world, opened))  # type: ignore[arg-type]
    assert world.kinds() == ["checkout.expired", SUCCESS]
    assert world.state() is PaymentState.SETTLED


def test_the_page_and_the_webhook_at_once_are_one_success(world: World) -> None:
    """The webhook is stored while the page waits for Stripe's answer; both are handled in one round."""
    world.note_effects(PaymentSuccessful)
    opened = world.checkout()
    complete = own_session(world, opened)  # type: ignore[arg-type]
    body, _ = world.event(DONE, complete)
    web = world.deploy()
    world.gateway.meanwhile = lambda: world.post(body, by=web)
    status = world.shop.wait(world.shop.payments.session_status(opened.session_id))
    world.drain()
    assert status.payment_status == "paid"
    assert (world.kinds(), len(world.effects())) == ([SUCCESS], 1)
