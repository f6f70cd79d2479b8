"""The page of guarantees names tests that exist, for each guarantee, and leaves no module out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/explanation/guarantees.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
SECTION = re.compile(r"^## (G\d+) .*?$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def sections() -> dict[str, str]:
    """The text under each guarantee's heading."""
    return dict(SECTION.findall(PAGE.read_text("utf-8")))


def functions_of(path: str) -> set[str]:
    """The test functions of a module."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_guarantee_has_its_section() -> None:
    """G1 to G10, in order."""
    assert list(sections()) == [f"G{number}" for number in range(1, 11)]


@pytest.mark.parametrize("guarantee", [f"G{number}" for number in range(1, 11)])
def test_a_section_says_what_it_takes_what_breaks_and_what_proves_it(guarantee: str) -> None:
    """And the tests that it names are in the module of that guarantee, and exist."""
    text = sections()[guarantee]
    for words in ("**It takes**", "**Without it**", "**Proved by**"):
        assert words in text
    named = NAMED.findall(text)
    assert named
    module = f"test_g{int(guarantee[1:]):02}_"
    for path, name in named:
        assert Path(path).name.startswith(module)
        assert name in functions_of(path), f"{path} has no {name}"
