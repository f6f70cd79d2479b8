"""`payments db`: the schema of the payments database.

Only PAYMENTS_DATABASE_URL is read: a deployment's migration step needs no Stripe key.
"""

from __future__ import annotations

import json

import click

from payments_core.adapters.sql import schema
from payments_core.cli.database import database_url, told


@click.group("db")
def command() -> None:
    """Bring the database of PAYMENTS_DATABASE_URL to the newest schema, or look at the one it has."""


@command.command("upgrade")
def upgrade() -> None:
    """Create or upgrade the tables. Safe to repeat, and to run from several places at once."""
    url = database_url()
    with told():
        before = schema.current(url)
        after = schema.upgrade(url)
    if before == after:
        click.echo(f"The schema is at {after} already; nothing to do.")
    else:
        click.echo(f"The schema was at {before or 'nothing'} and is now at {after}.")


@command.command("current")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def current(*, as_json: bool) -> None:
    """Print the revision that the schema has."""
    with told():
        found = schema.current(database_url())
    click.echo(_as_json(found) if as_json else found or "none")


@command.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, as `current` does.")
def check(*, as_json: bool) -> None:
    """Exit 0 when this version can work on the schema, else 1 with what to do."""
    with told():
        url = database_url()
        if as_json:
            click.echo(_as_json(schema.current(url)))
        schema.check(url)
    if not as_json:
        click.echo("The schema is current.")


def _as_json(found: str | None) -> str:
    return json.dumps({"revision": found, "needed": schema.HEAD, "sufficient": schema.is_sufficient(found)})
