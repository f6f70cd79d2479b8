"""The findings of `payments doctor`, for people and for programs."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable
from typing import Any, Final

import click

from payments_core.cli.tables import plain
from payments_core.domain.diagnosis import Finding, Outcome, Report
from payments_core.domain.diagnosis.findings import counted

_COLOURS: Final = {
    Outcome.OK: "green",
    Outcome.WARNING: "yellow",
    Outcome.FAILED: "red",
    Outcome.SKIPPED: "bright_black",
}
#: Where the words begin, behind the outcome and the name.
_WORDS_AT: Final = 28
_NAMES_AT: Final = 10
_NARROWEST: Final = 60
_WIDEST: Final = 100


class Page:
    """Writes findings one by one, under the heading of their area, as wide as the terminal."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._area = ""
        self._width = min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)

    def tell(self, finding: Finding) -> None:
        """Write a finding, and what to do under it."""
        if finding.area != self._area:
            self._write(("\n" if self._area else "") + click.style(finding.area.capitalize(), bold=True))
            self._area = finding.area
        outcome = finding.outcome.value.ljust(_NAMES_AT - 2)
        name = finding.name.ljust(_WORDS_AT - _NAMES_AT)
        first, *more = self._wrapped(finding.found)
        self._write(f"  {click.style(outcome, fg=_COLOURS[finding.outcome])}{name}{first}")
        for line in [*more, *(self._wrapped(f"-> {finding.todo}") if finding.todo else [])]:
            self._write(" " * _WORDS_AT + line)

    def close(self, report: Report) -> None:
        """Write how it came out."""
        counts = {outcome: report.count(outcome) for outcome in Outcome if report.count(outcome)}
        words = [counted(n, "warning") if one is Outcome.WARNING else f"{n} {one.value}" for one, n in counts.items()]
        self._write(f"\n{', '.join(words)}.")

    def _wrapped(self, text: str) -> list[str]:
        # What came over the wire, an address or a version, must not move the cursor. A long address stays in one piece,
        # so that it can be copied.
        width = self._width - _WORDS_AT
        return textwrap.wrap(plain(text), width, break_long_words=False, break_on_hyphens=False) or [""]


def report_json(report: Report, *, is_well: bool) -> dict[str, Any]:
    """All of it. `todo` is null where there is nothing to do."""
    return {
        "ok": is_well,
        "counts": {outcome.value: report.count(outcome) for outcome in Outcome},
        "findings": [
            {
                "area": one.area,
                "name": one.name,
                "outcome": one.outcome.value,
                "found": one.found,
                "todo": one.todo,
            }
            for one in report.findings
        ],
    }
