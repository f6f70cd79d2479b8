"""The three kinds of store that the guarantees are tried on, and how a test looks into each from outside.

What a test sees of a database it sees through a connection of its own, beside the library's.
"""

from __future__ import annotations

import shutil
import sqlite3
from abc import ABC, abstractmethod
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import psycopg
from attrs import frozen

from payments_core.adapters.memory import MemoryStore
from payments_core.domain.delivery import InboxState
from payments_core.domain.payment import PaymentState
from payments_core.ports import Clock, Io, Store
from tests.flows.shop import Clock as HandClock

ROWS = (
    "payments_inbox",
    "payments_outbox",
    "payments_transition",
    "payments_ref",
    "payments_payment",
    "payments_sweep",
    "payments_consumed",
)
SHOP = ("shop_effect", "shop_note")


@frozen
class Row:
    """What became of an event in the inbox."""

    state: InboxState
    attempts: int
    error: str | None


class Database(Protocol):
    """Where the rows are. `settings` lead a deployment there, or `store` makes its store."""

    clock: Clock
    is_sql: bool

    def settings(self) -> dict[str, object]: ...
    def store(self, io: Io, *, owes_broker: bool) -> Store | None: ...
    def advance(self, seconds: float) -> None:
        """Let time pass for every row."""

    def empty(self) -> None:
        """Forget everything."""

    def inbox(self) -> dict[str, Row]:
        """What became of each event, by its id."""

    def transitions(self) -> list[tuple[str, str]]:
        """Every recorded fact, with its discriminator."""

    def payments(self) -> dict[str, PaymentState]:
        """The state of every payment."""

    def outgoing(self) -> list[tuple[str, str]]:
        """Key and event id of every outgoing event, in the order of the outbox."""


class MemoryDatabase:
    """Rows in memory, shared by every store that is made here."""

    is_sql = False

    def __init__(self) -> None:
        self.clock = HandClock()
        self._first: MemoryStore | None = None

    def settings(self) -> dict[str, object]:
        return {}

    def store(self, io: Io, *, owes_broker: bool) -> Store:
        made = MemoryStore(io=io, clock=self.clock, owes_broker=owes_broker, sharing=self._first)
        self._first = self._first or made
        return made

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def empty(self) -> None:
        self._first = None

    @property
    def _rows(self) -> Any:
        assert self._first is not None
        return self._first._data

    def inbox(self) -> dict[str, Row]:
        rows = self._rows.inbox.values()
        return {one.received.event_id: Row(one.state, one.attempts, one.last_error) for one in rows}

    def transitions(self) -> list[tuple[str, str]]:
        return sorted((str(name), which) for _, name, which in self._rows.transitions)

    def payments(self) -> dict[str, PaymentState]:
        return {one.payment_id: one.state for one in self._rows.payments.values()}

    def outgoing(self) -> list[tuple[str, str]]:
        return [(one.row.key, one.row.event_id) for one in self._rows.outbox]


class SqlDatabase(ABC):
    """What SQLite and PostgreSQL have in common."""

    is_sql = True
    clock: Clock
    url: str

    @abstractmethod
    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of a statement."""

    #: Whether a test has changed the schema.
    is_altered = False

    def script(self, *statements: str) -> None:
        """Change the schema."""
        self.is_altered = True
        for statement in statements:
            self.query(statement)

    @abstractmethod
    def refuse(self, table: str, condition: str) -> None:
        """Let the database refuse new rows of a table that fulfil the condition, until `accept`."""

    @abstractmethod
    def accept(self, table: str) -> None:
        """End it."""

    def settings(self) -> dict[str, object]:
        return {"payments_database_url": self.url}

    def store(self, io: Io, *, owes_broker: bool) -> None:  # noqa: B027 - nothing is left to its kinds
        """The deployment makes its own from the settings."""

    def empty(self) -> None:
        for table in (*ROWS, *SHOP):
            self.query(f"DELETE FROM {table}")

    def inbox(self) -> dict[str, Row]:
        rows = self.query("SELECT event_id, state, attempts, last_error FROM payments_inbox")
        return {name: Row(InboxState(state), attempts, error) for name, state, attempts, error in rows}

    def transitions(self) -> list[tuple[str, str]]:
        return sorted(self.query("SELECT transition, discriminator FROM payments_transition"))  # type: ignore[arg-type]

    def payments(self) -> dict[str, PaymentState]:
        return {
            name: PaymentState(state) for name, state in self.query("SELECT payment_id, state FROM payments_payment")
        }

    def outgoing(self) -> list[tuple[str, str]]:
        return self.query("SELECT key, event_id FROM payments_outbox ORDER BY id")  # type: ignore[return-value]


class SqliteDatabase(SqlDatabase):
    """A file, copied from one that has the schema; its time is the test's."""

    def __init__(self, template: Path, folder: Path) -> None:
        self.clock: HandClock = HandClock()
        self.file = Path(shutil.copy(template, folder / "payments.db"))
        self.url = f"sqlite:///{self.file}"
        self.script(
            "CREATE TABLE shop_effect (id INTEGER PRIMARY KEY, fact TEXT NOT NULL, kind TEXT NOT NULL)",
            "CREATE TABLE shop_note (id INTEGER PRIMARY KEY, note TEXT NOT NULL)",
        )

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.file, timeout=10)) as connection, connection:
            return connection.execute(statement, parameters).fetchall()

    def refuse(self, table: str, condition: str) -> None:
        self.script(
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table} WHEN {condition} BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )

    def accept(self, table: str) -> None:
        self.script("DROP TRIGGER refuse")

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)


class PostgresDatabase(SqlDatabase):
    """A server, whose time nobody can set: the rows are moved into the past instead."""

    def __init__(self, url: str) -> None:
        self.clock: Clock = lambda: datetime.now(UTC)
        self.url = url
        self._connection = self.connect()
        self.script(
            "CREATE TABLE shop_effect (id bigint GENERATED ALWAYS AS IDENTITY, fact text NOT NULL, kind text NOT NULL)",
            "CREATE TABLE shop_note (id integer PRIMARY KEY, note text NOT NULL)",
        )
        self.is_altered = False

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of the test's own, which commits every statement."""
        return psycopg.connect(self.url.replace("postgresql+psycopg://", "postgresql://", 1), autocommit=True)

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        found = self._connection.execute(statement.replace("?", "%s").encode(), parameters or None)
        return [] if found.description is None else found.fetchall()

    def advance(self, seconds: float) -> None:
        self.query(
            "UPDATE payments_inbox SET next_at = next_at - make_interval(secs => ?),"
            " received_at = received_at - make_interval(secs => ?)",
            seconds,
            seconds,
        )

    def refuse(self, table: str, condition: str) -> None:
        self.script(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'refused' USING ERRCODE = 'check_violation'; END $$",
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION refuse()",
        )

    def accept(self, table: str) -> None:
        self.script(f"DROP TRIGGER refuse ON {table}")

    def close(self) -> None:
        self._connection.close()
