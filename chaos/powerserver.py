"""The web applications whose disk is watched: the real routes over a real file, under uvicorn and gunicorn.

`serving` starts one and ends it; the listening socket is made here and handed down, so that no port is guessed and
requests wait for a server that is not there yet.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final, Literal, TypeAlias

from attrs import frozen

from chaos.crashforks import die_with_parent
from chaos.crashworld import SECRET, quiet
from chaos.mutants import plant
from payments_core import AsyncPayments, Payments, Settings
from payments_core.adapters.memory import MemoryGateway
from payments_core.domain.delivery import DeliveryPolicy

Framework: TypeAlias = Literal["fastapi", "flask"]
ROOT: Final = Path(__file__).resolve().parent.parent
PREFIX: Final = "/api/payments"
FRAMEWORKS: Final[tuple[Framework, ...]] = ("fastapi", "flask")
_URL: Final = "CHAOS_DATABASE_URL"
_MUTANT: Final = "CHAOS_MUTANT"
#: Short, so that what a fault leaves leased is soon taken up again.
_POLICY: Final = DeliveryPolicy(lease_s=3)
_START_S: Final = 60.0
_STOP_S: Final = 20.0
_LIFE_S: Final = 600


def main() -> int:
    """Serve in this process: `uvicorn` or `gunicorn`, and its arguments."""
    die_with_parent(limit_s=_LIFE_S)
    program = importlib.import_module({"uvicorn": "uvicorn.main", "gunicorn": "gunicorn.app.wsgiapp"}[sys.argv[1]])
    del sys.argv[0]
    run = program.main if sys.argv[0] == "uvicorn" else program.run
    return int(run() or 0)


def fastapi_app() -> Callable[..., object]:
    """What uvicorn serves."""
    from fastapi import FastAPI

    from payments_fastapi import create_router

    payments = AsyncPayments(_settings(), gateway=MemoryGateway(io="async"), delivery=_POLICY)
    app = FastAPI()
    app.include_router(create_router(payments), prefix=PREFIX)
    return app


def flask_app() -> Callable[..., object]:
    """What gunicorn serves."""
    from flask import Flask

    from payments_flask import create_blueprint

    payments = Payments(_settings(), gateway=MemoryGateway(io="blocking"), delivery=_POLICY)
    app = Flask(__name__)
    app.register_blueprint(create_blueprint(payments), url_prefix=PREFIX)
    return app


def _settings() -> Settings:
    die_with_parent(limit_s=_LIFE_S)
    quiet()
    mutant = os.environ.get(_MUTANT)
    if mutant:
        plant(mutant)
    return Settings.of(
        stripe_secret_key="sk_test_chaos",  # noqa: S106 - made up
        stripe_webhook_secret=SECRET,
        payments_database_url=os.environ[_URL],
    )


_COMMANDS: Final[dict[Framework, tuple[str, ...]]] = {
    "fastapi": (
        *("uvicorn", "chaos.powerserver:fastapi_app", "--factory", "--log-level", "critical"),
        *("--timeout-graceful-shutdown", "5", "--fd", "{fd}"),
    ),
    "flask": (
        *("gunicorn", "chaos.powerserver:flask_app()", "--worker-class", "gthread", "--threads", "8"),
        *("--log-level", "critical", "--graceful-timeout", "5", "--timeout", "120", "--no-control-socket"),
        *("--bind", "fd://{fd}"),
    ),
}


@frozen
class Server:
    """A server that answers on a loopback port. `worker` is the process that has the database open."""

    port: int
    worker: int


@contextmanager
def serving(
    framework: Framework, url: str, *, mutant: str | None = None, strace: Sequence[str] = ()
) -> Generator[Server]:
    """A server over the database at `url`, ready; `strace` is a command to put before its own."""
    environment = {**os.environ, _URL: url, _MUTANT: mutant or ""}
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        port = listening.getsockname()[1]
        given = [part.format(fd=listening.fileno()) for part in _COMMANDS[framework]]
        line = [*strace, sys.executable, "-m", "chaos.powerserver", *given]
        process = subprocess.Popen(
            line,
            cwd=ROOT,
            env=environment,
            pass_fds=[listening.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    with process:
        try:
            _wait_ready(port, process)
            yield Server(port, _worker(process.pid, depth=int(bool(strace)) + int(framework == "flask")))
        finally:
            _stop(process, is_traced=bool(strace))


def _wait_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = process.stderr.read().decode(errors="replace") if process.stderr else ""
            raise RuntimeError(f"the server ended with {process.returncode}:\n{said[-2000:]}")
        if status_of(port, "/ready") == 200:
            return
        time.sleep(0.02)
    raise TimeoutError("the server was not ready in time")


def status_of(port: int, path: str) -> int | None:
    """What a GET of one of the library's routes answers; None for no answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", PREFIX + path)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def _worker(pid: int, *, depth: int) -> int:
    """The process so many generations down: below strace, below gunicorn's master."""
    for _ in range(depth):
        pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    return pid


def _stop(process: subprocess.Popen[bytes], *, is_traced: bool) -> None:
    """Ask it to end, then insist; strace ends with what it traces, and is not asked itself."""
    with suppress(ProcessLookupError, IndexError, FileNotFoundError):
        os.kill(_worker(process.pid, depth=int(is_traced)), signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
