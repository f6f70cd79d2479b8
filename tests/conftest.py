"""What every test gets: the services, the guard of the event loop, the closing line on what did not run."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import settings

from tests import _services
from tests._services import (
    _databases,
    chromium_path,
    kafka_brokers,
    postgres_server_url,
    postgres_url,
    redis_server_url,
    redis_url,
)

__all__ = [
    "_databases",
    "chromium_path",
    "kafka_brokers",
    "postgres_server_url",
    "postgres_url",
    "redis_server_url",
    "redis_url",
]

# How long an example takes says more about the machine than about the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

GUARDED = ("payments_core", "payments_fastapi", "payments_flask")
OF_THE_SHELL = re.compile(
    r"(STRIPE_|PAYMENTS_(?!TEST_|SERVICES|REQUIRE_SERVICES|STRIPE_SHAPES)|KAFKA_BROKERS$|PORT$|FRAMEWORK$)"
)
MISSING = re.compile(r"service (\w+) is not available: (.*)", re.DOTALL)


def pytest_configure(config: pytest.Config) -> None:
    """Forget the shell's settings; open the folder of this run's servers in the process that outlives all workers."""
    for name in [name for name in os.environ if OF_THE_SHELL.match(name)]:
        del os.environ[name]
    if not hasattr(config, "workerinput"):
        _services.open_run()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers that were started for this run."""
    if not hasattr(config, "workerinput"):
        _services.close_run(Path(os.environ.pop(_services.RUN_VARIABLE)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the services that its fixtures bring, so that `-m "not postgres"` works by itself."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in _services.OF_FIXTURE:
                item.add_marker(_services.OF_FIXTURE[fixture])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Under `PAYMENTS_REQUIRE_SERVICES=1` a service test that was skipped has failed."""
    report: pytest.TestReport = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if skipped and _services.required() and any(item.get_closest_marker(name) for name in _services.MARKERS):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        report.outcome = "failed"
        report.longrepr = f"{reason}\n{_services.REQUIRE_VARIABLE} is set: a skipped service test is a failure"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """Say in one line per service, last before the counts, what did not run and why."""
    yield
    left_out: dict[tuple[str, str], int] = {}
    for report in terminalreporter.getreports("skipped"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        found = MISSING.search(reason)
        if found:
            key = (found[1], found[2])
            left_out[key] = left_out.get(key, 0) + 1
    for (name, reason), count in sorted(left_out.items()):
        terminalreporter.write_line(f"did not run: {count} {name} test(s): {reason}", yellow=True)


@pytest.fixture(autouse=True)
def guarded_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """In an async test, a blocking call made on the event loop by our own code fails the test.

    `@pytest.mark.may_block(reason="…")` lifts the guard for a test that drives blocking code on purpose.
    """
    function = getattr(request, "function", None)
    if not inspect.iscoroutinefunction(function) or request.node.get_closest_marker("may_block"):
        yield
        return
    with blockbuster_ctx(list(GUARDED)):
        yield
