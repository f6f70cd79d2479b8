"""What a scenario's short form is given: a fixed seed, a folder of its own, and the processes that start the others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from chaos.processes import Nursery
from chaos.scenario import Scale, Setup

#: Any number would do; a fixed one makes a red run repeatable.
SEED = 20261123

MakeSetup: TypeAlias = Callable[..., Setup]


@pytest.fixture(scope="session", autouse=True)
def _nursery_ends() -> Iterator[None]:
    yield
    Nursery.end()


@pytest.fixture
def short_setup(tmp_path: Path) -> MakeSetup:
    """Makes the setup of a short form; `postgres_url` where the scenario needs a server."""
    if sys.platform != "linux":
        pytest.skip("processes are killed and frozen by Linux's own means (pidfd, /proc)")

    def make(postgres_url: str | None = None, mutant: str | None = None) -> Setup:
        return Setup(SEED, Scale.SHORT, tmp_path, postgres_url, mutant)

    return make
