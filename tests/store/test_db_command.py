"""`payments db`: what it prints, how it exits, and that it needs nothing but the database's address."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import make_url

from payments_core.adapters.sql import current, schema
from payments_core.cli.db import command


@pytest.fixture(autouse=True)
def _no_other_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A migration step has no Stripe key, and its own directory."""
    monkeypatch.delenv("STRIPE_SECRET_KEY", raising=False)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, url: str | None) -> Result:
    """The command with PAYMENTS_DATABASE_URL set, or unset."""
    return CliRunner().invoke(command, arguments, env={"PAYMENTS_DATABASE_URL": url})


def test_upgrading_creates_the_schema_once(postgres_url: str) -> None:
    """The first time it says what it did, the second that there is nothing to do."""
    first, second = (run("upgrade", url=postgres_url) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.output == f"The schema was at nothing and is now at {schema.HEAD}.\n"
    assert second.output == f"The schema is at {schema.HEAD} already; nothing to do.\n"
    assert current(postgres_url) == schema.HEAD


def test_checking_says_what_to_do(postgres_url: str) -> None:
    """Exit 1 and the command to run before, exit 0 after."""
    before = run("check", url=postgres_url)
    run("upgrade", url=postgres_url)
    after = run("check", url=postgres_url)
    assert (before.exit_code, after.exit_code) == (1, 0)
    assert "run `payments db upgrade`" in before.output
    assert after.output == "The schema is current.\n"
    told = json.loads(run("check", "--json", url=postgres_url).output)
    assert told == {"revision": schema.HEAD, "needed": schema.HEAD, "sufficient": True}


def test_the_revision_is_printed_for_people_and_programs(tmp_path: Path) -> None:
    """A word, or one JSON object."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    assert run("current", url=url).output == "none\n"
    assert json.loads(run("current", "--json", url=url).output) == {
        "revision": None,
        "needed": schema.HEAD,
        "sufficient": False,
    }
    run("upgrade", url=url)
    assert run("current", url=url).output == f"{schema.HEAD}\n"
    assert json.loads(run("current", "--json", url=url).output)["sufficient"] is True


@pytest.mark.parametrize("url", [None, "", "  "])
def test_without_an_address_it_is_the_embedded_file(url: str | None, tmp_path: Path) -> None:
    """The default of the settings, in the current directory."""
    assert run("upgrade", url=url).exit_code == 0
    assert (tmp_path / "payments.db").exists()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://u:canary-71@h/d", "is not supported"),
        ("sqlite:///nowhere/payments.db", "which is no directory"),
        ("sqlite:///payments.db?timeout=canary-71", "names a SQLite file with parameters"),
        ("sqlite:///a_folder", "its file cannot be opened"),
        ("sqlite:///a_letter", "is no SQLite database, or a damaged one"),
        ("postgresql://u:canary-71@127.0.0.1:1/d", "nothing listens at its host and port"),
        ("postgresql://u:canary-71@nobody.invalid/d", "its host is not known"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line(url: str, told: str, tmp_path: Path) -> None:
    """No traceback, no password, exit 1."""
    (tmp_path / "a_folder").mkdir()
    (tmp_path / "a_letter").write_text("Dear customer, " * 1000)
    ran = run("upgrade", url=url)
    assert ran.exit_code == 1
    assert ran.output.startswith("Error: ")
    assert ran.output.count("\n") == 1
    assert told in ran.output
    assert "canary-71" not in ran.output


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"password": "canary-71"}, "the login was refused. Check user and password in PAYMENTS_DATABASE_URL"),
        ({"username": "nobody", "password": "canary-71"}, "the login was refused"),
        ({"database": "not_there"}, "its server has no database of that name"),
    ],
)
def test_a_server_that_refuses_the_address_says_which_part(
    changes: dict[str, str], told: str, postgres_server_url: str
) -> None:
    """Login and database's name are told apart, without showing either."""
    url = make_url(postgres_server_url).set(**changes)  # type: ignore[arg-type]
    ran = run("upgrade", url=url.render_as_string(hide_password=False))
    assert (ran.exit_code, ran.output.count("\n")) == (1, 1)
    assert told in ran.output
    assert "canary-71" not in ran.output
    assert "not_there" not in ran.output
