"""The one seam where database errors become the library's own.

Only the library's own statements pass here; what a developer's handler runs through `tx.session` raises what SQLAlchemy
raises, and reaches the flow unchanged. The message holds the driver's class and no parameters: engines are built with
`hide_parameters=True`, and what the driver itself says (it may quote a row) is left to the chained cause.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolUsedUp

from payments_core.errors import StoreUnavailable

#: Why the database cannot be used, by the words of libpq, psycopg, the server and SQLite: no code comes with these
#: errors. A server that speaks another language is told of in general terms.
_LOGIN: Final = "the login was refused. Check user and password in PAYMENTS_DATABASE_URL."
_NOT_OPENED: Final = (
    "its file cannot be opened. Check that PAYMENTS_DATABASE_URL names a file that this user may read and write, and "
    "how many files the process may open."
)
_REASONS: Final = (
    ('password authentication failed|no password supplied|role ".*" does not exist', _LOGIN),
    ("no pg_hba.conf entry", "the server lets nobody in like this. Check user, host and sslmode, and its pg_hba.conf."),
    (
        'database ".*" does not exist',
        "its server has no database of that name. Check the name in PAYMENTS_DATABASE_URL, or create the database.",
    ),
    ("failed to resolve host", "its host is not known. Check the host in PAYMENTS_DATABASE_URL."),
    (
        "Connection refused",
        "nothing listens at its host and port. Check both in PAYMENTS_DATABASE_URL, and that the server runs.",
    ),
    ("unable to open database file", _NOT_OPENED),
    (
        "file is not a database|disk image is malformed",
        "its file is no SQLite database, or a damaged one. Check its name in PAYMENTS_DATABASE_URL, or restore it.",
    ),
    ("readonly database", "its file cannot be written. Check that this user may write it and its folder."),
    ("disk is full", "there is no room left on its disk."),
)


@contextmanager
def translated(*passing: type[SQLAlchemyError]) -> Generator[None]:
    """Turn any error of SQLAlchemy or its driver into StoreUnavailable, except those that the caller deals with.

    A lost connection can come as OSError.
    """
    try:
        yield
    except passing:
        raise
    except (SQLAlchemyError, OSError) as error:
        raise unavailable(error) from error


@contextmanager
def translated_driver(driver: Any) -> Generator[None]:
    """As `translated`, for what goes through the driver (a DB-API module) alone."""
    try:
        yield
    except (driver.Error, OSError) as error:
        raise unavailable(error) from error


def translated_at_commit() -> AbstractContextManager[None]:
    """As `translated`, except for an IntegrityError.

    The library defers none of its constraints to the commit, so this is a deferred constraint of the developer's own
    tables: the handler's error, not an outage.
    """
    return translated(IntegrityError)


@contextmanager
def translated_outages() -> Generator[None]:
    """Turn only a lost or busy database into StoreUnavailable: the statements inside are the developer's."""
    try:
        yield
    except (OperationalError, InterfaceError, OSError) as error:
        raise unavailable(error) from error


def unavailable(error: BaseException) -> StoreUnavailable:
    """The error to raise in place of `error`; its message can be logged and shown."""
    if isinstance(error, PoolUsedUp):
        return StoreUnavailable(
            "The payments database was not asked: all connections that this process may have are in use. Try again; if "
            "it stays so, look for handlers that take long in their transaction, or give the store larger Limits."
        )
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    reason = _reason_of(cause)
    if reason is not None:
        return StoreUnavailable(f"The payments database could not be used: {reason}")
    return StoreUnavailable(
        f"The payments database could not be used ({type(cause).__name__}). Try again; if it stays so, check host, "
        "port, user, password and database name in PAYMENTS_DATABASE_URL, and that the database runs, has room and a "
        "current schema."
    )


def _reason_of(cause: BaseException) -> str | None:
    if getattr(cause, "sqlstate", None) is not None:
        return None  # said over a connection
    said = str(cause)
    return next((reason for words, reason in _REASONS if re.search(words, said)), None)


def is_lost_race(error: StoreUnavailable) -> bool:
    """Whether PostgreSQL let another transaction win: both waited for each other, or both wrote one unique key.

    https://www.postgresql.org/docs/current/errcodes-appendix.html
    """
    cause = error.__cause__
    said = cause.orig if isinstance(cause, DBAPIError) else cause
    return getattr(said, "sqlstate", None) in ("40P01", "23505")
