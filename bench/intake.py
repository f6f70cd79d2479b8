"""A round of a candidate that takes webhooks in: started, warmed up, loaded, counted.

Counted means: every answered request must be a row in the candidate's database, with what the candidate claims to keep,
and no more rows than requests were sent. A round in which that is not so is an error, not a figure.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import field, frozen

from bench import cpu
from bench.load import Outcome, send
from bench.measured import CannotMeasure, Measured, MeasurementFailed, Sample
from bench.postgres import Postgres
from bench.servers import Server, refuses_forgeries, started, tail
from bench.stage import Stage
from bench.webhooks import RequestFile, write_requests

_WARM_UP_S: Final = 1.0
#: A request file must be used while its signatures are good (300 s), with a margin for the last round.
_FRESH_S: Final = 150.0
_SETTLE_S: Final = 30.0


@frozen
class Database:
    """Where a candidate keeps its rows. `fresh` makes it empty and gives its URL; `count` gives the rows it holds."""

    fresh: Callable[[], str] = field(repr=False)
    count: Callable[[str], int] = field(repr=False)
    server: Postgres | None = None


@frozen
class Candidate:
    """Somebody who takes webhooks in. `verifies` says that it must refuse a forged one; `database` None stores none."""

    name: str
    server: Server = field(repr=False)
    database: Database | None = field(default=None, repr=False)
    verifies: bool = True


@frozen
class Load:
    """How it is loaded. `most_per_s` is more than the fastest can answer, so that no event id comes twice."""

    connections: int
    most_per_s: int = 30_000


def interleaved(stage: Stage, name: str, load: Load, candidates: Sequence[Candidate]) -> Measured:
    """Every candidate once per round; one that cannot run here is left out, with its reason."""
    samples: list[Sample] = []
    missing: dict[str, str] = {}
    for number in range(stage.rounds):
        with _request_file(stage, load) as fresh:
            for candidate in turned(candidates, number):
                if candidate.name in missing:
                    continue
                stage.say(f"{name} round {number + 1} of {stage.rounds}: {candidate.name}")
                try:
                    samples.append(one_round(stage, candidate, number, load, fresh()))
                except CannotMeasure as reason:
                    missing[candidate.name] = str(reason)
                except MeasurementFailed as failure:
                    raise MeasurementFailed(f"{candidate.name}: {failure}") from failure
    return Measured(tuple(samples), missing)


def turned(candidates: Sequence[Candidate], number: int) -> Sequence[Candidate]:
    """The order of round `number`: each candidate is the first once, so that none always comes after the same one."""
    cut = number % len(candidates)
    return (*candidates[cut:], *candidates[:cut])


def one_round(stage: Stage, candidate: Candidate, number: int, load: Load, requests: RequestFile) -> Sample:
    """The figures of one candidate. Raises MeasurementFailed when they count for nothing."""
    database = candidate.database
    url = database.fresh() if database else ""
    if database and database.server:
        database.server.settle()
    log = stage.folder / f"{candidate.name.replace(' ', '_').replace('/', '_')}.log"
    with started(candidate.server, url, log) as (port, pid):
        if candidate.verifies and not refuses_forgeries(port):
            raise MeasurementFailed("it does not refuse a body with a forged signature")
        try:
            warm = send(requests, port=port, connections=load.connections, seconds=_WARM_UP_S)
            before = _settled(database, url)
            first = warm.answered + 2 * load.connections
            spent = _spent(database, pid)
            outcome = send(requests, port=port, connections=load.connections, seconds=stage.seconds, first=first)
            app_s, database_s = (after - then for after, then in zip(_spent(database, pid), spent, strict=True))
        except MeasurementFailed as failure:
            raise MeasurementFailed(f"{failure}; the end of its log: {' | '.join(tail(log))}") from None
        if database:
            check_count(outcome.answered, _settled(database, url) - before, load.connections)
    return Sample(candidate.name, number, figures(outcome, app_s, database_s))


def check_count(answered: int, stored: int, connections: int) -> None:
    """Raise MeasurementFailed unless what was answered is stored, and nothing but what was sent.

    When the generator stops, each connection may have a request under way that is stored and not answered any more.
    """
    if not answered <= stored <= answered + connections:
        raise MeasurementFailed(f"{answered} requests were answered, and {stored} events are stored")


def figures(outcome: Outcome, app_s: float, database_s: float) -> dict[str, float]:
    """A round's figures; CPU in microseconds per answered request, of the application and of both together."""
    return {
        "answered": outcome.answered,
        "per_s": outcome.answered / outcome.seconds,
        "p50_ms": outcome.p50_ms,
        "p99_ms": outcome.p99_ms,
        "app_cpu_us": app_s / outcome.answered * 1e6,
        "cpu_us": (app_s + database_s) / outcome.answered * 1e6,
    }


def _spent(database: Database | None, pid: int) -> tuple[float, float]:
    """CPU seconds so far: of the candidate's processes, and of its database server's."""
    listed = cpu.processes()
    server = database.server if database else None
    return cpu.tree_cpu_s(pid, listed), cpu.tree_cpu_s(server.pid, listed) if server else 0.0


def _settled(database: Database | None, url: str) -> int:
    """The rows, once requests that were under way have ended."""
    if database is None:
        return 0
    deadline, found = time.monotonic() + _SETTLE_S, -1
    while time.monotonic() < deadline:
        earlier, found = found, database.count(url)
        if found == earlier:
            return found
        time.sleep(0.1)
    raise MeasurementFailed("its rows went on growing after the load had ended")


@contextmanager
def _request_file(stage: Stage, load: Load) -> Generator[Callable[[], RequestFile]]:
    """Gives the round's requests, signed anew when the signatures grow old."""
    total = math.ceil((stage.seconds + _WARM_UP_S) * load.most_per_s)
    memory = Path("/dev/shm")  # noqa: S108 - in memory where that is possible: writing it must not busy the disk
    # Some 4 kB each.
    parent = memory if memory.is_dir() and shutil.disk_usage(memory).free > total * 8192 else stage.folder
    with tempfile.TemporaryDirectory(dir=parent, prefix="payments-core-bench-") as folder:
        made: list[RequestFile] = []

        def fresh() -> RequestFile:
            if not made or time.monotonic() - made[-1].made_at > _FRESH_S:
                made.append(write_requests(Path(folder) / "requests", total))
            return made[-1]

        yield fresh
