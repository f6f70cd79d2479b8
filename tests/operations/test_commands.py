"""The real console script in a process of its own, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from payments_core.adapters.sql import SqlStore, blocking_store
from payments_core.drive import run_blocking
from payments_core.ports import Store
from tests.operations.scenes import PAYMENT, bury, bury_unreadable, settle, states

SCRIPT = Path(sys.executable).parent / "payments"
DEADLINE_S = 180


@pytest.fixture
def any_store(url: str) -> Iterator[SqlStore]:
    """A store over each kind of database."""
    store = blocking_store(url)
    yield store
    run_blocking(store.close())


def execute(url: str, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    """Run the script with the database's address and nothing else of ours in its environment."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "COVERAGE_PROCESS_START") if name in os.environ}
    return subprocess.run(
        [str(SCRIPT), *arguments],
        env={**kept, "PAYMENTS_DATABASE_URL": url},
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@contextmanager
def terminal(typed: str) -> Iterator[int]:
    """A terminal on which somebody types."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, typed.encode())
        yield theirs
    finally:
        os.close(theirs)
        os.close(ours)


def test_an_operator_finds_reads_and_replays(url: str, any_store: Store) -> None:
    """List, show, replay, and the figures: from a shell, with one variable."""
    settle(any_store, "evt_done")
    bury(any_store, "evt_dead", "it failed")
    bury_unreadable(any_store)
    listed = execute(url, "events", "list", "--state", "dead")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert [line.split()[:2] for line in listed.stdout.splitlines() if line.startswith("dead")] == [
        ["dead", "unreadable_1"],
        ["dead", "evt_dead"],
    ]
    shown = json.loads(execute(url, "events", "show", "evt_done", "--json").stdout)
    assert shown["payment"]["paymentId"] == PAYMENT
    replayed = execute(url, "events", "replay", "evt_dead", "evt_done")
    assert (replayed.returncode, replayed.stdout) == (1, "Replayed: 1, due now.\n")
    assert replayed.stderr.startswith("evt_done is done since 20")
    every = execute(url, "events", "replay", "--dead", "--yes")
    assert (every.returncode, every.stdout.splitlines()[0]) == (0, "Replayed: 0.")
    assert states(any_store, "evt_done", "evt_dead", "unreadable_1") == ["done", "ready", "dead"]
    figures = json.loads(execute(url, "analytics", "--json").stdout)
    assert figures["revenue"]["byDay"] == [
        {"day": "2026-11-23", "currency": "usd", "payments": 1, "amountMinor": 5998, "amount": "59.98"}
    ]


@pytest.mark.parametrize(("typed", "code", "after"), [("y\n", 0, "ready"), ("n\n", 1, "dead"), ("\n", 1, "dead")])
def test_on_a_terminal_all_dead_letters_are_asked_for(
    url: str, any_store: Store, typed: str, code: int, after: str
) -> None:
    """Only a yes brings them back; the question says how many there are."""
    bury(any_store, "evt_1")
    bury(any_store, "evt_2")
    with terminal(typed) as stdin:
        ran = execute(url, "events", "replay", "--dead", stdin=stdin)
    assert "Bring 2 dead letters back? [y/N]" in ran.stderr
    assert ran.returncode == code
    assert states(any_store, "evt_1", "evt_2") == [after, after]


def test_on_a_terminal_a_yes_is_not_asked_for_twice(url: str, any_store: Store) -> None:
    """With --yes there is no question, and with nothing dead neither."""
    bury(any_store, "evt_1")
    with terminal("") as stdin:
        first, second = (execute(url, "events", "replay", "--dead", *yes, stdin=stdin) for yes in (["--yes"], []))
    assert (first.stdout, first.stderr) == ("Replayed: 1, due now.\n", "")
    assert (second.stdout, second.stderr) == ("Replayed: 0.\n", "")


COMMANDS = [
    ("events", "list"),
    ("events", "show", "evt_1"),
    ("events", "replay", "evt_1"),
    ("events", "replay", "--dead", "--yes"),
    ("analytics",),
    ("analytics", "--json"),
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_missing_schema_says_what_to_run(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """One line on stderr, exit 1; a SQLite file that is not there is not made."""
    file = tmp_path / "none.db"
    ran = execute(f"sqlite:///{file}", *arguments)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert (
        ran.stderr
        == "Error: The database of PAYMENTS_DATABASE_URL has no payments schema; run `payments db upgrade`.\n"
    )
    assert not file.exists()


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_server_without_the_schema_says_what_to_run(arguments: tuple[str, ...], postgres_url: str) -> None:
    """The same on PostgreSQL."""
    ran = execute(postgres_url, *arguments)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.endswith("run `payments db upgrade`.\n")
    assert ran.stderr.count("\n") == 1


def test_a_database_that_cannot_be_used_is_one_line() -> None:
    """No traceback, no password."""
    ran = execute("postgresql://u:canary-71@127.0.0.1:1/d", "events", "list")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Error: The payments database could not be used")
    assert ran.stderr.count("\n") == 1
    assert "canary-71" not in ran.stderr


def test_a_reader_that_goes_away_is_no_traceback(url: str, any_store: Store) -> None:
    """`payments events list | head -1` ends quietly."""
    bury(any_store, "evt_1")
    script = f"{SCRIPT} events list | head -1"
    environment = {"PATH": os.environ["PATH"], "PAYMENTS_DATABASE_URL": url}
    ran = subprocess.run(
        ["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert ran.stdout.startswith("STATE")
    assert "Traceback" not in ran.stderr
