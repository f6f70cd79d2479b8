"""The database: payments, inbox and outbox, and the transaction over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

from attrs import frozen

from ..domain.delivery import ClaimedEvent, ReceivedEvent
from ..domain.payment import Payment
from ..domain.refs import Ref
from ..domain.stripe_objects import Session
from .kinds import Io
from .openings import Openings
from .reconciling import Sweeps
from .records import Records

#: Whose declined attempts are meant: a payment's own, or those of all payments opened from an address or by a user.
DeclinedBy: TypeAlias = Literal["payment", "address", "user"]


class Transaction(Protocol):
    """What a handler gets as `tx`: the library's own open transaction.

    Whatever is written through it commits together with the record that the fact was handled and with the outgoing
    event, or not at all. Under AsyncPayments `session` is an `sqlalchemy.ext.asyncio.AsyncSession` (await it), under
    Payments an `sqlalchemy.orm.Session`; `connection` is the matching SQLAlchemy connection. A handler that commits or
    rolls back `session` ends a savepoint only. A store without SQL raises ConfigurationError for both.
    """

    @property
    def session(self) -> Any:
        """An SQLAlchemy session bound to the transaction, made on first use."""
        ...

    @property
    def connection(self) -> Any:
        """The SQLAlchemy connection that carries the transaction."""
        ...


@frozen
class OutboxRow:
    """An outgoing event.

    `key` orders: rows of one key are published in the order they were committed. `payload` is the event's JSON text,
    `occurred_at` aware UTC.
    """

    event_id: str
    type: str
    key: str
    payload: str
    occurred_at: datetime
    payment_id: str
    traceparent: str | None = None


@frozen(kw_only=True)
class Advance:
    """A transition and all that is written with it: the payment as it is afterwards, names, outgoing events.

    `event_id` is the fact's, as it is published; `reason` that of a failed attempt, a quarantine or a release.
    """

    payment: Payment
    transition: str
    discriminator: str
    event_id: str
    reason: str | None = None
    refs: Sequence[Ref] = ()
    outgoing: Sequence[OutboxRow] = ()


@frozen
class StoreHealth:
    """How far behind the work is.

    `oldest_unhandled_s` is 0 with nothing waiting; dead letters are not waiting. `outbox_backlog` counts rows that a
    broker is owed; without a broker it is 0. `quarantined` counts payments that somebody has to look at.
    """

    oldest_unhandled_s: float
    dead_letters: int
    outbox_backlog: int
    quarantined: int


class StoreTransaction(Protocol):
    """One transaction over everything that must hold together.

    - All writes commit together when the block ends, and none does when it raises.
    - `stamp_done`, `stamp_and_lock` or `stamp_and_advance` comes first. It returns False or None, and nothing may be
      written after it, when the claim's token is not the current one any more or the event is not leased.
    - `stamp_and_lock` and `advance` are what every event takes: `stamp_done` with `lock_payment`, and `record` with all
      that follows from it, each in one step where the database can.
    - `stamp_and_advance` is both at once, for a payment that was read before and is still as it was `seen`. It returns
      False when the lease is gone, when anybody has written the payment since, or when the transition is already
      recorded; part of it may have been done then, and the block must be left by raising.
    - `lock_payment` waits for whoever holds that payment's row; what it returns is current.
    - `record` returns False, and writes nothing, when this transition of this payment with this discriminator is
      already recorded, by whomever.
    """

    @property
    def handle(self) -> Transaction:
        """What handlers are given."""
        ...

    async def stamp_done(self, claimed: ClaimedEvent) -> bool:
        """Mark the claimed event handled, if its fencing token is still the current one."""
        ...

    async def stamp_and_lock(self, claimed: ClaimedEvent, payment_id: str) -> Payment | None:
        """Stamp the claimed event and lock its payment; None when it cannot be stamped any more."""
        ...

    async def stamp_and_advance(self, claimed: ClaimedEvent, seen: Payment, change: Advance) -> bool:
        """Stamp the claimed event and record the transition of a payment that is still as it was seen.

        False when one of it cannot be: then the whole transaction must be undone.
        """
        ...

    async def advance(self, change: Advance) -> bool:
        """Record the transition of a locked payment and write what goes with it.

        False, and nothing is written, when the transition is already recorded.
        """
        ...

    async def lock_payment(self, payment_id: str) -> Payment:
        """The payment's current row, locked until the transaction ends."""
        ...

    async def save_payment(self, payment: Payment) -> None:
        """Write the payment's changed fields."""
        ...

    async def add_refs(self, payment_id: str, refs: Sequence[Ref]) -> None:
        """Remember Stripe's names for the payment; names that are already taken are left as they are."""
        ...

    async def record(
        self, payment_id: str, transition: str, discriminator: str, event_id: str, reason: str | None = None
    ) -> bool:
        """Record a transition once, with its reason where it has one. True when this call did."""
        ...

    async def enqueue(self, rows: Sequence[OutboxRow]) -> None:
        """Put outgoing events into the outbox, in this order."""
        ...

    async def flush(self) -> None:
        """Send what handlers left pending in `handle.session`, so that its errors surface before the commit."""
        ...


class Store(Protocol):
    """Payments, inbox and outbox in one database.

    - `receive` returns only when the row is durable: committed and synced to disk. It returns False, and changes
      nothing, for an event id that is already there for that account and mode.
    - `claim` gives each due event to one caller only, for `lease_s` seconds by the database's clock, counts the
      attempt, and raises the token. Due are ready events, parked ones whose time has come and leased ones whose
      lease ran out. One whose lease ran out is claimed alone: it may be what ended its worker, and must not use up the
      attempts of those that would be claimed with it; and for LATE_LEASES times as long.
    - No two events with the same lane are leased at once: not by two claims, and not by `assign_lane`.
    - `assign_lane`, `let_go` and `bury` return False, and change nothing, when the token is not current. `assign_lane`
      also returns False when another event of the lane is leased; the caller lets go.
    - `adopt` is insert-or-select: of callers that race for the same references, all get the same payment's id.
    - Whatever goes wrong with the database comes out as StoreUnavailable, and is worth trying again.
    - After `close`, nothing of the store runs any more, until `prepare` opens it again.
    """

    @property
    def io(self) -> Io:
        """Whether its methods block the thread or suspend on the loop."""
        ...

    @property
    def writers(self) -> int:
        """How many transactions it lets write at once: 1 for an embedded file."""
        ...

    @property
    def records(self) -> Records:
        """What an operator may look at and do; see Records."""
        ...

    @property
    def sweeps(self) -> Sweeps:
        """What a reconciliation looks up and remembers; see Sweeps."""
        ...

    @property
    def openings(self) -> Openings:
        """What is opened once, by name; see Openings."""
        ...

    async def prepare(self) -> None:
        """Make ready: check that the schema is there, and create it in an embedded SQLite file.

        Raises ConfigurationError, with the command to run, when a server's schema is missing or too old.
        """
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...

    async def add_payment(self, payment: Payment) -> None:
        """Insert a new payment, durable on return."""
        ...

    async def opened(self, payment_id: str, session: Session) -> None:
        """Save the session that Stripe made for the payment, with its reference, durable on return."""
        ...

    async def payments(self, payment_ids: Sequence[str]) -> Mapping[str, Payment]:
        """The payments of those ids, by id; unknown ones are left out."""
        ...

    async def payment(self, payment_id: str) -> Payment | None:
        """The payment of that id, or None."""
        ...

    async def find_payment(self, refs: Sequence[Ref], *, account: str | None, livemode: bool) -> Payment | None:
        """The payment that bears one of these names, the first that matches in the given order; or None."""
        ...

    async def declines(self, by: DeclinedBy, value: str, *, since: datetime, limit: int) -> Sequence[datetime]:
        """When attempts to pay were declined since then, newest first, at most `limit`.

        `value` is a payment id, a caller's digest or a user id. Payments count that were opened at most a day before.
        """
        ...

    async def adopt(self, payment: Payment, refs: Sequence[Ref]) -> str:
        """Insert `payment` with its references unless one of them is taken; the id of the payment that has them."""
        ...

    async def receive(self, event: ReceivedEvent) -> bool:
        """Store an authenticated event. True when it is new."""
        ...

    async def claim(self, *, limit: int, lease_s: int) -> Sequence[ClaimedEvent]:
        """Lease up to `limit` due events, at most one of each lane, oldest first."""
        ...

    async def assign_lane(self, claimed: ClaimedEvent, payment_id: str) -> bool:
        """Put a leased event into the lane of its payment."""
        ...

    async def assign_lanes(self, assignments: Sequence[tuple[ClaimedEvent, str]]) -> bool:
        """`assign_lane` for events of different lanes in one commit: all of them, or none and False."""
        ...

    async def let_go(self, claimed: ClaimedEvent, *, delay_s: float, reason: str, counted: bool, parked: bool) -> bool:
        """Give a leased event back, due again in `delay_s` seconds. An uncounted attempt does not use one up."""
        ...

    async def bury(self, claimed: ClaimedEvent, reason: str) -> bool:
        """Make a leased event a dead letter; it stays until somebody replays it."""
        ...

    async def next_due_s(self) -> float | None:
        """Seconds until something is due (0 when it is now), or None when nothing waits."""
        ...

    async def health(self) -> StoreHealth:
        """How far behind the work is."""
        ...

    async def recent_events(self, limit: int) -> Sequence[str]:
        """The payloads of the newest outgoing events, newest first."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[StoreTransaction]:
        """A transaction; see StoreTransaction."""
        ...
