"""The databases of candidates: made empty for every round from a prepared template, and counted after it.

What is counted is what the candidate claims to keep: a row with the whole body, or with the id alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from bench import filling
from bench.intake import Database
from bench.postgres import Postgres, execute, number
from bench.webhooks import BODY_BYTES
from payments_core.adapters.sql import upgrade

_OURS: Final = f"SELECT count(*) FROM payments_inbox WHERE length(body) = {BODY_BYTES}"
_WHOLE: Final = f"SELECT count(*) FROM event WHERE length(body) = {BODY_BYTES}"
_IDS: Final = "SELECT count(*) FROM event"


def ours_postgres(server: Postgres) -> Database:
    """Our tables on PostgreSQL."""
    return on_postgres(server, "ours", upgraded, _OURS)


def owing_postgres(server: Postgres) -> Database:
    """Our tables, with outgoing events that a broker is owed."""

    def make(url: str) -> None:
        upgraded(url)
        filling.owed(url, 1_000)

    return on_postgres(server, "owing", make, _OURS)


def bodies_postgres(server: Postgres) -> Database:
    """One table of ids and bodies on PostgreSQL."""
    table = "CREATE TABLE event (id text PRIMARY KEY, body bytea NOT NULL)"
    return on_postgres(server, "bodies", lambda url: execute(url, table), _WHOLE)


def ids_postgres(server: Postgres) -> Database:
    """One table of ids on PostgreSQL."""
    return on_postgres(server, "ids", lambda url: execute(url, "CREATE TABLE event (id text PRIMARY KEY)"), _IDS)


def ours_sqlite(folder: Path) -> Database:
    """Our tables in a file."""
    return _on_sqlite(folder / "ours.db", upgraded, _OURS)


def bodies_sqlite(folder: Path) -> Database:
    """One table of ids and bodies in a file."""

    def make(url: str) -> None:
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.execute("CREATE TABLE event (id TEXT PRIMARY KEY, body BLOB NOT NULL)")

    return _on_sqlite(folder / "bodies.db", make, _WHOLE)


def upgraded(url: str) -> None:
    """Bring our schema there."""
    upgrade(url)


def on_postgres(server: Postgres, name: str, prepare: Callable[[str], None], count: str) -> Database:
    """A database that is copied for every round from one that is prepared once."""
    template = f"bench_{name}_template"
    prepared: list[str] = []

    def fresh() -> str:
        if not prepared:
            prepare(server.create(template))
            prepared.append(template)
        return server.create(f"bench_{name}", template)

    return Database(fresh, partial(_counted, count), server)


def _counted(query: str, url: str) -> int:
    return number(url, query)


def _on_sqlite(file: Path, prepare: Callable[[str], None], query: str) -> Database:
    def fresh() -> str:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{file}{suffix}").unlink(missing_ok=True)
        url = f"sqlite:///{file}"
        prepare(url)
        return url

    def count(_: str) -> int:
        with closing(sqlite3.connect(file, timeout=30)) as connection:
            return int(connection.execute(query).fetchone()[0])

    return Database(fresh, count)
