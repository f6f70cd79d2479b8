"""The one seam where database errors become the library's own.

Only the library's own statements pass here; what a developer's handler runs through `tx.session` raises what SQLAlchemy
raises, and reaches the flow unchanged. The message holds the driver's class and no parameters: engines are built with
`hide_parameters=True`, and what the driver itself says (it may quote a row) is left to the chained cause.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError

from payments_core.errors import StoreUnavailable


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
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return StoreUnavailable(
        f"The payments database could not be used ({type(cause).__name__}). Try again; if it "
        "stays so, check that the database of PAYMENTS_DATABASE_URL runs, has room, and that its schema is current."
    )


def is_lost_race(error: StoreUnavailable) -> bool:
    """Whether PostgreSQL let another transaction win: both waited for each other, or both wrote one unique key.

    https://www.postgresql.org/docs/current/errcodes-appendix.html
    """
    cause = error.__cause__
    said = cause.orig if isinstance(cause, DBAPIError) else cause
    return getattr(said, "sqlstate", None) in ("40P01", "23505")
