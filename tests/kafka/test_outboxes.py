"""The contract of the outbox on memory, SQLite and PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from payments_core.adapters.sql import upgrade
from payments_core.testing.contracts import OutboxContract, OutboxWorld
from tests.kafka.outboxes import MemoryOutboxes, postgres_outboxes, sqlite_outboxes


class TestOutbox(OutboxContract):
    @pytest.fixture(params=["memory", "sqlite", "postgres"])
    def world(self, request: pytest.FixtureRequest, tmp_path: Path) -> OutboxWorld:
        """An empty database."""
        if request.param == "memory":
            return MemoryOutboxes()
        if request.param == "sqlite":
            return sqlite_outboxes(tmp_path)
        url: str = request.getfixturevalue("postgres_url")
        upgrade(url)
        return postgres_outboxes(url)
