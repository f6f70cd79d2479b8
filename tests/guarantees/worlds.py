"""Which worlds a test is tried in, by what the fixture `world` gives, and how often Hypothesis tries."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

SQLITE = ("sqlite-sync", "sqlite-async")
POSTGRESQL = ("postgresql-sync", "postgresql-async")
SQL = (*SQLITE, *POSTGRESQL)
EVERY = ("memory-sync", "memory-async", *SQL)

#: A transaction over the developer's tables needs a database: memory has none.
with_sql = pytest.mark.parametrize("world", SQL, indirect=True)
#: What only two sessions of one server can do to each other.
on_postgresql = pytest.mark.parametrize("world", POSTGRESQL, indirect=True)

#: `HYPOTHESIS_PROFILE=long` is for nightly runs.
IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"


def tries(short: int, long: int, *, steps: int = 30) -> settings:
    """Hypothesis' settings for a test over a real store: `short` examples in `make test`, `long` at night.

    A failure prints what reproduces it, the seed among it (`print_blob`).
    """
    return settings(
        max_examples=long if IS_LONG else short,
        stateful_step_count=steps,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
