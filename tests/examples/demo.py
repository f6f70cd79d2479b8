"""The demo as a process of its own, the way a person starts it."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from attrs import frozen

from tools.services.base import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
WEBHOOK_SECRET = "whsec_test_of_the_demo"
START_S = 120
T = TypeVar("T")


@frozen
class Demo:
    """A running demo: where it is, and what it has printed so far."""

    url: str
    sandbox_url: str
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def api(self) -> str:
        """The payments API."""
        return f"{self.url}/api/payments"

    def activity(self) -> dict[str, Any]:
        """What the shop says happened."""
        return dict(httpx2.get(f"{self.url}/activity.json").raise_for_status().json())

    def events_of(self, session_id: str) -> list[dict[str, Any]]:
        """The published events about one session."""
        return [event for event in self.activity()["events"] if event["data"]["sessionId"] == session_id]

    def child(self, command: str) -> int:
        """The process that the demo started with this in its command line."""
        line = ["pgrep", "-P", str(self.process.pid), "-f", command]
        return int(subprocess.run(line, capture_output=True, text=True, check=True).stdout.split()[0])


def surroundings(folder: Path, **values: str) -> dict[str, str]:
    """The environment of a demo that shares nothing with another one."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("STRIPE_", "PAYMENTS_", "KAFKA_"))
    }
    return {
        **kept,
        "PORT": str(free_port()),
        "SANDBOX_PORT": str(free_port()),
        "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "PAYMENTS_DATABASE_URL": f"sqlite:///{folder / 'demo.db'}",
        **values,
    }


def start(environment: dict[str, str], output: Path) -> subprocess.Popen[bytes]:
    """Start the demo; its output goes to a file."""
    with output.open("wb") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", "examples.demo"],
            cwd=ROOT,
            env=environment,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@contextmanager
def running(folder: Path, **values: str) -> Iterator[Demo]:
    """A demo that answers; ended on leaving, with everything it started."""
    environment = surroundings(folder, **values)
    output = folder / "output.txt"
    process = start(environment, output)
    demo = Demo(
        f"http://127.0.0.1:{environment['PORT']}", f"http://127.0.0.1:{environment['SANDBOX_PORT']}", process, output
    )
    try:
        until(lambda: "Stop           Ctrl-C" in output.read_text() or process.poll() is not None, within_s=START_S)
        assert process.poll() is None, output.read_text()
        yield demo
    finally:
        end(process)


def end(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
    """Send the signal and wait; kill the whole group if that does not help."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def until(condition: Callable[[], T], *, within_s: float = 15) -> T:
    """The condition's value once it is true; fails when it never is."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def signed(body: bytes, secret: str = WEBHOOK_SECRET) -> dict[str, str]:
    """The header Stripe would send."""
    moment = str(int(time.time()))
    digest = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={moment},v1={digest}"}


def card(number: str) -> dict[str, str]:
    """A filled-in payment page."""
    return {"email": "customer@example.com", "cc-number": number, "cc-exp": "12 / 40", "cc-csc": "123"}


def records(output: Path) -> list[dict[str, Any]]:
    """The log records among what was printed."""
    return [json.loads(line) for line in output.read_text().splitlines() if line.startswith("{")]
