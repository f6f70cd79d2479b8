"""`payments consumed`: the messages from Kafka that a consumer could not handle, and how they are brought back.

Bodies hold personal data: they are read and printed by `show --body`, and by nothing else here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click

from payments_core.adapters.sql import schema
from payments_core.adapters.sql.consuming import blocking_consumed
from payments_core.cli.database import database_url, told
from payments_core.cli.moments import clock, span
from payments_core.cli.tables import plain, table
from payments_core.domain.consumption import MessageState
from payments_core.domain.events import isoformat_utc
from payments_core.drive import run_blocking
from payments_core.ports.consuming import Consumed, KeptMessage, KeptRecord

_group = click.option("--group", metavar="NAME", help="Messages of this consumer group only.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_HEADINGS = ("STATE", "GROUP", "MESSAGE", "TOPIC", "AT", "AGE")


@click.group("consumed")
def command() -> None:
    """Look at the dead messages of consumers, and bring them back."""


@command.command("list")
@_group
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many, at most.")
@_json
def list_(*, group: str | None, limit: int, as_json: bool) -> None:
    """List messages that are dead or due again, newest first. AT is partition and offset."""
    with _opened() as consumed:
        # One more than is shown: it tells whether there are more.
        found = run_blocking(consumed.kept(group, limit + 1))
    shown = found[:limit]
    if as_json:
        click.echo(json.dumps({"messages": [_record_json(one) for one in shown], "more": len(found) > limit}))
        return
    if not shown:
        click.echo("No dead messages." if group is None else f"No dead messages of {plain(group)}.")
        return
    heading, *lines = table(_HEADINGS, [_row(one) for one in shown], right=(5,))
    click.echo(heading)
    for one, line in zip(shown, lines, strict=True):
        click.echo(line)
        click.echo(f"  {plain(one.reason or 'no reason is known')}")
    if len(found) > limit:
        click.echo(f"There are more: --limit {min(1000, limit * 2)}")


@command.command("show")
@click.argument("message_id")
@_group
@click.option("--body", "with_body", is_flag=True, help="Print key and body too. They may hold personal data.")
@_json
def show(*, message_id: str, group: str | None, with_body: bool, as_json: bool) -> None:
    """Show a dead message: where it was, and why it could not be handled."""
    with _opened() as consumed:
        one = _the_one(message_id, run_blocking(consumed.named(message_id, group)))
    if as_json:
        known = _message_json(one)
        click.echo(json.dumps(known | (_body_json(one) if with_body else {})))
        return
    message = one.message
    facts = [
        ("Message", one.message_id),
        ("Group", one.group),
        ("State", _word(one.state)),
        ("Topic", f"{message.topic}, partition {message.partition}, offset {message.position}"),
        ("Since", f"{clock(one.since)} UTC ({_age(one.since)} ago)"),
        ("Size", "no body" if message.body is None else f"{len(message.body)} bytes"),
        ("Reason", one.reason or "none is known"),
    ]
    click.echo("\n".join(f"{name:<10}{plain(value)}" for name, value in facts))
    if with_body:
        click.echo(f"Key       {plain((message.key or b'').decode(errors='replace')) or 'none'}")
        click.echo("\nBody, as it came:")
        click.echo(message.body or b"")


@command.command("replay")
@click.argument("message_ids", nargs=-1, metavar="[MESSAGE_ID]...")
@click.option("--all", "all_dead", is_flag=True, help="Bring back every dead message.")
@_group
@_json
def replay(*, message_ids: tuple[str, ...], all_dead: bool, group: str | None, as_json: bool) -> None:
    """Bring dead messages back: a running consumer of their group handles them within seconds. Safe to repeat."""
    if all_dead == bool(message_ids):
        raise click.UsageError("Name messages, or say --all for every dead message.")
    refused: list[tuple[str, str]] = []
    with _opened() as consumed:
        if all_dead:
            replayed = run_blocking(consumed.revive_all(group))
        else:
            replayed = 0
            for message_id in dict.fromkeys(message_ids):
                reason = _revived(consumed, message_id, group)
                replayed += reason is None
                refused += [] if reason is None else [(message_id, reason)]
    if as_json:
        told_refused = [{"messageId": message_id, "reason": reason} for message_id, reason in refused]
        click.echo(json.dumps({"replayed": replayed, "refused": told_refused}))
    else:
        click.echo(f"{replayed} message{'s are' if replayed != 1 else ' is'} due again.")
        for _, reason in refused:
            click.echo(reason, err=True)
    if refused:
        click.get_current_context().exit(1)


@contextmanager
def _opened() -> Generator[Consumed]:
    with told():
        url = database_url()
        schema.check(url)
        consumed = blocking_consumed(url)
        try:
            yield consumed
        finally:
            run_blocking(consumed.close())


def _revived(consumed: Consumed, message_id: str, group: str | None) -> str | None:
    """Why the message was not brought back; None when it was."""
    found = run_blocking(consumed.named(message_id, group))
    if len(found) > 1:
        return f"{plain(message_id)} is dead in several groups; name one with --group: {_groups(found)}."
    if not found:
        return f"{plain(message_id)} is not dead: `payments consumed list` shows what is."
    if found[0].state is MessageState.DUE or not run_blocking(consumed.revive(found[0].group, message_id)):
        return f"{plain(message_id)} is due again already."
    return None


def _the_one(message_id: str, found: Sequence[KeptMessage]) -> KeptMessage:

    if not found:
        raise click.ClickException(f"{plain(message_id)} is not dead: `payments consumed list` shows what is.")
    if len(found) > 1:
        raise click.ClickException(f"Several groups have it; name one with --group: {_groups(found)}.")
    return found[0]


def _groups(found: Sequence[KeptMessage]) -> str:
    return ", ".join(plain(one.group) for one in found)


def _row(one: KeptRecord) -> list[str]:
    at = f"{one.partition}/{one.position}"
    return [_word(one.state), one.group, one.message_id, one.topic, at, _age(one.since)]


def _record_json(one: KeptRecord) -> dict[str, Any]:
    return {
        "group": one.group,
        "messageId": one.message_id,
        "state": _word(one.state),
        "topic": one.topic,
        "partition": one.partition,
        "offset": one.position,
        "reason": one.reason,
        "since": isoformat_utc(one.since),
    }


def _message_json(one: KeptMessage) -> dict[str, Any]:
    message = one.message
    record = KeptRecord(
        one.group,
        one.message_id,
        one.state,
        message.topic,
        message.partition,
        message.position,
        one.reason,
        one.since,
    )
    return _record_json(record)


def _body_json(one: KeptMessage) -> dict[str, Any]:
    """Key and body as text where they are text, else in base64; null for none."""
    message = one.message
    return _bytes_json("key", message.key) | _bytes_json("body", message.body) | {"headers": dict(message.headers)}


def _bytes_json(name: str, raw: bytes | None) -> dict[str, Any]:
    if raw is None:
        return {name: None}
    try:
        return {name: raw.decode()}
    except UnicodeDecodeError:
        return {f"{name}Base64": base64.b64encode(raw).decode()}


def _word(state: MessageState) -> str:
    return state.name.lower()


def _age(since: datetime) -> str:
    return span((datetime.now(UTC) - since).total_seconds())
