"""Commands whose lines nobody reads any more: they work, and they end when they are asked to."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

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


class Refusing(BaseHTTPRequestHandler):
    """A Stripe that refuses the key; it keeps what it was asked."""

    asked: ClassVar[queue.SimpleQueue[str]] = queue.SimpleQueue()

    def do_GET(self) -> None:
        body = b'{"error": {"message": "Invalid API Key provided.", "type": "invalid_request_error"}}'
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.asked.put(self.path)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stripe() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_reconciling_again_and_again_goes_on_without_a_reader(tmp_path: Path, stripe: str) -> None:
    """The runs behind the one that was read about fail too, and tell nobody; a signal ends it with exit code 0."""
    upgrade(f"sqlite:///{tmp_path / 'payments.db'}")
    line = [sys.executable, "-c", COMMAND, "reconcile", "--every", "1s"]
    with subprocess.Popen(
        line,
        env={**environment(tmp_path), "STRIPE_API_BASE": stripe},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert "This run failed" in process.stdout.readline()
            process.stdout.close()
            # Each run ends with the first answer: once a third has begun, the second one's line is out.
            for _ in range(3):
                Refusing.asked.get(timeout=60)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
