"""The store as a reconciliation sees it: many names in one statement, long tables in pages.

`told` and `payments` have no index of their own: a reconciliation runs a few times an hour at most, and an index would
be paid for by every webhook. Both read in the order of a key that there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, case, select
from sqlalchemy.dialects import postgresql, sqlite

from payments_core.adapters.sql import payments as payment_rows
from payments_core.adapters.sql.columns import writable
from payments_core.adapters.sql.connector import Connector, changed, one, rows
from payments_core.adapters.sql.rows import account_key, read_payment
from payments_core.adapters.sql.statements import Dialect, now_sql
from payments_core.adapters.sql.states import MODES, is_open
from payments_core.adapters.sql.tables import NO_ACCOUNT, NO_LIVEMODE, inbox
from payments_core.adapters.sql.tables import payment as payments
from payments_core.adapters.sql.tables import sweep as sweeps
from payments_core.domain.payment import Payment
from payments_core.domain.refs import Ref
from payments_core.ports import InboxEntry, Known, Selection

_ENTRY: Final = (
    inbox.c.seq,
    inbox.c.event_id,
    inbox.c.type,
    inbox.c.received_at,
    inbox.c.body,
    inbox.c.account,
    inbox.c.livemode,
    inbox.c.last_error,
)


class SqlSweeps:
    """`payments_core.ports.Sweeps` over SQLAlchemy."""

    def __init__(self, connector: Connector, dialect: Dialect) -> None:
        self._connector = connector
        self._dialect = dialect

    async def swept_until(self, name: str) -> datetime | None:
        """See Sweeps."""
        async with self._connector.transaction(writes=False) as link:
            found = await one(link, select(sweeps.c.swept_until).where(sweeps.c.name == name))
        return None if found is None else found.swept_until

    async def advance(self, name: str, until: datetime) -> None:
        """See Sweeps."""
        async with self._connector.transaction() as link:
            await changed(link, self._advanced(name, until), self._dialect.moment())

    async def held(self, event_ids: Sequence[str], *, account: str | None) -> frozenset[str]:
        """See Sweeps."""
        if not event_ids:
            return frozenset()
        statement = select(inbox.c.event_id).where(
            inbox.c.account.in_({NO_ACCOUNT, account_key(account)}),
            inbox.c.livemode.in_(MODES),
            inbox.c.event_id.in_(event_ids),
        )
        async with self._connector.transaction(writes=False) as link:
            found = {row.event_id for row in await rows(link, statement)}
        return frozenset(event_id for event_id in event_ids if writable(event_id) in found)

    async def known(self, ids: Sequence[str], refs: Sequence[Ref], *, account: str | None, livemode: bool) -> Known:
        """See Sweeps."""
        async with self._connector.transaction(writes=False) as link:
            owners = await payment_rows.owners(link, refs, account, livemode=livemode)
            found = await payment_rows.of_ids(link, {*ids, *owners.values()})
        by_id = {one: found[writable(one)] for one in ids if writable(one) in found}
        return Known(by_id, {ref: found[owner] for ref, owner in owners.items() if owner in found})

    async def waiting(self, *, after: int, limit: int) -> Sequence[InboxEntry]:
        """See Sweeps."""
        return await self._entries(after, limit, is_open())

    async def told(self, types: Sequence[str], *, since: datetime, after: int, limit: int) -> Sequence[InboxEntry]:
        """See Sweeps."""
        return await self._entries(after, limit, inbox.c.type.in_(types), inbox.c.received_at >= since)

    async def payments(self, wanted: Selection, *, after: str, limit: int) -> Sequence[Payment]:
        """See Sweeps."""
        statement = (
            select(payments)
            .where(
                payments.c.payment_id > after,
                payments.c.state.in_([state.value for state in wanted.states]),
                payments.c.created_at >= wanted.since,
                payments.c.created_at < wanted.until,
                payments.c.account == wanted.account if wanted.account is not None else payments.c.account.is_(None),
                payments.c.livemode == wanted.livemode,
            )
            .order_by(payments.c.payment_id)
            .limit(limit)
        )
        async with self._connector.transaction(writes=False) as link:
            return [read_payment(row) for row in await rows(link, statement)]

    async def _entries(self, after: int, limit: int, *conditions: ColumnElement[bool]) -> Sequence[InboxEntry]:
        statement = select(*_ENTRY).where(inbox.c.seq > after, *conditions).order_by(inbox.c.seq).limit(limit)
        async with self._connector.transaction(writes=False) as link:
            return [_entry(row) for row in await rows(link, statement)]

    def _advanced(self, name: str, until: datetime) -> postgresql.Insert | sqlite.Insert:
        insert = sqlite.insert(sweeps) if self._dialect.is_sqlite else postgresql.insert(sweeps)
        insert = insert.values(name=name, swept_until=until, finished_at=now_sql(self._dialect.name))
        new = insert.excluded
        furthest = case((sweeps.c.swept_until > new.swept_until, sweeps.c.swept_until), else_=new.swept_until)
        return insert.on_conflict_do_update(
            index_elements=[sweeps.c.name], set_={"swept_until": furthest, "finished_at": new.finished_at}
        )


def _entry(row: Row[Any]) -> InboxEntry:
    return InboxEntry(
        seq=row.seq,
        event_id=row.event_id,
        type=row.type,
        received_at=row.received_at,
        body=bytes(row.body),
        account=row.account or None,
        livemode=None if row.livemode == NO_LIVEMODE else bool(row.livemode),
        last_error=row.last_error,
    )
