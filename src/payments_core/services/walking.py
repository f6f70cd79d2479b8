"""Walking Stripe's lists with patience: oldest first, a page at a time, again when Stripe has no time.

A run may take hours. So it holds one page, says how far it is after each, and ends there when it is asked to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeAlias, TypeVar

from attrs import frozen

from ..domain.drift import Drift
from ..domain.listing import Page, Slicing, Span
from ..domain.reconciliation import Step, Tally
from ..errors import StripeUnavailable
from ..ports import Waiter, Watch

T = TypeVar("T")
Fetch: TypeAlias = Callable[[Span, str | None], Awaitable[Page[T]]]
Take: TypeAlias = Callable[[Sequence[T]], Awaitable[None]]
Reached: TypeAlias = Callable[[int], Awaitable[None]]

#: Seconds between tries; the adapter has tried each request several times by itself. With what Stripe asks for.
PAUSES_S: Final = (2.0, 5.0, 15.0, 30.0)
#: A pause is taken in pieces, so that a run ends soon when it is asked to.
_PIECE_S: Final = 0.5


class RunEnded(Exception):
    """The run was asked to end; what was done until now is kept."""


@frozen
class Unwatched:
    """A Watch that nobody looks at."""

    @property
    def is_over(self) -> bool:
        """Never."""
        return False

    def came(self, step: Step) -> None:
        """See Watch."""

    def found(self, drift: Drift) -> None:
        """See Watch."""


@frozen
class Walker:
    """Asks Stripe, for one run."""

    waiter: Waiter
    watch: Watch

    async def ask(self, request: Callable[[], Awaitable[T]]) -> T:
        """The answer. Raises RunEnded, and StripeUnavailable when every try failed."""
        for pause_s in PAUSES_S:
            self.go_on()
            try:
                return await request()
            except StripeUnavailable as busy:
                await self._rest(max(pause_s, float(busy.retry_after_s or 0)) if pause_s else 0)
        self.go_on()
        return await request()

    async def walk(self, span: Span, fetch: Fetch[T], take: Take[T], reached: Reached) -> None:
        """Give all objects of a span to `take`, the oldest pages first; `reached` gets how far that is complete."""
        slicing = Slicing.of(span)
        while not slicing.is_over:
            part = slicing.span
            page = await self.ask(partial(fetch, part, None))
            if page.has_more and not slicing.is_narrowest:
                slicing = slicing.narrowed(page.oldest_s)
                continue
            count = len(page.items)
            await take(page.items[::-1])
            while page.has_more:
                page = await self.ask(partial(fetch, part, page.last_id))
                count += len(page.items)
                await take(page.items[::-1])
            await reached(part.until_s)
            slicing = slicing.taken(count)

    def go_on(self) -> None:
        """Raise RunEnded when the run was asked to end."""
        if self.watch.is_over:
            raise RunEnded

    async def _rest(self, seconds: float) -> None:
        end_s = self.waiter.monotonic_s() + seconds
        while (left_s := end_s - self.waiter.monotonic_s()) > 0:
            self.go_on()
            await self.waiter.pause(min(_PIECE_S, left_s))


def step(what: str, span: Span, until_s: int, tally: Tally) -> Step:
    """How far a walk is."""
    share = (until_s - span.since_s) / max(1, span.until_s - span.since_s)
    return Step(what, min(1.0, share), tally.seen.total(), tally.brought.total())
