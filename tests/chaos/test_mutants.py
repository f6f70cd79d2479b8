"""Each planted fault turns the scenario red that is there to find it: a proof that cannot fail proves nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos import crashpoints, orders, powercut
from chaos.mutants import MUTANTS
from chaos.scenario import CannotRun, Result, Scale, Setup
from tests._services import required

SEED = 20261123
pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are killed and traced by Linux's own means"),
]

FOUND_BY: dict[str, tuple[Callable[[Setup], Result], str]] = {
    "synchronous-normal": (powercut.order, "before their row was synced"),
    "synchronous-normal-wal": (powercut.order, "before their row was synced"),
    "synchronous-off": (powercut.cuts, "lost in a power cut"),
    "ack-before-commit": (powercut.order, "before their row was synced"),
    "done-stamp-apart": (crashpoints.failpoints, "missing"),
    "dedupe-on-existence": (crashpoints.failpoints, "missing"),
    "attempt-not-counted": (crashpoints.failpoints, "miscounted"),
    "no-fencing-token": (crashpoints.sleepers, "doubled"),
    "stripe-key-not-kept": (orders.SCENARIOS[0].run, "doubled"),
    "not-looked-up": (orders.SCENARIOS[0].run, "doubled"),
}


@pytest.mark.parametrize("mutant", FOUND_BY)
def test_a_planted_fault_turns_its_scenario_red(mutant: str, tmp_path: Path) -> None:
    """The scenario's short form, on SQLite, does not hold, and says of what kind the damage is."""
    run, damage = FOUND_BY[mutant]
    try:
        result = run(Setup(SEED, Scale.SHORT, tmp_path, mutant=mutant))
    except CannotRun as missing:
        (pytest.fail if required() else pytest.skip)(str(missing))
    assert not result.holds
    assert any(damage in sentence for sentence in result.broken), result.broken


def test_every_mutant_is_tried() -> None:
    """No fault is listed that nothing is shown to find."""
    assert set(FOUND_BY) == set(MUTANTS)
