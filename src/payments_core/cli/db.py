"""`payments db`: the schema of the payments database.

Only PAYMENTS_DATABASE_URL is read: a deployment's migration step needs no Stripe key.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import click
from pydantic import BeforeValidator, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from payments_core.adapters.sql import schema
from payments_core.errors import PaymentsError
from payments_core.settings import Settings

_DEFAULT: SecretStr = Settings.model_fields["payments_database_url"].default


def _blank_is_default(value: object) -> object:
    return _DEFAULT if isinstance(value, str) and not value.strip() else value


class _DatabaseSettings(BaseSettings):
    """The one variable that these commands need."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, case_sensitive=False)

    payments_database_url: Annotated[SecretStr, BeforeValidator(_blank_is_default)] = _DEFAULT


@click.group("db")
def command() -> None:
    """Bring the database of PAYMENTS_DATABASE_URL to the newest schema, or look at the one it has."""


@command.command("upgrade")
def upgrade() -> None:
    """Create or upgrade the tables. Safe to repeat, and to run from several places at once."""
    url = _url()
    with _told():
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
    with _told():
        found = schema.current(_url())
    if as_json:
        click.echo(json.dumps({"revision": found, "needed": schema.HEAD, "sufficient": schema.is_sufficient(found)}))
    else:
        click.echo(found or "none")


@command.command("check")
def check() -> None:
    """Exit 0 when this version can work on the schema, else 1 with what to do."""
    with _told():
        schema.check(_url())
    click.echo("The schema is current.")


def _url() -> str:
    return _DatabaseSettings().payments_database_url.get_secret_value()


@contextmanager
def _told() -> Generator[None]:
    """An error of the library as one line on stderr and exit code 1."""
    try:
        yield
    except PaymentsError as error:
        raise click.ClickException(str(error)) from None
