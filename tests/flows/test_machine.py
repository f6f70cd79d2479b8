"""Any order of a payment's true events, repeated and with handlers that fail, ends the same: one success."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from payments_core import PaymentFailed, PaymentSuccessful
from payments_core.domain.payment import PaymentState
from tests.flows.shop import Shop, declined, intent, own_intent, own_session
from tests.flows.test_handlers import Unlucky

CHARGES = ("ch_a", "ch_b")


class Life(RuleBasedStateMachine):
    """A payment that is declined twice and then paid, at once or by a delayed method.

    Things happen at Stripe in their order; their news comes in any order, any number of times, and under any
    number of event ids. The world only promises that every piece of news comes at least once.
    """

    news = Bundle("news")

    def __init__(self) -> None:
        super().__init__()
        self.shop = Shop("blocking", None)
        self.trouble = Unlucky(0)
        self.failed = self.shop.on(PaymentFailed, self.trouble)
        self.shop.on(PaymentSuccessful, self.trouble)
        self.told: list[str] = []
        self.shop.on(PaymentSuccessful, lambda event: self.told.append(event.event_id))
        self.undelivered: list[tuple[str, Any]] = []
        self.failures_left = 6

    @initialize(delayed=st.booleans())
    def opened(self, delayed: bool) -> None:
        """Our own payment, and what will happen to it."""
        self.opened_session = self.shop.checkout()
        steps = [*CHARGES, "processing", "paid"] if delayed else [*CHARGES, "paid"]
        self.ahead = iter(steps)
        self.delayed = delayed

    @rule(target=news)
    def something_happens(self) -> Any:
        """The next step at Stripe; its news is on the way."""
        return self._happen(next(self.ahead, None))

    @rule(one=news)
    def delivered(self, one: Any) -> None:
        """News arrives, perhaps not for the first time."""
        for event_type, subject in one:
            self._send(event_type, subject)

    @rule(one=consumes(news), which=st.integers(0, 3))
    def delivered_in_part(self, one: Any, which: int) -> None:
        """Only one of the events that tell of a step, twice with the same id."""
        if one:
            event_type, subject = one[which % len(one)]
            body, _ = self.shop.event(event_type, subject)
            self.shop.deliver(body)
            self.shop.deliver(body)

    @rule()
    def worked(self) -> None:
        self.shop.work()

    @rule(seconds=st.sampled_from([1, 5, 61, 7200]))
    def time_passes(self, seconds: int) -> None:
        self.shop.clock.advance(seconds)
        self.shop.work()

    @rule(times=st.integers(1, 2))
    def handlers_begin_to_fail(self, times: int) -> None:
        """At most a few times: what fails for ever is a dead letter, which is another promise."""
        times = min(times, self.failures_left)
        self.failures_left -= times
        self.trouble.left += times

    @rule()
    def the_buyer_looks(self) -> None:
        """The success page, which may settle by itself."""
        self.shop.status(self.opened_session.session_id)

    @invariant()
    def never_told_twice_nor_after_the_end(self) -> None:
        """At no moment are there two successes, or a failure after one."""
        kinds = [event["eventType"] for event in self.shop.published()]
        assert kinds.count("payment.successful") <= 1
        assert (
            "payment.failed" not in kinds[kinds.index("payment.successful") :]
            if "payment.successful" in kinds
            else True
        )
        ids = [event["eventId"] for event in self.shop.published()]
        assert len(set(ids)) == len(ids)

    def teardown(self) -> None:
        """Everything happens, everything is delivered, handlers are well: now the promise must hold."""
        if not hasattr(self, "ahead"):
            return
        while (step := next(self.ahead, None)) is not None:
            self._happen(step)
        for event_type, subject in self.undelivered:
            self._send(event_type, subject)
        self.trouble.left = 0
        for _ in range(20):
            self.shop.clock.advance(12 * 3600)
            self.shop.work()
        expected = [("attempt_failed", charge) for charge in CHARGES]
        promised = [name for name in self.shop.transitions() if name == ("processing", "")]
        assert self.shop.transitions() == sorted([*expected, ("settled", ""), *promised])
        assert len(self.shop.published("payment.successful")) == 1
        assert len(self.told) == 1
        assert self.shop.only_payment().state is PaymentState.SETTLED
        assert self.shop.run(self.shop.store.health()).dead_letters == 0
        self.shop.close()

    def _happen(self, step: str | None) -> list[tuple[str, Any]]:
        shop, opened = self.shop, self.opened_session
        if step is None:
            return []
        if step in CHARGES:
            found = [("payment_intent.payment_failed", own_intent(shop, opened, declined(step)))]
        elif step == "processing":
            own_intent(shop, opened, intent(status="processing"))
            unpaid = own_session(shop, opened, payment_status="unpaid")
            found = [("checkout.session.completed", unpaid)]
        else:
            paid = own_session(shop, opened)
            name = "async_payment_succeeded" if self.delayed else "completed"
            succeeded = own_intent(shop, opened, intent())
            found = [("payment_intent.succeeded", succeeded), (f"checkout.session.{name}", paid)]
        self.undelivered += found
        return found

    def _send(self, event_type: str, subject: Any) -> None:
        body, _ = self.shop.event(event_type, subject)
        self.shop.deliver(body)


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
