"""`payments consumed`: what is dead, why, and bringing it back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from payments_core.adapters.sql import upgrade
from payments_core.adapters.sql.consuming import SqlConsumed, blocking_consumed
from payments_core.cli import _group
from payments_core.domain.consumption import Message, MessageState
from payments_core.drive import run_blocking

BODY = b'{"eventId": "evt-1", "data": {"email": "buyer@example.test"}}'
MESSAGE = Message("payment.successful", 2, 41, b"pi_1", BODY, {"ce_id": "evt-1"})


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind, with the schema."""
    found: str
    if request.param == "sqlite":
        found = f"sqlite:///{tmp_path / 'orders.db'}"
    else:
        found = request.getfixturevalue("postgres_url")
    upgrade(found)
    return found


@pytest.fixture
def consumed(url: str) -> Iterator[SqlConsumed]:
    """What the consumers of that database remember."""
    made = blocking_consumed(url)
    yield made
    run_blocking(made.close())


@pytest.fixture
def run(url: str) -> Callable[..., Result]:
    """The command over that database."""

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(_group(), ["consumed", *arguments], env={"PAYMENTS_DATABASE_URL": url})

    return invoke


def told(result: Result) -> Any:
    """The JSON that was printed."""
    return json.loads(result.stdout)


def test_nothing_is_dead(run: Callable[..., Result]) -> None:
    """Said in words, and as an empty list."""
    assert run("list").stdout == "No dead messages.\n"
    assert run("list", "--group", "orders").stdout == "No dead messages of orders.\n"
    assert told(run("list", "--json")) == {"messages": [], "more": False}


def test_the_dead_are_listed_with_their_reasons(run: Callable[..., Result], consumed: SqlConsumed) -> None:
    """By group, without a body; control characters of a stranger's id do not reach the terminal."""
    run_blocking(consumed.bury("orders", "evt-1", MESSAGE, "RuntimeError was raised in book"))
    run_blocking(consumed.bury("mail", "evt-\x1b[2J", MESSAGE, "it is no JSON"))
    shown = run("list").stdout
    assert "dead   orders" in shown
    assert "payment.successful  2/41" in shown
    assert "  RuntimeError was raised in book\n" in shown
    assert "\x1b" not in shown
    assert "buyer@" not in shown
    [one] = told(run("list", "--group", "orders", "--json"))["messages"]
    assert one | {"since": "-"} == {
        "group": "orders",
        "messageId": "evt-1",
        "state": "dead",
        "topic": "payment.successful",
        "partition": 2,
        "offset": 41,
        "reason": "RuntimeError was raised in book",
        "since": "-",
    }
    assert "There are more: --limit 2" in run("list", "--limit", "1").stdout


def test_one_is_shown_with_its_body_only_when_asked(run: Callable[..., Result], consumed: SqlConsumed) -> None:
    """It holds personal data."""
    run_blocking(consumed.bury("orders", "evt-1", MESSAGE, "it failed"))
    shown = run("show", "evt-1").stdout
    assert "Topic     payment.successful, partition 2, offset 41\n" in shown
    assert "Reason    it failed" in shown
    assert "buyer@" not in shown
    assert BODY.decode() in run("show", "evt-1", "--body").stdout
    whole = told(run("show", "evt-1", "--body", "--json"))
    assert (whole["body"], whole["key"], whole["headers"]) == (BODY.decode(), "pi_1", {"ce_id": "evt-1"})
    missing = run("show", "evt-2")
    assert (missing.exit_code, missing.stderr.startswith("Error: evt-2 is not dead")) == (1, True)


def test_named_messages_are_replayed(run: Callable[..., Result], consumed: SqlConsumed) -> None:
    """Once; what is not dead is refused with the reason, and of several groups one has to be named."""
    for group in ("orders", "mail"):
        run_blocking(consumed.bury(group, "evt-1", MESSAGE, "it failed"))
    several = run("replay", "evt-1")
    assert (several.exit_code, several.stdout) == (1, "0 messages are due again.\n")
    assert "name one with --group: mail, orders" in several.stderr
    assert "name one with --group" in run("show", "evt-1").stderr
    assert run("replay", "evt-1", "--group", "orders").stdout == "1 message is due again.\n"
    again = run("replay", "evt-1", "evt-2", "--group", "orders", "--json")
    assert again.exit_code == 1
    assert told(again) == {
        "replayed": 0,
        "refused": [
            {"messageId": "evt-1", "reason": "evt-1 is due again already."},
            {"messageId": "evt-2", "reason": "evt-2 is not dead: `payments consumed list` shows what is."},
        ],
    }
    [due] = run_blocking(consumed.due("orders", 10))
    assert (due.message_id, due.state) == ("evt-1", MessageState.DUE)
    assert run_blocking(consumed.due("mail", 10)) == []


def test_all_dead_messages_are_replayed(run: Callable[..., Result], consumed: SqlConsumed) -> None:
    """Of a group or of all; never by mistake."""
    for number in range(3):
        run_blocking(consumed.bury("orders", f"evt-{number}", MESSAGE, "it failed"))
    run_blocking(consumed.bury("mail", "evt-1", MESSAGE, "it failed"))
    assert run("replay").exit_code == 2
    assert run("replay", "--all", "evt-1").exit_code == 2
    assert run("replay", "--all", "--group", "orders").stdout == "3 messages are due again.\n"
    assert told(run("replay", "--all", "--json")) == {"replayed": 1, "refused": []}
    assert {one["state"] for one in told(run("list", "--json"))["messages"]} == {"due"}
