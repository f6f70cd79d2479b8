"""The operator's side of the inbox: look, find, and bring dead letters back. No statement but `body` reads bodies.

A table of a million handled rows is the normal case, and what is looked for is usually open or dead: few rows, each
kind with a partial index. So the states stand literally in the statements, as in `inbox`, and the newest events come by
the primary key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, Update, func, select, tuple_, update
from sqlalchemy.sql.selectable import NamedFromClause

from payments_core.adapters.sql import analytics
from payments_core.adapters.sql.connector import Connector, changed, one, rows
from payments_core.adapters.sql.rows import read_payment
from payments_core.adapters.sql.statements import Dialect, now_sql
from payments_core.adapters.sql.states import MODES, READY, is_in, is_quarantined
from payments_core.adapters.sql.tables import NO_LIVEMODE, inbox, outbox
from payments_core.adapters.sql.tables import payment as payments
from payments_core.adapters.sql.tables import transition as transitions
from payments_core.domain.analytics import Period, Tallies
from payments_core.domain.delivery import InboxState
from payments_core.domain.payment import Payment, PaymentState
from payments_core.ports import (
    DeadCount,
    EventFilter,
    EventPage,
    EventRecord,
    OutgoingRecord,
    PaymentHistory,
    TransitionRecord,
)

_SHOWN: Final = tuple(column for column in inbox.c if column.name not in ("body", "traceparent"))


class SqlRecords:
    """`payments_core.ports.Records` over SQLAlchemy."""

    def __init__(self, connector: Connector, dialect: Dialect) -> None:
        self._connector = connector
        self._dialect = dialect

    async def events(
        self, wanted: EventFilter, *, state: InboxState | None = None, limit: int, before: int | None = None
    ) -> EventPage:
        """See Records."""
        return await self._page(newest(wanted, state=state, limit=limit, before=before))

    async def counts(self) -> Mapping[InboxState, int]:
        """See Records. The handled ones are what is left of all: they alone have no index to be counted by."""
        counted = [state for state in InboxState if state is not InboxState.DONE]
        figures = [_count().scalar_subquery(), *(_count(is_in(state)).scalar_subquery() for state in counted)]
        async with self._connector.transaction(writes=False) as link:
            [found] = await rows(link, select(*figures))
        total, *numbers = map(int, found)
        return {**dict(zip(counted, numbers, strict=True)), InboxState.DONE: total - sum(numbers)}

    async def named(self, event_id: str) -> EventPage:
        """See Records."""
        return await self._page(having_id(event_id))

    async def body(self, seq: int) -> bytes | None:
        """See Records."""
        async with self._connector.transaction(writes=False) as link:
            found = await one(link, select(inbox.c.body).where(inbox.c.seq == seq))
        return None if found is None else bytes(found.body)

    async def history(self, payment_id: str) -> PaymentHistory | None:
        """See Records. The outbox is entered by the facts' ids, for which it has an index."""
        recorded = (
            select(transitions)
            .where(transitions.c.payment_id == payment_id)
            .order_by(transitions.c.recorded_at, transitions.c.transition, transitions.c.discriminator)
        )
        facts = select(transitions.c.event_id).where(transitions.c.payment_id == payment_id)
        told = select(outbox).where(outbox.c.event_id.in_(facts)).order_by(outbox.c.id)
        async with self._connector.transaction(writes=False) as link:
            payment = await one(link, select(payments.c.state).where(payments.c.payment_id == payment_id))
            if payment is None:
                return None
            return PaymentHistory(
                payment_id,
                PaymentState(payment.state),
                tuple(map(_read_transition, await rows(link, recorded))),
                tuple(map(_read_outgoing, await rows(link, told))),
            )

    async def revive(self, seq: int) -> bool:
        """See Records. Another who revives it is waited for, and is then found to have done it."""
        async with self._connector.transaction() as link:
            dead = _revived(self._dialect).where(inbox.c.seq == seq, is_in(InboxState.DEAD))
            return await changed(link, dead, self._dialect.moment()) == 1

    async def revive_dead(self, wanted: EventFilter, *, after: int, limit: int) -> Sequence[int]:
        """See Records."""
        async with self._connector.transaction() as link:
            chosen = revival(self._dialect, wanted, after=after, limit=limit)
            return sorted(row.seq for row in await rows(link, chosen, self._dialect.moment()))

    async def count_dead(self, wanted: EventFilter) -> DeadCount:
        """See Records."""
        dead = [is_in(InboxState.DEAD), *_fits(wanted)]
        figures = [_count(*dead, begun).scalar_subquery() for begun in (_was_claimed(), ~_was_claimed())]
        async with self._connector.transaction(writes=False) as link:
            [found] = await rows(link, select(*figures))
        return DeadCount(*map(int, found))

    async def quarantined(self, *, limit: int, after: str | None = None) -> Sequence[Payment]:
        """See Records."""
        async with self._connector.transaction(writes=False) as link:
            return [read_payment(row) for row in await rows(link, waiting_longest(limit=limit, after=after))]

    async def has_live_payments(self) -> bool:
        """See Records."""
        async with self._connector.transaction(writes=False) as link:
            return await one(link, select(payments.c.payment_id).where(payments.c.livemode).limit(1)) is not None

    async def tallies(self, period: Period) -> Tallies:
        """See Records."""
        async with self._connector.transaction(writes=False) as link:
            return await analytics.tallies(link, self._dialect, period)

    async def _page(self, statement: Select[Any]) -> EventPage:
        async with self._connector.transaction(writes=False) as link:
            found = await rows(link, statement)
            [clock] = await rows(link, select(now_sql(self._dialect.name).label("now")), self._dialect.moment())
        return EventPage(tuple(map(_read_event, found)), clock.now)


def newest(wanted: EventFilter, *, state: InboxState | None, limit: int, before: int | None) -> Select[Any]:
    """The newest events that fit."""
    statement = select(*_SHOWN).where(*_fits(wanted)).order_by(inbox.c.seq.desc()).limit(limit)
    if before is not None:
        statement = statement.where(inbox.c.seq < before)
    if state is None or state is InboxState.DONE:
        return statement if state is None else statement.where(is_in(state))
    # Chosen first, by the partial index: a walk along the primary key would pass a million handled rows to find few.
    few = select(inbox.c.seq).where(is_in(state)).correlate(None)
    return statement.where(inbox.c.seq.in_(few))


def waiting_longest(*, limit: int, after: str | None) -> Select[Any]:
    """The quarantined payments in the order of their index."""
    place = (payments.c.quarantined_at, payments.c.payment_id)
    statement = select(payments).where(is_quarantined()).order_by(*place).limit(limit)
    if after is None:
        return statement
    last = payments.alias("last")
    since = select(last.c.quarantined_at).where(last.c.payment_id == after).scalar_subquery()
    return statement.where(tuple_(*place) > tuple_(since, after))


def having_id(event_id: str) -> Select[Any]:
    """The events of an id, whatever their account: the accounts are walked along the unique key, one step for each."""
    accounts = select(func.min(inbox.c.account).label("account")).cte("accounts", recursive=True)
    following = select(func.min(inbox.c.account)).where(inbox.c.account > accounts.c.account).scalar_subquery()
    accounts = accounts.union_all(select(following).where(accounts.c.account.is_not(None)))
    return (
        select(*_SHOWN)
        .join(accounts, inbox.c.account == accounts.c.account)
        .where(inbox.c.livemode.in_(MODES), inbox.c.event_id == event_id)
        .order_by(inbox.c.seq.desc())
    )


def revival(dialect: Dialect, wanted: EventFilter, *, after: int, limit: int) -> Update:
    """Bring back the oldest dead letters that fit and can be read; what another revives at this moment is left out."""
    dead = inbox.alias("d")
    chosen = (
        select(dead.c.seq)
        .where(is_in(InboxState.DEAD, dead), _was_claimed(dead), dead.c.seq > after, *_fits(wanted, dead))
        .order_by(dead.c.seq)
        .limit(limit)
    )
    revived = _revived(dialect)
    if dialect.is_sqlite:
        picked = revived.where(inbox.c.seq.in_(chosen), is_in(InboxState.DEAD))
    else:
        locked = chosen.with_for_update(skip_locked=True).cte("picked").prefix_with("MATERIALIZED")
        picked = revived.where(inbox.c.seq == locked.c.seq)
    return picked.returning(inbox.c.seq)


def _was_claimed(table: NamedFromClause = inbox) -> ColumnElement[bool]:
    """Whether anybody ever began it: the token is raised by every claim, and is 0 for what was stored dead."""
    return table.c.token > 0


def _fits(wanted: EventFilter, table: NamedFromClause = inbox) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.type is not None:
        conditions.append(table.c.type == wanted.type)
    if wanted.payment_id is not None:
        conditions.append(table.c.lane == wanted.payment_id)
    if wanted.since is not None:
        conditions.append(table.c.received_at >= wanted.since)
    return conditions


def _count(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(func.count()).select_from(inbox).where(*conditions)


def _revived(dialect: Dialect) -> Update:
    return update(inbox).values(state=READY, attempts=0, next_at=now_sql(dialect.name), token=inbox.c.token + 1)


def _read_event(row: Row[Any]) -> EventRecord:
    return EventRecord(
        seq=row.seq,
        event_id=row.event_id,
        type=row.type,
        state=InboxState(row.state),
        attempts=row.attempts,
        received_at=row.received_at,
        next_at=row.next_at,
        was_claimed=row.token > 0,
        done_at=row.done_at,
        payment_id=row.lane,
        account=row.account or None,
        livemode=None if row.livemode == NO_LIVEMODE else bool(row.livemode),
        last_error=row.last_error,
    )


def _read_transition(row: Row[Any]) -> TransitionRecord:
    return TransitionRecord(row.transition, row.discriminator, row.event_id, row.recorded_at, row.reason)


def _read_outgoing(row: Row[Any]) -> OutgoingRecord:
    return OutgoingRecord(row.event_id, row.type, row.occurred_at, row.owed, row.published_at)
