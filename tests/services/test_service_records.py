"""What `make services` promises of each service: started once, found again, and nothing foreign is ever stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.services.base import Running, Service, ServiceUnavailable, birth, ensure, running, spawn, stop

PROCESS = [sys.executable, "-c", "import signal; signal.pause()"]


def _start(home: Path) -> Running:
    process = spawn(PROCESS, home / "log")
    process.returncode = 0
    return Running(url="127.0.0.1:1", pid=process.pid, born=birth(process.pid))


SERVICE = Service("sample", "PAYMENTS_TEST_SAMPLE", _start)


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of ours."""
    with subprocess.Popen(PROCESS) as process:
        yield process
        process.kill()


def test_starting_twice_starts_one_process(tmp_path: Path) -> None:
    """The second start finds the first one's process and says that it started nothing."""
    first, started = ensure(SERVICE, tmp_path)
    second, started_again = ensure(SERVICE, tmp_path)
    assert (started, started_again) == (True, False)
    assert first == second == running(SERVICE, tmp_path)
    assert stop(SERVICE, tmp_path)


def test_stopping_ends_the_process_once(tmp_path: Path) -> None:
    """After a stop the process is gone, and a second stop has nothing to do."""
    record, _ = ensure(SERVICE, tmp_path)
    assert stop(SERVICE, tmp_path)
    assert birth(record.pid) == ""
    assert not stop(SERVICE, tmp_path)
    assert running(SERVICE, tmp_path) is None


def test_a_killed_service_is_started_anew(tmp_path: Path) -> None:
    """A record of a process that died does not count as running."""
    record, _ = ensure(SERVICE, tmp_path)
    os.kill(record.pid, signal.SIGKILL)
    os.waitpid(record.pid, 0)
    again, started = ensure(SERVICE, tmp_path)
    assert started
    assert again.pid != record.pid
    assert stop(SERVICE, tmp_path)


def test_a_reused_process_id_is_left_alone(tmp_path: Path, bystander: subprocess.Popen[bytes]) -> None:
    """A process that has the recorded id but another start time is not ours: it is neither found nor signalled."""
    foreign = {"url": "127.0.0.1:1", "pid": bystander.pid, "born": "1", "container": ""}
    (tmp_path / "sample.json").write_text(json.dumps(foreign), encoding="utf-8")
    assert running(SERVICE, tmp_path) is None
    assert not stop(SERVICE, tmp_path)
    assert bystander.poll() is None


def test_a_failed_start_leaves_no_record(tmp_path: Path) -> None:
    """A service that cannot start says why, and the next attempt starts from nothing."""

    def refuse(_home: Path) -> Running:
        raise ServiceUnavailable("no such program; install it")

    with pytest.raises(ServiceUnavailable, match="install it"):
        ensure(Service("sample", "PAYMENTS_TEST_SAMPLE", refuse), tmp_path)
    assert running(SERVICE, tmp_path) is None
