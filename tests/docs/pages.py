"""The documentation as data: its pages, their code blocks, headings, links and tables."""

from __future__ import annotations

import re
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = (README, ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)(?P<rest>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_TITLE = re.compile(r'title="([^"]+)"')
_HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_CELL = re.compile(r"`([^`]+)`")


@frozen
class Block:
    """A fenced block: where it begins (from 1), its language, its title and its text without the fence's indent."""

    page: Path
    line: int
    language: str
    title: str | None
    code: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """The page's blocks in these languages, in order."""
    text = page.read_text("utf-8")
    found: list[Block] = []
    for match in _FENCE.finditer(text):
        if match["language"] not in languages:
            continue
        indent = len(match["indent"])
        code = "\n".join(line[indent:] for line in match["code"].split("\n"))
        title = _TITLE.search(match["rest"])
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, match["language"], title[1] if title else None, code))
    return found


def prose(page: Path) -> str:
    """The page without its blocks."""
    return _FENCE.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """The ids of its headings, as the site and a repository's viewer make them."""
    return {_slug(heading) for heading in _HEADING.findall(prose(page))}


def links(page: Path) -> list[str]:
    """Where it links to, except into the world."""
    return [link for link in _LINK.findall(prose(page)) if not link.startswith(("http://", "https://", "mailto:"))]


def section(page: Path, heading: str) -> str:
    """The text under a heading, up to the next of the same level or a higher one."""
    text = prose(page)
    start = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert start is not None, f"{page.name} has no heading {heading!r}"
    rest = text[start.end() :]
    end = re.search(rf"^#{{1,{len(start[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def first_cells(text: str) -> list[str]:
    """What stands as code in the first cell of each row of its tables."""
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in _CELL.findall(row.split(" | ")[0])]


def rows(text: str) -> list[list[str]]:
    """The cells of each row whose first cell is code, without their backticks."""
    found = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip().strip("|").split(" | ")] for line in found]


def _slug(heading: str) -> str:
    plain = re.sub(r"[^\w\s-]", "", heading).strip().lower()
    return re.sub(r"[-\s]+", "-", plain)
