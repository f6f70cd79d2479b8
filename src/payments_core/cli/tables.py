"""Plain text for a terminal: columns that line up, and nothing in them that a terminal would obey."""

from __future__ import annotations

from collections.abc import Sequence


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """The lines of a table, two spaces between columns; those numbered in `right` are aligned to the right."""
    lines = [list(headings), *(list(map(plain, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(_cells(line, widths, right)).rstrip() for line in lines]


def shortened(text: str, width: int) -> str:
    """At most `width` characters of a text, its end replaced by an ellipsis where there is more."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def plain(text: str) -> str:
    """A text without line breaks and control characters: what a stranger sent must not move the cursor."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def _cells(line: Sequence[str], widths: Sequence[int], right: Sequence[int]) -> list[str]:
    return [
        cell.rjust(width) if number in right else cell.ljust(width)
        for number, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
