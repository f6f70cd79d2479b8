"""A start that fails half-way: it is told, whatever was held for it is let go, and the next one completes it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from payments_core import AsyncPayments, ConfigurationError, Payments, Settings, StoreUnavailable
from payments_core.adapters.memory.limiting import MemoryLimiter
from payments_core.app.relays import RelayThread, compose_relay
from payments_core.drive import run_blocking
from payments_core.ports import Unmetered


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.of(
        stripe_secret_key="sk_test_starting",
        stripe_webhook_secret="whsec_starting_0123456789",
        payments_database_url=f"sqlite:///{tmp_path / 'payments.db'}",
        kafka_brokers=("127.0.0.1:1",),
    )


def no_loop() -> asyncio.AbstractEventLoop:
    raise OSError(24, "Too many open files")


def test_a_relay_whose_thread_cannot_begin_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """Its caller holds the lock of the start, and with it every request."""
    relay = RelayThread(lambda errands: compose_relay(settings, errands, Unmetered()))
    raised: list[BaseException] = []

    def start() -> None:
        try:
            relay.start()
        except OSError as failure:
            raised.append(failure)

    with monkeypatch.context() as patch:
        patch.setattr(asyncio.events, "new_event_loop", no_loop)
        starting = threading.Thread(target=start, daemon=True)
        starting.start()
        starting.join(20)
    assert not starting.is_alive()
    assert [str(failure) for failure in raised] == ["[Errno 24] Too many open files"]
    relay.start()
    relay.stop()


@pytest.mark.parametrize("again", [True, False])
def test_a_start_that_failed_half_way_leaves_one_runner_and_none_when_it_is_closed(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, runners: Callable[[], int], again: bool
) -> None:
    """A second one beside the first would never be stopped."""

    def cannot(_: RelayThread) -> None:
        raise OSError(24, "Too many open files")

    with contextlib.closing(Payments(settings, relay=True)) as payments:
        with monkeypatch.context() as patch:
            patch.setattr(RelayThread, "start", cannot)
            for _ in range(2):
                with pytest.raises(OSError, match="Too many open files"):
                    payments.start()
        if again:
            payments.start()
        assert runners() == 1
    assert runners() == 0


class Unclosable(MemoryLimiter):
    """A limiter of the host's own whose server went away."""

    async def close(self) -> None:
        raise ConnectionError("it is gone")


async def test_what_cannot_be_closed_keeps_nothing_else_open_on_a_loop(settings: Settings) -> None:
    """The error is told, the store is closed, and the next lifespan begins anew, with a runner."""
    payments = AsyncPayments(settings, limiter=Unclosable(io="async"))

    async def live() -> None:
        async with payments.lifespan():
            assert (await payments.core.readiness()).ready
            assert runner_tasks() == 1

    for _ in range(2):
        with pytest.raises(ConnectionError, match="it is gone"):
            await live()
        assert runner_tasks() == 0
        with pytest.raises(StoreUnavailable, match="closed"):
            await payments.core.recent_events(1)


def test_what_cannot_be_closed_keeps_nothing_else_open_among_threads(
    settings: Settings, runners: Callable[[], int]
) -> None:
    """The same in the blocking world."""
    payments = Payments(settings, limiter=Unclosable())
    payments.start()
    with pytest.raises(ConnectionError, match="it is gone"):
        payments.close()
    assert runners() == 0
    with pytest.raises(StoreUnavailable, match="closed"):
        run_blocking(payments.core.recent_events(1))


async def test_a_lifespan_that_cannot_start_leaves_nothing_open(settings: Settings) -> None:
    """A connection that was made to find the schema too old is closed on the loop that it belongs to."""
    closed: list[str] = []

    class Noting(MemoryLimiter):
        async def close(self) -> None:
            closed.append("limiter")

    nowhere = settings.model_copy(update={"payments_database_url": SecretStr("sqlite:////no/such/folder/payments.db")})
    payments = AsyncPayments(nowhere, limiter=Noting(io="async"))
    with pytest.raises(ConfigurationError, match="no directory"):
        async with payments.lifespan():
            raise AssertionError("it began")
    assert closed == ["limiter"]


def runner_tasks() -> int:
    return [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()].count("TaskRunner._run")


@pytest.fixture
def runners() -> Callable[[], int]:
    """How many threads of runners there are, beside those of other tests."""
    before = set(threading.enumerate())
    return lambda: [one.name for one in threading.enumerate() if one not in before].count("payments-runner")
