"""A database with the schema, and a store over it as the command under test will find it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from payments_core.adapters.sql import SqlStore, blocking_store, upgrade
from payments_core.cli import _group
from payments_core.drive import run_blocking

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _no_other_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An operator's machine has the database's address and nothing else."""
    monkeypatch.delenv("STRIPE_SECRET_KEY", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file with the schema."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    upgrade(url)
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind, with the schema."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    upgrade(found)
    return found


@pytest.fixture
def store(sqlite_url: str) -> Iterator[SqlStore]:
    """A store over the SQLite file."""
    with closing(_Closing(sqlite_url)) as opened:
        yield opened.store


@pytest.fixture
def run(sqlite_url: str) -> Run:
    """The command over the SQLite file, in this process, off a terminal."""

    def invoke(*arguments: str, url: str = sqlite_url, **more: Any) -> Result:
        return CliRunner().invoke(_group(), arguments, env={"PAYMENTS_DATABASE_URL": url, "COLUMNS": "80"}, **more)

    return invoke


class _Closing:
    """Closes a store that is closed by a coroutine."""

    def __init__(self, url: str) -> None:
        self.store = blocking_store(url)

    def close(self) -> None:
        run_blocking(self.store.close())
