"""`payments quarantine`: what waits is listed and explained, and a release is settled by whoever runs events, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from payments_core import Cart, Line, Money, Payments, PaymentSuccessful, Settings
from payments_core.adapters.memory import MemoryGateway
from payments_core.adapters.sql import SqlStore
from payments_core.domain.checkout import PAYMENT_ID_KEY
from payments_core.domain.events import Difference
from payments_core.domain.payment import Payment, PaymentState
from payments_core.domain.refs import Ref
from payments_core.drive import run_blocking
from payments_core.sandbox import Sandbox, running
from payments_core.testing.contracts.examples import MOMENT, payment
from tests.operations.conftest import Run
from tests.operations.scenes import CANARY, settled, states

ODD = "5f0d8f6a-5a44-4d0c-9f6e-0a2f1c9f7b11"
TOTAL = Difference("amount_total", 5998, 100)


def quarantine(store: SqlStore, payment_id: str = ODD, *, after_s: int = 0, **more: Any) -> Payment:
    """A payment of 59.98 that was paid with one dollar."""
    known: dict[str, Any] = {
        "state": PaymentState.QUARANTINED,
        "cart": Cart([Line("Premium T-Shirt", Money(2999, "usd"), 2)]),
        "currency": "usd",
        "amount_minor": 100,
        "session_id": f"cs_{payment_id[:4]}",
        "payment_intent_id": "pi_1",
        "customer_email": CANARY,
        "adjustments": frozenset[Any](),
        "discrepancies": (TOTAL, Difference("livemode", "test", None)),
        "quarantined_at": MOMENT + timedelta(seconds=after_s),
        **more,
    }
    made = attrs.evolve(payment(payment_id), **known)
    run_blocking(store.add_payment(made))
    return made


@pytest.fixture
def worker(store: SqlStore) -> Iterator[Payments]:
    """A process that has handlers and works when it is told to."""
    values = {"stripe_secret_key": "sk_test_1", "stripe_webhook_secret": "whsec_test_secret"}
    payments = Payments(Settings.of(**values), store=store, gateway=MemoryGateway(), runner=False)
    yield payments
    payments.close()
    run_blocking(store.prepare())


def test_those_that_wait_longest_come_first(store: SqlStore, run: Run) -> None:
    """Since when, what was agreed, what was paid, what differs, and the session whole."""
    quarantine(store, "b", after_s=2)
    quarantine(store, "a", after_s=1)
    run_blocking(store.add_payment(settled("c", MOMENT, 5998)))
    output = run("quarantine", "list").output
    assert output.splitlines() == [
        "SINCE (UTC)          PAYMENT  AGREED     PAID      DIFFERS IN",
        "2026-11-23 10:30:01  a        59.98 usd  1.00 usd  amount_total, livemode",
        "  cs_a",
        "2026-11-23 10:30:02  b        59.98 usd  1.00 usd  amount_total, livemode",
        "  cs_b",
        "Quarantined: 2.",
    ]
    assert CANARY not in output


def test_nothing_waits(store: SqlStore, run: Run) -> None:
    """Also said."""
    assert run("quarantine", "list").output == "Quarantined: 0.\n"


def test_pages_neither_repeat_nor_skip(store: SqlStore, run: Run) -> None:
    """The cursor is printed where there is more."""
    for number in range(5):
        quarantine(store, f"p{number}", after_s=number)
    assert "There are more: --after p1" in run("quarantine", "list", "--limit", "2").output
    seen, after = [], ()
    while True:
        page = json.loads(run("quarantine", "list", "--limit", "2", "--json", *after).output)
        seen += [one["paymentId"] for one in page["payments"]]
        if page["next"] is None:
            break
        after = ("--after", page["next"])
    assert (seen, page["total"]) == ([f"p{number}" for number in range(5)], 5)


def test_one_is_shown_with_all_that_differs(store: SqlStore, run: Run) -> None:
    """Without a key Stripe's lines are not asked for, and that is said."""
    quarantine(store)
    output = run("quarantine", "show", ODD).output
    lines = output.splitlines()
    assert lines[:9] == [
        f"Payment  {ODD}",
        "State    quarantined since 2026-11-23 10:30:00 UTC: release it, or refund it at Stripe and reject it",
        "Mode     test",
        "Account  the key's own",
        "Session  cs_5f0d",
        "Intent   pi_1",
        "Agreed   59.98 usd",
        "Enabled  no discount, shipping or tax",
        "Paid     1.00 usd",
    ]
    assert lines[10:14] == [
        "DIFFERS IN    AGREED  AT STRIPE",
        "amount_total  5998    100",
        "livemode      test    -",
        "(amounts in minor units)",
    ]
    assert "Lines: STRIPE_SECRET_KEY is not set, so Stripe was not asked for its lines." in lines
    assert CANARY not in output
    shown = json.loads(run("quarantine", "show", ODD, "--json").output)
    assert (shown["agreed"], shown["paid"]) == (
        {"amountMinor": 5998, "currency": "usd", "amount": "59.98"},
        {"amountMinor": 100, "currency": "usd", "amount": "1.00"},
    )
    assert shown["discrepancies"][0] == {"code": "amount_total", "expected": 5998, "actual": 100}
    assert (shown["state"], shown["adjustments"], shown["lines"]) == ("quarantined", [], None)
    assert shown["history"]["paymentId"] == ODD


@pytest.fixture(scope="module")
def stripe() -> Iterator[Sandbox]:
    with running() as sandbox:
        yield sandbox


def test_with_a_key_stripes_lines_explain_it(
    store: SqlStore, run: Run, stripe: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session's lines beside the agreed ones; a key of the other mode is not used, an outage hides nothing else."""
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_1")
    monkeypatch.setenv("STRIPE_API_BASE", stripe.base_url)
    session = opened(Money(100, "usd"))
    quarantine(store, session_id=session)
    output = run("quarantine", "show", ODD).output
    assert "  agreed, not charged so: 2 x 2999 usd Premium T-Shirt" in output
    assert "  charged, not agreed so: 1 x 100 usd Cheap" in output
    quarantine(store, "same", session_id=session, cart=Cart([Line("Cheap", Money(100, "usd"), 1)]))
    assert "Lines: Stripe's session has the agreed lines." in run("quarantine", "show", "same").output
    shown = json.loads(run("quarantine", "show", ODD, "--json").output)
    assert shown["lines"] == {
        "agreedOnly": ["2 x 2999 usd Premium T-Shirt"],
        "chargedOnly": ["1 x 100 usd Cheap"],
    }
    quarantine(store, "live", livemode=True)
    assert "STRIPE_SECRET_KEY is of the other mode" in run("quarantine", "show", "live").output
    quarantine(store, "gone", session_id="cs_test_gone")
    gone = run("quarantine", "show", "gone")
    assert gone.exit_code == 0
    assert "amount_total  5998" in gone.output
    assert "Lines: " in gone.output


def opened(price: Money) -> str:
    """A session at the sandbox; its id."""
    from payments_core.adapters.stripe import blocking_gateway

    gateway = blocking_gateway(Settings.from_env())
    line = {"price_data": {"currency": price.currency, "unit_amount": price.minor, "product_data": {"name": "Cheap"}}}
    params = {"mode": "payment", "line_items": [{**line, "quantity": 1}], "success_url": "https://shop.test/ok"}
    session = run_blocking(gateway.create_session(params, idempotency_key="cheap"))
    run_blocking(gateway.close())
    return session.id


def test_a_release_is_settled_by_the_process_that_has_the_handlers(store: SqlStore, run: Run, worker: Payments) -> None:
    """The command stores the decision; the worker's handlers, the record and the event come of it, once."""
    quarantine(store)
    paid: list[PaymentSuccessful] = []
    worker.on(PaymentSuccessful)(paid.append)
    released = run("quarantine", "release", ODD, "--reason", "ada: promised by mail")
    assert (released.exit_code, paid) == (0, [])
    assert "is released. Whoever runs events settles it now" in released.output
    again = run("quarantine", "release", ODD, "--reason", "bob: same")
    assert (again.exit_code, again.output) == (0, f"{ODD} was released before; that is ready: due now.\n")
    while worker.run_due():
        pass
    assert [(one.payment_id, one.amount_minor) for one in paid] == [(ODD, 100)]
    shown = run("quarantine", "show", ODD).output
    assert "State    settled: quarantined at 2026-11-23 10:30:00 UTC, released and settled at " in shown
    assert "ada: promised by mail" in shown
    assert "bob" not in shown
    late = run("quarantine", "release", ODD, "--reason", "carl: late")
    assert late.exit_code == 1
    assert f"{ODD} was released, and is settled since 20" in late.stderr
    assert run_blocking(store.records.quarantined(limit=5)) == []
    assert worker.run_due() == 0


def test_a_rejection_closes_it_and_nobody_is_told(store: SqlStore, run: Run, worker: Payments) -> None:
    """It leaves the list and the count with who and why; no release brings it back, and none was told of a success."""
    quarantine(store)
    paid: list[PaymentSuccessful] = []
    worker.on(PaymentSuccessful)(paid.append)
    rejected = run("quarantine", "reject", ODD, "--reason", "ada: refunded, ticket 4711")
    assert (rejected.exit_code, "Its money is given back at Stripe alone." in rejected.output) == (0, True)
    contrary = run("quarantine", "release", ODD, "--reason", "bob: no, take it")
    assert (contrary.exit_code, contrary.stderr) == (1, f"{ODD} was rejected before; that is ready: due now.\n")
    while worker.run_due():
        pass
    assert run("quarantine", "list").output == "Quarantined: 0.\n"
    shown = run("quarantine", "show", ODD).output
    assert "State    rejected: quarantined at 2026-11-23 10:30:00 UTC, and not accepted" in shown
    assert "ada: refunded, ticket 4711" in shown
    for decision in ("release", "reject"):
        late = run("quarantine", decision, ODD, "--reason", "carl: late")
        assert (late.exit_code, late.stderr) == (1, f"{ODD} was rejected, and stays so.\n")
    assert (paid, worker.run_due()) == ([], 0)
    assert json.loads(run("analytics", "--json").output)["payments"]["rejected"] == 1


def test_a_release_that_was_given_up_can_be_turned_into_a_rejection(
    store: SqlStore, run: Run, worker: Payments
) -> None:
    """A payment whose handlers cannot succeed is refunded in the end; a replay of the release changes nothing then."""
    quarantine(store)
    assert run("quarantine", "release", ODD, "--reason", "ada").exit_code == 0
    [claimed] = run_blocking(store.claim(limit=1, lease_s=30))
    run_blocking(store.bury(claimed, "sold out"))
    assert run("quarantine", "reject", ODD, "--reason", "ada: refunded").exit_code == 0
    assert worker.run_due() == 1
    paid: list[PaymentSuccessful] = []
    worker.on(PaymentSuccessful)(paid.append)
    assert run("events", "replay", f"release_{ODD}").exit_code == 0
    assert (worker.run_due(), paid) == (1, [])
    assert "State    rejected" in run("quarantine", "show", ODD).output


@pytest.mark.parametrize("livemode", [False, True])
def test_stripes_names_lead_to_it_too(
    store: SqlStore, run: Run, livemode: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session or the payment intent, as the Dashboard shows them; of the account that is set, and no other."""
    quarantine(store, livemode=livemode, account="acct_1", session_id=None, payment_intent_id=None)

    async def named() -> None:
        async with store.transaction() as tx:
            await tx.lock_payment(ODD)
            await tx.add_refs(ODD, [Ref("session", "cs_5f0d"), Ref("payment_intent", "pi_1")])

    run_blocking(named())
    assert run("quarantine", "show", "cs_5f0d").exit_code == 1
    monkeypatch.setenv("PAYMENTS_ACCOUNT", "acct_1")
    for name in ("cs_5f0d", "pi_1"):
        assert f"Payment  {ODD}" in run("quarantine", "show", name).output
    found = run("quarantine", "reject", "pi_1", "--reason", "ada", "--json")
    assert json.loads(found.stdout)["paymentId"] == ODD
    assert states(store, f"rejection_{ODD}") == ["ready"]
    assert "pi_2 is no payment in this database" in run("quarantine", "show", "pi_2").stderr


def test_a_release_that_was_given_up_says_how_it_is_brought_back(store: SqlStore, run: Run) -> None:
    """Its event is a dead letter like any other."""
    quarantine(store)
    assert run("quarantine", "release", ODD, "--reason", "ada").exit_code == 0
    [claimed] = run_blocking(store.claim(limit=1, lease_s=30))
    run_blocking(store.bury(claimed, "IntegrityError was raised in fulfil (handlers.py, line 41)"))
    again = run("quarantine", "release", ODD, "--reason", "ada")
    assert again.exit_code == 1
    assert "IntegrityError was raised in fulfil" in again.stderr
    assert f"payments events replay release_{ODD}" in again.stderr
    assert run("events", "replay", f"release_{ODD}").exit_code == 0
    assert states(store, f"release_{ODD}") == ["ready"]


def test_what_is_not_quarantined_is_refused(store: SqlStore, run: Run) -> None:
    """With one sentence and exit 1; nothing is stored."""
    run_blocking(store.add_payment(payment("open")))
    run_blocking(store.add_payment(settled("paid", MOMENT, 5998)))
    for name, words in (
        ("open", "open is open, not quarantined: there is nothing to decide."),
        ("paid", "paid is settled, not quarantined: there is nothing to decide."),
        ("nobody", "nobody is no payment in this database"),
    ):
        refused = run("quarantine", "release", name, "--reason", "ada")
        assert refused.exit_code == 1
        assert words in refused.stderr
        as_json = run("quarantine", "release", name, "--reason", "ada", "--json")
        assert json.loads(as_json.stdout)["outcome"] in ("not_quarantined", "unknown")
        shown = run("quarantine", "show", name)
        assert shown.exit_code == 1
        assert "never quarantined" in shown.stderr or "no payment in this database" in shown.stderr
    assert run_blocking(store.next_due_s()) is None


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
@pytest.mark.parametrize("decision", ["release", "reject"])
def test_a_decision_needs_who_and_why(store: SqlStore, run: Run, decision: str, reason: str) -> None:
    """Wrong usage: exit 2."""
    quarantine(store)
    assert run("quarantine", decision, ODD, "--reason", reason).exit_code == 2
    assert run("quarantine", decision, ODD).exit_code == 2


def test_a_terminal_obeys_nothing_that_is_shown(store: SqlStore, run: Run) -> None:
    """Names of lines and references come from outside."""
    quarantine(store, discrepancies=(Difference(f"metadata.{PAYMENT_ID_KEY}", ODD, "\x1b[2Jgone"),))
    assert "\x1b" not in run("quarantine", "show", ODD).output
    assert run_blocking(store.find_payment([Ref("session", "cs_x")], account=None, livemode=False)) is None


def test_a_schema_that_is_missing_is_told(run: Run, tmp_path: Path) -> None:
    """With the command to run."""
    missing = run("quarantine", "list", url=f"sqlite:///{tmp_path / 'none.db'}")
    assert missing.exit_code == 1
    assert "payments db upgrade" in missing.stderr
