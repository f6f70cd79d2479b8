"""The short forms of the scenarios that kill, freeze and restart whole processes; `make chaos` runs the long ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chaos import outages, poison, rolling, same_event, storms, zombies
from chaos.scenario import Result, Scenario, Setup
from chaos.shop import EFFECT_OUTSIDE

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

MakeSetup = Callable[..., Setup]


def on(database: str, *groups: tuple[Scenario, ...]) -> list[Scenario]:
    """The scenarios of these groups that run on that database."""
    return [scenario for group in groups for scenario in group if scenario.name.endswith(database)]


def count(result: Result, name: str) -> int:
    """A figure that is a number of things."""
    figure = result.figures[name]
    assert isinstance(figure, int)
    return figure


def kept(result: Result) -> None:
    """Nothing is lost, doubled or made up, and everything that was received is handled."""
    assert not result.broken
    assert [count(result, name) for name in ("lost", "unhandled", "without effect", "doubled", "ghosts")] == [0] * 5


def storm_kept(result: Result) -> None:
    kept(result)
    assert count(result, "kills") == storms.SIZES["short"].kills
    assert count(result, "deliveries") > count(result, "events") > 0
    assert count(result, "forgeries refused") == storms.SIZES["short"].forged


@pytest.mark.parametrize("scenario", on("sqlite", storms.SCENARIOS), ids=lambda one: one.name)
def test_a_storm_over_sqlite_loses_and_doubles_nothing(scenario: Scenario, short_setup: MakeSetup) -> None:
    """While web servers and a worker die by kill -9, every acknowledged event has its effect once (SQLite)."""
    storm_kept(scenario.run(short_setup()))


@pytest.mark.parametrize("scenario", on("postgresql", storms.SCENARIOS), ids=lambda one: one.name)
def test_a_storm_over_postgresql_loses_and_doubles_nothing(
    scenario: Scenario, short_setup: MakeSetup, postgres_server_url: str
) -> None:
    """While web servers and a worker die by kill -9, every acknowledged event has its effect once (PostgreSQL)."""
    storm_kept(scenario.run(short_setup(postgres_server_url)))


def test_a_storm_notices_an_effect_outside_the_transaction(short_setup: MakeSetup, postgres_server_url: str) -> None:
    """A handler that commits its row by itself, against the contract, is seen to do it twice."""
    scenario = next(one for one in zombies.SCENARIOS if one.name == "zombies-inside-postgresql")
    result = scenario.run(short_setup(postgres_server_url, EFFECT_OUTSIDE))
    assert not result.holds
    assert count(result, "doubled") > 0


def test_the_same_event_at_once_over_sqlite_is_one_event(short_setup: MakeSetup) -> None:
    """64 simultaneous deliveries of one event to four processes are all acknowledged, and are one row (SQLite)."""
    (scenario,) = on("sqlite", same_event.SCENARIOS)
    result = scenario.run(short_setup())
    kept(result)
    assert count(result, "answers 2xx") == same_event.AT_ONCE * same_event.SIZES["short"].rounds


def test_the_same_event_at_once_over_postgresql_is_one_event(short_setup: MakeSetup, postgres_server_url: str) -> None:
    """64 simultaneous deliveries of one event to four processes are all acknowledged, and are one row (PostgreSQL)."""
    (scenario,) = on("postgresql", same_event.SCENARIOS)
    result = scenario.run(short_setup(postgres_server_url))
    kept(result)
    assert count(result, "answers 2xx") == same_event.AT_ONCE * same_event.SIZES["short"].rounds


def test_a_zombie_over_sqlite_finds_its_lease_gone(short_setup: MakeSetup) -> None:
    """A worker frozen past its lease writes nothing when it comes back: another has handled its event (SQLite)."""
    (scenario,) = on("sqlite", zombies.SCENARIOS)
    result = scenario.run(short_setup())
    kept(result)
    assert count(result, "ended as lost") == zombies.SIZES["short"].at_once


@pytest.mark.parametrize("scenario", on("postgresql", zombies.SCENARIOS), ids=lambda one: one.name)
def test_a_zombie_over_postgresql_writes_nothing(
    scenario: Scenario, short_setup: MakeSetup, postgres_server_url: str
) -> None:
    """A worker frozen past its lease, before or in its transaction, writes nothing when it comes back (PostgreSQL)."""
    result = scenario.run(short_setup(postgres_server_url))
    kept(result)
    assert count(result, "zombies") == zombies.SIZES["short"].at_once


def poison_kept(result: Result) -> None:
    kept(result)
    assert count(result, "poisoned") == len(poison.POISONS)
    assert count(result, "deaths of workers") > 0


def test_poison_over_sqlite_is_buried_and_its_neighbours_are_handled(short_setup: MakeSetup) -> None:
    """A handler that raises, aborts or hangs is run no more often than allowed and then never again (SQLite)."""
    (scenario,) = on("sqlite", poison.SCENARIOS)
    poison_kept(scenario.run(short_setup()))


def test_poison_over_postgresql_is_buried_and_its_neighbours_are_handled(
    short_setup: MakeSetup, postgres_server_url: str
) -> None:
    """A handler that raises, aborts or hangs is run no more often than allowed and then never again (PostgreSQL)."""
    (scenario,) = on("postgresql", poison.SCENARIOS)
    poison_kept(scenario.run(short_setup(postgres_server_url)))


@pytest.mark.parametrize("scenario", rolling.SCENARIOS, ids=lambda one: one.name)
def test_a_rolling_restart_refuses_nobody(scenario: Scenario, short_setup: MakeSetup, postgres_server_url: str) -> None:
    """Restarts by SIGTERM under load answer every delivery 2xx, and leave nothing leased behind."""
    result = scenario.run(short_setup(postgres_server_url))
    kept(result)
    assert count(result, "restarts") == rolling.SIZES["short"].restarts
    assert count(result, "still leased") == 0


def test_a_killed_database_server_is_survived(short_setup: MakeSetup, postgres_server_url: str) -> None:
    """While PostgreSQL is away the answer is 503, never 2xx; when it is back, so are the web servers, by themselves."""
    (scenario,) = outages.SCENARIOS
    result = scenario.run(short_setup())
    kept(result)
    assert count(result, "kills") == outages.SIZES["short"].kills
    assert count(result, "answers 503") > 0
    assert count(result, "restarts of ours") == 0
