"""A start that fails half-way: it is told, whatever was held for it is let go, and the next one completes it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path

import pytest

from payments_core import Payments, Settings
from payments_core.app.relays import RelayThread, compose_relay
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
    monkeypatch: pytest.MonkeyPatch, settings: Settings, again: bool
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


def runners() -> int:
    return [thread.name for thread in threading.enumerate()].count("payments-runner")
