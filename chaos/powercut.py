"""What an answer rests on: the disk. Order of sync and answer, power cuts, disks that fail, and many writers.

A process that is killed cannot show a missing sync, since the kernel keeps what it wrote. So the real servers are
traced: every 200 must come after a sync that covers its row, and a disk that loses power at any moment, with any of
what was not synced, must still hold every event that was answered.
"""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
import subprocess
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from attrs import frozen

from chaos.powerclient import deliver
from chaos.powerdisk import MOODS, SYNCS, WRITES, Change, Disk
from chaos.powerfaults import failing_disk
from chaos.powerserver import FRAMEWORKS, ROOT, Framework, serving
from chaos.scenario import Figure, Result, Scale, Scenario, Setup
from chaos.tracing import Call, calls, command, require_strace
from payments_core.adapters.sql import upgrade

_REQUESTS: Final = {Scale.SHORT: 20, Scale.LONG: 1000}
_CUTS: Final = {Scale.SHORT: 12, Scale.LONG: 50}
_WRITERS: Final = {Scale.SHORT: (4, 50), Scale.LONG: (8, 2500)}
_SLOWEST_S: Final = 1.0
#: More than SQLite writes at once, and than any request here has.
_DATA_BYTES: Final = 70_000
_OK: Final = b"HTTP/1.1 200"
_EVENT: Final = re.compile(rb"evt_power_\d{6}")


@frozen
class Answered:
    """An event that was answered 200, and where in the trace: when the answer began to be sent, and when it was."""

    event_id: str
    began: int
    ended: int


@frozen
class Traced:
    """What a server did while it took events in."""

    database: str
    disk: Disk
    answers: tuple[Answered, ...]
    sent: int
    end: int


def order(setup: Setup) -> Result:
    """Every 200 comes after a sync that covers its event's row."""
    require_strace()
    figures: dict[str, Figure] = {}
    broken: list[str] = []
    for framework in _frameworks(setup, both=setup.mutant is None):
        traced = _traced(setup, framework, _REQUESTS[setup.scale])
        disk_order = _Order(traced)
        too_soon = [answer for answer in traced.answers if not disk_order.is_safe(answer)]
        figures[f"{framework}_answered"] = len(traced.answers)
        figures[f"{framework}_synced_first"] = len(traced.answers) - len(too_soon)
        if len(traced.answers) < traced.sent:
            broken.append(f"{framework}: {traced.sent - len(traced.answers)} of {traced.sent} events had no 200")
        if too_soon:
            broken.append(f"{framework}: {len(too_soon)} answers were sent before their row was synced")
    return Result(figures, tuple(broken))


def _frameworks(setup: Setup, *, both: bool) -> tuple[Framework, ...]:
    """Both of them, or the one that the seed says."""
    return FRAMEWORKS if both else (FRAMEWORKS[setup.seed % len(FRAMEWORKS)],)


def cuts(setup: Setup) -> Result:
    """The power goes at random moments: every event that was answered is there, and the file is sound."""
    require_strace()
    chance = random.Random(setup.seed)
    frameworks = _frameworks(setup, both=setup.scale is Scale.LONG)
    counts = Counter({"cuts": 0, "answered": 0, "lost": 0, "unsound": 0})
    for framework in frameworks:
        traced = _traced(setup, framework, _REQUESTS[setup.scale])
        for number in range(_CUTS[setup.scale] // len(frameworks)):
            counts += _cut(setup.folder / "after", traced, number, chance)
    broken = [f"{counts[kind]} {what}" for kind, what in _LOSSES.items() if counts[kind]]
    if not counts["answered"]:
        broken.append("no cut came after an answer, so nothing was shown")
    return Result({kind: counts[kind] for kind in ("cuts", "answered", "lost", "unsound")}, tuple(broken))


_LOSSES: Final = {"lost": "answered events were lost in a power cut", "unsound": "files were damaged by a power cut"}


def writers(setup: Setup) -> Result:
    """Many processes write to one file at once: nobody is told that the database is locked."""
    processes, each = _WRITERS[setup.scale]
    url = f"sqlite:///{setup.folder / 'shared.db'}"
    upgrade(url)
    done = subprocess.run(
        [sys.executable, "-m", "chaos.powerwriters", url, str(processes), str(each)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=600,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the writers could not run to their end:\n{done.stderr[-3000:]}")
    written, errors, p99_ms, worst_ms = (float(part) for part in done.stdout.split())
    with closing(sqlite3.connect(setup.folder / "shared.db")) as connection:
        ((found,),) = connection.execute("SELECT count(*) FROM payments_inbox").fetchall()
    figures: dict[str, Figure] = {
        "writes": int(written),
        "errors": int(errors),
        "rows": int(found),
        "p99_ms": round(p99_ms, 1),
        "worst_ms": round(worst_ms, 1),
    }
    broken: list[str] = []
    if errors:
        broken.append(f"{int(errors)} of {processes * each} writes were refused")
    if found != written:
        broken.append(f"{int(written)} writes were acknowledged and {found} rows are there")
    if setup.scale is Scale.LONG and p99_ms > _SLOWEST_S * 1000:
        broken.append(f"one write in a hundred took longer than {_SLOWEST_S} s")
    return Result(figures, tuple(broken))


def _traced(setup: Setup, framework: Framework, requests: int) -> Traced:
    """Serve, deliver, end, and read what happened."""
    folder = setup.folder / framework
    folder.mkdir()
    database = folder / "power.db"
    upgrade(f"sqlite:///{database}")
    before = {str(path): path.read_bytes() for path in folder.iterdir()}
    trace = folder / "trace"
    strace = command(trace, (*WRITES, *SYNCS, "recvfrom", "sendto"), data_bytes=_DATA_BYTES)
    with serving(framework, f"sqlite:///{database}", mutant=setup.mutant, strace=strace) as server:
        deliver(server.port, range(requests))
    found = calls(trace)
    return Traced(
        str(database), Disk(before, found, str(database)), tuple(_answers(found)), requests, found[-1].began + 1
    )


def _answers(trace: Sequence[Call]) -> list[Answered]:
    """What was answered 200: the first answer on the connection on which the event came in."""
    waiting: dict[str, str] = {}
    found: list[Answered] = []
    for call in trace:
        if call.name == "recvfrom" and (named := _EVENT.search(call.data)):
            waiting[call.target] = named[0].decode()
        elif call.name == "sendto" and call.target in waiting and call.data.startswith(b"HTTP/1.1 "):
            name = waiting.pop(call.target)
            if call.data.startswith(_OK) and call.ended is not None:
                found.append(Answered(name, call.began, call.ended))
    return found


class _Order:
    """Which write brought an event to the disk, and what ended its transaction."""

    def __init__(self, traced: Traced) -> None:
        self._disk = traced.disk
        self._rows: dict[str, Change] = {}
        pages = (traced.database, f"{traced.database}-wal")
        journal = f"{traced.database}-journal"
        for change in traced.disk.changes:
            if change.kind == "write" and change.path in pages:
                for name in _EVENT.findall(change.data):
                    self._rows.setdefault(name.decode(), change)
        self._ends = [one for one in traced.disk.changes if one.path == journal and one.kind != "write"]

    def is_safe(self, answer: Answered) -> bool:
        """Whether the row was written, its transaction ended, and both were synced, before the answer began.

        A transaction ends in a write-ahead log by the write itself, and with a rollback journal when that is truncated:
        a journal that comes back after a power cut rolls the transaction back.
        """
        row = self._rows.get(answer.event_id)
        if row is None or row.ended is None or not self._disk.is_synced(row, answer.began):
            return False
        if row.path.endswith("-wal"):
            return True
        first = bisect_right(self._ends, row.ended, key=lambda end: end.began)
        return first < len(self._ends) and self._disk.is_synced(self._ends[first], answer.began)


def _cut(folder: Path, traced: Traced, number: int, chance: random.Random) -> Counter[str]:
    """One power cut: at an answer, or at any moment, in turn; the machine comes back and the file is opened."""
    last = traced.end
    at = chance.choice(traced.answers).ended + 1 if number % 2 and traced.answers else chance.randrange(last)
    answered = {answer.event_id for answer in traced.answers if answer.ended < at}
    files = traced.disk.after_cut(at, MOODS[number % len(MOODS)], chance)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path, content in files.items():
        (folder / Path(path).name).write_bytes(content)
    kept, is_sound = _opened(folder / Path(traced.database).name)
    return Counter(cuts=1, answered=len(answered), lost=len(answered - kept), unsound=int(not is_sound))


def _opened(file: Path) -> tuple[set[str], bool]:
    """The events that SQLite finds, and whether it finds the file sound."""
    try:
        with closing(sqlite3.connect(file)) as connection:
            is_sound = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return {str(row[0]) for row in connection.execute("SELECT event_id FROM payments_inbox")}, is_sound
    except sqlite3.DatabaseError:
        return set(), False


SCENARIOS: Final[tuple[Scenario, ...]] = (
    Scenario("power-order", "every 200 comes after the sync that covers its row", order, needs=("strace",)),
    Scenario("power-cut", "the power goes, and what was not synced is gone, there or torn", cuts, needs=("strace",)),
    Scenario(
        "failing-disk", "syncs and writes fail, the disk is full, descriptors run out", failing_disk, needs=("strace",)
    ),
    Scenario("sqlite-writers", "many processes write to one SQLite file at once", writers),
)
