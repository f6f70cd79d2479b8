"""Fixtures of the SQL stores: every database in both worlds."""

from __future__ import annotations

from pathlib import Path

import pytest

from payments_core.adapters.sql import upgrade
from tests.store.worlds import PostgresWorld, SqliteWorld, SqlWorld


@pytest.fixture(params=["sqlite-blocking", "sqlite-async", "postgres-blocking", "postgres-async"])
def sql_world(request: pytest.FixtureRequest, tmp_path: Path) -> SqlWorld:
    """An empty database with the schema, in one world."""
    database, io = request.param.split("-")
    if database == "sqlite":
        return SqliteWorld(io, tmp_path)
    url: str = request.getfixturevalue("postgres_url")
    upgrade(url)
    return PostgresWorld(io, url)


@pytest.fixture(params=["blocking", "async"])
def postgres_world(request: pytest.FixtureRequest, postgres_url: str) -> PostgresWorld:
    """A PostgreSQL database with the schema, in one world."""
    upgrade(postgres_url)
    return PostgresWorld(request.param, postgres_url)
