"""The worlds in which the outbox's contract is tried: memory, SQLite and PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from payments_core.adapters.memory import MemoryStore
from payments_core.adapters.sql import Limits, async_store
from payments_core.adapters.sql.relaying import async_outbox
from payments_core.ports import Store
from payments_core.ports.publishing import Outbox
from payments_core.testing.contracts import OutboxWorld
from tests.guarded import Guarded

LIMITS = Limits(pool_size=2, overflow=6, connect_s=2)


class MemoryOutboxes(Guarded, OutboxWorld):
    """Its "processes" share their rows."""

    def __init__(self) -> None:
        super().__init__()
        self._owner: MemoryStore | None = None

    def make_store(self, *, owes_broker: bool) -> Store:
        self._owner = MemoryStore(io="async", owes_broker=owes_broker, sharing=self._owner)
        return self._owner

    def make_outbox(self) -> Outbox:
        assert self._owner is not None
        return MemoryStore(io="async", sharing=self._owner).outbox

    def make_unreachable(self) -> Outbox | None:
        return None


class SqlOutboxes(Guarded, OutboxWorld):
    """A database at a URL, and the URL of one that cannot be used."""

    def __init__(self, url: str, unusable: str) -> None:
        super().__init__()
        self.url = url
        self._unusable = unusable

    def make_store(self, *, owes_broker: bool) -> Store:
        return async_store(self.url, owes_broker=owes_broker, limits=LIMITS)

    def make_outbox(self) -> Outbox:
        return async_outbox(self.url, limits=LIMITS)

    def make_unreachable(self) -> Outbox | None:
        return async_outbox(self._unusable, limits=LIMITS)


def sqlite_outboxes(folder: Path) -> SqlOutboxes:
    broken = folder / "broken.db"
    broken.write_bytes(b"this is no database, and never was one" * 100)
    return SqlOutboxes(f"sqlite:///{folder / 'payments.db'}", f"sqlite:///{broken}")


def postgres_outboxes(url: str) -> SqlOutboxes:
    return SqlOutboxes(url, "postgresql://nobody:secret@127.0.0.1:1/nowhere")
