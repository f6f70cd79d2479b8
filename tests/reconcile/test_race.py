"""Webhooks, the success page and reconciliations in any order, repeated and lost: one success, and nothing missing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from payments_core import PaymentFailed, PaymentSuccessful
from payments_core.domain.payment import PaymentState
from tests.flows.shop import Document, Shop, copied, declined, intent, own_intent, own_session
from tests.flows.test_handlers import Unlucky
from tests.reconcile.world import DONE, SUCCEEDED, at, happens, paid, reconcile, verify

FAILED = "payment_intent.payment_failed"


class Race(RuleBasedStateMachine):
    """A payment that is declined once and then paid. Any event may be lost for ever, at Stripe or on its way."""

    def __init__(self) -> None:
        super().__init__()
        self.shop = Shop("blocking", None)
        self.trouble = Unlucky(0)
        self.shop.on(PaymentSuccessful, self.trouble)
        self.shop.on(PaymentFailed, self.trouble)
        self.opened = self.shop.checkout()
        self.bodies: list[bytes] = []
        self.step = 0

    @initialize(listed=st.booleans())
    def chosen(self, listed: bool) -> None:
        """Whether Stripe makes events at all: if not, only the objects can tell."""
        self.listed = listed

    @precondition(lambda self: self.step < 2)
    @rule()
    def something_happens(self) -> None:
        """The decline, then the payment."""
        self.step += 1
        now = at(self.shop)
        if self.step == 1:
            subjects = [(FAILED, own_intent(self.shop, self.opened, {**declined("ch_a"), "created": now}))]
        else:
            done = own_session(self.shop, self.opened, created=now)
            subjects = [
                (SUCCEEDED, own_intent(self.shop, self.opened, intent(latest_charge="ch_b", created=now))),
                (DONE, done),
            ]
        self.bodies += [self._told(kind, subject) for kind, subject in subjects]

    def _told(self, kind: str, subject: Document) -> bytes:
        return happens(self.shop, kind, subject) if self.listed else self.shop.event(kind, subject)[0]

    @precondition(lambda self: self.bodies)
    @rule(which=st.integers(0, 5), times=st.integers(1, 2))
    def a_webhook_arrives(self, which: int, times: int) -> None:
        """One of those sent so far, once or twice."""
        for _ in range(times):
            self.shop.deliver(self.bodies[which % len(self.bodies)])

    @rule(objects=st.booleans(), work=st.booleans())
    def reconciled(self, objects: bool, work: bool) -> None:
        """In whole or in part, its finds handled at once or later."""
        reconcile(self.shop, objects=objects, work=work)

    @rule()
    def worked(self) -> None:
        self.shop.work()

    @rule(seconds=st.sampled_from([1, 61, 7200, 86_400]))
    def time_passes(self, seconds: int) -> None:
        self.shop.clock.advance(seconds)

    @rule()
    def the_buyer_looks(self) -> None:
        self.shop.status(self.opened.session_id)

    @rule()
    def a_handler_will_fail(self) -> None:
        """A few times at most: what fails for ever is a dead letter, which is another promise."""
        self.trouble.left = min(2, self.trouble.left + 1)

    @invariant()
    def nothing_is_told_twice(self) -> None:
        """At no moment."""
        ids = [event["eventId"] for event in self.shop.published()]
        assert len(set(ids)) == len(ids)
        kinds = [event["eventType"] for event in self.shop.published()]
        assert kinds.count("payment.successful") <= 1
        assert kinds.count("payment.failed") <= 1

    def teardown(self) -> None:
        """Without one more webhook, a reconciliation finds all that matters, and a second one nothing."""
        self.trouble.left = 0
        while self.step < 2:
            self.something_happens()
        for _ in range(4):
            self.shop.clock.advance(4000)
            reconcile(self.shop)
        assert [event["eventType"] for event in self.shop.published()].count("payment.successful") == 1
        assert self.shop.only_payment().state is PaymentState.SETTLED
        assert reconcile(self.shop).total == 0
        assert verify(self.shop).total == 0
        self.shop.close()


TestRace = Race.TestCase
TestRace.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_threads_that_reconcile_deliver_and_work_at_once(tmp_path: Path, database_template: Path) -> None:
    """On one SQLite file: twelve payments, three reconciliations, every webhook; each payment is told once."""
    shop = Shop("blocking", copied(database_template, tmp_path))
    told: list[str] = []
    shop.on(PaymentSuccessful, lambda event: told.append(event.payment_id))
    bodies = [body for n in range(12) for body in paid(shop, shop.checkout(), number=n, ago_s=100 * n)]

    def deliver() -> None:
        for body in bodies:
            shop.deliver(body)
            shop.run(shop.payments.core.run_due())

    with ThreadPoolExecutor(4) as threads:
        runs = [threads.submit(reconcile, shop) for _ in range(3)]
        delivery = threads.submit(deliver)
        found = [run.result(100) for run in runs]
        delivery.result(100)
    shop.clock.advance(3600)
    shop.work()
    assert all(one.is_complete for one in found)
    assert sum(one.brought.get(DONE, 0) for one in found) <= 12
    assert len(shop.published("payment.successful")) == len(set(told)) == len(told) == 12
    assert reconcile(shop).total == 0
    shop.close()
