"""What a scenario is given, and what it answers.

A scenario breaks something (kills processes, cuts the power, stops the database) while events are delivered, and then
counts: `lost` is an event that was answered 2xx and is not in the inbox, `doubled` an effect that is there more than
once, `ghosts` an effect without a signed event. Everything random comes from the seed, which is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias

from attrs import field, frozen

Figure: TypeAlias = int | float | str

#: What scenarios are told apart by: a word for their names, and one for people.
FRAMEWORKS: Final = (("fastapi", "FastAPI"), ("flask", "Flask"))
BASES: Final = (("sqlite", "SQLite"), ("postgresql", "PostgreSQL"))


class CannotRun(Exception):
    """A scenario cannot run on this machine; the message says why, and what would change that."""


class Scale(StrEnum):
    """How long a scenario runs: `short` is seconds, for every test run; `long` is the figure that is promised."""

    SHORT = "short"
    LONG = "long"


@frozen
class Setup:
    """Where a scenario works.

    `folder` is its own and empty; `postgres_url` is a server on which it may make databases, None where there is none,
    and `kafka_brokers` a broker on which it may make topics; `mutant` names the fault that is planted to see the
    scenario turn red.
    """

    seed: int
    scale: Scale
    folder: Path
    postgres_url: str | None = None
    mutant: str | None = None
    kafka_brokers: str | None = None


@frozen
class Result:
    """What was counted, in the order in which it is printed, and in a sentence each what was broken."""

    figures: Mapping[str, Figure]
    broken: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the library kept its word."""
        return not self.broken


@frozen
class Scenario:
    """One way to break things. `about` is one sentence for the table; `needs` are programs that must be there."""

    name: str
    about: str
    run: Callable[[Setup], Result] = field(repr=False)
    needs: tuple[str, ...] = ()
