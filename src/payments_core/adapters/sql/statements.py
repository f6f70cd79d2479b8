"""What differs between the two dialects, and nothing else does: insert-or-ignore, and whose clock is used.

Statements of the hot path are built once per dialect, with `now_sql` and `later_sql` in them, and run with `moment` and
`later` among their parameters: building one costs ten times what running it does.

On PostgreSQL time is the database's, by the start of the statement: workers on several machines then agree on leases.
It is a stable function, so an index can serve `next_at <= now` (`clock_timestamp()` is volatile and could not). SQLite
is on the worker's own machine and gets the injected clock as a parameter.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from attrs import frozen
from sqlalchemy import ColumnElement, Interval, Table, bindparam, func, type_coerce
from sqlalchemy.dialects import postgresql, sqlite

from payments_core.adapters.sql.columns import Instant
from payments_core.ports import Clock


@frozen
class Dialect:
    """Makes the statements' dialect-dependent parts."""

    name: str
    clock: Clock

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is an embedded file."""
        return self.name == "sqlite"

    def moment(self) -> dict[str, Any]:
        """The parameters of a statement that has `now_sql` in it."""
        return {"now": self.clock()} if self.is_sqlite else {}

    def later(self, seconds: float, name: str = "later") -> dict[str, Any]:
        """The parameters of a statement that has `later_sql` in it."""
        distance = timedelta(seconds=seconds)
        return {name: self.clock() + distance if self.is_sqlite else distance}


def now_sql(name: str) -> ColumnElement[datetime]:
    """The current time in a statement that is built once; see `Dialect.moment`."""
    return bindparam("now", type_=Instant) if name == "sqlite" else func.statement_timestamp(type_=Instant)


def later_sql(name: str, parameter: str = "later") -> ColumnElement[datetime]:
    """A later time in a statement that is built once; see `Dialect.later`."""
    if name == "sqlite":
        return bindparam(parameter, type_=Instant)
    return type_coerce(func.statement_timestamp(type_=Instant) + bindparam(parameter, type_=Interval), Instant)


def insert_or_ignore(table: Table, name: str) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that leaves a row alone which is already there; its rowcount says whether it inserted."""
    insert = sqlite.insert(table) if name == "sqlite" else postgresql.insert(table)
    # Without the option SQLAlchemy keeps the count of an INSERT only while its cursor is open.
    return insert.on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def given(columns: Iterable[str], **others: ColumnElement[Any]) -> dict[str, ColumnElement[Any]]:
    """Values of a statement that is built once: a parameter for each column of that name, and expressions."""
    values: dict[str, ColumnElement[Any]] = {column: bindparam(column) for column in columns}
    return values | others
