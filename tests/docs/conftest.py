"""A place to run the pages' code in: an empty directory, a test configuration, and a sandbox where one is asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.docs.pages import blocks

Namespace = dict[str, Any]
SECRET = "whsec_test_secret"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory with the environment that the pages tell readers to set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_docs")
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("STRIPE_API_BASE", "http://127.0.0.1:9")
    for name in ("PAYMENTS_DATABASE_URL", "PAYMENTS_PRICE_POLICY", "PAYMENTS_REDIRECT_HOSTS", "KAFKA_BROKERS"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    sys.modules.pop("shop", None)


@pytest.fixture
def run_page(place: Path) -> Iterator[Callable[[Path], list[Namespace]]]:
    """Runs a page's Python blocks in order in one namespace; what it held after each."""
    opened: list[Any] = []

    def run(page: Path) -> list[Namespace]:
        namespace: Namespace = {"__name__": "page"}
        after: list[Namespace] = []
        for block in blocks(page, "python"):
            if block.title:
                (place / block.title).write_text(block.code, "utf-8")
            # As a reader's file: this one's future imports are not the page's, and lines are counted as on the page.
            code = compile("\n" * block.line + block.code, str(page), "exec", dont_inherit=True)
            exec(code, namespace)  # noqa: S102 - the documentation's own code
            after.append(dict(namespace))
        opened.extend(value for names in after for value in names.values())
        return after

    yield run
    for engine in {id(one): one for one in opened if isinstance(one, Engine)}.values():
        engine.dispose()
