"""Fixtures of the consumer's tests: topics on a real broker, a downstream service's database in each world."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from payments_core.ports import Io
from tests.kafka_consumer.orders import Books, sqlite
from tests.kafka_consumer.topics import Topics


@pytest.fixture
async def topics(kafka_brokers: str) -> AsyncIterator[Topics]:
    """A prefix of the test's own; its topics are gone afterwards."""
    made = Topics(kafka_brokers)
    yield made
    await made.delete()


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    """A service's SQLite file."""
    made = Books(sqlite(tmp_path))
    yield made
    made.close()


@pytest.fixture(params=["sqlite-blocking", "sqlite-async", "postgres-blocking", "postgres-async"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Books, Io]]:
    """A service's database, and the world of its handlers."""
    database, io = request.param.split("-")
    made = Books(sqlite(tmp_path) if database == "sqlite" else request.getfixturevalue("postgres_url"))
    yield made, io
    made.close()
