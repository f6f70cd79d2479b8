"""The measurements, each with the targets it decides."""

from __future__ import annotations

from typing import Final

from bench.measured import Measure
from bench.measures.checkout import CHECKOUT
from bench.measures.growth import GROWTH
from bench.measures.imports import IMPORTS
from bench.measures.offline import OFFLINE
from bench.measures.parsing import PARSING
from bench.measures.processing import PROCESSING
from bench.measures.relay import RELAY
from bench.measures.webhooks import CALM, FLASK, LONELY, OUTAGE, POSTGRES, SLOW_DISK, SQLITE

MEASURES: Final[tuple[Measure, ...]] = (
    PARSING,
    CALM,
    POSTGRES,
    SLOW_DISK,
    SQLITE,
    FLASK,
    LONELY,
    PROCESSING,
    RELAY,
    OUTAGE,
    CHECKOUT,
    IMPORTS,
    GROWTH,
    OFFLINE,
)
