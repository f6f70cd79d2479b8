"""`payments events replay`: what it brings back, what it refuses and why, and whom it asks."""

from __future__ import annotations

import json

import pytest

from payments_core.adapters.sql import SqlStore
from tests.operations.conftest import Run
from tests.operations.scenes import bury, bury_unreadable, claim, give_back, only, receive, settle, states


def test_a_named_dead_letter_is_due_again(store: SqlStore, run: Run) -> None:
    """Ready, with no attempt counted; the others stay dead."""
    bury(store, "evt_1")
    bury(store, "evt_2")
    ran = run("events", "replay", "evt_1")
    assert (ran.exit_code, ran.output) == (0, "Replayed: 1, due now.\n")
    assert states(store, "evt_1", "evt_2") == ["ready", "dead"]
    again = claim(store)
    assert (again.event_id, again.attempt) == ("evt_1", 1)


def test_an_event_named_twice_is_replayed_once(store: SqlStore, run: Run) -> None:
    """The second mention is no complaint."""
    bury(store, "evt_1")
    ran = run("events", "replay", "evt_1", "evt_1")
    assert (ran.exit_code, ran.output) == (0, "Replayed: 1, due now.\n")


def test_repeating_a_replay_changes_nothing(store: SqlStore, run: Run) -> None:
    """The second time the event is open: it is left as it is, and the exit code says so."""
    bury(store, "evt_1")
    run("events", "replay", "evt_1")
    before = only(store, "evt_1")
    ran = run("events", "replay", "evt_1")
    assert (ran.exit_code, ran.stdout) == (1, "Replayed: 0.\n")
    assert ran.stderr == "evt_1 is not dead, but ready: due now.\n"
    assert only(store, "evt_1") == before


def test_what_is_not_dead_is_refused_with_the_reason(store: SqlStore, run: Run) -> None:
    """Each in a line on stderr; what can be brought back is brought back all the same."""
    settle(store, "evt_done")
    bury(store, "evt_dead")
    give_back(store, "evt_parked", parked=True)
    receive(store, "evt_leased")
    claim(store)
    for account in ("acct_1", "acct_2"):
        receive(store, "evt_two", account=account)
    ran = run("events", "replay", "evt_done", "evt_dead", "evt_parked", "evt_leased", "evt_two", "evt_none")
    assert (ran.exit_code, ran.stdout) == (1, "Replayed: 1, due now.\n")
    done, parked, leased, two, none = ran.stderr.splitlines()
    assert done.startswith("evt_done is done since 20")
    assert done.endswith("UTC: its effects are there, and it is not run again.")
    assert parked == "evt_parked is not dead, but parked: due in 116m."
    assert leased.startswith("evt_leased is not dead, but leased: a worker has it; due in 16m")
    assert two.startswith("evt_two names 2 events; choose one by --account acct_2 --mode test;")
    assert none.startswith("evt_none is not in this inbox;")
    assert states(store, "evt_done", "evt_dead", "evt_parked", "evt_leased") == ["done", "ready", "parked", "leased"]


def test_the_account_picks_among_events_of_one_id(store: SqlStore, run: Run) -> None:
    """The other account's event stays dead."""
    for account in ("acct_1", "acct_2"):
        bury(store, "evt_1", account=account)
    assert run("events", "replay", "evt_1").exit_code == 1
    assert run("events", "replay", "evt_1", "--account", "acct_2").exit_code == 0
    assert claim(store).account == "acct_2"


def test_all_dead_letters_are_brought_back(store: SqlStore, run: Run) -> None:
    """Narrowed by type and time, and then all; what could not be read is left out with a note."""
    bury(store, "evt_1")
    bury(store, "evt_2", kind="charge.refunded")
    bury_unreadable(store)
    narrow = run("events", "replay", "--dead", "--type", "charge.refunded", "--since", "1h", "--yes")
    assert (narrow.exit_code, narrow.output) == (0, "Replayed: 1, due now.\n")
    assert states(store, "evt_1", "evt_2", "unreadable_1") == ["dead", "ready", "dead"]
    every = run("events", "replay", "--dead", "--yes")
    assert every.output == (
        "Replayed: 1, due now.\nLeft out: 1 dead letter that could not be read; name an event to try it anyway.\n"
    )
    assert states(store, "evt_1", "evt_2", "unreadable_1") == ["ready", "ready", "dead"]
    assert run("events", "replay", "--dead", "--since", "2099-01-01", "--yes").output == "Replayed: 0.\n"


def test_more_than_a_batch_is_brought_back(store: SqlStore, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """In short transactions, each event once."""
    monkeypatch.setattr("payments_core.services.inspection._BATCH", 3)
    for number in range(8):
        bury(store, f"evt_{number}")
    assert run("events", "replay", "--dead", "--yes").output == "Replayed: 8, due now.\n"
    assert set(states(store, *[f"evt_{number}" for number in range(8)])) == {"ready"}


def test_what_could_not_be_read_is_tried_when_it_is_named(store: SqlStore, run: Run) -> None:
    """With a note, since it will hardly go better."""
    bury_unreadable(store)
    ran = run("events", "replay", "unreadable_1")
    assert ran.exit_code == 0
    assert ran.output == (
        "unreadable_1 was stored dead, since it could not be read; it is tried again.\nReplayed: 1, due now.\n"
    )


def test_off_a_terminal_all_needs_a_yes(store: SqlStore, run: Run) -> None:
    """Nobody can be asked: it is wrong usage, and nothing is touched."""
    bury(store, "evt_1")
    ran = run("events", "replay", "--dead")
    assert ran.exit_code == 2
    assert "--dead needs --yes where nobody can be asked" in ran.stderr
    assert states(store, "evt_1") == ["dead"]


def test_json_tells_the_same(store: SqlStore, run: Run) -> None:
    """Numbers, and each refusal with its outcome and reason."""
    settle(store, "evt_done")
    bury(store, "evt_dead")
    bury(store, "evt_also")
    bury_unreadable(store)
    named = run("events", "replay", "evt_done", "evt_dead", "evt_none", "--json")
    told = json.loads(named.output)
    assert (named.exit_code, told["replayed"], told["unreadableLeftOut"]) == (1, 1, 0)
    assert [(one["eventId"], one["outcome"]) for one in told["refused"]] == [
        ("evt_done", "not_dead"),
        ("evt_none", "unknown"),
    ]
    assert "its effects are there" in told["refused"][0]["reason"]
    every = json.loads(run("events", "replay", "--dead", "--yes", "--json").output)
    assert every == {"replayed": 1, "unreadableLeftOut": 1, "refused": []}


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["evt_1", "--dead"],
        ["evt_1", "--type", "invoice.paid"],
        ["evt_1", "--since", "1h"],
        ["--dead", "--yes", "--account", "acct_1"],
        ["--dead", "--yes", "--mode", "live"],
    ],
)
def test_what_does_not_go_together_is_wrong_usage(store: SqlStore, run: Run, options: list[str]) -> None:
    """Exit 2 before anything is touched."""
    bury(store, "evt_1")
    ran = run("events", "replay", *options)
    assert ran.exit_code == 2
    assert states(store, "evt_1") == ["dead"]
