"""Every scenario, in the order in which they run."""

from __future__ import annotations

from typing import Final

from chaos import (
    consumers,
    crashpoints,
    orders,
    outages,
    poison,
    powercut,
    relays,
    rolling,
    same_event,
    storms,
    zombies,
)
from chaos.scenario import Scenario

SCENARIOS: Final[tuple[Scenario, ...]] = (
    *storms.SCENARIOS,
    *same_event.SCENARIOS,
    *zombies.SCENARIOS,
    *poison.SCENARIOS,
    *crashpoints.SCENARIOS,
    *powercut.SCENARIOS,
    *rolling.SCENARIOS,
    *outages.SCENARIOS,
    *orders.SCENARIOS,
    *relays.SCENARIOS,
    *consumers.SCENARIOS,
)
