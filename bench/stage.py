"""What every measurement is given: how long to run, where to work, and the servers it may use."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from attrs import define, field

from bench import kafka, peers
from bench.postgres import Postgres, server


@define
class Stage:
    """One run of the suite. `seconds` is the length of a round of one candidate, its warm-up apart."""

    rounds: int
    seconds: float
    folder: Path
    _open: ExitStack = field(factory=ExitStack, repr=False)
    _postgres: dict[bool, Postgres] = field(factory=dict[bool, Postgres], repr=False)
    _kafka: str = ""

    def postgres(self, *, slow_sync: bool = False) -> Postgres:
        """The PostgreSQL server, started on first use. Raises CannotMeasure where there is none."""
        if slow_sync not in self._postgres:
            home = peers.CACHE / ("services-slow" if slow_sync else "services")
            self._postgres[slow_sync] = self._open.enter_context(server(home, slow_sync=slow_sync))
        return self._postgres[slow_sync]

    def kafka(self) -> str:
        """The address of a Kafka broker, started on first use. Raises CannotMeasure where there is none."""
        if not self._kafka:
            self._kafka = self._open.enter_context(kafka.broker(peers.CACHE / "services"))
        return self._kafka

    def say(self, text: str) -> None:
        """Progress, for whoever waits."""
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Stop what was started."""
        self._open.close()


@contextmanager
def stage(rounds: int, seconds: float) -> Generator[Stage]:
    """A stage, torn down at the end."""
    folder = peers.CACHE / "run"
    folder.mkdir(parents=True, exist_ok=True)
    made = Stage(rounds, seconds, folder)
    try:
        yield made
    finally:
        made.close()
