"""Candidates that answer HTTP: started for one round, on a port of loopback, and killed after it.

Killed, not stopped: what was answered 2xx must be there all the same.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import field, frozen

from bench import peers
from bench.measured import MeasurementFailed
from bench.webhooks import SECRET, bodies, request
from tools.services.base import LOOPBACK, free_port, wait_until

START_S: Final = 60.0
#: The module under measurement, and the bench itself.
_PATHS: Final = f"{peers.ROOT}{os.pathsep}{peers.ROOT / 'src'}"


@frozen
class Server:
    """How a candidate is served. `command` gets the port; `environment` is added to ours."""

    command: Callable[[int], tuple[str, ...]] = field(repr=False)
    environment: Mapping[str, str] = field(factory=dict[str, str], repr=False)


def uvicorn(module: str, **environment: str) -> Server:
    """One uvicorn process with its fast loop and parser, as in production."""

    def command(port: int) -> tuple[str, ...]:
        options = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")
        return (str(peers.python()), "-m", "uvicorn", f"bench.candidates.{module}:app", "--port", str(port), *options)

    return Server(command, environment)


def gunicorn(module: str, python: str = "python", **environment: str) -> Server:
    """One gunicorn worker with four threads."""

    def command(port: int) -> tuple[str, ...]:
        options = ("--worker-class", "gthread", "--workers", "1", "--threads", "4", "--log-level", "warning")
        bind = ("--bind", f"{LOOPBACK}:{port}", f"bench.candidates.{module}:app")
        return (str(peers.python(python)), "-m", "gunicorn", *options, *bind)

    return Server(command, environment)


def node(file: str, **environment: str) -> Server:
    """One Node.js process."""

    def command(port: int) -> tuple[str, ...]:
        program, folder = peers.node()
        return (program, str(folder / file), str(port))

    return Server(command, {"NODE_ENV": "production", **environment})


def surroundings(database_url: str) -> dict[str, str]:
    """The environment of every candidate."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PAYMENTS_", "STRIPE_"))}
    return {**kept, "PYTHONPATH": _PATHS, "BENCH_DATABASE_URL": database_url, "BENCH_SECRET": SECRET}


@contextmanager
def started(server: Server, database_url: str, log: Path) -> Generator[tuple[int, int]]:
    """The server's port and process id, once it answers. Raises MeasurementFailed when it does not."""
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            server.command(port),
            cwd=peers.ROOT,
            env={**surroundings(database_url), **server.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: process.poll() is not None or status(port, b"GET / HTTP/1.0\r\n\r\n") > 0, START_S)
        if process.poll() is not None or not status(port, b"GET / HTTP/1.0\r\n\r\n"):
            raise MeasurementFailed(f"it did not start: {' | '.join(tail(log))}")
        yield port, process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def status(port: int, whole_request: bytes) -> int:
    """The status of the answer to a request, 0 without one."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    try:
        connection.connect()
        connection.sock.sendall(whole_request)
        reply = http.client.HTTPResponse(connection.sock)
        reply.begin()
    except (OSError, http.client.HTTPException):
        return 0
    else:
        return reply.status
    finally:
        connection.close()


def refuses_forgeries(port: int) -> bool:
    """Whether a body that somebody else signed is refused: whoever skips the check has an easier life."""
    forged = request(next(bodies(1)), int(time.time()), "whsec_of_somebody_else")
    return 400 <= status(port, forged) < 500


def tail(log: Path) -> list[str]:
    """The end of a log."""
    return log.read_text(errors="replace").splitlines()[-5:]
