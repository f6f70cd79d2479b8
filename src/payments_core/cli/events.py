"""`payments events`: what was received, what became of it, and how a dead letter is brought back.

Bodies hold personal data: they are read and printed by `show --body`, and by nothing else here.
"""

from __future__ import annotations

import base64
import json
import shutil
import sys
from datetime import datetime
from typing import Any, Final

import click

from payments_core.cli.database import opened_store
from payments_core.cli.eventviews import (
    STATES,
    counts_line,
    event_json,
    history_json,
    list_lines,
    show_lines,
    waits,
    word,
)
from payments_core.cli.moments import clock, moment
from payments_core.cli.tables import plain
from payments_core.domain.delivery import InboxState
from payments_core.drive import run_blocking
from payments_core.ports import EventFilter, EventPage, EventRecord
from payments_core.services.inspection import (
    UNSTATED,
    ReplayAnswer,
    ReplayOutcome,
    Which,
    is_unreadable,
    mode_of,
    replay,
    replay_dead,
)

_account = click.option("--account", metavar="ACCT", help=f"The event of this account; {UNSTATED}: of no stated one.")
_mode = click.option("--mode", type=click.Choice(["live", "test", UNSTATED]), help="The event of this mode.")
_type = click.option("--type", "kind", metavar="TYPE", help="Events of this Stripe type only.")
_since = click.option(
    "--since", callback=moment, metavar="WHEN", help="Received since then: 2h, 7d, 2026-11-23T10:30Z (UTC)."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_WIDTH: Final = 80


@click.group("events")
def command() -> None:
    """Look at received events, and bring dead letters back."""


@command.command("list")
@click.option("--state", type=click.Choice([word(state) for state in STATES]), help="Events in this state only.")
@_type
@click.option("--payment", "payment_id", metavar="ID", help="Events of this payment only.")
@_since
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many, at most.")
@click.option("--before", type=click.IntRange(1, 2**63 - 1), metavar="CURSOR", help="Go on where a page ended.")
@_json
def list_(
    *,
    state: str | None,
    kind: str | None,
    payment_id: str | None,
    since: datetime | None,
    limit: int,
    before: int | None,
    as_json: bool,
) -> None:
    """List received events, newest first, and count those in each state."""
    wanted = EventFilter(type=kind, payment_id=payment_id, since=since)
    of_state = None if state is None else InboxState[state.upper()]
    with opened_store() as store:
        # One more than is shown: it tells whether there is a next page.
        page = run_blocking(store.records.events(wanted, state=of_state, limit=limit + 1, before=before))
        counts = run_blocking(store.records.counts())
    shown = EventPage(page.events[:limit], page.now)
    following = str(shown.events[-1].seq) if len(page.events) > limit else None
    if as_json:
        listed = {
            "events": [event_json(event) for event in shown.events],
            "next": following,
            "counts": {word(each): counts[each] for each in STATES},
        }
        click.echo(json.dumps(listed))
        return
    if shown.events:
        click.echo("\n".join(list_lines(shown, shutil.get_terminal_size((_WIDTH, 24)).columns)))
    else:
        click.echo("No events." if wanted == EventFilter() and state is None and before is None else "No event fits.")
    if following is not None:
        click.echo(f"There are more: --before {following}")
    click.echo(counts_line(counts))


@command.command("show")
@click.argument("event_id")
@_account
@_mode
@click.option("--body", "with_body", is_flag=True, help="Print the body too. It holds personal data.")
@_json
def show(*, event_id: str, account: str | None, mode: str | None, with_body: bool, as_json: bool) -> None:
    """Show all that is known of an event: its attempts, what went wrong, what became of its payment."""
    with opened_store() as store:
        page = run_blocking(store.records.named(event_id))
        event = _the_one(event_id, Which(account, mode).of(page.events))
        history = run_blocking(store.records.history(event.payment_id)) if event.payment_id is not None else None
        body = run_blocking(store.records.body(event.seq)) if with_body else None
    if as_json:
        known = {**event_json(event), "payment": None if history is None else history_json(history)}
        click.echo(json.dumps(known if body is None else known | _body_json(body)))
        return
    click.echo("\n".join(show_lines(event, page.now, history)))
    if body is not None:
        click.echo("\nBody, as it came:")
        click.echo(body)


@command.command("replay")
@click.argument("event_ids", nargs=-1, metavar="[EVENT_ID]...")
@click.option("--dead", "all_dead", is_flag=True, help="Bring back every dead letter that can be read.")
@_type
@_since
@_account
@_mode
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
def replay_(
    *,
    event_ids: tuple[str, ...],
    all_dead: bool,
    kind: str | None,
    since: datetime | None,
    account: str | None,
    mode: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Bring dead letters back: due now, with all attempts before them. Safe to repeat and while workers run."""
    if all_dead == bool(event_ids):
        raise click.UsageError("Name events, or say --dead for all dead letters.")
    if event_ids and (kind is not None or since is not None):
        raise click.UsageError("--type and --since go with --dead.")
    if all_dead and (account is not None or mode is not None):
        raise click.UsageError("--account and --mode choose among events of one id; they do not go with --dead.")
    if event_ids:
        _replay_named(event_ids, Which(account, mode), as_json=as_json)
    else:
        _replay_all(EventFilter(type=kind, since=since), yes=yes, as_json=as_json)


def _replay_named(event_ids: tuple[str, ...], which: Which, *, as_json: bool) -> None:
    with opened_store() as store:
        answers = [run_blocking(replay(store.records, event_id, which)) for event_id in dict.fromkeys(event_ids)]
    replayed = [answer for answer in answers if answer.outcome is ReplayOutcome.REPLAYED]
    refused = [(answer, _refusal(answer)) for answer in answers if answer not in replayed]
    if as_json:
        _tell_json(replayed=len(replayed), left_out=0, refused=refused)
    else:
        for answer in replayed:
            if is_unreadable(answer.events[0]):
                click.echo(f"{plain(answer.event_id)} was stored dead, since it could not be read; it is tried again.")
        click.echo(_replayed(len(replayed)))
        for _, reason in refused:
            click.echo(reason, err=True)
    if refused:
        click.get_current_context().exit(1)


def _replay_all(wanted: EventFilter, *, yes: bool, as_json: bool) -> None:
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("--dead needs --yes where nobody can be asked.")
    with opened_store() as store:
        count = run_blocking(store.records.count_dead(wanted))
        # Asked on stderr: what is printed for a program stays whole.
        if count.revivable and not yes:
            click.confirm(f"Bring {_letters(count.revivable)} back?", abort=True, err=True)
        replayed = run_blocking(replay_dead(store.records, wanted)) if count.revivable else 0
    if as_json:
        _tell_json(replayed=replayed, left_out=count.unreadable, refused=[])
        return
    click.echo(_replayed(replayed))
    if count.unreadable:
        click.echo(f"Left out: {_letters(count.unreadable)} that could not be read; name an event to try it anyway.")


def _tell_json(*, replayed: int, left_out: int, refused: list[tuple[ReplayAnswer, str]]) -> None:
    reasons = [
        {"eventId": answer.event_id, "outcome": answer.outcome.value, "reason": reason} for answer, reason in refused
    ]
    click.echo(json.dumps({"replayed": replayed, "unreadableLeftOut": left_out, "refused": reasons}))


def _replayed(number: int) -> str:
    return f"Replayed: {number}, due now." if number else "Replayed: 0."


def _letters(number: int) -> str:
    return f"{number} dead letter{'' if number == 1 else 's'}"


def _refusal(answer: ReplayAnswer) -> str:
    name = plain(answer.event_id)
    if answer.outcome is ReplayOutcome.UNKNOWN:
        return _unknown(answer.event_id)
    if answer.outcome is ReplayOutcome.AMBIGUOUS:
        return _ambiguous(answer.event_id, answer.events)
    [event] = answer.events
    if event.state is InboxState.DONE:
        at = "" if event.done_at is None else f" since {clock(event.done_at)} UTC"
        return f"{name} is done{at}: its effects are there, and it is not run again."
    if event.state is InboxState.DEAD:
        return f"{name} was brought back by somebody else and is dead again; look at it before you replay it."
    return f"{name} is not dead, but {waits(event, answer.now)}."


def _the_one(event_id: str, found: tuple[EventRecord, ...]) -> EventRecord:
    if len(found) == 1:
        return found[0]
    raise click.ClickException(_ambiguous(event_id, found) if found else _unknown(event_id))


def _unknown(event_id: str) -> str:
    return f"{plain(event_id)} is not in this inbox; it was never received here, or under another account or mode."


def _ambiguous(event_id: str, found: tuple[EventRecord, ...]) -> str:
    places = "; ".join(f"--account {plain(event.account or UNSTATED)} --mode {mode_of(event)}" for event in found)
    return f"{plain(event_id)} names {len(found)} events; choose one by {places}."


def _body_json(body: bytes) -> dict[str, Any]:
    """The body as text where it is text, else in base64."""
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"bodyBase64": base64.b64encode(body).decode()}
