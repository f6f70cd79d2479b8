"""The database's address: what PAYMENTS_DATABASE_URL may hold, and the driver that each world uses for it.

A message here names the variable and never its value, which holds a password.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from payments_core.errors import ConfigurationError
from payments_core.ports import Io

_FORMS: Final = (
    "put sqlite:///payments.db (a file; four slashes for an absolute path) or "
    "postgresql://user:password@host/database there"
)
_POSTGRESQL: Final = frozenset(("postgresql", "postgres", "postgresql+psycopg"))
_SQLITE: Final = frozenset(("sqlite", "sqlite+pysqlite", "sqlite+aiosqlite"))


def database_url(url: str, io: Io) -> URL:
    """The SQLAlchemy URL for this world's driver; a SQLite path comes out absolute.

    Raises ConfigurationError for anything but a SQLite file or PostgreSQL.
    """
    try:
        parsed = make_url(url.strip())
    except (ArgumentError, ValueError):
        raise ConfigurationError(f"PAYMENTS_DATABASE_URL is no database URL; {_FORMS}.") from None
    if parsed.drivername in _POSTGRESQL:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in _SQLITE:
        return _sqlite(parsed, "sqlite+pysqlite" if io == "blocking" else "sqlite+aiosqlite")
    raise ConfigurationError(f"PAYMENTS_DATABASE_URL names a database or driver that is not supported; {_FORMS}.")


def is_sqlite(url: URL) -> bool:
    """Whether it is an embedded file."""
    return url.get_backend_name() == "sqlite"


def sqlite_file(url: URL) -> Path:
    """The database file of a SQLite URL."""
    return Path(url.database or "")


def _sqlite(url: URL, driver: str) -> URL:
    """Every connection to an in-memory database is a database of its own, and none of it is durable: refused."""
    name = url.database or ""
    if name in ("", ":memory:") or name.startswith("file:"):
        raise ConfigurationError(
            "PAYMENTS_DATABASE_URL names an in-memory SQLite database, which keeps nothing; put a file there, as "
            "sqlite:///payments.db (tests without a database use payments_core.adapters.memory)."
        )
    if url.query:
        raise ConfigurationError(
            "PAYMENTS_DATABASE_URL names a SQLite file with parameters; leave out the question mark and what follows: "
            "what makes the file safe to pay with is set here."
        )
    path = Path(name)
    # Made absolute once: a process that changes its directory later must not start a second database there.
    return url.set(drivername=driver, database=str(path if path.is_absolute() else path.absolute()))
