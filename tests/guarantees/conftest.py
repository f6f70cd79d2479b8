"""The worlds of the guarantees: every store under both facades, by one fixture whose ids name them.

Hypothesis: the profile `HYPOTHESIS_PROFILE=long` tries many times more than the default, for nightly runs; a failing
example prints the seed and the steps that reproduce it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from payments_core.adapters.sql import upgrade
from tests._databases import Databases
from tests.flows.shop import template
from tests.guarantees.databases import Database, MemoryDatabase, PostgresDatabase, SqliteDatabase
from tests.guarantees.world import World
from tests.guarantees.worlds import EVERY


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the schema, to be copied."""
    return template(tmp_path_factory.mktemp("template"))


class PostgresShelf:
    """One PostgreSQL database for test after test, emptied in between; a new one where a test changed the schema."""

    def __init__(self, databases: Databases, server_url: str) -> None:
        self._databases = databases
        self._server_url = server_url
        self._opened = ExitStack()
        self._current: PostgresDatabase | None = None

    def take(self) -> PostgresDatabase:
        """An empty database with the schema."""
        if self._current is None or self._current.is_altered:
            self.close()
            name = self._opened.enter_context(self._databases.empty())
            url = urlunsplit(urlsplit(self._server_url)._replace(path=f"/{name}"))
            upgrade(url)
            # Interleavings are made by hand, and a machine may pause in one: nobody gives up after ten seconds here.
            self._current = PostgresDatabase(f"{url}?options=-clock_timeout%3D60s")
            self._opened.callback(self._current.close)
        self._current.empty()
        return self._current

    def close(self) -> None:
        """Give the database back."""
        self._current = None
        self._opened.close()


@pytest.fixture(scope="session")
def postgres_shelf(postgres_server_url: str, _databases: Databases) -> Iterator[PostgresShelf]:
    """The worker's PostgreSQL database."""
    shelf = PostgresShelf(_databases, postgres_server_url)
    yield shelf
    shelf.close()


@pytest.fixture(params=EVERY)
def world(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> Iterator[World]:
    """An empty world."""
    name: str = request.param
    database: Database
    if name.startswith("memory"):
        database = MemoryDatabase()
    elif name.startswith("sqlite"):
        database = SqliteDatabase(sqlite_template, tmp_path)
    else:
        database = request.getfixturevalue("postgres_shelf").take()
    made = World(name, database)
    yield made
    made.close()


@pytest.fixture(params=["memory-sync", "sqlite-async"])
def memory_or_sqlite(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> Iterator[World]:
    """Two worlds for tests that are many."""
    in_memory = request.param == "memory-sync"
    made = World(request.param, MemoryDatabase() if in_memory else SqliteDatabase(sqlite_template, tmp_path))
    yield made
    made.close()
