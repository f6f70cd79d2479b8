"""The in-process runner: one bad round is told, without what it says, and is not the last."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from payments_core.app import runners
from payments_core.app.runners import TaskRunner, ThreadRunner

#: Not written where it is raised: frames show source lines.
QUOTED = "row of jenny@example.com"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The round after a bad one begins at once."""
    monkeypatch.setattr(runners, "_AFTER_TROUBLE_S", 0.001)


def told(caplog: pytest.LogCaptureFixture) -> None:
    """The log names the kind of trouble and its place, and not the address in its message."""
    shown = caplog.text + repr([vars(record) for record in caplog.records])
    assert "RuntimeError" in shown
    assert "test_runners.py" in shown
    assert "jenny@example.com" not in shown


def test_a_thread_outlives_a_bad_round_and_tells_no_message(caplog: pytest.LogCaptureFixture) -> None:
    """A driver's message may quote a row: type and place are logged, and the next round runs."""
    caplog.set_level(logging.DEBUG)
    rounds: list[int] = []
    again = threading.Event()

    def run_due() -> int:
        rounds.append(1)
        if len(rounds) == 1:
            raise RuntimeError(QUOTED)
        again.set()
        return 0

    runner = ThreadRunner()
    runner.start(run_due, lambda: None)
    assert again.wait(20)
    runner.stop()
    told(caplog)


async def test_a_task_outlives_a_bad_round_and_tells_no_message(caplog: pytest.LogCaptureFixture) -> None:
    """The same on an event loop."""
    caplog.set_level(logging.DEBUG)
    rounds: list[int] = []
    again = asyncio.Event()

    async def run_due() -> int:
        rounds.append(1)
        if len(rounds) == 1:
            raise RuntimeError(QUOTED)
        again.set()
        return 0

    async def never() -> float | None:
        return None

    runner = TaskRunner()
    runner.start(run_due, never)
    await asyncio.wait_for(again.wait(), 20)
    await runner.stop()
    told(caplog)
