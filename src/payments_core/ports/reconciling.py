"""What a reconciliation asks of the store, and whom it tells how it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from attrs import field, frozen

from ..domain.drift import Drift
from ..domain.payment import Payment, PaymentState
from ..domain.reconciliation import Step
from ..domain.refs import Ref


@frozen
class InboxEntry:
    """A received event with its body. `seq` is its place in the order of arrival; times are aware UTC."""

    seq: int
    event_id: str
    type: str
    received_at: datetime
    body: bytes = field(repr=False)
    account: str | None = None
    livemode: bool | None = None
    last_error: str | None = None


@frozen
class Known:
    """The payments that bear some names: by our own id, and by Stripe's names for them."""

    by_id: Mapping[str, Payment]
    by_ref: Mapping[Ref, Payment]


@frozen
class Selection:
    """Which payments are meant: created in the half-open window, in one of these states, of one account and mode."""

    states: tuple[PaymentState, ...]
    since: datetime
    until: datetime
    account: str | None
    livemode: bool


class Sweeps(Protocol):
    """The store as a reconciliation sees it: in pages and by many names at once, so that memory stays flat.

    - `advance` never goes back, whoever else advances the same name meanwhile; durable on return.
    - `held` finds an event under the given account and under none, in any mode: the list of events may leave out what
      a webhook stated.
    - `waiting`, `told` and `payments` give at most `limit` rows after the place where the last page ended, in a fixed
      order, so that pages neither repeat nor skip what was there when the first one was read.
    """

    async def swept_until(self, name: str) -> datetime | None:
        """How far that sweep has come, or None when it never ran."""
        ...

    async def advance(self, name: str, until: datetime) -> None:
        """Remember that the sweep has come so far."""
        ...

    async def held(self, event_ids: Sequence[str], *, account: str | None) -> frozenset[str]:
        """Those of the events that the inbox has, handled or not."""
        ...

    async def known(self, ids: Sequence[str], refs: Sequence[Ref], *, account: str | None, livemode: bool) -> Known:
        """The payments of these ids, and those that bear these names."""
        ...

    async def waiting(self, *, after: int, limit: int) -> Sequence[InboxEntry]:
        """Events that are not handled yet and no dead letters, by `seq`."""
        ...

    async def told(self, types: Sequence[str], *, since: datetime, after: int, limit: int) -> Sequence[InboxEntry]:
        """Events of these types that were received since then, in whatever state, by `seq`."""
        ...

    async def payments(self, wanted: Selection, *, after: str, limit: int) -> Sequence[Payment]:
        """The selected payments, by `payment_id`."""
        ...


class Watch(Protocol):
    """Who watches a long run. Called between pages, so it may do no more than note or print."""

    @property
    def is_over(self) -> bool:
        """Whether the run is to end after the page in hand."""
        ...

    def came(self, step: Step) -> None:
        """A page was done."""
        ...

    def found(self, drift: Drift) -> None:
        """A difference was found."""
        ...
