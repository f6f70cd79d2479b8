"""The objects' sweep: what Stripe's objects show, and no event here has told.

An object is passed over when its payment shows the same, and when news of it waits in the inbox; everything else is
brought as an observation. Refunds are no state of a payment yet: those that no event told are brought as events of
their own, for raw handlers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import evolve, frozen

from ..domain.envelope import FAILURE_NOTICE
from ..domain.listing import Page, Span
from ..domain.news import Subject
from ..domain.notices import REFUND_EVENTS, ToldRefunds, document_of, object_named
from ..domain.observations import Observation, is_paid, observed, of_refund
from ..domain.payment import PaymentState
from ..domain.reconciliation import EVENTS_KEPT, OVERLAP, Tally, Window, moment_of, objects_window
from ..domain.stripe_objects import Document, number
from ..errors import StripeError, StripeObjectMissing, StripeUnavailable
from ..ports import InboxEntry, Selection
from .ground import Ground, listings, payment_of
from .waiting import Waiting, all_waiting
from .walking import Fetch, Walker, step

_PAGE: Final = 100
_UNFINISHED: Final = (PaymentState.OPEN, PaymentState.PROCESSING)
#: How long a payment of our own may wait for its money: the slowest of the delayed methods.
_UNFINISHED_FOR: Final = timedelta(days=60)
#: Where a notice does not say which object it is about, those made up to so long before it are looked through.
_BEFORE_A_NOTICE: Final = timedelta(days=7)
_NOTICES: Final = "notice"
_REFUNDS: Final = "refund"


@frozen
class ObjectSweep:
    """One run over the objects. `now` is the run's, `since` and `until` what was asked for."""

    ground: Ground
    walker: Walker
    tally: Tally
    now: datetime
    since: datetime | None
    until: datetime | None

    async def run(self) -> datetime:
        """Sweep everything; how far back that went. Raises RunEnded, StripeError, StoreUnavailable."""
        ground = self.ground
        waiting = await all_waiting(ground.sweeps, lambda entry: None)
        widened = await self._notices(waiting)
        await self._unfinished((await self._window("session", widened)).since, waiting)
        begun: list[datetime] = []
        for kind, listing in listings(ground.gateway):
            window = await self._window(kind, widened)
            await self._objects(kind, listing, window, waiting)
            begun.append(window.since)
        window = await self._window(_REFUNDS, widened)
        await self._refunds(window)
        return min([*begun, window.since])

    async def _window(self, what: str, widened: datetime | None) -> Window:
        window = objects_window(self.now, await self.ground.swept_until(what), self.since, self.until)
        return window if widened is None else evolve(window, since=min(window.since, widened))

    async def _objects(self, kind: str, listing: Fetch[Subject], window: Window, waiting: Waiting) -> None:
        async def take(subjects: Sequence[Subject]) -> None:
            self.tally.seen[kind] += len(subjects)
            await self._look(subjects, waiting)

        async def reached(until_s: int) -> None:
            await self.ground.reached(kind, window, until_s)
            self.walker.watch.came(step(kind, window.span, until_s, self.tally))

        await self.walker.walk(window.span, listing, take, reached)

    async def _look(self, subjects: Sequence[Subject], waiting: Waiting) -> None:
        """Bring what a page of objects shows and nothing here does."""
        known = await self.ground.known(subjects)
        seen = frozenset(known.by_ref)
        found: dict[str, tuple[Observation, Subject]] = {}
        for subject in subjects:
            payment = payment_of(subject, known)
            observation = observed(subject, payment, seen) if self.ground.policy.is_ours(subject, payment) else None
            if observation is not None and waiting.since(subject) is None:
                found[observation.event_id] = (observation, subject)
        for _, subject in found.values():
            waiting.add(subject, self.now, tells_paid=is_paid(subject))
        await self._bring([observation for observation, _ in found.values()])

    async def _bring(self, observations: Sequence[Observation]) -> None:
        ground = self.ground
        held = await ground.sweeps.held([one.event_id for one in observations], account=ground.account)
        for one in observations:
            if one.event_id not in held and await ground.store.receive(
                one.received(account=ground.account, livemode=ground.livemode)
            ):
                self.tally.brought[one.type] += 1
        ground.waiter.nudge()

    async def _unfinished(self, until: datetime, waiting: Waiting) -> None:
        """Ask for each payment of our own that waits for longer than the lists are looked back for."""
        ground = self.ground
        wanted = Selection(_UNFINISHED, self.now - _UNFINISHED_FOR, until, ground.account, ground.livemode)
        payments = await ground.sweeps.payments(wanted, after="", limit=_PAGE)
        while payments:
            for payment in payments:
                if payment.origin == "here" and payment.session_id is not None:
                    self.tally.seen["unfinished"] += 1
                    await self._look_at(payment.session_id, waiting)
                    # A debit that failed shows nothing in its session, which stays complete and unpaid.
                    if payment.state is PaymentState.PROCESSING and payment.payment_intent_id is not None:
                        await self._look_at(payment.payment_intent_id, waiting)
            payments = await ground.sweeps.payments(wanted, after=payments[-1].payment_id, limit=_PAGE)

    async def _look_at(self, object_id: str, waiting: Waiting) -> None:
        """Look at one object, whose kind its id says; kinds that bring no news are passed over."""
        stripe, kind = self.ground.gateway, object_id.partition("_")[0]
        try:
            if kind == "cs":
                await self._look([await self.walker.ask(lambda: stripe.session(object_id))], waiting)
            elif kind == "pi":
                await self._look([await self.walker.ask(lambda: stripe.intent(object_id))], waiting)
            elif kind == "in":
                await self._look([await self.walker.ask(lambda: stripe.invoice(object_id))], waiting)
            elif kind in ("re", "pyr"):
                await self._look_at_refunds([await self.walker.ask(lambda: stripe.refund(object_id))])
        except StripeObjectMissing:
            return

    async def _notices(self, waiting: Waiting) -> datetime | None:
        """Look at what Stripe says it could not make events of; from when on to look where it does not say."""
        before = await self.ground.swept_until(_NOTICES)
        since = self.now - EVENTS_KEPT if before is None else before - OVERLAP
        widened: list[datetime] = []
        entries = await self._told((FAILURE_NOTICE,), since, 0)
        while entries:
            for entry in entries:
                self.tally.seen["notice"] += 1
                object_id = await self._named(entry)
                if object_id is None:
                    widened.append(entry.received_at - _BEFORE_A_NOTICE)
                else:
                    await self._look_at(object_id, waiting)
            entries = await self._told((FAILURE_NOTICE,), since, entries[-1].seq)
        if not widened:
            await self.ground.advance(_NOTICES, self.now)
        return min(widened, default=None)

    async def _named(self, notice: InboxEntry) -> str | None:
        """The object that a notice is about: as it says, else as Stripe says when it is asked."""
        named = object_named(document_of(notice.body))
        if named is not None:
            return named
        try:
            return object_named(await self.walker.ask(lambda: self.ground.gateway.failure_notice(notice.event_id)))
        except StripeUnavailable:
            raise
        except StripeError:  # a preview of Stripe's: this key or version may not be able to ask
            return None

    async def _refunds(self, window: Window) -> None:
        async def fetch(span: Span, after: str | None) -> Page[Document]:
            return await self.ground.gateway.refunds(span, after=after)

        async def take(refunds: Sequence[Document]) -> None:
            self.tally.seen["refund"] += len(refunds)
            await self._look_at_refunds(refunds)

        async def reached(until_s: int) -> None:
            await self.ground.reached(_REFUNDS, window, until_s)
            self.walker.watch.came(step(_REFUNDS, window.span, until_s, self.tally))

        await self.walker.walk(window.span, fetch, take, reached)

    async def _look_at_refunds(self, refunds: Sequence[Document]) -> None:
        """Bring those that no event in the inbox told."""
        oldest_s = min((number(refund, "created") or 0 for refund in refunds), default=0)
        told, since, after = ToldRefunds(), moment_of(oldest_s) - OVERLAP, 0
        untold = list(refunds)
        while untold and (entries := await self._told(REFUND_EVENTS, since, after)):
            for entry in entries:
                told.add(entry.body)
            untold = [refund for refund in untold if not told.has(refund)]
            after = entries[-1].seq
        await self._bring([of_refund(refund) for refund in untold])

    async def _told(self, types: Sequence[str], since: datetime, after: int) -> Sequence[InboxEntry]:
        return await self.ground.sweeps.told(types, since=since, after=after, limit=_PAGE)
