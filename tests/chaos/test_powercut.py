"""The short, seeded form of what an answer rests on: order of sync and answer, power cuts, failing disks, writers."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos import powercut, tracing
from chaos.powerdisk import Disk
from chaos.scenario import CannotRun, Result, Scale, Setup
from chaos.tracing import require_strace
from tests._services import required

SEED = 20261123
pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are killed and traced by Linux's own means"),
]
TRACE = """\
11 pwrite64(7</db/a.db>, "one\\0\\377\\"", 6, 0) = 6
12 pwrite64(7</db/a.db>, "two", 3, 6 <unfinished ...>
11 fdatasync(7</db/a.db> <unfinished ...>
12 <... pwrite64 resumed>) = 3
11 <... fdatasync resumed>) = 0
11 ftruncate(8</db/a.db-journal>, 0) = 0
11 sendto(9<socket:[5]>, "HTTP/1.1 200 OK\\r\\n", 17, 0, NULL, 0) = 17
11 fdatasync(7</db/a.db>) = -1 EIO (Input/output error) (INJECTED)
11 pwrite64(7</db/other.db>, "x", 1, 0) = 1
11 fdatasync(8</db/a.db-journal>) = 0
12 recvfrom(9<socket:[5]>, "GET
"""


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    """A folder of its own; these scenarios are about SQLite."""
    return Setup(SEED, Scale.SHORT, tmp_path)


@pytest.fixture
def strace() -> None:
    """Skips, or fails where services are required, without strace."""
    try:
        require_strace()
    except CannotRun as missing:
        (pytest.fail if required() else pytest.skip)(str(missing))


@pytest.fixture
def trace(tmp_path: Path) -> list[tracing.Call]:
    """A small trace of two threads."""
    file = tmp_path / "trace"
    file.write_text(TRACE)
    return tracing.calls(file)


def check(run: Callable[[Setup], Result], setup: Setup) -> Result:
    result = run(setup)
    assert result.holds, (result.broken, dict(result.figures))
    return result


def test_a_trace_is_read_with_its_data_its_order_and_its_faults(trace: list[tracing.Call]) -> None:
    """Calls of two threads that overlap keep where they began and ended; bytes come out as they were written."""
    first, second, sync, truncation, answer, failed, *_ = trace
    assert first.data == b'one\0\xff"'
    assert first.target == "/db/a.db"
    assert (second.began, second.ended, second.number(-1)) == (1, 3, 6)
    assert (sync.began, sync.ended, sync.result) == (2, 4, 0)
    assert truncation.number(-1) == 0
    assert (answer.target, answer.data[:12]) == ("socket:[5]", b"HTTP/1.1 200")
    assert failed.is_injected
    assert failed.result == -1


def test_a_sync_covers_only_what_ended_before_it_began(trace: list[tracing.Call]) -> None:
    """A write that was under way when the sync began may be lost; a sync that failed covers nothing."""
    disk = Disk({}, trace, "/db/a.db")
    written, overlapping, truncated = disk.changes
    assert disk.is_synced(written, by=5)
    assert not disk.is_synced(written, by=4)
    assert not disk.is_synced(overlapping, by=100)
    assert not disk.is_synced(truncated, by=8)
    assert disk.is_synced(truncated, by=100)


def test_a_power_cut_takes_what_was_not_synced(trace: list[tracing.Call]) -> None:
    """What was synced is there, a truncation that was not is undone, and other files are left out."""
    disk = Disk({"/db/a.db-journal": b"old"}, trace, "/db/a.db")
    chance = random.Random(SEED)  # noqa: S311 - repeatable on purpose
    assert disk.after_cut(7, "none", chance) == {"/db/a.db": b'one\0\xff"', "/db/a.db-journal": b"old"}
    assert disk.after_cut(100, "none", chance) == {"/db/a.db": b'one\0\xff"', "/db/a.db-journal": b""}


@pytest.mark.usefixtures("strace")
def test_no_200_is_sent_before_its_row_is_synced(setup: Setup) -> None:
    """Under uvicorn and gunicorn: write, end of the transaction, sync, and only then the answer."""
    result = check(powercut.order, setup)
    assert result.figures["fastapi_answered"] == result.figures["flask_answered"] == 20


@pytest.mark.usefixtures("strace")
def test_no_answered_event_is_lost_in_a_power_cut(setup: Setup) -> None:
    """Whatever of the unsynced writes is there, gone or torn, the file is sound and holds what was answered."""
    assert check(powercut.cuts, setup).figures["answered"]


@pytest.mark.usefixtures("strace")
def test_a_failing_disk_is_answered_503_and_never_200(setup: Setup) -> None:
    """EIO, ENOSPC and EMFILE: nothing is acknowledged that is not there, and afterwards all goes on."""
    assert check(powercut.failing_disk, setup).figures["refused"]


def test_writers_that_contend_for_one_file_are_never_told_that_it_is_locked(setup: Setup) -> None:
    """Several processes write to one SQLite file at once, and every write is acknowledged and there."""
    assert check(powercut.writers, setup).figures["rows"] == 200
