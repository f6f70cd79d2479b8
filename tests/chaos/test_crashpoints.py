"""The short, seeded form of the crash sweeps: workers that die or fall asleep at steps of processing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos import crashpoints
from chaos.scenario import CannotRun, Result, Scale, Setup
from chaos.tracing import require_strace
from tests._services import required

SEED = 20261123
pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are killed and traced by Linux's own means"),
]


@pytest.fixture
def setup(tmp_path: Path, request: pytest.FixtureRequest) -> Setup:
    """Both databases where there is a server; a file alone is tried too."""
    try:
        server = request.getfixturevalue("postgres_server_url")
    except pytest.skip.Exception:
        if required():
            raise
        server = None
    return Setup(SEED, Scale.SHORT, tmp_path, server)


def check(run: Callable[[Setup], Result], setup: Setup) -> None:
    result = run(setup)
    assert result.holds, (result.broken, dict(result.figures))
    assert result.figures["crashes"]


def test_a_worker_killed_around_any_call_of_the_store_leaves_each_effect_once(setup: Setup) -> None:
    """Effects, outgoing events and done-stamps are there exactly once after the next worker has been at it."""
    check(crashpoints.failpoints, setup)


def test_a_worker_that_sleeps_past_its_lease_adds_nothing_when_it_wakes(setup: Setup) -> None:
    """What the next worker did stands alone: the sleeper's fencing token is out of date."""
    check(crashpoints.sleepers, setup)


def test_a_worker_killed_at_a_system_call_leaves_each_effect_once(setup: Setup) -> None:
    """The same where the process ends between two writes, syncs, truncations, sends or receives."""
    try:
        require_strace()
    except CannotRun as missing:
        (pytest.fail if required() else pytest.skip)(str(missing))
    check(crashpoints.system_calls, setup)
