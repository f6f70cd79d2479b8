"""What a consumer group has handled, on PostgreSQL or SQLite: each method of the port, written once for both worlds.

The primary key is the guarantee. Of two transactions that insert one message, PostgreSQL lets the second wait for the
first and then leaves its row alone; SQLite lets one write at a time.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Update, bindparam, literal_column, null, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from payments_core.adapters.sql import schema
from payments_core.adapters.sql.asynchronous import AsyncConnector
from payments_core.adapters.sql.blocking import BlockingConnector
from payments_core.adapters.sql.connector import Connector, Link, changed, one, rows
from payments_core.adapters.sql.engines import Limits
from payments_core.adapters.sql.faults import unavailable
from payments_core.adapters.sql.handle import SessionFactory
from payments_core.adapters.sql.processes import AsyncEngines, BlockingEngines
from payments_core.adapters.sql.statements import Dialect, given, insert_or_ignore, now_sql
from payments_core.adapters.sql.store import utc_now
from payments_core.adapters.sql.tables import consumed
from payments_core.adapters.sql.urls import database_url
from payments_core.domain.consumption import Message, MessageState
from payments_core.ports import Clock, Io, Transaction
from payments_core.ports.consuming import ConsumedTransaction, KeptMessage, KeptRecord


def _literal(state: MessageState) -> ColumnElement[int]:
    return literal_column(str(state.value))


_DUE: Final = _literal(MessageState.DUE)
_DONE: Final = _literal(MessageState.DONE)
_DEAD: Final = _literal(MessageState.DEAD)
#: As the partial index has it, so that a planner uses it.
_KEPT: Final = text("state <> 2")

_PLACE: Final = ("consumer", "message_id", "topic", "partition", "position")
_WHOLE: Final = (*_PLACE, "key", "body", "headers", "reason")
_RECORD: Final = (*(consumed.c[name] for name in _PLACE), consumed.c.state, consumed.c.reason, consumed.c.consumed_at)
_LONGEST_REASON: Final = 2000


def blocking_consumed(
    url: str,
    *,
    clock: Clock = utc_now,
    session_factory: SessionFactory | None = None,
    limits: Limits | None = None,
) -> SqlConsumed:
    """For the synchronous world; see `blocking_store` for the arguments. Nothing is connected yet."""
    engines = BlockingEngines(database_url(url, "blocking"), limits or Limits())
    return SqlConsumed(BlockingConnector(engines, session_factory, clock), clock)


def async_consumed(
    url: str,
    *,
    clock: Clock = utc_now,
    session_factory: SessionFactory | None = None,
    limits: Limits | None = None,
) -> SqlConsumed:
    """For the asynchronous world, as `blocking_consumed`; `session_factory` makes AsyncSessions."""
    engines = AsyncEngines(database_url(url, "async"), limits or Limits())
    return SqlConsumed(AsyncConnector(engines, session_factory, clock), clock)


class SqlConsumed:
    """`payments_core.ports.consuming.Consumed` over SQLAlchemy."""

    def __init__(self, connector: Connector, clock: Clock = utc_now) -> None:
        self._connector = connector
        self._dialect = Dialect(connector.url.get_backend_name(), clock)

    @property
    def io(self) -> Io:
        """See Consumed."""
        return self._connector.io

    @property
    def writers(self) -> int:
        """See Consumed."""
        return 1 if self._dialect.is_sqlite else self._connector.connections

    async def prepare(self) -> None:
        """See Consumed."""
        self._connector.open()
        await schema.prepare(self._connector)

    async def close(self) -> None:
        """See Consumed."""
        await self._connector.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[ConsumedTransaction]:
        """See Consumed. A connection that is lost while a handler uses it is an outage, not the handler's failure."""
        async with self._connector.transaction() as link:
            try:
                yield SqlConsumedTransaction(link, self._dialect)
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise unavailable(error) from error
                raise

    async def is_known(self, group: str, message_id: str) -> bool:
        """See Consumed."""
        statement = select(consumed.c.state).where(*_is(group, message_id))
        async with self._connector.transaction(writes=False) as link:
            return await one(link, statement) is not None

    async def bury(self, group: str, message_id: str, message: Message, reason: str) -> bool:
        """See Consumed."""
        reason = reason[:_LONGEST_REASON]
        new = _values(group, message_id, message) | {
            "key": message.key,
            "body": message.body,
            "headers": json.dumps(dict(message.headers)),
            "reason": reason,
        }
        insert, again = _burials(self._dialect.name)
        async with self._connector.transaction() as link:
            if await changed(link, insert, new | self._dialect.moment()):
                return True
            known = {"its_group": group, "its_id": message_id, "reason": reason}
            return await changed(link, again, known | self._dialect.moment()) > 0

    async def due(self, group: str, limit: int) -> Sequence[KeptMessage]:
        """See Consumed."""
        statement = (
            select(consumed)
            .where(_KEPT, consumed.c.consumer == group, consumed.c.state == _DUE)
            .order_by(consumed.c.consumed_at, consumed.c.message_id)
            .limit(limit)
        )
        async with self._connector.transaction(writes=False) as link:
            return [_kept(row) for row in await rows(link, statement)]

    async def kept(self, group: str | None, limit: int) -> Sequence[KeptRecord]:
        """See Consumed."""
        statement = (
            select(*_RECORD)
            .where(_KEPT, *_of(group))
            .order_by(consumed.c.consumed_at.desc(), consumed.c.message_id)
            .limit(limit)
        )
        async with self._connector.transaction(writes=False) as link:
            return [_record(row) for row in await rows(link, statement)]

    async def named(self, message_id: str, group: str | None) -> Sequence[KeptMessage]:
        """See Consumed."""
        statement = (
            select(consumed)
            .where(_KEPT, consumed.c.message_id == message_id, *_of(group))
            .order_by(consumed.c.consumer)
        )
        async with self._connector.transaction(writes=False) as link:
            return [_kept(row) for row in await rows(link, statement)]

    async def revive(self, group: str, message_id: str) -> bool:
        """See Consumed."""
        return await self._revived(*_is(group, message_id)) > 0

    async def revive_all(self, group: str | None) -> int:
        """See Consumed."""
        return await self._revived(*_of(group))

    async def _revived(self, *conditions: ColumnElement[bool]) -> int:
        statement = (
            update(consumed)
            .where(_KEPT, consumed.c.state == _DEAD, *conditions)
            .values(state=_DUE, consumed_at=now_sql(self._dialect.name))
        )
        async with self._connector.transaction() as link:
            return await changed(link, statement, self._dialect.moment())


class SqlConsumedTransaction:
    """`payments_core.ports.consuming.ConsumedTransaction` over an open transaction."""

    def __init__(self, link: Link, dialect: Dialect) -> None:
        self._link = link
        self._dialect = dialect

    @property
    def handle(self) -> Transaction:
        """See ConsumedTransaction."""
        return self._link.handle

    async def take(self, group: str, message_id: str, message: Message) -> bool:
        """See ConsumedTransaction."""
        values = _values(group, message_id, message) | self._dialect.moment()
        return await changed(self._link, _take(self._dialect.name), values) > 0

    async def retake(self, group: str, message_id: str) -> bool:
        """See ConsumedTransaction."""
        values = {"its_group": group, "its_id": message_id} | self._dialect.moment()
        return await changed(self._link, _retake(self._dialect.name), values) > 0

    async def flush(self) -> None:
        """See ConsumedTransaction."""
        await self._link.handle.flush()


@cache
def _take(name: str) -> postgresql.Insert | sqlite.Insert:
    return insert_or_ignore(consumed, name).values(given(_PLACE, state=_DONE, consumed_at=now_sql(name)))


@cache
def _retake(name: str) -> Update:
    forgotten = {column: null() for column in ("key", "body", "headers", "reason")}
    return _due().values(state=_DONE, consumed_at=now_sql(name), **forgotten)


@cache
def _burials(name: str) -> tuple[postgresql.Insert | sqlite.Insert, Update]:
    new = insert_or_ignore(consumed, name).values(given(_WHOLE, state=_DEAD, consumed_at=now_sql(name)))
    return new, _due().values(state=_DEAD, consumed_at=now_sql(name), reason=bindparam("reason"))


def _due() -> Update:
    return update(consumed).where(
        consumed.c.consumer == bindparam("its_group"),
        consumed.c.message_id == bindparam("its_id"),
        consumed.c.state == _DUE,
    )


def _is(group: str, message_id: str) -> tuple[ColumnElement[bool], ...]:
    return consumed.c.consumer == group, consumed.c.message_id == message_id


def _of(group: str | None) -> tuple[ColumnElement[bool], ...]:
    return () if group is None else (consumed.c.consumer == group,)


def _values(group: str, message_id: str, message: Message) -> dict[str, Any]:
    return {
        "consumer": group,
        "message_id": message_id,
        "topic": message.topic,
        "partition": message.partition,
        "position": message.position,
    }


def _kept(row: Row[Any]) -> KeptMessage:
    return KeptMessage(
        group=row.consumer,
        message_id=row.message_id,
        state=MessageState(row.state),
        message=Message(
            topic=row.topic,
            partition=row.partition,
            position=row.position,
            key=None if row.key is None else bytes(row.key),
            body=None if row.body is None else bytes(row.body),
            headers=json.loads(row.headers or "{}"),
        ),
        reason=row.reason,
        since=row.consumed_at,
    )


def _record(row: Row[Any]) -> KeptRecord:
    return KeptRecord(
        group=row.consumer,
        message_id=row.message_id,
        state=MessageState(row.state),
        topic=row.topic,
        partition=row.partition,
        position=row.position,
        reason=row.reason,
        since=row.consumed_at,
    )
