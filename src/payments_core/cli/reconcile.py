"""`payments reconcile`: find at Stripe what no webhook told, and bring it into the inbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import click

from payments_core import Payments, Reconciled
from payments_core.cli.lines import say
from payments_core.cli.moments import clock, duration, moment, past
from payments_core.cli.watching import Onlooker, counted, leaving_on_signals, onlooker_on_stderr, opened
from payments_core.drive import run_blocking
from payments_core.errors import PaymentsError

_UNFINISHED = "Ended early. The next run goes on from where this one came to."


@click.command("reconcile")
@click.option("--since", callback=past, metavar="WHEN", help="Where to begin: 3d (ago) or an ISO time.")
@click.option("--until", callback=moment, metavar="WHEN", help="Where to end; now where not given.")
@click.option("--undelivered", is_flag=True, help="Of the events, only those that Stripe could not deliver.")
@click.option("--objects/--no-objects", default=True, help="Look at sessions, intents, invoices and refunds too.")
@click.option("--every", callback=duration, metavar="DURATION", help="Run again and again, this far apart: 15m.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per run.")
def command(
    *,
    since: datetime | None,
    until: datetime | None,
    undelivered: bool,
    objects: bool,
    every: timedelta | None,
    as_json: bool,
) -> None:
    """Find at Stripe what no webhook told, and bring it into the inbox.

    Without --since it begins where the last run ended, with an overlap; the first run 30 days ago. What it brings is
    handled by your web processes or workers, as every webhook is. Running it twice, or in several places, does no harm.
    """
    if every is not None and (since is not None or until is not None):
        raise click.UsageError("--every goes on from where the last run ended; leave --since and --until out.")
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must lie before --until.")
    onlooker = onlooker_on_stderr(lambda step: f"{step.seen:,} seen, {step.brought:,} brought")
    tell: Callable[[str], None] = click.echo if every is None else say

    def run(payments: Payments) -> bool:
        flow = payments.core.reconcile(
            since=since, until=until, undelivered=undelivered, objects=objects, watch=onlooker
        )
        found = run_blocking(flow)
        onlooker.clear()
        tell(_as_json(found) if as_json else _in_words(found))
        return found.is_complete

    with opened() as payments, leaving_on_signals(onlooker):
        if every is not None:
            _again_and_again(payments, run, onlooker, every)
        elif not run(payments):
            raise click.ClickException(_UNFINISHED)


def _again_and_again(payments: Payments, run: Callable[[Payments], bool], onlooker: Onlooker, every: timedelta) -> None:
    """Until SIGINT or SIGTERM; a run that fails says why and is followed by the next."""
    while not onlooker.is_over:
        try:
            run(payments)
        except PaymentsError as error:
            onlooker.clear()
            say(f"This run failed; the next is in {every}. {error}", err=True)
        onlooker.leave.wait(every.total_seconds())


def _as_json(found: Reconciled) -> str:
    return json.dumps(
        {
            "since": found.since.isoformat(),
            "until": found.until.isoformat(),
            "seen": dict(found.seen),
            "brought": dict(found.brought),
            "total": found.total,
            "complete": found.is_complete,
        }
    )


def _in_words(found: Reconciled) -> str:
    lines = [f"Looked through {clock(found.since)} to {clock(found.until)} UTC: {counted(dict(found.seen))}."]
    if not found.brought:
        lines.append("Nothing was missing." if found.is_complete else "Nothing was missing so far.")
        return "\n".join(lines)
    events = "1 event" if found.total == 1 else f"{found.total:,} events"
    lines.append(f"Brought {events} into the inbox, to be handled as every webhook is:")
    lines += [f"  {count:>7,}  {kind}" for kind, count in sorted(found.brought.items())]
    return "\n".join(lines)
