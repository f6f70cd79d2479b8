"""Column types that mean the same on PostgreSQL and SQLite.

`Instant` is exact to the microsecond on both and compares as time does: `timestamptz` on PostgreSQL, whole
microseconds since 1970 on SQLite, whose own date functions are text and stop at milliseconds. `Words` keeps what a
database text cannot hold out of it, so that no byte which a stranger sends can make a row impossible to write.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, DateTime, Integer, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
#: PostgreSQL refuses NUL in a text, and no driver can encode half of a surrogate pair.
_UNWRITABLE: Final = re.compile("[\x00\ud800-\udfff]")


def writable(value: str) -> str:
    """`value` with NUL and lone surrogates replaced by U+FFFD."""
    if value.isascii() and "\x00" not in value:
        return value
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", value)


def microseconds(moment: datetime) -> int:
    """An aware time as SQLite keeps it: whole microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Whole microseconds on SQLite, timestamptz elsewhere."""
        return BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Raises ValueError for a datetime without a time zone: it would be read as the server's local time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time is aware; this one has no time zone")
        return microseconds(value) if dialect.name == "sqlite" else value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Back to aware UTC, whatever the connection's time zone is."""
        if value is None:
            return None
        return _EPOCH + timedelta(microseconds=value) if dialect.name == "sqlite" else value.astimezone(UTC)


class Words(TypeDecorator[str]):
    """Text that any database can hold: see `writable`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what cannot be written."""
        return None if value is None else writable(value)


class RowVersion(ColumnElement[str]):
    """The transaction that wrote a row of the statement's only table; NULL on SQLite.

    PostgreSQL's `xmin` tells whether the row is still the one that was read: every UPDATE changes it, a lock does not.
    https://www.postgresql.org/docs/current/ddl-system-columns.html
    """

    inherit_cache = True
    type = Text()


@compiles(RowVersion)
def _row_version(_: RowVersion, compiler: SQLCompiler, **__: Any) -> str:
    return "NULL" if compiler.dialect.name == "sqlite" else "CAST(xmin AS TEXT)"


#: Identity columns: SQLite gives out row ids only for a column that is exactly INTEGER.
Identifier: Final = BigInteger().with_variant(Integer(), "sqlite")
