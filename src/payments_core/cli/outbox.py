"""`payments outbox`: outgoing events that the broker refused for good, and how they are tried again.

A parked event keeps back what follows of its payment, and nothing else. Payloads hold personal data: nothing here
prints them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import click

from payments_core.adapters.sql import schema
from payments_core.adapters.sql.relaying import SqlOutbox, async_outbox
from payments_core.cli.database import database_url, opened_store, told
from payments_core.cli.moments import clock
from payments_core.cli.tables import plain
from payments_core.drive import run_blocking
from payments_core.ports.publishing import ParkedRow

T = TypeVar("T")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_PAGE: Final = 500


@click.group("outbox")
def command() -> None:
    """Look at outgoing events that are parked, and release them."""


@command.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many, at most.")
@click.option("--after", default=0, type=click.IntRange(0, 2**63 - 1), metavar="CURSOR", help="Go on where it ended.")
@_json
def list_(*, limit: int, after: int, as_json: bool) -> None:
    """List parked events, oldest first, with the broker's reason and what waits behind them."""
    with opened_store() as store:
        backlog = run_blocking(store.health()).outbox_backlog
        # One more than is shown: it tells whether there is a next page.
        found = _with_outbox(lambda outbox: outbox.parked(after=after, limit=limit + 1))
    shown = found[:limit]
    following = str(shown[-1].row_id) if len(found) > limit else None
    if as_json:
        listed = {"parked": [_row_json(row) for row in shown], "next": following, "backlog": backlog}
        click.echo(json.dumps(listed))
        return
    for row in shown:
        behind = f", {row.blocks} behind it" if row.blocks else ""
        click.echo(f"{clock(row.created_at)}  {plain(row.type)}  {plain(row.event_id)}  key {plain(row.key)}{behind}")
        click.echo(f"  {plain(row.reason)}")
    if following is not None:
        click.echo(f"There are more: --after {following}")
    click.echo(f"Parked: {len(shown) if following is None else f'more than {limit}'}. Owed in all: {backlog}.")


@command.command("release")
@click.argument("event_ids", nargs=-1, metavar="[EVENT_ID]...")
@click.option("--all", "everything", is_flag=True, help="Release every parked event.")
@_json
def release(*, event_ids: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Let the relay try parked events again, when what the broker refused them for is mended. Safe to repeat."""
    if everything == bool(event_ids):
        raise click.UsageError("Name events, or say --all.")
    wanted = None if everything else list(dict.fromkeys(event_ids))
    released = _with_outbox(lambda outbox: outbox.release(wanted))
    missing = 0 if wanted is None else len(wanted) - released
    if as_json:
        click.echo(json.dumps({"released": released, "notParked": missing}))
    else:
        click.echo(f"Released: {released}.")
    if missing:
        click.echo(f"Not parked: {missing} of those that were named; see `payments outbox list`.", err=True)
        click.get_current_context().exit(1)


def _with_outbox(work: Callable[[SqlOutbox], Awaitable[T]]) -> T:
    async def run(url: str) -> T:
        outbox = async_outbox(url)
        try:
            return await work(outbox)
        finally:
            await outbox.close()

    with told():
        url = database_url()
        schema.check(url)
        return asyncio.run(run(url))


def _row_json(row: ParkedRow) -> dict[str, Any]:
    return {
        "id": row.row_id,
        "eventId": row.event_id,
        "eventType": row.type,
        "key": row.key,
        "paymentId": row.payment_id,
        "reason": row.reason,
        "createdAt": row.created_at.isoformat(),
        "behind": row.blocks,
    }
