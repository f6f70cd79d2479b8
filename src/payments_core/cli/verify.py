"""`payments verify`: compare the payments with Stripe, and say what differs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import click

from payments_core import Drift, DriftReport, Money
from payments_core.cli.moments import clock, moment, past
from payments_core.cli.watching import counted, leaving_on_signals, onlooker_on_stderr, opened
from payments_core.domain.drift import MOST_KEPT, written
from payments_core.domain.strict_json import write_json
from payments_core.drive import run_blocking
from payments_core.money import InvalidAmount


@click.command("verify")
@click.option(
    "--since", callback=past, metavar="WHEN", help="Where to begin: 90d (ago) or an ISO time; 30 days ago if not."
)
@click.option("--until", callback=moment, metavar="WHEN", help="Where to end; now where not given.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(*, since: datetime | None, until: datetime | None, as_json: bool) -> None:
    """Compare the payments with Stripe, and exit 1 when anything differs.

    It changes nothing. A payment counts by when it began: its session, intent or invoice at Stripe, its row here.
    """
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must lie before --until.")
    onlooker = onlooker_on_stderr(
        lambda step: f"{step.seen:,} compared, {step.brought:,} differ",
        (lambda drift: None) if as_json else (lambda drift: click.echo(_line(drift))),
    )
    with opened() as payments, leaving_on_signals(onlooker):
        report = run_blocking(payments.core.verify(since=since, until=until, watch=onlooker))
    onlooker.clear()
    click.echo(_as_json(report) if as_json else _closing(report))
    if not report.is_complete:
        raise click.ClickException("Ended early: what lies further on was not compared.")
    if report.has_drift:
        raise click.exceptions.Exit(1)


def _line(drift: Drift) -> str:
    """One difference: what, which, how much on either side, and what to do."""
    names = [f"{word} {name}" for word, name in _names(drift).items() if name is not None]
    sides = []
    if drift.at_stripe is not None or drift.here is not None:
        sides = [f"Stripe: {_side(drift.at_stripe)}", f"here: {_side(drift.here)}"]
    lines = [f"{drift.kind}: {', '.join([*names, *sides])}"]
    lines += [f"    {drift.detail}"] if drift.detail else []
    return "\n".join([*lines, f"    {drift.advice}"])


def _side(amount: Money | None) -> str:
    return "nothing" if amount is None else written(amount)


def _names(drift: Drift) -> Mapping[str, str | None]:
    return {
        "session": drift.session_id,
        "intent": drift.payment_intent_id,
        "invoice": drift.invoice_id,
        "payment": drift.payment_id,
        "event": drift.event_id,
    }


def _closing(report: DriftReport) -> str:
    window = f"{clock(report.since)} to {clock(report.until)} UTC"
    compared = f"{counted(dict(report.compared))} compared, {window}"
    pending = f"; {report.pending:,} on their way" if report.pending else ""
    if not report.has_drift:
        return f"{'no drift' if report.is_complete else 'no drift so far'}: {compared}{pending}"
    return f"{report.total:,} difference{'' if report.total == 1 else 's'}: {compared}{pending}"


def _as_json(report: DriftReport) -> str:
    """All of it; of more than a thousand differences the first thousand, and how many there are."""
    return write_json(
        {
            "since": report.since.isoformat(),
            "until": report.until.isoformat(),
            "compared": dict(report.compared),
            "drifts": [_as_object(drift) for drift in report.drifts[:MOST_KEPT]],
            "total": report.total,
            "pending": report.pending,
            "complete": report.is_complete,
        }
    )


def _as_object(drift: Drift) -> dict[str, object]:
    return {
        "kind": drift.kind.value,
        "paymentId": drift.payment_id,
        "sessionId": drift.session_id,
        "paymentIntentId": drift.payment_intent_id,
        "invoiceId": drift.invoice_id,
        "eventId": drift.event_id,
        "atStripe": _amount(drift.at_stripe),
        "here": _amount(drift.here),
        "detail": drift.detail,
        "advice": drift.advice,
    }


def _amount(money: Money | None) -> dict[str, object] | None:
    """Major units as an exact number; null where the currency's digits are unknown."""
    if money is None:
        return None
    try:
        return {"amount": money.decimal, "amountMinor": money.minor, "currency": money.currency}
    except InvalidAmount:
        return {"amount": None, "amountMinor": money.minor, "currency": money.currency}
