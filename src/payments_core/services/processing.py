"""What happens to one received event, from its lease to its end.

Whatever goes wrong, the event is given back with a time to try again, or buried where somebody can see it: there is no
way out of here that forgets it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

from attrs import field, frozen

from ..domain.checkout import PAYMENT_ID_KEY
from ..domain.delivery import ClaimedEvent, DeliveryPolicy, is_exhausted, retry_delay_s
from ..domain.news import News, read_news
from ..domain.payment import Finding, Payment
from ..domain.pricing import changes_prices
from ..domain.proof import misplaced
from ..domain.stripe_event import mode_problem, read_event
from ..errors import MalformedEvent, PaymentsError, frames_of, reason_of
from ..ports import Clock, Crew, Meter, Store, Unmetered
from .gathering import Gathering, NotYet
from .guard import Guard
from .lanes import Lanes
from .price_book import PriceBook
from .routing import Routing
from .settlement import LeaseLost, Settlement

_log = logging.getLogger("payments_core.inbox")

#: An event whose lane is busy comes back this soon; it has used up no attempt.
_LANE_BUSY_S = 0.2
#: What has not begun when this share of its lease is over is given back, rather than begun too late to be completed.
_BEGIN_WITHIN = 0.5


class Outcome(StrEnum):
    """How one run of an event ended."""

    DONE = "done"
    AGAIN = "again"
    PARKED = "parked"
    DEAD = "dead"
    LOST = "lost"


@frozen
class Processing:
    """Handles leased events. `random` gives a number in [0, 1) for the retry's jitter."""

    store: Store
    routing: Routing
    gathering: Gathering
    settlement: Settlement
    clock: Clock
    random: Callable[[], float]
    crew: Crew
    policy: DeliveryPolicy
    prices: PriceBook
    guard: Guard
    livemode: bool
    account: str | None
    meter: Meter = field(factory=Unmetered)

    async def run_due(self) -> int:
        """Claim what is due, a few events at a time, and handle each; how many were claimed."""
        claims = await self.store.claim(limit=self.policy.claim_limit, lease_s=self.policy.lease_s)
        begin_by_s = self.crew.monotonic_s() + self.policy.lease_s * _BEGIN_WITHIN
        laned = await Lanes(self.store).assign(claims)

        async def handle(claimed: ClaimedEvent) -> None:
            if self.crew.is_leaving or self.crew.monotonic_s() > begin_by_s:
                await self._give_back(claimed, "its worker had no time left to begin it")
            else:
                await self.process(claimed, laned.get(claimed.seq))

        await self.crew.each(claims, handle, hands=min(self.policy.hands, self.store.writers))
        return len(claims)

    async def process(self, claimed: ClaimedEvent, laned: Payment | None = None) -> Outcome:
        """Handle one leased event, in the lane of `laned` already where that is given.

        Raises StoreUnavailable only when even giving it back failed (its lease expires).
        """
        begun_s = self.crew.monotonic_s()
        outcome = await self._ended(claimed, laned)
        self.meter.handled(outcome.value, seconds=self.crew.monotonic_s() - begun_s)
        return outcome

    async def _ended(self, claimed: ClaimedEvent, laned: Payment | None) -> Outcome:
        """How the run ended, whatever went wrong in it."""
        if claimed.attempt > self.policy.max_attempts:
            return await self._bury(claimed, "its attempts are used up: each of them ended its worker or its lease")
        try:
            return await self._handle(claimed, laned)
        except LeaseLost:
            _log.warning("Lease lost", extra={"eventId": claimed.event_id, "attempt": claimed.attempt})
            return Outcome.LOST
        except NotYet as early:
            await self.store.let_go(claimed, delay_s=early.delay_s, reason=str(early), counted=False, parked=True)
            return Outcome.PARKED
        except MalformedEvent as unreadable:
            return await self._bury(claimed, str(unreadable))
        except (Exception, SystemExit) as failure:  # noqa: BLE001 - a handler may raise anything; nothing is forgotten
            return await self._failed(claimed, failure)
        except BaseException as stopped:
            # Cancelled, mostly since the process ends before the handler; otherwise it counts, lest it go on for ever.
            with suppress(PaymentsError):
                if self.crew.is_leaving:
                    await self._give_back(claimed, "its worker was stopped while it was handled")
                else:
                    await self._failed(claimed, stopped)
            raise

    async def _handle(self, claimed: ClaimedEvent, laned: Payment | None) -> Outcome:
        event = read_event(claimed.body)
        problem = mode_problem(event, livemode=self.livemode, account=self.account)
        if problem is not None:
            raise MalformedEvent(problem)
        try:
            news = read_news(event.type, event.object)
        except KeyError:
            raise MalformedEvent("The event's object has no id.") from None
        if changes_prices(event.type, event.previous_attributes):
            # Before the handlers, so that they see the new ones.
            await self.prices.forget()
        if news is None:
            await self.settlement.apply(claimed, event, seen=None, evidence=None)
            return Outcome.DONE
        payment = await self._payment_of(news, laned)
        if payment is None:
            await self.settlement.ignore(claimed)
            return Outcome.DONE
        lane = claimed.lane if laned is None else laned.payment_id
        if lane != payment.payment_id and not await self.store.assign_lane(claimed, payment.payment_id):
            await self._give_back(claimed, "another event of the payment is being handled", _LANE_BUSY_S)
            return Outcome.AGAIN
        evidence = await self.gathering.gather(
            news, payment, event_id=event.id, age_s=(self.clock() - claimed.received_at).total_seconds()
        )
        fact = await self.settlement.apply(claimed, event, seen=payment, evidence=evidence)
        if fact is not None:
            self.meter.told(fact.type)
        if evidence.finding is Finding.DECLINED:
            await self.guard.after_decline(payment)
        return Outcome.DONE

    async def _payment_of(self, news: News, laned: Payment | None) -> Payment | None:
        """The payment of the news, or None where it is to be ignored. Raises MalformedEvent for one of elsewhere."""
        in_lane = laned is not None and news.subject.metadata.get(PAYMENT_ID_KEY) == laned.payment_id
        payment = laned if in_lane else await self.routing.route(news)
        problem = None if payment is None else misplaced(payment, livemode=self.livemode, account=self.account)
        if problem is not None:
            raise MalformedEvent(problem)
        return payment

    async def _give_back(self, claimed: ClaimedEvent, reason: str, delay_s: float = 0) -> None:
        """As if it had not been claimed: no attempt is used up."""
        await self.store.let_go(claimed, delay_s=delay_s, reason=reason, counted=False, parked=False)

    async def _failed(self, claimed: ClaimedEvent, failure: BaseException) -> Outcome:
        reason = reason_of(failure)
        if is_exhausted(claimed.attempt, max_attempts=self.policy.max_attempts):
            return await self._bury(claimed, reason)
        delay_s = retry_delay_s(claimed.attempt, self.random())
        facts: dict[str, object] = {
            "eventId": claimed.event_id,
            "attempt": claimed.attempt,
            "retryInSeconds": round(delay_s, 1),
        }
        if not isinstance(failure, PaymentsError):
            facts["frames"] = frames_of(failure)
        _log.error("Event %s will be tried again: %s", claimed.event_id, reason, extra=facts)
        await self.store.let_go(claimed, delay_s=delay_s, reason=reason, counted=True, parked=False)
        return Outcome.AGAIN

    async def _bury(self, claimed: ClaimedEvent, reason: str) -> Outcome:
        facts = {"eventId": claimed.event_id, "attempt": claimed.attempt}
        _log.error("Event %s is a dead letter: %s", claimed.event_id, reason, extra=facts)
        await self.store.bury(claimed, reason)
        return Outcome.DEAD
