"""What a reconciliation and a verification stand on: both sides, and whose payments they look at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from attrs import frozen

from ..domain.checkout import PAYMENT_ID_KEY
from ..domain.listing import Page, Span
from ..domain.news import Subject
from ..domain.observations import Policy, names_of
from ..domain.payment import Payment
from ..domain.reconciliation import Window, moment_of, sweep_name
from ..errors import InvalidRequest
from ..ports import Clock, Gateway, Known, Store, Sweeps, Waiter


@frozen
class Ground:
    """One account and mode, here and at Stripe."""

    store: Store
    gateway: Gateway
    waiter: Waiter
    clock: Clock
    policy: Policy
    livemode: bool
    account: str | None

    @property
    def sweeps(self) -> Sweeps:
        """The store as a reconciliation sees it."""
        return self.store.sweeps

    async def known(self, subjects: Sequence[Subject]) -> Known:
        """The payments of a page of objects."""
        marks = [subject.metadata[PAYMENT_ID_KEY] for subject in subjects if PAYMENT_ID_KEY in subject.metadata]
        refs = list(dict.fromkeys(ref for subject in subjects for ref in names_of(subject)))
        return await self.sweeps.known(marks, refs, account=self.account, livemode=self.livemode)

    async def swept_until(self, what: str) -> datetime | None:
        """How far a sweep has come."""
        return await self.sweeps.swept_until(self._name(what))

    async def advance(self, what: str, until: datetime) -> None:
        """Remember how far a sweep has come."""
        await self.sweeps.advance(self._name(what), until)

    async def reached(self, what: str, window: Window, until_s: int) -> None:
        """Remember how far a sweep has come in its window, where the next run may go on from there."""
        if window.remembers:
            await self.advance(what, min(moment_of(until_s), window.until))

    def _name(self, what: str) -> str:
        return sweep_name(what, account=self.account, livemode=self.livemode)


def listings(gateway: Gateway) -> tuple[tuple[str, Callable[[Span, str | None], Awaitable[Page[Subject]]]], ...]:
    """The lists of what brings money, each with its object's name; what an intent may belong to comes before it."""

    async def sessions(span: Span, after: str | None) -> Page[Subject]:
        return await gateway.sessions(span, after=after)

    async def intents(span: Span, after: str | None) -> Page[Subject]:
        return await gateway.intents(span, after=after)

    async def invoices(span: Span, after: str | None) -> Page[Subject]:
        return await gateway.invoices(span, after=after)

    return (("session", sessions), ("invoice", invoices), ("payment_intent", intents))


def payment_of(subject: Subject, known: Known) -> Payment | None:
    """The object's payment, by our own mark, else by the first of Stripe's names that is known."""
    marked = known.by_id.get(subject.metadata.get(PAYMENT_ID_KEY, ""))
    if marked is not None:
        return marked
    return next((known.by_ref[ref] for ref in names_of(subject) if ref in known.by_ref), None)


def check_times(*times: datetime | None) -> None:
    """Raise InvalidRequest for a time without a zone: nobody could say which moment it means."""
    if any(moment is not None and moment.tzinfo is None for moment in times):
        raise InvalidRequest("`since` and `until` need a time zone; datetime.now(UTC) has one.")
