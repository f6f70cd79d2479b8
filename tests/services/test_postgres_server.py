"""The PostgreSQL that the storage tests run on: fresh databases, and the durability that the guarantees rest on."""

from __future__ import annotations

import psycopg
import pytest


def _libpq(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


@pytest.mark.parametrize("attempt", ["first", "second"])
def test_each_test_gets_an_empty_database(postgres_url: str, attempt: str) -> None:
    """A table that one test made is not there in the next."""
    with psycopg.connect(_libpq(postgres_url)) as connection:
        found = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        connection.execute(f"CREATE TABLE made_by_{attempt} (id int)")
    assert found == (0,)


@pytest.mark.parametrize("setting", ["fsync", "synchronous_commit", "full_page_writes"])
def test_a_commit_reaches_the_disk(postgres_url: str, setting: str) -> None:
    """The server acknowledges a commit only after it is on disk, as in production."""
    with psycopg.connect(_libpq(postgres_url)) as connection:
        found = connection.execute("SELECT current_setting(%s)", [setting]).fetchone()
    assert found == ("on",)


def test_the_server_is_a_supported_version(postgres_server_url: str) -> None:
    """PostgreSQL 15 is the oldest version that the storage is written for."""
    with psycopg.connect(_libpq(postgres_server_url)) as connection:
        assert connection.info.server_version >= 150000
