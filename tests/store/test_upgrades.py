"""From one revision to the next: old code goes on working, what was written stays, a migrator may die at any time."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event, inspect, text

from payments_core.adapters.sql import blocking_store, current, schema, upgrade
from payments_core.adapters.sql.urls import database_url
from payments_core.drive import run_blocking

DEADLINE_S = 180
STEPS = tuple(zip(schema.REVISIONS, schema.REVISIONS[1:], strict=False))
#: What code of revision 0001 writes, in its own words.
PAYMENT_0001 = (
    "INSERT INTO payments_payment (payment_id, created_at, livemode, state, origin)"
    " VALUES ('p{0}', {now}, {false}, 'open', 'here')"
)
TRANSITION_0001 = (
    "INSERT INTO payments_transition (payment_id, transition, discriminator, event_id, recorded_at)"
    " VALUES ('p{0}', 'attempt_failed', 'ch_{0}', 'fact-{0}', {now})"
)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'payments.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


@contextmanager
def connected(url: str) -> Generator[Engine]:
    """A plain engine; SQLite's transactions are real ones."""
    engine = create_engine(database_url(url, "blocking"))
    if "sqlite" in url:
        event.listen(engine, "connect", _manual)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    yield engine
    engine.dispose()


def _manual(connection: Any, _: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout = 20000")


def at(url: str, revision: str) -> None:
    """Bring an empty database to an older revision."""
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    with connected(url) as engine, engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def written(engine: Engine, statement: str, number: int) -> None:
    """Write as code of revision 0001 does."""
    sqlite = engine.dialect.name == "sqlite"
    words = {"now": "1000000" if sqlite else "now()", "false": "0" if sqlite else "false"}
    with engine.begin() as connection:
        connection.execute(text(statement.format(number, **words)))


def columns(engine: Engine) -> dict[tuple[str, str], tuple[str, bool, bool]]:
    """Of each column its type, whether it may be null, and whether it has a default."""
    found = inspect(engine)
    return {
        (table, column["name"]): (
            str(column["type"]),
            bool(column["nullable"]),
            column["default"] is not None or bool(column.get("identity")) or bool(column.get("autoincrement") is True),
        )
        for table in found.get_table_names()
        if table != schema.VERSION_TABLE
        for column in found.get_columns(table)
    }


def rules(engine: Engine) -> set[tuple[str, str]]:
    """Everything that can refuse a row: unique keys, checks and references, by table."""
    found = inspect(engine)
    return {
        (table, str(rule["name"]))
        for table in found.get_table_names()
        for rule in (
            *found.get_unique_constraints(table),
            *found.get_check_constraints(table),
            *found.get_foreign_keys(table),
            *(index for index in found.get_indexes(table) if index["unique"]),
        )
    }


@pytest.mark.parametrize(("older", "newer"), STEPS)
def test_a_revision_only_adds_what_older_code_can_live_with(url: str, older: str, newer: str) -> None:
    """No column goes or changes; a new one in an old table may be left out; nothing new refuses an old row."""
    at(url, older)
    with connected(url) as engine:
        before, refusing = columns(engine), rules(engine)
    at(url, newer)
    with connected(url) as engine:
        after, refusing_now = columns(engine), rules(engine)
    assert before.items() <= after.items()
    tables = {table for table, _ in before}
    added = {name: facts for name, facts in after.items() if name not in before and name[0] in tables}
    assert all(nullable or default for _, nullable, default in added.values()), added
    assert {rule for rule in refusing_now if rule[0] in tables} == refusing


def test_what_was_written_before_an_upgrade_is_there_after_it(url: str) -> None:
    """Rows of revision 0001 are read by today's code, and old code's statements still fit today's schema."""
    at(url, "0001")
    with connected(url) as engine:
        written(engine, PAYMENT_0001, 1)
        written(engine, TRANSITION_0001, 1)
        assert upgrade(url) == schema.HEAD
        written(engine, PAYMENT_0001, 2)
        written(engine, TRANSITION_0001, 2)
    store = blocking_store(url)
    run_blocking(store.prepare())
    found = run_blocking(store.payments(["p1", "p2"]))
    histories = [run_blocking(store.records.history(name)) for name in ("p1", "p2")]
    run_blocking(store.close())
    assert sorted(found) == ["p1", "p2"]
    # Nothing was enabled by code that wrote nothing down; the proof takes it so.
    assert [(one.adjustments, one.discrepancies) for one in found.values()] == [(None, ())] * 2
    assert [[one.reason for one in history.transitions] for history in histories if history] == [[None], [None]]


def test_old_code_goes_on_writing_while_the_schema_is_upgraded(url: str) -> None:
    """Four writers of revision 0001 before, during and after two migrators at once: no error, no row lost."""
    at(url, "0001")
    done = threading.Event()
    failures: list[BaseException] = []
    numbers: list[int] = []

    def write(first: int) -> None:
        number = first
        try:
            with connected(url) as engine:
                while not done.is_set():
                    written(engine, PAYMENT_0001, number)
                    written(engine, TRANSITION_0001, number)
                    numbers.append(number)
                    number += 4
        except BaseException as failure:  # noqa: BLE001 - told by the main thread
            failures.append(failure)

    def migrate() -> None:
        try:
            upgrade(url)
        except BaseException as failure:  # noqa: BLE001 - told by the main thread
            failures.append(failure)

    writers = [threading.Thread(target=write, args=(first,)) for first in range(4)]
    for writer in writers:
        writer.start()
    until(lambda: len(numbers) >= 20 or bool(failures))
    migrators = [threading.Thread(target=migrate) for _ in range(2)]
    for migrator in migrators:
        migrator.start()
    for migrator in migrators:
        migrator.join(DEADLINE_S)
    seen = len(numbers)
    until(lambda: len(numbers) >= seen + 20 or bool(failures))
    done.set()
    for writer in writers:
        writer.join(DEADLINE_S)
    assert failures == []
    assert current(url) == schema.HEAD
    with connected(url) as engine, engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM payments_transition")).scalar_one() == len(numbers)


def test_a_migrator_that_is_killed_leaves_the_old_schema_and_nothing_locked(url: str) -> None:
    """SIGKILL while it waits for a lock in its work: the old revision stands, and the next migrator ends it."""
    at(url, "0001")
    program = f"from payments_core.adapters.sql import upgrade; upgrade({url!r})"
    with connected(url) as engine:
        with engine.begin() as connection:
            # On PostgreSQL the migrator has begun and meets this lock at its first change of an old table.
            held = "SELECT 1" if "sqlite" in url else "LOCK TABLE payments_transition IN ACCESS EXCLUSIVE MODE"
            connection.execute(text(held))
            migrator = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
            if "sqlite" in url:
                until(lambda: str(url.removeprefix("sqlite:///")) in open_files(migrator.pid))
            else:
                until(lambda: waits_for_a_lock(engine))
            migrator.send_signal(signal.SIGKILL)
            migrator.wait(DEADLINE_S)
        assert current(url) == "0001"
        assert upgrade(url) == schema.HEAD


def open_files(pid: int) -> str:
    """The files that a process has open."""
    folder = Path(f"/proc/{pid}/fd")
    try:
        return " ".join(str(file.readlink()) for file in folder.iterdir())
    except OSError:
        return ""


def waits_for_a_lock(engine: Engine) -> bool:
    """Whether another session of this database waits for a table."""
    statement = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with engine.connect() as connection:
        return bool(connection.execute(text(statement)).scalar_one())


def until(condition: Callable[[], bool]) -> None:
    """Wait for other threads and processes, and not for ever."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)
