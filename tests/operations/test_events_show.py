"""`payments events show`: all that is known of an event, and its body only where that is asked for."""

from __future__ import annotations

import base64
import json

from payments_core.adapters.sql import SqlStore
from payments_core.drive import run_blocking
from tests.operations.conftest import Run
from tests.operations.scenes import BODY, CANARY, PAYMENT, bury, bury_unreadable, claim, give_back, receive, settle


def facts(output: str) -> dict[str, str]:
    """The first part of what is shown, by the name of each line."""
    return {line[:12].strip(): line[12:] for line in output.partition("\n\n")[0].splitlines()}


def test_a_handled_event_is_shown_with_what_became_of_its_payment(store: SqlStore, run: Run) -> None:
    """The transitions with their reasons, and the events that the world is told."""
    settle(store, "evt_1")
    output = run("events", "show", "evt_1").output
    shown = facts(output)
    assert shown["Event"] == "evt_1"
    assert shown["State"].startswith("done at 20")
    assert (shown["Attempts"], shown["Account"], shown["Mode"]) == ("1", "none stated", "test")
    assert (shown["Payment"], shown["Last error"]) == (f"{PAYMENT} (settled)", "none")
    recorded = output.split("\n\n")[1].splitlines()[1:]
    assert [line.split()[2:] for line in recorded] == [["attempt_failed", "card_declined"], ["settled", "-"]]
    assert f"payment.successful  {PAYMENT} paid" in output
    assert "no broker" in output


def test_each_state_says_what_comes_next(store: SqlStore, run: Run) -> None:
    """Dead ones wait for an operator, the others for their time."""
    bury(store, "evt_dead", "it failed")
    bury_unreadable(store)
    give_back(store, "evt_parked", parked=True)
    receive(store, "evt_leased")
    claim(store)
    receive(store, "evt_ready")
    told = {name: facts(run("events", "show", name).output)["State"] for name in ("evt_dead", "unreadable_1")}
    assert told == {
        "evt_dead": "dead: nothing more is tried until it is replayed",
        "unreadable_1": "dead: its body could not be read",
    }
    assert facts(run("events", "show", "evt_parked").output)["State"] == "parked: due in 116m"
    assert facts(run("events", "show", "evt_ready").output)["State"] == "ready: due now"
    leased = facts(run("events", "show", "evt_leased").output)["State"]
    assert leased == "leased: a worker has it; due in 16m unless that worker completes it"
    assert facts(run("events", "show", "evt_dead").output)["Last error"] == "it failed"


def test_json_has_the_event_and_its_payment(store: SqlStore, run: Run) -> None:
    """The payment is null before the event is routed; the body is there only with --body."""
    settle(store, "evt_1")
    receive(store, "evt_2")
    shown = json.loads(run("events", "show", "evt_1", "--json").output)
    payment = shown["payment"]
    assert (shown["eventId"], shown["paymentId"], payment["paymentId"]) == ("evt_1", PAYMENT, PAYMENT)
    assert [(one["transition"], one["reason"]) for one in payment["transitions"]] == [
        ("attempt_failed", "card_declined"),
        ("settled", None),
    ]
    [sent] = payment["outgoing"]
    assert (sent["eventId"], sent["type"], sent["owed"], sent["publishedAt"]) == (
        f"{PAYMENT} paid",
        "payment.successful",
        False,
        None,
    )
    assert "body" not in shown
    assert json.loads(run("events", "show", "evt_2", "--json").output)["payment"] is None


def test_the_body_is_printed_only_when_asked_for(store: SqlStore, run: Run) -> None:
    """As it came; in JSON as text, or in base64 where it is none."""
    receive(store, "evt_1")
    receive(store, "evt_2", body=b"\xff\x00")
    assert CANARY not in run("events", "show", "evt_1").output
    assert run("events", "show", "evt_1", "--body").stdout_bytes.endswith(b"\n" + BODY + b"\n")
    assert run("events", "show", "evt_2", "--body").stdout_bytes.endswith(b"\n\xff\x00\n")
    assert json.loads(run("events", "show", "evt_1", "--body", "--json").output)["body"] == BODY.decode()
    shown = json.loads(run("events", "show", "evt_2", "--body", "--json").output)
    assert base64.b64decode(shown["bodyBase64"]) == b"\xff\x00"
    assert "body" not in shown


def test_an_unknown_id_is_said_to_be_unknown(run: Run) -> None:
    """One line on stderr, exit 1, nothing on stdout."""
    ran = run("events", "show", "evt_1")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Error: evt_1 is not in this inbox; ")
    assert ran.stderr.count("\n") == 1


def test_an_ambiguous_id_asks_which(store: SqlStore, run: Run) -> None:
    """The account and the mode pick, each as the message says it."""
    for account, mode in ((None, False), ("acct_1", False), ("acct_1", True), ("acct_1", None)):
        receive(store, "evt_1", account=account, livemode=mode)
    ran = run("events", "show", "evt_1")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "names 4 events" in ran.stderr
    assert "--account acct_1 --mode live" in ran.stderr
    assert "names 3 events" in run("events", "show", "evt_1", "--account", "acct_1").stderr
    for account, mode in (("none", "test"), ("acct_1", "test"), ("acct_1", "live"), ("acct_1", "none")):
        picked = run("events", "show", "evt_1", "--account", account, "--mode", mode, "--json")
        shown = json.loads(picked.output)
        assert shown["account"] == (None if account == "none" else account)
        assert shown["livemode"] is {"live": True, "test": False, "none": None}[mode]
    assert run("events", "show", "evt_1", "--account", "acct_2").exit_code == 1


def test_a_payment_that_is_gone_is_said_to_be_gone(store: SqlStore, run: Run) -> None:
    """Deleted by hand: the event is shown all the same."""
    receive(store, "evt_1")
    assert run_blocking(store.assign_lane(claim(store), "nobody"))
    assert facts(run("events", "show", "evt_1").output)["Payment"] == "nobody (not in this database)"
