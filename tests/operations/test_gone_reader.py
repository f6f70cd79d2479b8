"""Commands whose lines nobody reads any more: they work, and they end when they are asked to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from payments_core.adapters.sql import upgrade

COMMAND = "from payments_core.cli import main; main()"
SHOP = "from payments_core import {kind}\npayments = {kind}.from_env()\n"


def environment(folder: Path) -> dict[str, str]:
    """No service is there: none is needed to stop."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PAYMENTS_", "STRIPE_"))},
        "PAYMENTS_DATABASE_URL": f"sqlite:///{folder / 'payments.db'}",
        "KAFKA_BROKERS": "127.0.0.1:1",
        "STRIPE_SECRET_KEY": "sk_test_reader",
        "STRIPE_WEBHOOK_SECRET": "whsec_c2lnbmluZy1zZWNyZXQtb2YtdGVzdHM",
        "STRIPE_API_BASE": "http://127.0.0.1:1",
    }


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    """As `payments events list > file` meets it: exit code 1, and no traceback."""
    upgrade(f"sqlite:///{tmp_path / 'payments.db'}")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, "events", "list", "--json"],
            env=environment(tmp_path),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert (done.returncode, "no room left" in done.stderr, "Traceback" in done.stderr) == (1, True, False), done.stderr


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "arguments",
    [("relay",), ("consume-products",), ("worker", "--app", "plain:payments"), ("worker", "--app", "awaited:payments")],
    ids=lambda arguments: "-".join(arguments).replace("--app-", ""),
)
def test_a_signal_ends_a_command_whose_reader_is_gone(
    tmp_path: Path, arguments: tuple[str, ...], asked: signal.Signals
) -> None:
    """As `payments relay | tee log` leaves it after Ctrl+C: exit code 0, and no traceback."""
    upgrade(f"sqlite:///{tmp_path / 'payments.db'}")
    (tmp_path / "plain.py").write_text(SHOP.format(kind="Payments"))
    (tmp_path / "awaited.py").write_text(SHOP.format(kind="AsyncPayments"))
    line = [sys.executable, "-c", COMMAND, *arguments]
    with subprocess.Popen(
        line, env=environment(tmp_path), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            assert "stops it" in process.stdout.readline()
            process.stdout.close()
            process.send_signal(asked)
            assert process.wait(30) == 0
        finally:
            process.kill()
        assert "Traceback" not in (told := process.stderr.read()), told


def test_reconciling_again_and_again_goes_on_without_a_reader(tmp_path: Path) -> None:
    """The run behind the one that was read about fails too, and tells nobody; a signal ends it with exit code 0."""
    line = [sys.executable, "-c", COMMAND, "reconcile", "--every", "1s"]
    with subprocess.Popen(
        line, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert "This run failed" in process.stdout.readline()
            process.stdout.close()
            time.sleep(2)  # the next run has begun
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
