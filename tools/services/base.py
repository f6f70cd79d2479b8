"""What the services share: a record of what was started, and starting or stopping it under a file lock.

Each service lives in `<root>/<name>/`; `<root>/<name>.json` names the running process. A process is recognised by
its id and its start time, so that a reused id is never taken for ours and never signalled.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, field
from pathlib import Path

LOOPBACK = "127.0.0.1"
#: Linux gives 32768 and above to clients: a port that is free now could be somebody's a moment later.
_PORTS = (15000, 32000)


class ServiceUnavailable(Exception):
    """The service cannot run here; the message says why and what would change that."""


@dataclass(frozen=True)
class Running:
    """A started service: where it answers, and which process it is or, with an engine, which compose project."""

    url: str
    pid: int = 0
    born: str = ""
    container: str = ""


@dataclass(frozen=True)
class Service:
    """One service and how it starts. `start(home)` returns once it answers, or raises `ServiceUnavailable`."""

    name: str
    variable: str
    start: Callable[[Path], Running]
    stop_signal: signal.Signals = field(default=signal.SIGTERM)
    stop_timeout_s: float = 20.0


def birth(pid: int) -> str:
    """A value that differs between two processes that had the same id; empty when there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return ""
        found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return found.stdout.strip()
    return "" if fields[0] == "Z" else fields[19]


def alive(record: Running) -> bool:
    """Whether the recorded process is still the one that was started."""
    if record.container:
        return True
    with contextlib.suppress(ChildProcessError):
        os.waitpid(record.pid, os.WNOHANG)
    return bool(record.born) and birth(record.pid) == record.born


@contextlib.contextmanager
def locked(root: Path, name: str) -> Generator[Path]:
    """Hold the service's lock; yields the path of its record."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield root / f"{name}.json"


def _read(record: Path) -> Running | None:
    if not record.exists():
        return None
    found = Running(**json.loads(record.read_text()))
    return found if alive(found) else None


def running(service: Service, root: Path) -> Running | None:
    """The service that `ensure` started under `root`, if its process is still there."""
    return _read(root / f"{service.name}.json")


def ensure(service: Service, root: Path) -> tuple[Running, bool]:
    """Start the service under `root` unless it runs there; the flag says whether this call started it."""
    with locked(root, service.name) as record:
        found = _read(record)
        if found is not None:
            return found, False
        home = root / service.name
        home.mkdir(parents=True, exist_ok=True)
        started = service.start(home)
        record.touch(mode=0o600)
        record.write_text(json.dumps(asdict(started)))
        return started, True


def stop(service: Service, root: Path) -> bool:
    """Stop what `ensure` started under `root`; false when there was nothing of ours to stop."""
    if not root.exists():
        return False
    with locked(root, service.name) as record:
        found = _read(record)
        record.unlink(missing_ok=True)
        if found is None:
            return False
        if found.container:
            from tools.services import containers

            containers.stop(found.container)
        else:
            end(found, service.stop_signal, service.stop_timeout_s)
        return True


def end(process: Running, how: signal.Signals, timeout_s: float) -> None:
    """Signal the process and wait for its end; kill it after `timeout_s`."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, how)
    if not wait_until(lambda: not alive(process), timeout_s):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: not alive(process), 5)


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Poll `condition` until it holds or `timeout_s` have passed; returns whether it came to hold."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def free_port() -> int:
    """A loopback port that nothing listened on a moment ago, from below those that the system gives to clients."""
    while True:
        port = random.randrange(*_PORTS)  # noqa: S311 - not a secret
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port


def chosen_port(variable: str) -> int:
    """The port that the environment variable names, else a free one."""
    text = os.environ.get(variable, "")
    if text and not text.isdigit():
        raise ServiceUnavailable(f"{variable} is not a port number; unset it for a free port")
    return int(text) if text else free_port()


def spawn(
    command: list[str],
    log: Path,
    *,
    user: str | None = None,
    env: dict[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, as `user` when given, its output going to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            env=env,
            cwd="/",
        )


def await_ready(
    name: str, process: subprocess.Popen[bytes], log: Path, ready: Callable[[], bool], timeout_s: float
) -> None:
    """Wait until `ready`; a process that ended or took too long raises with the end of its log."""
    wait_until(lambda: process.poll() is not None or ready(), timeout_s)
    if process.poll() is None and ready():
        # The record takes over from here: without a code, Popen's destructor warns of a process left running.
        process.returncode = 0
        return
    process.kill()
    process.wait()
    tail = " | ".join(log.read_text(errors="replace").splitlines()[-5:])
    raise ServiceUnavailable(f"{name} did not start; the end of its log: {tail}")


def need(program: str, what: str) -> str:
    """The path of `program`, or `ServiceUnavailable` saying what to install."""
    found = shutil.which(program)
    if found is None:
        raise ServiceUnavailable(f"{program} was not found; install {what}")
    return found
