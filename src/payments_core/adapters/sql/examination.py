"""A look at the database that changes nothing: neither a row nor how the file of an embedded one keeps its journal.

The library's usual connections bring a SQLite file into the journal mode that is safe, which is right for whoever works
on it. Who only looks must find it as it is, and must not make a file that is not there.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from payments_core.adapters.sql import durability, schema, sqlite
from payments_core.adapters.sql.blocking import BlockingConnector
from payments_core.adapters.sql.connector import Link, one
from payments_core.adapters.sql.engines import Limits, blocking_engine
from payments_core.adapters.sql.processes import BlockingEngines
from payments_core.adapters.sql.relaying import parked_rows
from payments_core.adapters.sql.store import SqlStore
from payments_core.adapters.sql.urls import database_url, is_sqlite, sqlite_file
from payments_core.domain.diagnosis.database import DatabaseFacts, PostgresqlFacts, SqliteFacts
from payments_core.domain.diagnosis.work import LARGE_BACKLOG, WorkFacts
from payments_core.errors import StoreUnavailable
from payments_core.ports import Clock, EventFilter

_SYNCHRONOUS: Final = text("PRAGMA synchronous")
#: Bytes 18 and 19 of a file are 2 in WAL mode (https://www.sqlite.org/fileformat.html#file_format_version_numbers).
_VERSIONS_AT: Final = 18
_WAL: Final = 2


class SqlExaminer:
    """Looks at a database for the calling thread. Nothing is connected yet.

    Raises ConfigurationError for a URL of another kind of database. `clock` is this machine's.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        engines = BlockingEngines(database_url(url, "blocking"), Limits(pool_size=1, overflow=0), _looking_engine)
        self._clock = clock
        self._connector = BlockingConnector(engines, None, clock)

    async def database(self) -> DatabaseFacts:
        """How it is set up, and its schema's revision. Raises StoreUnavailable."""
        url = self._connector.url
        engine: PostgresqlFacts | SqliteFacts | None = None
        found: str | None = None
        if not is_sqlite(url) or sqlite_file(url).exists():
            async with self._connector.transaction(writes=False) as link:
                embedded = is_sqlite(url)
                engine = await (_file(link, url) if embedded else durability.facts(link, self._clock))
                found = await schema.revision(link, url.get_backend_name())
        return DatabaseFacts(
            engine=engine, revision=found, needed=schema.HEAD, is_sufficient=schema.is_sufficient(found)
        )

    async def work(self) -> WorkFacts:
        """How far behind the work is, on a schema that suffices. Raises StoreUnavailable."""
        store = SqlStore(self._connector, clock=self._clock)
        health = await store.health()
        dead = await store.records.count_dead(EventFilter())
        parked = await parked_rows(self._connector, after=0, limit=LARGE_BACKLOG)
        return WorkFacts(
            oldest_unhandled_s=health.oldest_unhandled_s,
            revivable=dead.revivable,
            unreadable=dead.unreadable,
            quarantined=health.quarantined,
            backlog=health.outbox_backlog,
            parked=len(parked),
        )

    async def close(self) -> None:
        """Give back the connection."""
        await self._connector.close()


async def _file(link: Link, url: URL) -> SqliteFacts:
    level = await one(link, _SYNCHRONOUS)
    return SqliteFacts(
        version=sqlite3.sqlite_version_info,
        wal_fixed_in=sqlite.WAL_FIXED_IN,
        is_wal=_is_wal(url),
        synchronous=0 if level is None else int(level[0]),
    )


def _is_wal(url: URL) -> bool:
    try:
        with sqlite_file(url).open("rb") as file:
            head = file.read(_VERSIONS_AT + 2)
    except OSError as error:
        raise StoreUnavailable(
            f"The file of PAYMENTS_DATABASE_URL could not be read ({type(error).__name__}). Let this user read it."
        ) from error
    return _WAL in head[_VERSIONS_AT:]


def _looking_engine(url: URL, limits: Limits) -> Engine:
    if not is_sqlite(url):
        return blocking_engine(url, limits)
    # Mode rw, and not ro: a file in WAL mode could not be read then. It makes no file.
    address = f"{sqlite_file(url).as_uri()}?mode=rw"

    def connect() -> Any:
        return sqlite3.connect(address, uri=True, timeout=limits.lock_s, check_same_thread=False)

    engine = create_engine("sqlite+pysqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)
    event.listen(engine, "connect", sqlite.connected(limits.lock_s, looks_only=True))
    event.listen(engine, "begin", _begins)
    return engine


def _begins(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
