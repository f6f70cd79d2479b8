"""The short forms of the consumers' scenarios; `make chaos` runs the long ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from chaos import consumers
from chaos.scenario import Setup

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

BY_NAME = {scenario.name: scenario for scenario in consumers.SCENARIOS}


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_consumers_that_are_killed_book_everything_once(
    database: str, short_setup: Callable[..., Setup], kafka_brokers: str, request: pytest.FixtureRequest
) -> None:
    """Each event is booked exactly once, in the order of its key, wherever the processes were killed."""
    server = request.getfixturevalue("postgres_server_url") if database == "postgresql" else None
    result = BY_NAME[f"consumer-kill-{database}"].run(evolve(short_setup(server), kafka_brokers=kafka_brokers))
    assert not result.broken
    assert [result.figures[name] for name in ("lost", "doubled", "out of order")] == [0] * 3
    assert result.figures["kills"] == consumers.SIZES["short"].kills
