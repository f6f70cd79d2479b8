"""What the black-box suite talks to: two test clients and two real server processes, all in the same words."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import httpx2
from attrs import frozen
from starlette.testclient import TestClient

from payments_core import AsyncPayments, Payments
from payments_core.domain.signature import sign
from payments_core.http.messages import Headers
from payments_core.settings import Settings
from tests.http.apps import PREFIX, fastapi_app, flask_app

ROOT = Path(__file__).resolve().parents[2]
WEBHOOK_SECRET = "whsec_a_secret_of_the_black_box_suite"
START_DEADLINE_S = 90.0
GTHREAD = ["-k", "gthread", "--threads", "8", "--no-control-socket"]
SERVERS = {
    "uvicorn": ["-m", "uvicorn", "tests.http.apps:fastapi_app", "--factory", "--fd", "{fd}", "--no-proxy-headers"],
    "gunicorn": ["-m", "gunicorn", "tests.http.apps:flask_app()", *GTHREAD, "-b", "fd://{fd}"],
}


@frozen
class Answer:
    """A reply as it came."""

    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        return self.json.get("code")


class Send(Protocol):
    def __call__(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer: ...


@frozen
class Target:
    """A running application. `address` and `pid` are those of a server process."""

    name: str
    send: Send
    address: tuple[str, int] | None = None
    pid: int | None = None

    def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """Any request under the prefix."""
        return self.send(method, PREFIX + path, body, headers or {})

    def post(self, path: str, body: object, **headers: str) -> Answer:
        """A JSON request; bytes are sent as they are."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", path, raw, {"Content-Type": "application/json", **headers})

    def webhook(self, body: bytes, signature: str | None = None, **headers: str) -> Answer:
        """An event, signed now by the suite's secret unless a signature is given; an empty one is left out."""
        if signature is None:
            signature = sign(body, WEBHOOK_SECRET, timestamp_s=int(time.time()))
        if signature:
            headers["Stripe-Signature"] = signature
        return self.request("POST", "/webhooks/stripe", body, {"Content-Type": "application/json", **headers})


def environment(stripe: str, folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a deployment that takes `stripe` for Stripe, and more of them."""
    return {
        "STRIPE_SECRET_KEY": "sk_test_blackbox",
        "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "STRIPE_API_BASE": stripe,
        "PAYMENTS_DATABASE_URL": f"sqlite:///{folder / 'payments.db'}",
        **(more or {}),
    }


def settings(stripe: str, folder: Path, more: Mapping[str, str] | None = None) -> Settings:
    """The same as settings."""
    return Settings.of(**{name.lower(): value for name, value in environment(stripe, folder, more).items()})


@contextlib.contextmanager
def opened(
    name: str, stripe: str, folder: Path, more: Mapping[str, str] | None = None, **variables: str
) -> Iterator[Target]:
    """The target of that name, running; a server process with these variables in place of the suite's."""
    if name == "fastapi":
        with in_fastapi(AsyncPayments(settings(stripe, folder, more))) as target:
            yield target
    elif name == "flask":
        with in_flask(Payments(settings(stripe, folder, more))) as target:
            yield target
    else:
        with _served(name, folder, {**environment(stripe, folder, more), **variables}) as target:
            yield target


@contextlib.contextmanager
def in_fastapi(payments: AsyncPayments) -> Iterator[Target]:
    """FastAPI's test client, with the application's lifespan."""
    with TestClient(fastapi_app(payments), follow_redirects=False) as client:
        yield Target("fastapi", _by_httpx(client))


@contextlib.contextmanager
def in_flask(payments: Payments) -> Iterator[Target]:
    """Flask's test client."""
    client = flask_app(payments).test_client()

    def send(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        reply = client.open(path, method=method, data=body, headers=dict(headers))
        return Answer(reply.status_code, Headers(list(reply.headers.items())), reply.get_data())

    try:
        yield Target("flask", send)
    finally:
        payments.close()


@contextlib.contextmanager
def _served(name: str, folder: Path, variables: Mapping[str, str]) -> Iterator[Target]:
    # The server inherits a bound socket: no port that another test's server could take in between.
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        fd, port = listener.fileno(), listener.getsockname()[1]
        with (folder / "server.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *(argument.format(fd=fd) for argument in SERVERS[name])],
                cwd=ROOT,
                env={**os.environ, **variables},
                pass_fds=[fd],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
    try:
        # A connection each: a server may close one whose request body it did not read (after a 413).
        limits = httpx2.Limits(max_keepalive_connections=0)
        address = f"http://127.0.0.1:{port}"
        with httpx2.Client(base_url=address, timeout=30, trust_env=False, limits=limits) as client:
            _await(client, process, folder / "server.log")
            yield Target(name, _by_httpx(client), ("127.0.0.1", port), process.pid)
    finally:
        process.terminate()
        try:
            process.wait(START_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(client: httpx2.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server answers, or say what it said instead."""
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(httpx2.TransportError):
            if client.get(f"{PREFIX}/health", timeout=5).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"no answer within {START_DEADLINE_S} s:\n{log.read_text()}")


def _by_httpx(client: httpx2.Client) -> Send:
    def send(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        reply = client.request(method, path, content=body, headers=dict(headers))
        return Answer(reply.status_code, Headers(reply.headers.multi_items()), reply.content)

    return send
