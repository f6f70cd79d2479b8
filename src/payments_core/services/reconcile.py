"""Finding what no webhook told, and bringing it into the inbox.

Two sweeps (see `domain.reconciliation`). The first walks Stripe's list of events and stores those that the inbox does
not hold. The second walks the objects themselves, for events that Stripe never made or lists no longer. Neither handles
anything: what they store goes the way of every webhook, so that each fact keeps its one effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from attrs import evolve, frozen

from ..domain.listing import Page, Span
from ..domain.reconciliation import Reconciled, Tally, Window, events_window
from ..domain.strict_json import write_json
from ..domain.stripe_objects import Document
from ..ports import Watch
from .ground import Ground, check_times
from .intake import received_event
from .objects import ObjectSweep
from .walking import RunEnded, Unwatched, Walker, step

_EVENTS: Final = "event"
_UNDELIVERED: Final = "undelivered event"


@frozen
class Reconciliation:
    """Runs reconciliations. Several at once do no harm: they store the same events under the same ids."""

    ground: Ground

    async def run(
        self,
        *,
        since: datetime | None,
        until: datetime | None,
        undelivered: bool,
        objects: bool,
        watch: Watch | None,
    ) -> Reconciled:
        """Sweep once.

        Raises InvalidRequest for times without a zone, StripeError and StoreUnavailable; how far it came is remembered.
        """
        check_times(since, until)
        now, tally = self.ground.clock(), Tally()
        walker = Walker(self.ground.waiter, watch or Unwatched())
        what = _UNDELIVERED if undelivered else _EVENTS
        window = events_window(now, await self.ground.swept_until(what), since, until)
        begun, is_complete = window.since, True
        try:
            await self._events(walker, window, what, tally)
            if objects:
                begun = min(begun, await ObjectSweep(self.ground, walker, tally, now, since, until).run())
        except RunEnded:
            is_complete = False
        return Reconciled(begun, window.until, +tally.seen, +tally.brought, is_complete)

    async def _events(self, walker: Walker, window: Window, what: str, tally: Tally) -> None:
        async def fetch(span: Span, after: str | None) -> Page[Document]:
            return await self.ground.gateway.events(span, after=after, undelivered=what == _UNDELIVERED)

        async def take(events: Sequence[Document]) -> None:
            tally.seen["event"] += len(events)
            await self._store(events, tally)

        async def reached(until_s: int) -> None:
            await self.ground.reached(what, window, until_s)
            walker.watch.came(step(what, window.span, until_s, tally))

        await walker.walk(window.span, fetch, take, reached)

    async def _store(self, events: Sequence[Document], tally: Tally) -> None:
        ground = self.ground
        held = await ground.sweeps.held([str(event["id"]) for event in events], account=ground.account)
        for event in events:
            if event["id"] in held:
                continue
            received = received_event(write_json(event).encode("utf-8", "surrogatepass"))
            # The list of an account's events may leave out whose they are, which its webhooks state.
            if await ground.store.receive(evolve(received, account=received.account or ground.account)):
                tally.brought[received.type] += 1
        ground.waiter.nudge()
