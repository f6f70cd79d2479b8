"""The short forms of the orders that are opened once; `make chaos` opens a thousand of each."""

from __future__ import annotations

import pytest

from chaos import orders
from chaos.scenario import Result, Scenario
from tests.chaos.conftest import MakeSetup
from tests.chaos.test_storms import count, on

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]


def one_each(result: Result) -> None:
    """Every order has exactly one session, which its buyer was given and the database leads to."""
    assert not result.broken
    assert [count(result, name) for name in ("without session", "doubled", "given another", "not saved")] == [0] * 4
    assert count(result, "orders") == orders.SIZES["short"].orders
    assert count(result, "kills") == orders.SIZES["short"].kills
    assert count(result, "faults") > 0
    assert count(result, "replays") > 0


@pytest.mark.parametrize("scenario", on("sqlite", orders.SCENARIOS), ids=lambda one: one.name)
def test_every_order_over_sqlite_has_one_session(scenario: Scenario, short_setup: MakeSetup) -> None:
    """While Stripe fails in every way and web servers die by kill -9 (SQLite)."""
    one_each(scenario.run(short_setup()))


@pytest.mark.parametrize("scenario", on("postgresql", orders.SCENARIOS), ids=lambda one: one.name)
def test_every_order_over_postgresql_has_one_session(
    scenario: Scenario, short_setup: MakeSetup, postgres_server_url: str
) -> None:
    """While Stripe fails in every way and web servers die by kill -9 (PostgreSQL)."""
    one_each(scenario.run(short_setup(postgres_server_url)))
