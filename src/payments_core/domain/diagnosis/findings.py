"""A finding: what was looked at, how it is, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from attrs import frozen

#: Errors of this library say what happened, and then what to do: behind a semicolon or in a sentence of its own.
_TWO_PARTS: Final = re.compile(r"(.+?)(?:; |\. )(.+)", re.DOTALL)


class Outcome(StrEnum):
    """How it is. The words are part of the command's output."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@frozen
class Finding:
    """What was found by one check, and what to do, in English; neither holds a secret.

    `todo` is None where all is well. Of a check that was skipped `found` is the reason.
    """

    area: str
    name: str
    outcome: Outcome
    found: str
    todo: str | None = None


@frozen
class Check:
    """One thing that is looked at, by the names that the output gives it."""

    area: str
    name: str

    def ok(self, found: str) -> Finding:
        """All is well."""
        return Finding(self.area, self.name, Outcome.OK, found)

    def warning(self, found: str, todo: str) -> Finding:
        """It works, and somebody should look at it."""
        return Finding(self.area, self.name, Outcome.WARNING, found, todo)

    def failed(self, found: str, todo: str) -> Finding:
        """It does not work, or loses something."""
        return Finding(self.area, self.name, Outcome.FAILED, found, todo)

    def skipped(self, reason: str, todo: str | None = None) -> Finding:
        """It could not, or need not, be looked at."""
        return Finding(self.area, self.name, Outcome.SKIPPED, reason, todo)

    def broken(self, message: str, todo: str) -> Finding:
        """An error of this library, whose message says what to do; `todo` where it does not."""
        parts = _TWO_PARTS.fullmatch(message.strip())
        if parts is None:
            return self.failed(f"{message.strip().rstrip('.')}.", todo)
        return self.failed(f"{parts[1]}.", f"{parts[2][:1].upper()}{parts[2][1:].rstrip('.')}.")


@frozen
class Report:
    """All findings, in the order in which they were made."""

    findings: Sequence[Finding]

    def count(self, outcome: Outcome) -> int:
        """How many came out like that."""
        return sum(one.outcome is outcome for one in self.findings)

    def is_well(self, *, strict: bool) -> bool:
        """Whether nothing failed; with `strict` nothing may be warned of either."""
        return not self.count(Outcome.FAILED) and not (strict and self.count(Outcome.WARNING))


def listed(words: Sequence[str], *, most: int = 8) -> str:
    """`a, b and c`; of many the first, and how many there are more."""
    shown = list(words[:most]) + ([f"{len(words) - most} more"] if len(words) > most else [])
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1]))) if shown else "none"


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 event`, `2 events`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
