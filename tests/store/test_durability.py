"""C08: a server that would lose acknowledged events is told of before the first one comes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from payments_core.adapters.sql import upgrade
from payments_core.errors import ConfigurationError
from payments_core.ports import Io
from tests.store.worlds import PostgresWorld
from tools.services import ServiceUnavailable, postgres
from tools.services.base import end, free_port

Starter = Callable[..., str]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_server_url: str) -> Iterator[Starter]:
    """Starts a server of the test's own with the settings that are named; started anew, it keeps its data."""
    home = tmp_path / "server"
    home.mkdir()
    running = None

    def stop() -> None:
        if running is not None:
            end(running, signal.SIGINT, 10)

    def start(*settings: str) -> str:
        nonlocal running
        stop()
        monkeypatch.setenv("PAYMENTS_SERVICES_POSTGRES_PORT", str(free_port()))
        try:
            running = postgres.start(home, settings)
        except ServiceUnavailable as reason:
            pytest.skip(f"service postgres is not available: {reason}")
        return running.url

    yield start
    stop()


def prepared(io: Io, url: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the store warns of when it is made ready."""
    world = PostgresWorld(io, url)

    async def prepare() -> None:
        store = world.make()
        try:
            await store.prepare()
        finally:
            await store.close()

    caplog.clear()
    world.run(prepare())
    return [record.getMessage() for record in caplog.records if record.name == "payments_core.store"]


@pytest.mark.parametrize("io", ["blocking", "async"])
def test_a_server_that_does_not_sync_is_warned_of(io: Io, start: Starter, caplog: pytest.LogCaptureFixture) -> None:
    """With `fsync=off` or `full_page_writes=off` what was acknowledged dies in a power cut: one warning each."""
    url = start("fsync=off", "full_page_writes=off")
    upgrade(url)
    warned = prepared(io, url, caplog)
    assert [line.split(":")[0] for line in warned] == [
        "The PostgreSQL server runs with fsync=off",
        "The PostgreSQL server runs with full_page_writes=off",
    ]
    assert prepared(io, start(), caplog) == []


def test_a_replica_is_refused(start: Starter, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A replica answers, and takes no writes: the start says so, and not the first webhook."""
    upgrade(start())
    (tmp_path / "server" / "data" / "standby.signal").touch()
    with pytest.raises(ConfigurationError, match="replica"):
        prepared("blocking", start("hot_standby=on"), caplog)
