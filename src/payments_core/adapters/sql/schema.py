"""The schema: what revision a database has, and how it comes to the newest.

A server's schema is changed by `payments db upgrade` and by nothing else; a web worker that finds it missing or too
old refuses to start. An embedded SQLite file belongs to the application alone, so `prepare` creates and upgrades it.
A schema newer than this code is accepted: migrations only add what older code can live with, so that a deployment can
roll.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from payments_core.adapters.sql import durability
from payments_core.adapters.sql.connector import Connector, Link, one
from payments_core.adapters.sql.engines import WRITES, Limits, blocking_engine
from payments_core.adapters.sql.faults import translated
from payments_core.adapters.sql.urls import database_url, is_sqlite, sqlite_file
from payments_core.errors import ConfigurationError

VERSION_TABLE: Final = "payments_alembic_version"
#: Every revision that this code knows, oldest first; a test compares it with the migrations.
REVISIONS: Final[Sequence[str]] = ("0001", "0002", "0003", "0004", "0005", "0006")
HEAD: Final = REVISIONS[-1]

#: The oldest SQLite with RETURNING.
_OLDEST_SQLITE: Final = (3, 35, 0)
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
#: Two migrators on one server take turns under this advisory lock ("payments" in ASCII).
_LOCK: Final = int.from_bytes(b"payments", "big")
#: Alembic keeps its current context in module globals. By process: a child does not inherit that somebody migrates.
_ONE_AT_A_TIME: Final = dict[int, threading.Lock]()

_IS_THERE: Final = {
    "sqlite": text(f"SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '{VERSION_TABLE}'"),  # noqa: S608
    "postgresql": text(f"SELECT 1 WHERE to_regclass('{VERSION_TABLE}') IS NOT NULL"),
}
_REVISION: Final = text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608


async def prepare(connector: Connector) -> None:
    """Create or upgrade an embedded file.

    Raises ConfigurationError for a server whose schema is missing or too old, and for a replica; warns of one that does
    not keep what it commits.
    """
    if is_sqlite(connector.url):
        url = connector.url.set(drivername="sqlite+pysqlite")
        return await connector.offload(lambda: _prepare_file(url))
    async with connector.transaction(writes=False) as link:
        await durability.look(link)
        found = await revision(link, "postgresql")
    return _require_current(found)


async def revision(link: Link, backend: str) -> str | None:
    """The revision that the schema has, or None where there is none."""
    there = await one(link, _IS_THERE[backend])
    found = None if there is None else await one(link, _REVISION)
    return None if found is None else str(found[0])


def upgrade(url: str) -> str:
    """Bring the schema to the newest revision that this code knows, and return the one it has then.

    A newer one is left as it is. Safe to run twice, and by two processes at once.
    Raises ConfigurationError for a URL or directory that cannot be used, StoreUnavailable when the database cannot.
    """
    parsed = database_url(url, "blocking")
    _check_file(parsed)
    return _upgrade(parsed)


def current(url: str) -> str | None:
    """The revision that the schema has, or None where there is none. A SQLite file that is missing is not created."""
    parsed = database_url(url, "blocking")
    if is_sqlite(parsed) and not sqlite_file(parsed).exists():
        return None
    return _current(parsed)


def check(url: str) -> None:
    """Raise ConfigurationError, with the command to run, when the schema is missing or too old for this code."""
    _require_current(current(url))


def _prepare_file(url: URL) -> None:
    _check_file(url)
    if not is_sufficient(_current(url)):
        _upgrade(url)


def is_sufficient(revision: str | None) -> bool:
    """Whether this code can work on a schema of that revision: the newest it knows, or a newer one."""
    return revision == HEAD or (revision is not None and revision not in REVISIONS)


def _require_current(revision: str | None) -> None:
    if not is_sufficient(revision):
        state = "has no payments schema" if revision is None else f"has schema {revision}, and {HEAD} is needed"
        raise ConfigurationError(f"The database of PAYMENTS_DATABASE_URL {state}; run `payments db upgrade`.")


def _check_file(url: URL) -> None:
    if not is_sqlite(url):
        return
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise ConfigurationError(
            f"SQLite {sqlite3.sqlite_version} is too old (3.35 is needed); put a PostgreSQL URL into "
            "PAYMENTS_DATABASE_URL."
        )
    folder = sqlite_file(url).parent
    if not folder.is_dir():
        raise ConfigurationError(
            f"PAYMENTS_DATABASE_URL names a file in {folder}, which is no directory; create it, or name a file "
            "elsewhere."
        )


def _current(url: URL) -> str | None:
    with _connected(url, writes=False) as connection:
        return _revision_on(connection)


def _revision_on(connection: Connection) -> str | None:
    if connection.execute(_IS_THERE[connection.dialect.name]).first() is None:
        return None
    found = connection.execute(_REVISION).first()
    return None if found is None else str(found[0])


def _upgrade(url: URL) -> str:
    # Imported here: a store that is up to date needs no Alembic.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    turn = _ONE_AT_A_TIME.setdefault(os.getpid(), threading.Lock())
    with turn, _connected(url, writes=True) as connection:
        if not is_sqlite(url):
            connection.execute(text("SELECT set_config('lock_timeout', '60s', true)"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            connection.execute(text("SELECT set_config('lock_timeout', '10s', true)"))
        # Looked at when it is this one's turn: who was before may have been of a later version.
        found = _revision_on(connection)
        if found is not None and is_sufficient(found):
            return found
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return HEAD


@contextmanager
def _connected(url: URL, *, writes: bool) -> Generator[Connection]:
    """One connection and one transaction: a migration that is killed leaves nothing behind."""
    engine = blocking_engine(url, Limits(lock_s=60), pooled=False)
    with translated(), engine.connect() as connection:
        connection.execution_options(**{WRITES: writes})
        with connection.begin():
            yield connection
