"""The worlds in which the store's contract is tried: memory, SQLite and PostgreSQL, each blocking and async."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from payments_core.adapters.memory import MemoryStore
from payments_core.adapters.sql import Limits, SqlStore, async_store, blocking_store
from payments_core.ports import Io, Store
from payments_core.testing.contracts import StoreWorld
from tests.guarded import Guarded

#: Enough for a test's threads, and an unreachable server is given up at once.
LIMITS = Limits(pool_size=2, overflow=6, connect_s=30)


class HandClock:
    """A clock that a test sets forward; it also moves a little with every look, as clocks do."""

    def __init__(self, *, tick_us: int = 1) -> None:
        self._tick = timedelta(microseconds=tick_us)
        self._now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        with self._lock:
            self._now += self._tick
            return self._now

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += timedelta(seconds=seconds)


class MemoryWorld(Guarded, StoreWorld):
    """Its "processes" share their rows."""

    def __init__(self, io: Io) -> None:
        super().__init__(io)
        self.clock = HandClock()
        self._owner: MemoryStore | None = None

    def make(self, *, owes_broker: bool) -> Store:
        self._owner = MemoryStore(io=self.io, clock=self.clock, owes_broker=owes_broker, sharing=self._owner)
        return self._owner

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def count_openings(self) -> int:
        return 0 if self._owner is None else len(self._owner._data.openings)

    def make_unreachable(self) -> Store | None:
        return None


class SqlWorld(Guarded, StoreWorld):
    """A database at a URL."""

    def __init__(self, io: Io, url: str) -> None:
        super().__init__(io)
        self.url = url
        self.clock = HandClock()

    def make(self, *, owes_broker: bool = False, url: str | None = None) -> SqlStore:
        build = blocking_store if self.io == "blocking" else async_store
        return build(url or self.url, clock=self.clock, owes_broker=owes_broker, limits=LIMITS)


class SqliteWorld(SqlWorld):
    """A file, whose time is the injected clock's."""

    def __init__(self, io: Io, folder: Path) -> None:
        super().__init__(io, f"sqlite:///{folder / 'payments.db'}")
        self.folder = folder

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def count_openings(self) -> int:
        if self.io == "async":
            return len(await asyncio.to_thread(self.query, "SELECT name FROM payments_opening"))
        return len(self.query("SELECT name FROM payments_opening"))

    def make_unreachable(self) -> Store | None:
        broken = self.folder / "broken.db"
        broken.write_bytes(b"this is no database, and never was one" * 100)
        return self.make(url=f"sqlite:///{broken}")

    def query(self, statement: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.folder / "payments.db")) as connection:
            return connection.execute(statement).fetchall()


class PostgresWorld(SqlWorld):
    """A server, whose time cannot be set: the rows are moved into the past instead."""

    async def pass_time(self, seconds: float) -> None:
        if self.io == "async":
            await asyncio.to_thread(self._shift, seconds)
        else:
            self._shift(seconds)

    def _shift(self, seconds: float) -> None:
        self.query(
            "UPDATE payments_inbox SET next_at = next_at - make_interval(secs => %s),"
            " received_at = received_at - make_interval(secs => %s)",
            seconds,
            seconds,
        )
        self.query(
            "UPDATE payments_opening SET leased_until = leased_until - make_interval(secs => %s),"
            " kept_until = kept_until - make_interval(secs => %s), keyed_at = keyed_at - make_interval(secs => %s)",
            seconds,
            seconds,
            seconds,
        )

    async def count_openings(self) -> int:
        if self.io == "async":
            return len(await asyncio.to_thread(self.query, "SELECT name FROM payments_opening"))
        return len(self.query("SELECT name FROM payments_opening"))

    def make_unreachable(self) -> Store | None:
        return self.make(url="postgresql://nobody:secret@127.0.0.1:1/nowhere")

    def connect(self) -> psycopg.Connection:
        """A plain connection beside the store."""
        return psycopg.connect(self.url.replace("postgresql+psycopg://", "postgresql://", 1))

    def query(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        with self.connect() as connection:
            found = connection.execute(statement, parameters)  # type: ignore[arg-type]
            return [] if found.description is None else found.fetchall()
