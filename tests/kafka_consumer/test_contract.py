"""The contract of what consumers remember, in every world that the library ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from payments_core.adapters.memory.consuming import MemoryConsumed
from payments_core.adapters.sql import Limits, upgrade
from payments_core.adapters.sql.consuming import SqlConsumed, async_consumed, blocking_consumed
from payments_core.ports import Io
from payments_core.ports.consuming import Consumed
from payments_core.testing.contracts import ConsumedContract, ConsumedWorld
from tests.guarded import Guarded

LIMITS = Limits(pool_size=2, overflow=6, connect_s=2)

both = pytest.mark.parametrize("io", ["blocking", "async"])


class MemoryWorld(Guarded, ConsumedWorld):
    """Its "processes" share their rows."""

    def __init__(self, io: Io) -> None:
        super().__init__(io)
        self._owner: MemoryConsumed | None = None

    def make(self) -> Consumed:
        self._owner = MemoryConsumed(io=self.io, sharing=self._owner)
        return self._owner

    def make_unreachable(self) -> Consumed | None:
        return None


class SqlWorld(Guarded, ConsumedWorld):
    """A database at a URL, and one that is none."""

    def __init__(self, io: Io, url: str, broken: str) -> None:
        super().__init__(io)
        self.url = url
        self.broken = broken

    def make(self) -> SqlConsumed:
        return self._made(self.url)

    def make_unreachable(self) -> Consumed | None:
        return self._made(self.broken)

    def _made(self, url: str) -> SqlConsumed:
        build = blocking_consumed if self.io == "blocking" else async_consumed
        return build(url, limits=LIMITS)


@both
class TestMemory(ConsumedContract):
    """In memory; it has no database that could be unreachable."""

    test_an_unusable_database_is_store_unavailable = None  # type: ignore[assignment]

    @pytest.fixture
    def world(self, io: Io) -> ConsumedWorld:
        return MemoryWorld(io)


@both
class TestSqlite(ConsumedContract):
    """In a file, by sqlite3 and aiosqlite."""

    @pytest.fixture
    def world(self, io: Io, tmp_path: Path) -> ConsumedWorld:
        broken = tmp_path / "broken.db"
        broken.write_bytes(b"this is no database, and never was one" * 100)
        return SqlWorld(io, f"sqlite:///{tmp_path / 'orders.db'}", f"sqlite:///{broken}")


@both
class TestPostgres(ConsumedContract):
    """On a server, by psycopg in both worlds."""

    @pytest.fixture
    def world(self, io: Io, postgres_url: str) -> ConsumedWorld:
        upgrade(postgres_url)
        return SqlWorld(io, postgres_url, "postgresql://nobody:secret@127.0.0.1:1/nowhere")
