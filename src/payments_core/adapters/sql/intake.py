"""What receiving writes: rows, and the one hot statement that inserts a group of them.

The statement is literal SQL with as many VALUES as the group has rows, sent through the driver: compiling it anew for
every group would cost more than the insert. Rows are in the order of their key, since two groups that insert the same
keys in opposite orders wait for each other, even with DO NOTHING.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

from payments_core.adapters.sql.columns import writable
from payments_core.adapters.sql.rows import account_key, livemode_key
from payments_core.domain.delivery import InboxState, ReceivedEvent

#: psycopg keeps a hundred statements prepared per connection; there is one for each size of a group.
LARGEST_GROUP: Final = 90

#: What is unique: account, mode and Stripe's event id, as stored.
Key: TypeAlias = tuple[str, int, str]
Row: TypeAlias = tuple[str, int, str, str, bytes, int, str | None, str | None]

_INSERT: Final = (
    "INSERT INTO payments_inbox (account, livemode, event_id, type, body, state, last_error, traceparent, token,"
    " attempts, next_at, received_at) VALUES "
)
_IGNORE: Final = " ON CONFLICT (account, livemode, event_id) DO NOTHING RETURNING account, livemode, event_id"
_COLUMNS: Final = 8
_SQLITE_ROW: Final = "(?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?)"


def row_of(event: ReceivedEvent) -> Row:
    """The event's columns. Text that a database cannot hold is made so that it can: no byte makes a row unwritable."""
    return (
        account_key(event.account),
        livemode_key(event.livemode),
        writable(event.event_id),
        writable(event.type),
        event.body,
        InboxState.READY.value if event.unreadable is None else InboxState.DEAD.value,
        event.unreadable and writable(event.unreadable),
        event.traceparent and writable(event.traceparent),
    )


def key_of(row: Row) -> Key:
    """What the row is unique by."""
    return row[0], row[1], row[2]


def in_order(rows: Iterable[Row]) -> Sequence[Row]:
    """One row of each key, sorted by key."""
    return sorted({key_of(row): row for row in rows}.values(), key=key_of)


@lru_cache(maxsize=LARGEST_GROUP)
def postgresql_insert(size: int) -> bytes:
    """The statement for a group of `size` rows; its parameters are the rows' columns one after another.

    With the server's own placeholders: psycopg would translate its own anew in every statement of this length.
    """
    return (_INSERT + ", ".join(_postgresql_row(number) for number in range(size)) + _IGNORE).encode()


def _postgresql_row(number: int) -> str:
    places = ", ".join(f"${number * _COLUMNS + place}" for place in range(1, _COLUMNS + 1))
    return f"({places}, 0, 0, statement_timestamp(), statement_timestamp())"


@lru_cache(maxsize=LARGEST_GROUP)
def sqlite_insert(size: int) -> str:
    """The same for SQLite, where each row ends with the time, twice, in microseconds since 1970."""
    return _INSERT + ", ".join([_SQLITE_ROW] * size) + _IGNORE


def parameters(rows: Sequence[Row], *after_each: int) -> list[Any]:
    """The rows' columns one after another, each row's followed by `after_each`."""
    return [column for row in rows for column in (*row, *after_each)]
