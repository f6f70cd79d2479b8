"""Empty PostgreSQL databases for tests, quickly.

`CREATE DATABASE` copies some three hundred files and takes a quarter of a second. So each worker empties the database
of its last test and renames it for the next: under the new name it is fresh, and a straggler of the last test that
reconnects to the old name finds nothing there.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql


def _fresh_name() -> str:
    return f"payments_test_{uuid.uuid4().hex}"


class Databases:
    """Hands out empty databases of one server, one at a time; `server` is a libpq URL."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._spare: str | None = None

    def _execute(self, statement: str, name: str, other: str = "") -> None:
        with psycopg.connect(self._server, autocommit=True) as connection:
            query = sql.SQL(statement).format(sql.Identifier(name), sql.Identifier(other or name))  # type: ignore[arg-type]
            connection.execute(query)

    def _take(self) -> str:
        name = _fresh_name()
        if self._spare is None:
            self._execute("CREATE DATABASE {0} TEMPLATE template0", name)
        else:
            self._execute("ALTER DATABASE {0} RENAME TO {1}", self._spare, name)
            self._spare = None
        return name

    def _give_back(self, name: str) -> None:
        address = urlunsplit(urlsplit(self._server)._replace(path=f"/{name}"))
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            found = connection.execute(
                "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
            )
            for (schema,) in found.fetchall():
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
            connection.execute("CREATE SCHEMA public AUTHORIZATION pg_database_owner")
            connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")
        self._spare = name

    @contextmanager
    def empty(self) -> Iterator[str]:
        """The name of an empty database, taken away afterwards with every connection to it."""
        name = self._take()
        try:
            yield name
        finally:
            try:
                self._give_back(name)
            except psycopg.Error:
                self._drop(name)

    def _drop(self, name: str) -> None:
        self._execute("DROP DATABASE IF EXISTS {0} WITH (FORCE)", name)

    def close(self) -> None:
        """Drop what is kept for the next test."""
        if self._spare is not None:
            self._drop(self._spare)
            self._spare = None
