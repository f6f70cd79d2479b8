"""The store's contract, in every world that the library ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from payments_core.adapters.sql import upgrade
from payments_core.ports import Io
from payments_core.testing.contracts import StoreContract, StoreWorld
from tests.store.worlds import MemoryWorld, PostgresWorld, SqliteWorld

both = pytest.mark.parametrize("io", ["blocking", "async"])


@both
class TestMemory(StoreContract):
    """In memory; it has no database that could be unreachable."""

    test_an_unusable_database_is_store_unavailable = None  # type: ignore[assignment]

    @pytest.fixture
    def world(self, io: Io) -> StoreWorld:
        return MemoryWorld(io)


@both
class TestSqlite(StoreContract):
    """In a file, by sqlite3 and aiosqlite."""

    @pytest.fixture
    def world(self, io: Io, tmp_path: Path) -> StoreWorld:
        return SqliteWorld(io, tmp_path)


@both
class TestPostgres(StoreContract):
    """On a server, by psycopg in both worlds."""

    @pytest.fixture
    def world(self, io: Io, postgres_url: str) -> StoreWorld:
        world = PostgresWorld(io, postgres_url)
        upgrade(postgres_url)
        return world
