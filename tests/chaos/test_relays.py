"""The short forms of the relay's scenarios; `make chaos` runs the long ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from chaos import relays
from chaos.scenario import Result, Setup

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

MakeSetup = Callable[..., Setup]
BY_NAME = {scenario.name: scenario for scenario in relays.SCENARIOS}


def kept(result: Result) -> None:
    """Nothing is missing, every key is in order, and nothing is left."""
    assert not result.broken
    assert [result.figures[name] for name in ("missing", "out of order", "still owed", "parked")] == [0] * 4


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_relays_that_are_killed_lose_nothing(
    database: str, short_setup: MakeSetup, kafka_brokers: str, request: pytest.FixtureRequest
) -> None:
    """A kill -9 between the broker's answer and the mark costs a repeat with the same id, never an event."""
    server = request.getfixturevalue("postgres_server_url") if database == "postgresql" else None
    result = BY_NAME[f"relay-killed-{database}"].run(evolve(short_setup(server), kafka_brokers=kafka_brokers))
    kept(result)
    assert result.figures["kills"] == relays.KILLS["short"].kills


def test_a_broker_that_dies_and_freezes_costs_time_alone(short_setup: MakeSetup, kafka_brokers: str) -> None:
    """The backlog drains when it is back, and waiting takes no memory."""
    kept(BY_NAME["broker-outages"].run(short_setup()))


def test_connections_cut_before_the_answer_double_nothing(short_setup: MakeSetup, kafka_brokers: str) -> None:
    """What the broker took and could not say is not sent a second time within one producer's life."""
    result = BY_NAME["relay-cut-off"].run(short_setup())
    kept(result)
    cuts = result.figures["cuts"]
    assert isinstance(cuts, int)
    assert cuts >= relays.CUTS["short"].kills
    assert result.figures["repeats"] == 0
