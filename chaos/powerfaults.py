"""A disk that fails under a running server: syncs that return EIO, writes without room, no descriptor to be had.

The server must answer 503 or do the work, never a 200 for what is not on disk; and when the fault has passed it must go
on as if nothing had been, over a sound file.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from attrs import frozen

from chaos.powerclient import deliver
from chaos.powerserver import FRAMEWORKS, Framework, Server, serving, status_of
from chaos.scenario import Figure, Result, Scale, Setup
from chaos.tracing import attached, require_strace
from payments_core.adapters.sql import upgrade

#: Which call fails, and how.
FAULTS: Final = (("fdatasync", "EIO"), ("pwrite64", "ENOSPC"), ("openat", "EMFILE"))
_ONCE: Final = {Scale.SHORT: (1, 4), Scale.LONG: tuple(range(1, 51))}
_FRAMEWORKS: Final[dict[Scale, tuple[Framework, ...]]] = {Scale.SHORT: ("fastapi",), Scale.LONG: FRAMEWORKS}
_BATCH: Final = 6
_BATCHES: Final = 10
_HEAL_S: Final = 20.0
_INJECTED: Final = "(INJECTED)"


@frozen
class Fault:
    """A system call that fails with `error`: the `number`-th of a thread, or all of them (0)."""

    call: str
    error: str
    number: int

    @property
    def injection(self) -> str:
        """In strace's words."""
        return f"{self.call}:error={self.error}:when={self.number or '1+'}"


class _Ledger:
    """What was sent to one server and what was answered."""

    def __init__(self) -> None:
        self.sent = 0
        self.acknowledged: set[str] = set()
        self.counts = Counter[str]()
        self.broken: list[str] = []

    def send(self, server: Server, events: int) -> list[int | None]:
        """Deliver so many new events; the statuses."""
        answers = deliver(server.port, range(self.sent, self.sent + events))
        self.sent += events
        self.acknowledged |= {name for name, status in answers.items() if status == 200}
        self.counts["refused"] += sum(status == 503 for status in answers.values())
        strange = sorted({str(status) for status in answers.values() if status not in (200, 503)})
        if strange:
            self.broken.append(f"answers were {', '.join(strange)}")
        return list(answers.values())


def failing_disk(setup: Setup) -> Result:
    """Every fault, once at each number and for all calls at once."""
    require_strace()
    total = Counter[str]()
    broken: list[str] = []
    for framework in _FRAMEWORKS[setup.scale]:
        ledger = _tried(setup, framework)
        total += ledger.counts
        broken += [f"{framework}: {what}" for what in dict.fromkeys(ledger.broken)]
    if not total["faults"] or not total["refused"]:
        broken.append("no fault reached the server, so nothing was shown")
    names = ("faults", "refused", "acknowledged", "false_2xx", "not_recovered", "unsound")
    figures: dict[str, Figure] = {name: total[name] for name in names}
    return Result(figures, tuple(broken[:8]))


def _tried(setup: Setup, framework: Framework) -> _Ledger:
    database = setup.folder / f"{framework}.db"
    upgrade(f"sqlite:///{database}")
    ledger = _Ledger()
    with serving(framework, f"sqlite:///{database}", mutant=setup.mutant) as server:
        for call, error in FAULTS:
            for number in (*_ONCE[setup.scale], 0):
                _suffer(server, Fault(call, error, number), ledger, setup.folder / "fault.trace")
                _recover(server, ledger, f"{error} from {call} {number or 'always'}")
        _drain(database, ledger)
    _audit(database, ledger)
    return ledger


def _suffer(server: Server, fault: Fault, ledger: _Ledger, trace: Path) -> None:
    """Deliver under the fault until it has happened."""
    trace.unlink(missing_ok=True)
    with attached(server.worker, trace, [fault.call], injections=[fault.injection]):
        for _ in range(_BATCHES if fault.number else 1):
            answers = ledger.send(server, _BATCH)
            if not fault.number:
                _judge_all(fault, answers, status_of(server.port, "/ready"), ledger)
            if _INJECTED in _text(trace):
                break
    ledger.counts["faults"] += _text(trace).count(_INJECTED)


def _judge_all(fault: Fault, answers: Sequence[int | None], readiness: int | None, ledger: _Ledger) -> None:
    """While every such call fails nothing can be durable, so nothing may be acknowledged."""
    ledger.counts["not_ready"] += int(readiness == 503)
    if fault.call != "openat" and 200 in answers:
        ledger.counts["false_2xx"] += answers.count(200)
        ledger.broken.append(f"200 was answered while every {fault.call} failed")


def _recover(server: Server, ledger: _Ledger, after: str) -> None:
    """Within a bounded time after the fault, events are taken in again and the server is ready."""
    deadline = time.monotonic() + _HEAL_S
    while ledger.send(server, 1) != [200] or status_of(server.port, "/ready") != 200:
        if time.monotonic() > deadline:
            ledger.counts["not_recovered"] += 1
            ledger.broken.append(f"the server did not recover from {after}")
            return
        time.sleep(0.05)


def _drain(database: Path, ledger: _Ledger) -> None:
    """Every event that is in the inbox is handled in the end, whatever failed while it was."""
    deadline = time.monotonic() + _HEAL_S
    while _query(database, "SELECT count(*) FROM payments_inbox WHERE state <> 2") != [(0,)]:
        # The wait for a retry is not what is tried here; leases run out by themselves.
        _query(database, "UPDATE payments_inbox SET next_at = 0 WHERE state = 0")
        if time.monotonic() > deadline:
            left = _query(database, "SELECT state, count(*), max(last_error) FROM payments_inbox GROUP BY state")
            ledger.broken.append(f"events were left unhandled: {left}")
            return
        time.sleep(0.1)


def _audit(database: Path, ledger: _Ledger) -> None:
    there = {str(row[0]) for row in _query(database, "SELECT event_id FROM payments_inbox")}
    lost = len(ledger.acknowledged - there)
    ledger.counts["acknowledged"] += len(ledger.acknowledged)
    ledger.counts["false_2xx"] += lost
    if lost:
        ledger.broken.append(f"{lost} events were answered 200 and are not there")
    if _query(database, "PRAGMA integrity_check") != [("ok",)]:
        ledger.counts["unsound"] += 1
        ledger.broken.append("the file is damaged")


def _query(database: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


def _text(trace: Path) -> str:
    return trace.read_text(encoding="latin-1") if trace.exists() else ""
