"""The broker's side of the outbox: what is owed, and who sends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol, TypeVar

from attrs import frozen

T = TypeVar("T")


@frozen
class OwedRow:
    """An outgoing event that a broker is owed.

    `row_id` rises in the order in which rows of one key were committed. `payload` is the event's JSON text,
    `occurred_at` aware UTC.
    """

    row_id: int
    event_id: str
    type: str
    key: str
    payload: str
    occurred_at: datetime
    traceparent: str | None = None


@frozen
class ParkedRow:
    """A row that the broker refused for good, and how many rows of its key wait behind it."""

    row_id: int
    event_id: str
    type: str
    key: str
    payment_id: str
    reason: str
    created_at: datetime
    blocks: int


class Batch(Protocol):
    """Rows of a few partitions, which nobody else reads as long as the batch is open.

    - Rows of one key come in the order in which they were committed, and none of them is left out: not one that was
      committed later with a lower id, and none that stands behind a parked row of its key.
    - `published` and `parked` are durable on return.
    - When the process or its connection to the database dies, the batch is over and its rows are owed as before.
    """

    @property
    def rows(self) -> Sequence[OwedRow]:
        """What is owed, in the order of ids."""
        ...

    async def settle(self, *, published: Sequence[int], parked: Mapping[int, str]) -> None:
        """Mark rows published, and park others with the reason for which the broker refused them."""
        ...


class Outbox(Protocol):
    """What a relay needs of the database. A relay lives on an event loop, in either world: nothing here blocks it.

    - `batch` gives rows of partitions that no other relay has open; several relays share the work so. It is empty
      when nothing is owed, or others have it.
    - A parked row keeps back the later rows of its key and nothing else.
    - Whatever goes wrong with the database comes out as StoreUnavailable, and is worth trying again.
    """

    def batch(self, limit: int, *, without: Collection[str] = ()) -> AbstractAsyncContextManager[Batch]:
        """Up to `limit` owed rows, none of these keys, held until the block ends."""
        ...

    async def parked(self, *, after: int, limit: int) -> Sequence[ParkedRow]:
        """Parked rows, the oldest first, after the row of that id."""
        ...

    async def release(self, event_ids: Sequence[str] | None) -> int:
        """Let parked rows be tried again, those of these events or, without them, all; how many."""
        ...

    async def owe_unsent(self, since: datetime) -> int:
        """Owe a broker the rows that were written since then while none was configured; how many."""
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...


@frozen
class Refusal:
    """The broker will never take this row as it is. `reason` says what happened and what to do, without the payload."""

    reason: str


class BrokerUnavailable(Exception):
    """The broker did not take all rows now, or it is not known whether it did: those are sent again later.

    `acknowledged` and `refused` tell of the rows of which it is known, `unanswered` names those that were sent in vain:
    their keys step back, the others go on. The message can be logged and shown.
    """

    def __init__(
        self,
        reason: str,
        *,
        acknowledged: Sequence[int] = (),
        refused: Mapping[int, Refusal] | None = None,
        unanswered: Sequence[int] = (),
    ) -> None:
        super().__init__(reason)
        self.acknowledged = acknowledged
        self.refused: Mapping[int, Refusal] = refused or {}
        self.unanswered = unanswered

    @property
    def is_partial(self) -> bool:
        """Whether something was settled all the same."""
        return bool(self.acknowledged or self.refused)


class Publisher(Protocol):
    """Sends events to the broker. One call at a time; who wants to send several batches at once makes several.

    - Of one key, a row is sent only when the broker has acknowledged the one before it.
    - On return every row that was sent is acknowledged by all in-sync replicas, or in the answer with its refusal. The
      first element holds the acknowledged ids. In neither are rows that have not been sent: those behind a refused one
      of their key, and what is left to the next call because this one has taken long and has settled something.
    - Raises BrokerUnavailable when that cannot be said of every row that was sent. Where a part of the broker takes
      nothing the rest is sent all the same, and the error names what was sent in vain.
    - A call that settles something takes two minutes at most.
    - What is refused is refused for good and for that row alone; a row that shares its fate by chance is not.
    - One that is cancelled leaves nothing behind that goes on sending.
    """

    async def publish(self, rows: Sequence[OwedRow]) -> tuple[Sequence[int], Mapping[int, Refusal]]:
        """Send rows, those of one key in the order given."""
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...


class Errands(Protocol):
    """What the relay needs of the loop it runs on: hands, and a pause that ends early.

    - `each` runs `work` on every item at once, and returns when all have ended; the first error is raised then.
    - `rest` lets at most `seconds` pass; it ends early when work has arrived or the process is to stop.
    """

    @property
    def is_leaving(self) -> bool:
        """Whether the process is about to stop."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on a clock that only goes forward."""
        ...

    async def each(self, items: Sequence[T], work: Callable[[T], Awaitable[object]], *, hands: int) -> None:
        """Work on every item."""
        ...

    async def rest(self, seconds: float, *, early: bool) -> None:
        """Wait; `early` says whether newly arrived work ends it."""
        ...
