"""`payments reconcile` and `payments verify`, with the sandbox as Stripe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
import stripe
from click.testing import CliRunner, Result

from payments_core import Cart, CheckoutRequest, Line, Money, Payments
from payments_core.cli import _group
from payments_core.sandbox import Sandbox, running

DEADLINE_S = 180
Run = Callable[..., Result]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running() as served:
        yield served


@pytest.fixture(autouse=True)
def settings(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a deployment; no webhook secret is needed."""
    monkeypatch.setattr(stripe.HTTPClient, "_sleep_time_seconds", lambda self, retries: 0.0)
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_123")
    monkeypatch.setenv("STRIPE_API_BASE", sandbox.base_url)
    monkeypatch.setenv("PAYMENTS_DATABASE_URL", f"sqlite:///{tmp_path / 'shop.db'}")


@pytest.fixture
def payments(settings: None) -> Iterator[Payments]:
    """The shop, whose handling is done by hand."""
    made = Payments.from_env(runner=False)
    made.start()
    yield made
    made.close()


@pytest.fixture
def run() -> Run:
    return lambda *words: CliRunner().invoke(_group(), list(words))


def buy(payments: Payments, sandbox: Sandbox) -> str:
    """A payment that no webhook tells of; its session's id."""
    cart = Cart([Line("Shirt", Money(2999, "usd"), 2)])
    request = CheckoutRequest(cart, success_url="https://shop.test/ok", cancel_url="https://shop.test/cart")
    session_id = payments.create_checkout_session(request).session_id
    sandbox.pay(session_id)
    return session_id


def work(payments: Payments) -> None:
    while payments.run_due():
        pass


def test_what_no_webhook_told_is_brought_once(payments: Payments, sandbox: Sandbox, run: Run) -> None:
    """Counts by type on stdout, progress on stderr, exit code 0; nothing is handled by the command itself."""
    buy(payments, sandbox)
    first = run("reconcile")
    assert first.exit_code == 0, first.output
    assert "Brought 4 events into the inbox" in first.stdout
    assert "      1  checkout.session.completed" in first.stdout
    assert "events: 100 % (4 seen, 4 brought)" in first.stderr
    assert payments.recent_events() == []
    work(payments)
    assert [event["eventType"] for event in payments.recent_events()] == ["payment.successful"]
    again = run("reconcile", "--json")
    found = json.loads(again.stdout)
    assert (found["total"], found["brought"], found["complete"]) == (0, {}, True)
    assert found["seen"]["session"] == 1
    assert "Nothing was missing." in run("reconcile").stdout


def test_objects_can_be_left_out(payments: Payments, sandbox: Sandbox, run: Run) -> None:
    """An event that was never made is found by the objects alone."""
    buy(payments, sandbox)
    for event in sandbox.events():
        sandbox.lose_event(str(event["id"]))
    assert json.loads(run("reconcile", "--no-objects", "--json").stdout)["total"] == 0
    found = json.loads(run("reconcile", "--since", "2d", "--json").stdout)
    assert found["brought"] == {"payments_core.session.observed": 1}


def test_verify_tells_the_difference_and_then_none(payments: Payments, sandbox: Sandbox, run: Run) -> None:
    """A dead letter and a payment missing after the time of grace; exit code 1, then 0."""
    assert run("verify").stdout.startswith("no drift: nothing compared")
    session_id = buy(payments, sandbox)
    pending = run("verify")
    assert (pending.exit_code, "1 on their way" in pending.stdout) == (0, True)
    run("reconcile")
    work(payments)
    settled = run("verify")
    assert (settled.exit_code, settled.stdout.partition(":")[0]) == (0, "no drift")
    assert "payments: 100 % (" in settled.stderr
    for record in sandbox.state.sessions:
        sandbox.state.sessions.put(attrs.evolve(record, currency="eur"))
    drifted = run("verify", "--since", "1d")
    assert drifted.exit_code == 1
    assert f"currency_differs: session {session_id}" in drifted.stdout
    assert "Stripe: 59.98 eur, here: 59.98 usd" in drifted.stdout
    assert drifted.stdout.rstrip().splitlines()[-1].startswith("1 difference: ")
    told = json.loads(run("verify", "--json").stdout)
    assert told["total"] == 1
    assert told["drifts"][0]["atStripe"] == {"amount": 59.98, "amountMinor": 5998, "currency": "eur"}


@pytest.mark.parametrize(
    "words",
    [
        ["reconcile", "--since", "yesterday"],
        ["reconcile", "--since", "2999-01-01"],
        ["verify", "--since", "2999-01-01"],
        ["reconcile", "--every", "99999999w"],
        ["reconcile", "--since", "1d", "--until", "2d"],
        ["reconcile", "--every", "0m"],
        ["reconcile", "--every", "15m", "--since", "3d"],
        ["verify", "--since", ""],
        ["verify", "--since", "1d", "--until", "2d"],
    ],
)
def test_wrong_usage_exits_with_two(run: Run, words: list[str]) -> None:
    """With a sentence, before anything is asked."""
    ran = run(*words)
    assert ran.exit_code == 2
    assert "Error: " in ran.stderr


@pytest.mark.parametrize("command", ["reconcile", "verify"])
def test_a_database_without_a_schema_is_told_and_not_made(run: Run, tmp_path: Path, command: str) -> None:
    """In a wrong folder an empty file would be compared, or be brought what another one misses."""
    done = run(command)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "has no payments schema; run `payments db upgrade`" in done.stderr
    assert not (tmp_path / "shop.db").exists()


@pytest.mark.usefixtures("payments")
@pytest.mark.parametrize("command", ["reconcile", "verify"])
def test_an_outage_is_one_sentence_and_exit_code_one(run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """After the tries that are made; no traceback."""
    monkeypatch.setenv("STRIPE_API_BASE", "http://127.0.0.1:1")
    ran = run(command)
    assert ran.exit_code == 1
    assert "could not be reached" in ran.stderr
    assert "Traceback" not in ran.output


@pytest.mark.usefixtures("payments")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_schedule_ends_cleanly_by_a_signal(sandbox: Sandbox, stop: signal.Signals, tmp_path: Path) -> None:
    """It runs at once, waits for the next turn, and leaves with status 0."""
    code = "from payments_core.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "reconcile", "--every", "1h", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        cwd=tmp_path,
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["complete"] is True
        process.send_signal(stop)
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.communicate()
