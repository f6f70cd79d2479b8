"""What differs between the two dialects, and nothing else does: insert-or-ignore, and whose clock is used.

On PostgreSQL time is the database's, by the start of the statement: workers on several machines then agree on leases.
It is a stable function, so an index can serve `next_at <= now` (`clock_timestamp()` is volatile and could not). SQLite
is on the worker's own machine and gets the injected clock as a parameter.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from attrs import frozen
from sqlalchemy import ColumnElement, Interval, Table, func, literal, type_coerce
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

    def now(self) -> ColumnElement[datetime]:
        """The current time, as SQL."""
        return self.after(0)

    def after(self, seconds: float) -> ColumnElement[datetime]:
        """The time in `seconds` seconds, as SQL."""
        distance = timedelta(seconds=seconds)
        if self.is_sqlite:
            return literal(self.clock() + distance, Instant)
        now = func.statement_timestamp(type_=Instant)
        return now if not seconds else type_coerce(now + literal(distance, Interval), Instant)

    def insert_or_ignore(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        """An INSERT that leaves a row alone which is already there; its rowcount says whether it inserted."""
        insert = sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)
        # Without the option SQLAlchemy keeps the count of an INSERT only while its cursor is open.
        return insert.on_conflict_do_nothing().execution_options(preserve_rowcount=True)
