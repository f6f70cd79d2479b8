"""`payments events list`: what stands in it, how it pages, and what is never in it."""

from __future__ import annotations

import json
import re

import pytest

from payments_core.adapters.sql import SqlStore
from tests.operations.conftest import Run
from tests.operations.scenes import CANARY, PAYMENT, bury, bury_unreadable, give_back, receive, settle

LONG_ID = "unreadable_" + "a" * 64


def one_of_each(store: SqlStore) -> None:
    """An event in each state."""
    settle(store, "evt_done")
    bury(store, "evt_dead", "IntegrityError was raised in fulfil (handlers.py, line 41)")
    give_back(store, "evt_parked", parked=True)
    give_back(store, "evt_backing_off", parked=False)
    receive(store, "evt_ready", kind="invoice.paid", account="acct_1", livemode=True)


def test_an_empty_inbox_says_so(run: Run) -> None:
    """A sentence and the counts, not an empty table."""
    assert run("events", "list").output == "No events.\nIn all: 0 dead, 0 ready, 0 leased, 0 parked, 0 done.\n"


def test_the_table_has_each_event_and_why_it_waits(store: SqlStore, run: Run) -> None:
    """Newest first; what went wrong stands below its event, and nothing below a handled one."""
    one_of_each(store)
    heading, *lines = run("events", "list").output.splitlines()
    assert heading.split() == ["STATE", "EVENT", "TYPE", "TRY", "AGE", "NEXT"]
    told = [re.sub(r" +\d+s( |$)", r" 0s\1", re.sub(r" {2,}", "  ", line)) for line in lines]
    assert told == [
        "ready  evt_ready  invoice.paid  0 0s  now",
        "ready  evt_backing_off  checkout.session.completed  1 0s  116m",
        "  it waits",
        "parked  evt_parked  checkout.session.completed  0 0s  116m",
        "  it waits",
        "dead  evt_dead  checkout.session.completed  1 0s  -",
        "  IntegrityError was raised in fulfil (handlers.py, line 41)",
        "done  evt_done  checkout.session.completed  1 0s  -",
        "In all: 1 dead, 2 ready, 0 leased, 1 parked, 1 done.",
    ]


def test_it_fits_eighty_columns_and_shows_whole_ids(store: SqlStore, run: Run) -> None:
    """Types and reasons are cut; an id never is, since it is to be copied."""
    bury(store, "evt_2", "a reason that goes on and on, " * 10)
    receive(store, "evt_1SXk2mKQ4rGdYbVtXo7aP3Lc", kind="checkout.session.async_payment_succeeded")
    bury_unreadable(store, LONG_ID)
    output = run("events", "list").output
    assert max(map(len, output.splitlines())) <= 80
    assert f"\n  {LONG_ID}\n" in output
    assert "evt_1SXk2mKQ4rGdYbVtXo7aP3Lc" in output
    assert "checkout.session.async_p" in output


def test_what_a_stranger_sent_does_not_reach_the_terminal(store: SqlStore, run: Run) -> None:
    """Escape sequences and line breaks in ids and types are shown as what they are: unprintable."""
    receive(store, "evt_\x1b[2J", kind="a\nforged\x07line")
    output = run("events", "list").output
    assert "\x1b" not in output
    assert "\x07" not in output
    assert len(output.splitlines()) == 3


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--state", "dead"], ["evt_dead"]),
        (["--state", "ready"], ["evt_ready", "evt_backing_off"]),
        (["--state", "leased"], []),
        (["--type", "invoice.paid"], ["evt_ready"]),
        (["--payment", PAYMENT], ["evt_done"]),
        (["--since", "1h", "--type", "checkout.session.completed", "--state", "parked"], ["evt_parked"]),
        (["--since", "2099-01-01"], []),
    ],
)
def test_conditions_narrow_the_list(store: SqlStore, run: Run, options: list[str], expected: list[str]) -> None:
    """Each alone and together; the counts stay those of the whole inbox."""
    one_of_each(store)
    listed = json.loads(run("events", "list", "--json", *options).output)
    assert [event["eventId"] for event in listed["events"]] == expected
    assert listed["counts"] == {"dead": 1, "ready": 2, "leased": 0, "parked": 1, "done": 1}
    if not expected:
        assert run("events", "list", *options).output.startswith("No event fits.\n")


def test_json_is_stable(store: SqlStore, run: Run) -> None:
    """Every field, camelCase, times in RFC 3339 UTC; what does not apply is null."""
    one_of_each(store)
    events = {event["eventId"]: event for event in json.loads(run("events", "list", "--json").output)["events"]}
    moment = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
    for event in events.values():
        assert moment.fullmatch(event.pop("receivedAt"))
    for name in ("evt_ready", "evt_backing_off", "evt_parked"):
        assert moment.fullmatch(events[name].pop("nextAt"))
    assert moment.fullmatch(events["evt_done"].pop("doneAt"))
    assert events["evt_dead"] == {
        "eventId": "evt_dead",
        "type": "checkout.session.completed",
        "state": "dead",
        "attempts": 1,
        "nextAt": None,
        "doneAt": None,
        "paymentId": None,
        "account": None,
        "livemode": False,
        "lastError": "IntegrityError was raised in fulfil (handlers.py, line 41)",
        "unreadable": False,
    }
    assert (events["evt_done"]["paymentId"], events["evt_done"]["nextAt"]) == (PAYMENT, None)
    assert (events["evt_ready"]["account"], events["evt_ready"]["livemode"]) == ("acct_1", True)


def test_pages_lead_on(store: SqlStore, run: Run) -> None:
    """`next` is the cursor of the next page, null on the last; people are told what to type."""
    for number in range(5):
        receive(store, f"evt_{number}")
    seen: list[str] = []
    cursor: str | None = None
    pages = 0
    while pages == 0 or cursor is not None:
        before = [] if cursor is None else ["--before", cursor]
        listed = json.loads(run("events", "list", "--json", "--limit", "2", *before).output)
        seen += [event["eventId"] for event in listed["events"]]
        cursor = listed["next"]
        pages += 1
    assert (pages, seen) == (3, [f"evt_{number}" for number in reversed(range(5))])
    assert "There are more: --before 4\n" in run("events", "list", "--limit", "2").output
    assert "There are more" not in run("events", "list", "--limit", "5").output


def test_nothing_personal_is_listed_or_counted(store: SqlStore, run: Run) -> None:
    """No body, no address: not in the list, not in what is shown, not in the figures."""
    one_of_each(store)
    for command in (
        ["events", "list"],
        ["events", "list", "--json"],
        ["events", "show", "evt_done"],
        ["events", "show", "evt_done", "--json"],
        ["events", "replay", "evt_done", "evt_dead"],
        ["analytics"],
        ["analytics", "--json"],
    ):
        ran = run(*command)
        assert ran.output
        assert CANARY not in ran.output + ran.stderr, command


@pytest.mark.parametrize(
    "options",
    [
        ["--state", "gone"],
        ["--since", "yesterday"],
        ["--since", "99999999w"],
        ["--since", "0001-01-01T00:00+14:00"],
        ["--limit", "0"],
        ["--limit", "1001"],
        ["--before", "x"],
        ["--before", str(2**63)],
        ["evt_1"],
    ],
)
def test_wrong_usage_exits_with_two(run: Run, options: list[str]) -> None:
    """Before anything is read, with a sentence and no traceback."""
    ran = run("events", "list", *options)
    assert ran.exit_code == 2
    assert "Error: " in ran.stderr
    assert "Traceback" not in ran.stderr
