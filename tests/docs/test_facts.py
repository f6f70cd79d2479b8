"""What the pages list is what the code has: variables, error codes, commands, routes, files and links."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click
import pytest

from payments_core import Difference, Money, PaymentFailed, PaymentMismatch, errors
from payments_core.adapters.sql.tables import metadata
from payments_core.cli import COMMANDS, _load
from payments_core.domain.events import DOMAIN_EVENTS, as_published
from payments_core.domain.payment import STEPS, WITH_MONEY, Finding, PaymentState, Step
from payments_core.http.routes import ROUTES
from payments_core.sandbox.cards import grouped
from payments_core.sandbox.known_cards import TEST_CARDS
from payments_core.settings import Settings
from tests.docs.pages import DOCS, PAGES, README, ROOT, Block, anchors, blocks, first_cells, links, prose, rows, section

VARIABLES = sorted(name.upper() for name in Settings.model_fields)
HTTP = DOCS / "reference/http.md"
SHELL = [block for page in PAGES for block in blocks(page, "sh", "console")]


def codes() -> dict[str, set[int]]:
    """Every code that an error of the library has, with its statuses."""
    found: dict[str, set[int]] = {}
    kinds = [errors.PaymentsError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
        found.setdefault(kind.kind, set()).add(kind.status)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """Each relative link names a file that is there, and a heading that it has."""
    broken: list[str] = []
    for link in links(page):
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_file() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_links_of_the_site_stay_in_the_site() -> None:
    """A page under docs links to nothing outside docs, which the site does not hold."""
    outside = [
        f"{page.name}: {link}"
        for page in PAGES
        if page.is_relative_to(DOCS)
        for link in links(page)
        if not (page.parent / link.partition("#")[0]).resolve().is_relative_to(DOCS)
    ]
    assert outside == []


def test_every_page_is_in_the_navigation() -> None:
    """mkdocs.yml lists each page once, and none that is not there."""
    listed = re.findall(r"(?:^|\s)([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in PAGES if page.is_relative_to(DOCS))


def test_the_configuration_table_is_the_settings() -> None:
    """Each variable of Settings is in the reference's table, and no other; the README has a few of them."""
    table = prose(DOCS / "reference/environment.md").partition("## What depends")[0]
    assert sorted(first_cells(table)) == VARIABLES
    assert (
        {"STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"} < set(first_cells(section(README, "Configure"))) < {*VARIABLES}
    )


def test_the_configuration_table_states_the_defaults() -> None:
    """Where a setting has a plain default, the reference has the same one."""
    stated = {cells[0]: cells[1] for cells in rows(prose(DOCS / "reference/environment.md")) if len(cells) == 3}
    for name, default in (
        ("PAYMENTS_CURRENCY", "usd"),
        ("PORT", "3006"),
        ("PAYMENTS_FOREIGN", "tell"),
        ("PAYMENTS_DATABASE_URL", "sqlite:///payments.db"),
    ):
        field = Settings.model_fields[name.lower()].default
        text = str(field.get_secret_value()) if hasattr(field, "get_secret_value") else str(field)
        assert stated[name] == text == default


def test_the_error_table_is_the_error_classes() -> None:
    """Each code of errors.py is in the HTTP reference with its status, and no other."""
    listed = {cells[0]: int(cells[1]) for cells in rows(section(HTTP, "Errors"))}
    known = codes()
    assert sorted(listed) == sorted(known)
    assert {code: status for code, status in listed.items() if status not in known[code]} == {}


@pytest.mark.parametrize("page", [HTTP, README], ids=["reference", "README"])
def test_every_route_is_described(page: Path) -> None:
    """Each route of the table is named with its method."""
    text = page.read_text("utf-8")
    missing = [
        route.name
        for route in ROUTES
        if f"`{route.method} {route.path.replace('{session_id}', '{sessionId}')}`" not in text
    ]
    assert missing == []


def test_the_command_reference_is_the_command() -> None:
    """Each subcommand and each option has its place in the reference, and what is there exists."""
    page = DOCS / "reference/cli.md"
    described = set(re.findall(r"^## `payments ([\w -]+)`$", prose(page), re.MULTILINE))
    found: set[str] = set()
    for name, entry in COMMANDS.items():
        command = _load(name, entry)
        if isinstance(command, click.Group):
            found |= {f"{name} {sub}" for sub in command.commands}
        else:
            found.add(name)
            options = {option for one in command.params for option in one.opts}
            assert set(re.findall(r"^\| `(--[\w-]+)", section(page, f"`payments {name}`"), re.MULTILINE)) == options
    assert described == found
    [shown] = blocks(page, "console")
    listed = re.findall(r"^  (\w[\w-]*) {2,}(.+)$", shown.code, re.MULTILINE)
    assert dict(listed) == {name: entry.help for name, entry in COMMANDS.items()}


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_every_command_shown_exists(block: Block) -> None:
    """`payments …` names a subcommand, `make …` a target, `.[extras]` extras of the package."""
    code = block.code
    makefile = (ROOT / "Makefile").read_text("utf-8")
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    for words in re.findall(r"(?:^|\$ |service )payments ([a-z][a-z-]*)(?: ([a-z-]+))?", code, re.MULTILINE):
        assert words[0] in COMMANDS
        command = _load(words[0], COMMANDS[words[0]])
        assert not isinstance(command, click.Group) or words[1] in command.commands
    for target in re.findall(r"^make ([a-z-]+)", code, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for extras in re.findall(r"\[([a-z,]+)\]'", code):
        assert [extra for extra in extras.split(",") if not re.search(rf"^{extra} = \[", project, re.MULTILINE)] == []


def test_the_compose_file_s_commands_exist() -> None:
    """Each service runs a subcommand with options that it has, is given variables that exist, and one is the relay."""
    text = (ROOT / "compose.yaml").read_text("utf-8")
    commands = [words.split(", ") for words in re.findall(r"command: \[payments, (.+)\]", text)]
    assert ["relay", "--create-topics"] in commands
    for name, *rest in commands:
        command = _load(name, COMMANDS[name])
        known = {option for one in command.params for option in one.opts}
        known |= set(command.commands) if isinstance(command, click.Group) else set()
        assert set(rest) <= known
    given = set(re.findall(r"^      ((?:PAYMENTS|STRIPE)_\w+):", text, re.MULTILINE))
    assert {"PAYMENTS_ACCOUNT", "PAYMENTS_APP", "PAYMENTS_TRUSTED_PROXIES"} <= given <= set(VARIABLES)
    publishing = [one for one in re.split(r"^  (?=\w)", text, flags=re.MULTILINE) if "KAFKA_BROKERS:" in one]
    assert len(publishing) == 2
    assert all("      PAYMENTS_TOPIC_PREFIX:\n" in one for one in publishing)


def test_commands_that_are_promised_for_later_do_not_exist_yet() -> None:
    """A command on the README's list of what is missing is removed from it on the day it arrives."""
    later = section(README, "What is not there yet")
    for name in re.findall(r"`payments ([a-z-]+)`", later):
        assert name not in COMMANDS, f"payments {name} exists: take it off the list"


def test_every_domain_event_is_described() -> None:
    """Each type that is published has a section with an example of exactly its fields."""
    examples = {
        json.loads(block.code)["eventType"]: json.loads(block.code)
        for block in blocks(DOCS / "reference/events.md", "json")
    }
    assert sorted(examples) == sorted(event.type for event in DOMAIN_EVENTS)
    for kind in DOMAIN_EVENTS:
        more: dict[type, dict[str, Any]] = {
            PaymentFailed: {"reason": "generic_decline"},
            PaymentMismatch: {"discrepancies": (Difference("amount_total", 1, 2),)},
        }
        names = {"payment_intent_id": "pi_1", "session_id": "cs_1"}
        event = kind(
            event_id="e",
            payment_id="p",
            occurred_at=datetime.now(UTC),
            amount=Money(1, "usd"),
            **names,
            **more.get(kind, {}),
        )
        published = as_published(event)
        assert list(examples[kind.type]) == list(published)
        assert list(examples[kind.type]["data"]) == list(published["data"])


def test_every_table_and_column_is_described() -> None:
    """Each table of the library is in the reference with each of its columns, and no other."""
    page = DOCS / "reference/tables.md"
    text = prose(page)
    described = set(re.findall(r"^## `(payments_\w+)`$", text, re.MULTILINE))
    assert described == {*metadata.tables, "payments_alembic_version"}
    for name in ("payments_payment", "payments_inbox", "payments_outbox"):
        assert sorted(first_cells(section(page, f"`{name}`"))) == sorted(metadata.tables[name].columns.keys())


def test_the_table_of_states_is_the_state_machine() -> None:
    """The page has each state and as many non-empty cells as the machine has steps."""
    table = section(DOCS / "explanation/identity.md", "States")
    lines = [line for line in table.splitlines() if line.startswith("| `") and line.count("|") == 9]
    found = {
        (PaymentState(re.findall(r"`(\w+)`", line)[0]), finding): cell.strip()
        for line in lines
        for finding, cell in zip(
            (
                Finding.PAID,
                Finding.MISMATCHED,
                Finding.PROMISED,
                Finding.DECLINED,
                Finding.LAPSED,
                Finding.RELEASED,
                Finding.REJECTED,
            ),
            line.strip("|").split("|")[1:],
            strict=True,
        )
    }
    shown = {pair: _shown(pair[0], step) for pair, step in STEPS.items()}
    assert {pair: cell for pair, cell in found.items() if cell} == shown


def _shown(state: PaymentState, step: Step) -> str:
    if step.state is state in WITH_MONEY:
        return "recorded, not told"
    return f"`{step.state.value}`, told" if step.published else f"`{step.state.value}`"


def test_the_sandboxs_cards_are_listed() -> None:
    """Each test card is in the reference, and no other number is."""
    listed = re.findall(r"^\| (\d{4} [\d ]{10,14}) \|", prose(DOCS / "reference/sandbox.md"), re.MULTILINE)
    assert listed == [grouped(number) for number in TEST_CARDS]


def test_decisions_name_what_enforces_them() -> None:
    """Each decision has its five parts, and the files it names exist."""
    pages = sorted((DOCS / "decisions").glob("0*.md"))
    assert len(pages) == 8
    for page in pages:
        headings = re.findall(r"^## (.+)$", prose(page), re.MULTILINE)
        wanted = ["Context", "Decision", "Consequences", "Alternatives", "Enforced by"]
        assert [heading for heading in headings if heading in wanted] == wanted
        for path in re.findall(r"`(tests/[\w/.]+)`", prose(page)):
            assert (ROOT / path).exists(), f"{page.name} names {path}"


def test_the_files_of_a_webhook_s_life_are_there() -> None:
    """A newcomer who follows an event through the code is sent to no empty room."""
    page = (DOCS / "explanation/webhook.md").read_text("utf-8")
    named = re.findall(r"`((?:domain|services|adapters)/[a-z_/]+\.py)`", page)
    assert len(named) >= 10
    assert [name for name in named if not (ROOT / "src/payments_core" / name).is_file()] == []
