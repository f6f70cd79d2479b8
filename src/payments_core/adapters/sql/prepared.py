"""Statements of the hot path on PostgreSQL: written as the others, compiled once, and run on the driver's own cursor.

What SQLAlchemy does anew for every execution (its cache key, its parameters, its result) costs as much as the whole
statement costs the server. The text has the server's own placeholders, which the driver need not translate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from attrs import frozen
from sqlalchemy import BindParameter, Executable, PoolProxiedConnection
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.compiler import SQLCompiler

from payments_core.adapters.sql.columns import Words, writable

_CURSOR: Final = "payments_core_raw_cursor"
_DIALECT: Final = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


@frozen
class Prepared:
    """A statement's text, and for each of its places the parameter's name and what is done to its value."""

    text: bytes
    places: tuple[tuple[str, Callable[[Any], Any] | None], ...]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the order of their places, as the database takes them."""
        return [values[name] if write is None else write(values[name]) for name, write in self.places]


def raw_cursor(pooled: PoolProxiedConnection, kind: Callable[..., Any]) -> Any:
    """The driver's cursor of this connection, for small results.

    Kept with it: a fresh one would look up anew how values are written, at half the cost of a statement.
    """
    if _CURSOR not in pooled.info:
        pooled.info[_CURSOR] = kind(pooled.driver_connection)
    return pooled.info[_CURSOR]


def reading_cursor(pooled: PoolProxiedConnection, kind: Callable[..., Any]) -> Any:
    """A cursor whose rows have their columns by name; what it read, bodies and buyers among it, goes with it."""
    from psycopg.rows import namedtuple_row

    return kind(pooled.driver_connection, row_factory=namedtuple_row)


def prepared(statement: Executable) -> Prepared:
    """Compile the statement; its parameters are its named ones."""
    compiled = cast("SQLCompiler", cast("Any", statement).compile(dialect=_DIALECT))
    names = compiled.positiontup or []
    return Prepared(compiled.string.encode(), tuple((name, _writes(compiled.binds[name])) for name in names))


def _writes(parameter: BindParameter[Any]) -> Callable[[Any], Any] | None:
    if isinstance(parameter.type, Words):
        # Nearly every parameter is one: without the two functions that SQLAlchemy calls for it.
        return _written
    return parameter.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)


def _written(value: str | None) -> str | None:
    return value if value is None else writable(value)
