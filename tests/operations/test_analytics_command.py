"""`payments analytics`: what is counted where, exactly, for people and for programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from payments_core.adapters.sql import SqlStore
from payments_core.domain.payment import Payment, PaymentState
from payments_core.drive import run_blocking
from payments_core.testing.contracts.examples import MOMENT, payment
from tests.operations.conftest import Run
from tests.operations.scenes import settled

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def add(store: SqlStore, *payments: Payment) -> None:
    """Insert payments."""
    for one in payments:
        run_blocking(store.add_payment(one))


def decline(store: SqlStore, payment_id: str, *reasons: str | None) -> None:
    """Record declined attempts, now."""

    async def record() -> None:
        async with store.transaction() as tx:
            for number, reason in enumerate(reasons):
                fact = f"{payment_id} {number}"
                assert await tx.record(payment_id, "attempt_failed", f"ch_{number}", fact, reason)

    run_blocking(record())


def shop(store: SqlStore) -> None:
    """Payments in every place, in three currencies, over two months."""
    add(
        store,
        settled("a", NOON, 5998),
        settled("b", NOON + timedelta(hours=1), 2),
        settled("c", NOON - timedelta(days=30), 100_000_000_000),
        settled("d", NOON, 500, "jpy"),
        settled("e", NOON, 5120, "kwd"),
        attrs.evolve(payment("f"), state=PaymentState.EXPIRED),
        attrs.evolve(payment("g"), currency="usd"),
        payment("h"),
        attrs.evolve(payment("i"), state=PaymentState.PROCESSING),
        attrs.evolve(payment("j"), state=PaymentState.QUARANTINED, amount_minor=100, currency="usd"),
    )
    decline(store, "a", "card_declined", "insufficient_funds")
    decline(store, "g", "card_declined", None)


def figures(run: Run, *options: str) -> dict[str, Any]:
    """The JSON of the command."""
    found: dict[str, Any] = json.loads(run("analytics", "--json", *options).output)
    return found


def test_an_empty_database_is_a_sentence(run: Run) -> None:
    """Nothing to count; programs get zeros and no rate."""
    assert run("analytics").output == "There are no test payments.\n"
    assert figures(run)["successRate"] == {"settled": 0, "ended": 0, "rate": None}
    told = run("analytics", "--mode", "live", "--currency", "EUR", "--since", "2026-11-01", "--until", "2026-12-01")
    assert told.output == (
        "There are no live payments in eur from 2026-11-01 00:00:00 until 2026-12-01 00:00:00 UTC.\n"
    )


def test_the_figures_for_programs(store: SqlStore, run: Run) -> None:
    """Integers in minor units beside exact text; each currency by itself; days and months in order."""
    shop(store)
    assert figures(run) == {
        "mode": "test",
        "currency": None,
        "since": None,
        "until": None,
        "payments": {
            "settled": 5,
            "expired": 1,
            "failed": 1,
            "rejected": 0,
            "quarantined": 1,
            "processing": 1,
            "open": 1,
        },
        "successRate": {"settled": 5, "ended": 7, "rate": "0.7142"},
        "revenue": {
            "byCurrency": [
                {"currency": "jpy", "payments": 1, "amountMinor": 500, "amount": "500"},
                {"currency": "kwd", "payments": 1, "amountMinor": 5120, "amount": "5.120"},
                {"currency": "usd", "payments": 3, "amountMinor": 100_000_006_000, "amount": "1000000060.00"},
            ],
            "byMonth": [
                {
                    "month": "2026-10",
                    "currency": "usd",
                    "payments": 1,
                    "amountMinor": 100_000_000_000,
                    "amount": "1000000000.00",
                },
                {"month": "2026-11", "currency": "jpy", "payments": 1, "amountMinor": 500, "amount": "500"},
                {"month": "2026-11", "currency": "kwd", "payments": 1, "amountMinor": 5120, "amount": "5.120"},
                {"month": "2026-11", "currency": "usd", "payments": 2, "amountMinor": 6000, "amount": "60.00"},
            ],
            "byDay": [
                {
                    "day": "2026-10-24",
                    "currency": "usd",
                    "payments": 1,
                    "amountMinor": 100_000_000_000,
                    "amount": "1000000000.00",
                },
                {"day": "2026-11-23", "currency": "jpy", "payments": 1, "amountMinor": 500, "amount": "500"},
                {"day": "2026-11-23", "currency": "kwd", "payments": 1, "amountMinor": 5120, "amount": "5.120"},
                {"day": "2026-11-23", "currency": "usd", "payments": 2, "amountMinor": 6000, "amount": "60.00"},
            ],
        },
        "declinedAttempts": [
            {"reason": "card_declined", "number": 2},
            {"reason": "insufficient_funds", "number": 1},
            {"reason": None, "number": 1},
        ],
    }


def test_the_figures_for_people(store: SqlStore, run: Run) -> None:
    """Tables with numbers to the right, within eighty columns."""
    shop(store)
    output = run("analytics").output
    assert (
        output
        == """\
All test payments.
Success rate: 71.42 %, 5 settled of 7 that came to an end.

PAYMENTS     NUMBER
settled           5
expired           1
failed            1
rejected          0
quarantined       1
processing        1
open              1

CURRENCY  SETTLED        REVENUE
jpy             1            500
kwd             1          5.120
usd             3  1000000060.00

MONTH    CURRENCY  SETTLED        REVENUE
2026-10  usd             1  1000000000.00
2026-11  jpy             1            500
2026-11  kwd             1          5.120
2026-11  usd             2          60.00

DAY (UTC)   CURRENCY  SETTLED        REVENUE
2026-10-24  usd             1  1000000000.00
2026-11-23  jpy             1            500
2026-11-23  kwd             1          5.120
2026-11-23  usd             2          60.00

DECLINED ATTEMPTS   NUMBER
card_declined            2
insufficient_funds       1
(not recorded)           1
"""
    )


def test_a_period_and_a_currency_narrow_everything(store: SqlStore, run: Run) -> None:
    """`--since` is inclusive, `--until` is not; the currency's own payments, revenue and declines remain."""
    shop(store)
    found = figures(run, "--currency", "USD", "--since", "2026-11-23T12:00", "--until", "2026-11-23T13:00Z")
    assert found["payments"] == {
        "settled": 1,
        "expired": 0,
        "failed": 0,
        "rejected": 0,
        "quarantined": 0,
        "processing": 0,
        "open": 0,
    }
    assert [one["amountMinor"] for one in found["revenue"]["byCurrency"]] == [5998]
    assert figures(run, "--currency", "jpy")["declinedAttempts"] == []
    assert (found["since"], found["until"]) == ("2026-11-23T12:00:00.000Z", "2026-11-23T13:00:00.000Z")


def test_live_and_test_money_are_never_added(store: SqlStore, run: Run) -> None:
    """Live figures where there are live payments, and test ones on request."""
    add(store, settled("t", NOON, 1), settled("l", NOON, 20, livemode=True))
    assert (figures(run)["mode"], figures(run)["revenue"]["byCurrency"][0]["amountMinor"]) == ("live", 20)
    assert figures(run, "--mode", "test")["revenue"]["byCurrency"][0]["amountMinor"] == 1


def test_a_rate_of_one_means_all(store: SqlStore, run: Run) -> None:
    """It is cut, not rounded; and without an end there is no rate."""
    add(store, payment("open"))
    assert "none yet, since no payment came to an end" in run("analytics").output
    add(store, *[settled(f"s{number}", NOON, 1) for number in range(3)])
    assert figures(run)["successRate"]["rate"] == "1.0000"
    add(store, attrs.evolve(payment("expired"), state=PaymentState.EXPIRED))
    assert figures(run)["successRate"]["rate"] == "0.7500"


def test_a_day_is_a_utc_day(store: SqlStore, run: Run) -> None:
    """The last microsecond of a day and the first of the next are apart."""
    midnight = datetime(2026, 12, 1, tzinfo=UTC)
    add(store, settled("a", midnight - timedelta(microseconds=1), 1), settled("b", midnight, 10))
    found = figures(run)["revenue"]
    assert [(one["day"], one["amountMinor"]) for one in found["byDay"]] == [("2026-11-30", 1), ("2026-12-01", 10)]
    assert [(one["month"], one["amountMinor"]) for one in found["byMonth"]] == [("2026-11", 1), ("2026-12", 10)]


def test_people_see_the_newest_days(store: SqlStore, run: Run) -> None:
    """A month's worth, and a line that says where the others are; programs get all."""
    add(store, *[settled(f"p{number}", NOON - timedelta(days=number), 1) for number in range(33)])
    output = run("analytics").output
    assert "2 earlier days with revenue: narrow by --until, or see --json.\n" in output
    assert "\n2026-11-23  " in output
    assert "\n2026-10-23  " not in output
    assert len(figures(run)["revenue"]["byDay"]) == 33


def test_a_currency_of_later_days_is_counted_in_minor_units(store: SqlStore, run: Run) -> None:
    """Its digits are not known here: nothing is made up."""
    add(store, settled("a", MOMENT, 1234, "zzz"))
    assert figures(run)["revenue"]["byCurrency"] == [
        {"currency": "zzz", "payments": 1, "amountMinor": 1234, "amount": None}
    ]
    assert "zzz             1  1234 minor units" in run("analytics").output


@pytest.mark.parametrize(
    "options",
    [["--currency", "dollar"], ["--mode", "both"], ["--since", "2026-11-23", "--until", "2026-11-23"], ["--since", ""]],
)
def test_wrong_usage_exits_with_two(run: Run, options: list[str]) -> None:
    """With a sentence."""
    ran = run("analytics", *options)
    assert ran.exit_code == 2
    assert "Error: " in ran.stderr
