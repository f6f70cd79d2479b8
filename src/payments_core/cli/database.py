"""The payments database as the commands reach it: by PAYMENTS_DATABASE_URL alone, its errors as one line."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import click
from pydantic import BeforeValidator, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from payments_core.adapters.sql import blocking_store, schema
from payments_core.drive import run_blocking
from payments_core.errors import PaymentsError
from payments_core.ports import Store
from payments_core.settings import Settings

_DEFAULT: SecretStr = Settings.model_fields["payments_database_url"].default


def _blank_is_default(value: object) -> object:
    return _DEFAULT if isinstance(value, str) and not value.strip() else value


class _DatabaseSettings(BaseSettings):
    """The one variable that these commands need."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, case_sensitive=False)

    payments_database_url: Annotated[SecretStr, BeforeValidator(_blank_is_default)] = _DEFAULT


def database_url() -> str:
    """The value of PAYMENTS_DATABASE_URL, or its default; it may hold a password."""
    return _DatabaseSettings().payments_database_url.get_secret_value()


@contextmanager
def told() -> Generator[None]:
    """An error of the library as one line on stderr and exit code 1."""
    try:
        yield
    except PaymentsError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def opened_store() -> Generator[Store]:
    """A store for the calling thread, whose errors are told. Creates and upgrades nothing: it says what to run."""
    with told():
        url = database_url()
        schema.check(url)
        store = blocking_store(url)
        try:
            yield store
        finally:
            run_blocking(store.close())
