"""Receiving: one literal insert-or-ignore, in a transaction of its own, durable when it returns.

A module of its own because this is the one hot statement: grouping concurrent requests into one commit changes this
file and no other.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import LargeBinary, SmallInteger, TextClause, bindparam, text

from payments_core.adapters.sql.columns import Instant, Words
from payments_core.adapters.sql.connector import Connector, changed
from payments_core.adapters.sql.rows import account_key, livemode_key
from payments_core.adapters.sql.statements import Dialect
from payments_core.domain.delivery import InboxState, ReceivedEvent

_COLUMNS: Final = "account, livemode, event_id, type, body, state, token, attempts, last_error, traceparent"
_VALUES: Final = ":account, :livemode, :event_id, :type, :body, :state, 0, 0, :last_error, :traceparent"


def _statement(now: str) -> TextClause:
    return text(
        f"INSERT INTO payments_inbox ({_COLUMNS}, next_at, received_at) VALUES ({_VALUES}, {now}, {now})"  # noqa: S608
        " ON CONFLICT (account, livemode, event_id) DO NOTHING"
    ).bindparams(
        bindparam("account", type_=Words),
        bindparam("livemode", type_=SmallInteger),
        bindparam("event_id", type_=Words),
        bindparam("type", type_=Words),
        bindparam("body", type_=LargeBinary),
        bindparam("state", type_=SmallInteger),
        bindparam("last_error", type_=Words),
        bindparam("traceparent", type_=Words),
    )


_POSTGRESQL: Final = _statement("statement_timestamp()")
_SQLITE: Final = _statement(":now").bindparams(bindparam("now", type_=Instant))


async def receive(connector: Connector, dialect: Dialect, event: ReceivedEvent) -> bool:
    """Store the event; False when its id is already there for that account and mode."""
    values = _values(event)
    if dialect.is_sqlite:
        values["now"] = dialect.clock()
    async with connector.transaction() as link:
        return await changed(link, _SQLITE if dialect.is_sqlite else _POSTGRESQL, values) == 1


def _values(event: ReceivedEvent) -> dict[str, Any]:
    return {
        "account": account_key(event.account),
        "livemode": livemode_key(event.livemode),
        "event_id": event.event_id,
        "type": event.type,
        "body": event.body,
        "state": InboxState.READY.value if event.unreadable is None else InboxState.DEAD.value,
        "last_error": event.unreadable,
        "traceparent": event.traceparent,
    }
