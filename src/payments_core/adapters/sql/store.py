"""The store on PostgreSQL or SQLite: each method of the port, written once for both worlds.

`blocking_store` is for Payments, `async_store` for AsyncPayments; they differ in the connector alone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from payments_core.adapters.sql import inbox, outbox, payments, schema, settling
from payments_core.adapters.sql.asynchronous import AsyncConnector
from payments_core.adapters.sql.blocking import BlockingConnector
from payments_core.adapters.sql.connector import Connector, Link
from payments_core.adapters.sql.engines import Limits
from payments_core.adapters.sql.handle import SessionFactory
from payments_core.adapters.sql.intake import row_of
from payments_core.adapters.sql.openings import SqlOpenings
from payments_core.adapters.sql.processes import AsyncEngines, BlockingEngines
from payments_core.adapters.sql.records import SqlRecords
from payments_core.adapters.sql.statements import Dialect
from payments_core.adapters.sql.sweeps import SqlSweeps
from payments_core.adapters.sql.urls import database_url
from payments_core.domain.delivery import ClaimedEvent, ReceivedEvent
from payments_core.domain.payment import Payment
from payments_core.domain.refs import Ref
from payments_core.domain.stripe_objects import Session
from payments_core.ports import (
    Advance,
    Clock,
    DeclinedBy,
    Io,
    Openings,
    OutboxRow,
    Records,
    StoreHealth,
    StoreTransaction,
    Sweeps,
    Transaction,
)


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def blocking_store(
    url: str,
    *,
    clock: Clock = utc_now,
    owes_broker: bool = False,
    session_factory: SessionFactory | None = None,
    limits: Limits | None = None,
) -> SqlStore:
    """A store for the synchronous world. Nothing is connected yet.

    `clock` counts for SQLite only; PostgreSQL uses its own. `owes_broker`: outgoing events are owed to a broker.
    `session_factory`: a Session class or sessionmaker, for `tx.session`. Raises ConfigurationError for a URL of another
    kind of database.
    """
    engines = BlockingEngines(database_url(url, "blocking"), limits or Limits())
    return SqlStore(BlockingConnector(engines, session_factory, clock), clock=clock, owes_broker=owes_broker)


def async_store(
    url: str,
    *,
    clock: Clock = utc_now,
    owes_broker: bool = False,
    session_factory: SessionFactory | None = None,
    limits: Limits | None = None,
) -> SqlStore:
    """A store for the asynchronous world, as `blocking_store`; `session_factory` makes AsyncSessions."""
    engines = AsyncEngines(database_url(url, "async"), limits or Limits())
    return SqlStore(AsyncConnector(engines, session_factory, clock), clock=clock, owes_broker=owes_broker)


class SqlStore:
    """`payments_core.ports.Store` over SQLAlchemy."""

    def __init__(self, connector: Connector, *, clock: Clock = utc_now, owes_broker: bool = False) -> None:
        self._connector = connector
        self._dialect = Dialect(connector.url.get_backend_name(), clock)
        self._owes_broker = owes_broker

    @property
    def io(self) -> Io:
        """See Store."""
        return self._connector.io

    @property
    def writers(self) -> int:
        """See Store."""
        return 1 if self._dialect.is_sqlite else self._connector.connections

    @property
    def records(self) -> Records:
        """See Store."""
        return SqlRecords(self._connector, self._dialect)

    @property
    def sweeps(self) -> Sweeps:
        """See Store."""
        return SqlSweeps(self._connector, self._dialect)

    @property
    def openings(self) -> Openings:
        """See Store."""
        return SqlOpenings(self._connector, self._dialect)

    async def prepare(self) -> None:
        """See Store."""
        self._connector.open()
        await schema.prepare(self._connector)

    async def close(self) -> None:
        """See Store."""
        await self._connector.close()

    async def add_payment(self, payment: Payment) -> None:
        """See Store."""
        await payments.add(self._connector, payment)

    async def opened(self, payment_id: str, session: Session) -> None:
        """See Store."""
        await payments.opened(self._connector, self._dialect, payment_id, session)

    async def payments(self, payment_ids: Sequence[str]) -> Mapping[str, Payment]:
        """See Store."""
        return await payments.by_ids(self._connector, self._dialect, payment_ids)

    async def payment(self, payment_id: str) -> Payment | None:
        """See Store."""
        return await payments.by_id(self._connector, payment_id)

    async def find_payment(self, refs: Sequence[Ref], *, account: str | None, livemode: bool) -> Payment | None:
        """See Store."""
        return await payments.find(self._connector, refs, account, livemode=livemode)

    async def declines(self, by: DeclinedBy, value: str, *, since: datetime, limit: int) -> Sequence[datetime]:
        """See Store."""
        return await payments.declines(self._connector, by, value, since=since, limit=limit)

    async def adopt(self, payment: Payment, refs: Sequence[Ref]) -> str:
        """See Store."""
        return await payments.adopt(self._connector, self._dialect, payment, refs)

    async def receive(self, event: ReceivedEvent) -> bool:
        """See Store."""
        return await self._connector.receive(row_of(event))

    async def claim(self, *, limit: int, lease_s: int) -> Sequence[ClaimedEvent]:
        """See Store."""
        return await inbox.claim(self._connector, self._dialect, limit=limit, lease_s=lease_s)

    async def assign_lane(self, claimed: ClaimedEvent, payment_id: str) -> bool:
        """See Store."""
        return await inbox.assign_lane(self._connector, claimed, payment_id)

    async def assign_lanes(self, assignments: Sequence[tuple[ClaimedEvent, str]]) -> bool:
        """See Store."""
        return await inbox.assign_lanes(self._connector, self._dialect, assignments)

    async def let_go(self, claimed: ClaimedEvent, *, delay_s: float, reason: str, counted: bool, parked: bool) -> bool:
        """See Store."""
        return await inbox.let_go(
            self._connector, self._dialect, claimed, delay_s=delay_s, reason=reason, counted=counted, parked=parked
        )

    async def bury(self, claimed: ClaimedEvent, reason: str) -> bool:
        """See Store."""
        return await inbox.bury(self._connector, claimed, reason)

    async def next_due_s(self) -> float | None:
        """See Store."""
        return await inbox.next_due_s(self._connector, self._dialect)

    async def health(self) -> StoreHealth:
        """See Store."""
        async with self._connector.transaction(writes=False) as link:
            oldest_s, dead = await inbox.waiting(link, self._dialect)
            return StoreHealth(oldest_s, dead, await outbox.backlog(link), await payments.quarantined(link))

    async def recent_events(self, limit: int) -> Sequence[str]:
        """See Store."""
        return await outbox.recent(self._connector, limit)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[StoreTransaction]:
        """See Store."""
        async with self._connector.transaction() as link:
            yield SqlTransaction(link, self._dialect, owes_broker=self._owes_broker)


class SqlTransaction:
    """`payments_core.ports.StoreTransaction` over an open transaction."""

    def __init__(self, link: Link, dialect: Dialect, *, owes_broker: bool) -> None:
        self._link = link
        self._dialect = dialect
        self._owes_broker = owes_broker
        self._locked: dict[str, Payment] = {}

    @property
    def handle(self) -> Transaction:
        """See StoreTransaction."""
        return self._link.handle

    async def stamp_done(self, claimed: ClaimedEvent) -> bool:
        """See StoreTransaction."""
        return await inbox.stamp_done(self._link, self._dialect, claimed)

    async def stamp_and_lock(self, claimed: ClaimedEvent, payment_id: str) -> Payment | None:
        """See StoreTransaction."""
        found = await settling.stamp_and_lock(self._link, self._dialect, claimed, payment_id)
        if found is not None:
            self._locked[payment_id] = found
        return found

    async def stamp_and_advance(self, claimed: ClaimedEvent, seen: Payment, change: Advance) -> bool:
        """See StoreTransaction."""
        owed = self._owes_broker
        written = await settling.stamp_and_advance(self._link, self._dialect, claimed, seen, change, owed=owed)
        if written:
            self._locked[seen.payment_id] = change.payment
        return written

    async def advance(self, change: Advance) -> bool:
        """See StoreTransaction."""
        before = self._locked[change.payment.payment_id]
        written = await settling.advance(self._link, self._dialect, before, change, owed=self._owes_broker)
        if written:
            self._locked[before.payment_id] = change.payment
        return written

    async def lock_payment(self, payment_id: str) -> Payment:
        """See StoreTransaction."""
        found = await payments.lock(self._link, payment_id)
        self._locked[payment_id] = found
        return found

    async def save_payment(self, payment: Payment) -> None:
        """See StoreTransaction."""
        await payments.save(self._link, self._locked.get(payment.payment_id), payment)
        self._locked[payment.payment_id] = payment

    async def add_refs(self, payment_id: str, refs: Sequence[Ref]) -> None:
        """See StoreTransaction."""
        await payments.add_refs(self._link, self._dialect, payment_id, refs, locked=self._locked.get(payment_id))

    async def record(
        self, payment_id: str, transition: str, discriminator: str, event_id: str, reason: str | None = None
    ) -> bool:
        """See StoreTransaction."""
        return await payments.record(
            self._link,
            self._dialect,
            payment_id=payment_id,
            transition=transition,
            discriminator=discriminator,
            event_id=event_id,
            reason=reason,
        )

    async def enqueue(self, rows: Sequence[OutboxRow]) -> None:
        """See StoreTransaction."""
        await outbox.enqueue(self._link, self._dialect, rows, owed=self._owes_broker)

    async def flush(self) -> None:
        """See StoreTransaction."""
        await self._link.handle.flush()
