"""Fixtures for the real services: PostgreSQL, Redis, Kafka, Chromium.

A service is taken from its environment variable, else from what `make services` started, else it is started for
this run alone and stopped at its end. Where none of that is possible the test is skipped with the reason, and
`PAYMENTS_REQUIRE_SERVICES=1` makes such a skip a failure. Workers of pytest-xdist share one server.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests._databases import Databases
from tools.services import SERVICES, ServiceUnavailable, ensure, running, stop
from tools.services.base import birth

MARKERS = ("postgres", "redis", "kafka", "browser", "npm", "go")
RUN_VARIABLE = "PAYMENTS_TEST_RUN_DIR"
REQUIRE_VARIABLE = "PAYMENTS_REQUIRE_SERVICES"
CHROMIUM_VARIABLE = "PAYMENTS_TEST_CHROMIUM"
RUNS = Path(tempfile.gettempdir()) / f"payments-core-tests-{os.getuid()}"
REPOSITORY = Path(__file__).resolve().parent.parent
OF_FIXTURE = {
    "postgres_server_url": "postgres",
    "redis_server_url": "redis",
    "kafka_brokers": "kafka",
    "chromium_path": "browser",
    "stripe_npm": "npm",
    "stripe_mock": "go",
}


def required() -> bool:
    """Whether a service test that cannot run is a failure."""
    return os.environ.get(REQUIRE_VARIABLE, "") not in ("", "0")


def unavailable(name: str, reason: str) -> str:
    """The skip reason of a test whose service is missing; the closing line of the run is made from it."""
    return f"service {name} is not available: {reason}"


def open_run() -> None:
    """Give this run a folder for the servers it starts; stop what a killed run left behind."""
    RUNS.mkdir(mode=0o711, exist_ok=True)
    for left in RUNS.iterdir():
        if left.name.isdigit() and not birth(int(left.name)):
            close_run(left)
    home = RUNS / str(os.getpid())
    home.mkdir(mode=0o711, exist_ok=True)
    os.environ[RUN_VARIABLE] = str(home)


def close_run(home: Path) -> None:
    """Stop the servers that were started for the run in `home` and delete its folder."""
    for service in SERVICES.values():
        stop(service, home)
    shutil.rmtree(home, ignore_errors=True)


def service_url(name: str) -> str:
    """The address of the service for this run; skips or fails the test when there is none."""
    service = SERVICES[name]
    given = os.environ.get(service.variable, "")
    if given:
        return given
    reason = os.environ.get(f"{service.variable}_UNAVAILABLE", "")
    if reason:
        pytest.skip(unavailable(name, reason))
    found = running(service, REPOSITORY / ".services")
    if found is not None:
        return found.url
    try:
        return ensure(service, Path(os.environ[RUN_VARIABLE]))[0].url
    except ServiceUnavailable as error:
        pytest.skip(unavailable(name, str(error)))


@pytest.fixture(scope="session")
def postgres_server_url() -> str:
    """Server-level URL, `postgresql+psycopg://role:password@host:port/postgres`; its role may create databases."""
    parts = urlsplit(service_url("postgres"))
    return urlunsplit(parts._replace(scheme="postgresql+psycopg"))


@pytest.fixture(scope="session")
def _databases(postgres_server_url: str) -> Iterator[Databases]:
    databases = Databases(postgres_server_url.replace("postgresql+psycopg://", "postgresql://", 1))
    yield databases
    databases.close()


@pytest.fixture
def postgres_url(postgres_server_url: str, _databases: Databases) -> Iterator[str]:
    """URL of an empty database, `postgresql+psycopg://…`; gone after the test with every connection to it."""
    with _databases.empty() as name:
        yield urlunsplit(urlsplit(postgres_server_url)._replace(path=f"/{name}"))


@pytest.fixture(scope="session")
def redis_server_url() -> str:
    """Server-level URL of Redis; databases 1 and up belong to the tests."""
    return service_url("redis")


@pytest.fixture
def redis_url(redis_server_url: str) -> Iterator[str]:
    """URL of a Redis database of this worker's own, emptied before and after the test.

    It asks for more patience than a request has: that a busy machine answers late is no test's subject here.
    """
    import redis

    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    url = urlunsplit(urlsplit(redis_server_url)._replace(path=f"/{int(worker) + 1}", query="socket_timeout=30"))
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture(scope="session")
def kafka_brokers() -> str:
    """Bootstrap servers of a real Apache Kafka, `host:port[,host:port]`; topics are the test's own to name uniquely."""
    return service_url("kafka")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The program that drives browser tests: `PAYMENTS_TEST_CHROMIUM`, else Chromium or Chrome on PATH."""
    names = [os.environ.get(CHROMIUM_VARIABLE, ""), "chromium", "chromium-browser", "google-chrome"]
    for name in names:
        found = shutil.which(name) if name else None
        if found:
            return found
    pytest.skip(unavailable("browser", "no Chromium on PATH; install it (Debian: apt-get install chromium)"))
