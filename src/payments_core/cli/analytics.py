"""`payments analytics`: success rate, revenue and declines, from the payments' rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import click

from payments_core.cli.database import opened_store
from payments_core.cli.moments import clock, moment
from payments_core.cli.tables import table
from payments_core.domain.analytics import Period, Report, Revenue, Standing
from payments_core.domain.events import isoformat_utc
from payments_core.drive import run_blocking
from payments_core.services.analytics import analytics

#: Days that are shown to people; programs get all of them.
_DAYS_SHOWN: Final = 31
_UNRECORDED: Final = "(not recorded)"


def _lower(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    if len(value) != 3 or not value.isascii() or not value.isalpha():
        raise click.BadParameter("a currency is three letters, as usd.")
    return value.lower()


@click.command("analytics")
@click.option("--since", callback=moment, metavar="WHEN", help="From then on: 30d, 2026-11-01 (UTC).")
@click.option("--until", callback=moment, metavar="WHEN", help="Before then.")
@click.option("--currency", callback=_lower, metavar="CODE", help="Payments in this currency only.")
@click.option("--mode", type=click.Choice(["live", "test"]), help="Live where there are live payments, else test.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    *, since: datetime | None, until: datetime | None, currency: str | None, mode: str | None, as_json: bool
) -> None:
    """Print success rate, revenue by day, month and currency, and declined attempts by reason. Days are UTC."""
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be before --until.")
    livemode = None if mode is None else mode == "live"
    with opened_store() as store:
        period, found = run_blocking(
            analytics(store.records, livemode=livemode, since=since, until=until, currency=currency)
        )
    click.echo(json.dumps(_json(period, found)) if as_json else "\n".join(_lines(period, found)))


def _lines(period: Period, found: Report) -> list[str]:
    if found.is_empty:
        return [f"There are no {_what(period)}{_when(period)}."]
    sections = [
        [f"All {_what(period)}{_when(period)}.", _rate(found)],
        table(("PAYMENTS", "NUMBER"), [(one.value, str(found.standings[one])) for one in Standing], right=(1,)),
        _revenue(("CURRENCY",), found.by_currency),
        _revenue(("MONTH", "CURRENCY"), found.by_month),
        _days(found.by_day),
        _declines(found),
    ]
    return [line for section in sections if section for line in ("", *section)][1:]


def _rate(found: Report) -> str:
    if found.success_rate is None:
        return "Success rate: none yet, since no payment came to an end."
    percent = f"{found.success_rate * 100:.2f}"
    return f"Success rate: {percent} %, {found.settled} settled of {found.ended} that came to an end."


def _revenue(headings: tuple[str, ...], sums: Sequence[Revenue]) -> list[str]:
    rows = [(*((one.span,) if one.span else ()), one.amount.currency, str(one.payments), _amount(one)) for one in sums]
    number = len(headings)
    return table((*headings, "SETTLED", "REVENUE"), rows, right=(number, number + 1)) if rows else []


def _days(sums: Sequence[Revenue]) -> list[str]:
    days = sorted({one.span for one in sums})
    shown = set(days[-_DAYS_SHOWN:])
    lines = _revenue(("DAY (UTC)", "CURRENCY"), [one for one in sums if one.span in shown])
    if len(days) > _DAYS_SHOWN:
        lines.append(f"{len(days) - _DAYS_SHOWN} earlier days with revenue: narrow by --until, or see --json.")
    return lines


def _declines(found: Report) -> list[str]:
    rows = [(reason if reason is not None else _UNRECORDED, str(number)) for reason, number in found.declines]
    return table(("DECLINED ATTEMPTS", "NUMBER"), rows, right=(1,)) if rows else []


def _amount(one: Revenue) -> str:
    return one.exact if one.exact is not None else f"{one.amount.minor} minor units"


def _what(period: Period) -> str:
    mode = "live" if period.livemode else "test"
    return f"{mode} payments" + ("" if period.currency is None else f" in {period.currency}")


def _when(period: Period) -> str:
    since = "" if period.since is None else f" from {clock(period.since)}"
    until = "" if period.until is None else f" until {clock(period.until)}"
    return f"{since}{until} UTC" if since or until else ""


def _json(period: Period, found: Report) -> dict[str, Any]:
    rate = found.success_rate
    return {
        "mode": "live" if period.livemode else "test",
        "currency": period.currency,
        "since": None if period.since is None else isoformat_utc(period.since),
        "until": None if period.until is None else isoformat_utc(period.until),
        "payments": {standing.value: number for standing, number in found.standings.items()},
        "successRate": {
            "settled": found.settled,
            "ended": found.ended,
            "rate": None if rate is None else f"{rate:f}",
        },
        "revenue": {
            "byCurrency": [_sum_json(one) for one in found.by_currency],
            "byMonth": [{"month": one.span, **_sum_json(one)} for one in found.by_month],
            "byDay": [{"day": one.span, **_sum_json(one)} for one in found.by_day],
        },
        "declinedAttempts": [{"reason": reason, "number": number} for reason, number in found.declines],
    }


def _sum_json(one: Revenue) -> dict[str, Any]:
    return {
        "currency": one.amount.currency,
        "payments": one.payments,
        "amountMinor": one.amount.minor,
        "amount": one.exact,
    }
