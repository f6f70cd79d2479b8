"""The database and the work in it, broken one thing at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import attrs
import pytest

from payments_core.adapters.sql import SqlStore, blocking_store, upgrade
from payments_core.adapters.sql.sqlite import WAL_FIXED_IN
from payments_core.domain.payment import PaymentState
from payments_core.drive import run_blocking
from payments_core.testing.contracts.examples import MOMENT, outgoing, payment
from tests.doctor.conftest import CANARY, Doctor, not_ok, outcomes
from tests.operations.scenes import bury, bury_unreadable, receive
from tests.store.test_durability import Starter, start
from tests.store.worlds import PostgresWorld

__all__ = ["start"]
REACHABLE = ("database", "reachable")
SCHEMA = ("database", "schema")
DURABLE = ("database", "durable")
JOURNAL = ("database", "journal")


@contextmanager
def opened(url: str) -> Iterator[SqlStore]:
    """A store over the database, for whoever breaks it."""
    store = blocking_store(url, owes_broker=True)
    try:
        yield store
    finally:
        run_blocking(store.close())


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind, with the schema."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    upgrade(found)
    return found


def test_a_server_with_the_schema_is_well(doctor: Doctor, postgres_url: str) -> None:
    """Reachable, current, durable, and of the same time."""
    upgrade(postgres_url)
    found = doctor(PAYMENTS_DATABASE_URL=postgres_url)
    assert not_ok(found) == {}
    assert outcomes(found, REACHABLE, SCHEMA, DURABLE, ("database", "clock")) == ["ok"] * 4


def test_a_server_without_the_schema_has_failed(doctor: Doctor, postgres_url: str) -> None:
    """As `payments db check` says; the work is not looked at."""
    found = doctor(PAYMENTS_DATABASE_URL=postgres_url)
    assert not_ok(found) == {SCHEMA: "failed"}
    assert found[SCHEMA]["todo"] == "Run `payments db upgrade`."
    assert found["work", "all of it"]["outcome"] == "skipped"


def test_an_old_schema_has_failed_and_stays_as_it_is(doctor: Doctor, url: str) -> None:
    """An embedded file too is not upgraded by a look."""
    with opened(url) as store:
        assert run_blocking(store.health())
    _set_revision(url, "0005")
    for _ in range(2):
        found = doctor(PAYMENTS_DATABASE_URL=url)
        assert not_ok(found) == {SCHEMA: "failed"}
        assert "0005" in found[SCHEMA]["found"]
    _set_revision(url, "9999")
    assert not_ok(doctor(PAYMENTS_DATABASE_URL=url)) == {}


def _set_revision(url: str, revision: str) -> None:
    statement = f"UPDATE payments_alembic_version SET version_num = '{revision}'"
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file, file:
            file.execute(statement)
    else:
        PostgresWorld("blocking", url).query(statement)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite:///:memory:", "an in-memory SQLite database, which keeps nothing"),
        (f"mysql://u:{CANARY}@h/d", "is not supported"),
        ("nonsense", "is no database URL"),
    ],
)
def test_a_database_that_keeps_nothing_or_is_none_has_failed(doctor: Doctor, url: str, told: str) -> None:
    """With the forms that may stand there."""
    found = doctor(PAYMENTS_DATABASE_URL=url)
    assert not_ok(found) == {REACHABLE: "failed"}
    assert told in found[REACHABLE]["found"]


def test_a_file_that_is_no_database_has_failed(doctor: Doctor, tmp_path: Path) -> None:
    """And is left as it is."""
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database, and never was one" * 100)
    before = broken.read_bytes()
    assert not_ok(doctor(PAYMENTS_DATABASE_URL=f"sqlite:///{broken}")) == {REACHABLE: "failed"}
    assert broken.read_bytes() == before


@pytest.mark.parametrize("in_use", [False, True])
def test_a_file_in_wal_mode_is_judged_by_the_version_and_stays_in_it(
    doctor: Doctor, sqlite_url: str, in_use: bool
) -> None:
    """C08: an old SQLite can corrupt it. The look leaves the mode as it is, whether the file is in use or not."""
    path = sqlite_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        if in_use:
            other.execute("SELECT count(*) FROM payments_inbox").fetchall()
            found = doctor()
    if not in_use:
        found = doctor()
    wrong = {} if sqlite3.sqlite_version_info >= WAL_FIXED_IN else {JOURNAL: "failed"}
    assert not_ok(found) == wrong
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_relative_path_counts_from_here(doctor: Doctor, sqlite_url: str) -> None:
    """As in every command."""
    assert not_ok(doctor(PAYMENTS_DATABASE_URL="sqlite:///shop.db")) == {}
    assert not_ok(doctor(PAYMENTS_DATABASE_URL="")) == {REACHABLE: "failed"}


def test_a_server_that_would_lose_acknowledged_events_has_failed(
    doctor: Doctor, start: Starter, tmp_path: Path
) -> None:
    """C08: each setting, a default that the library overrules, and a replica."""
    url = start("fsync=off")
    upgrade(url)
    assert not_ok(doctor(PAYMENTS_DATABASE_URL=url)) == {DURABLE: "failed"}
    assert not_ok(doctor(PAYMENTS_DATABASE_URL=start("full_page_writes=off"))) == {DURABLE: "failed"}
    overruled = doctor(PAYMENTS_DATABASE_URL=start("synchronous_commit=off"))
    assert not_ok(overruled) == {}
    assert "off by default, and on for the library's own" in overruled[DURABLE]["found"]
    (tmp_path / "server" / "data" / "standby.signal").touch()
    replica = doctor(PAYMENTS_DATABASE_URL=start("hot_standby=on"))
    assert not_ok(replica) == {DURABLE: "failed"}
    assert "replica" in replica[DURABLE]["found"]


def test_dead_letters_have_failed_and_unreadable_ones_are_warned_of(doctor: Doctor, url: str) -> None:
    """Both with what to do; nothing of a body is printed."""
    with opened(url) as store:
        bury_unreadable(store)
        assert not_ok(doctor(PAYMENTS_DATABASE_URL=url)) == {("work", "dead letters"): "warning"}
        bury(store, "evt_1", CANARY)
    found = doctor(PAYMENTS_DATABASE_URL=url)
    assert not_ok(found) == {("work", "dead letters"): "failed"}
    assert found["work", "dead letters"]["found"].startswith("1 event ran out of attempts")


@pytest.mark.parametrize(("minutes", "outcome"), [(1, "ok"), (10, "warning"), (20, "failed")])
def test_an_event_that_nobody_handles_is_told_by_its_age(
    doctor: Doctor, postgres_url: str, minutes: int, outcome: str
) -> None:
    """By the database's clock."""
    upgrade(postgres_url)
    with opened(postgres_url) as store:
        receive(store, "evt_1")
    PostgresWorld("blocking", postgres_url)._shift(minutes * 60)
    found = doctor(PAYMENTS_DATABASE_URL=postgres_url)
    assert found["work", "received events"]["outcome"] == outcome
    assert set(not_ok(found)) <= {("work", "received events")}


def test_a_payment_that_somebody_has_to_look_at_is_warned_of(doctor: Doctor, url: str) -> None:
    """Quarantined: paid, and not as agreed."""
    with opened(url) as store:
        odd = attrs.evolve(payment("pay_1"), state=PaymentState.QUARANTINED, quarantined_at=MOMENT)
        run_blocking(store.add_payment(odd))
    assert not_ok(doctor(PAYMENTS_DATABASE_URL=url)) == {("work", "quarantine"): "warning"}


def test_outgoing_events_that_nobody_publishes_are_told(doctor: Doctor, url: str) -> None:
    """Owed and no broker named: a warning; refused by the broker for good: failed."""
    outbox = ("work", "outgoing events")

    async def owe(store: SqlStore) -> None:
        await store.add_payment(payment("pay_1"))
        async with store.transaction() as tx:
            await tx.enqueue([outgoing("fact_1"), outgoing("fact_2")])

    with opened(url) as store:
        run_blocking(owe(store))
    assert not_ok(doctor(PAYMENTS_DATABASE_URL=url)) == {outbox: "warning"}
    statement = "UPDATE payments_outbox SET parked_reason = 'too large' WHERE event_id = 'fact_1'"
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file, file:
            file.execute(statement)
    else:
        PostgresWorld("blocking", url).query(statement)
    found = doctor(PAYMENTS_DATABASE_URL=url)
    assert not_ok(found) == {outbox: "failed"}
    assert "refused 1 event for good" in found[outbox]["found"]
