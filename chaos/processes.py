"""This side of the nursery: starting processes, watching, killing and freezing them, and ending them all.

A process is held by a descriptor (pidfd), so that no signal ever reaches another that was given the same number.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from chaos.scenario import CannotRun, Scale

ROOT: Final = Path(__file__).resolve().parent.parent
_START_S: Final = 60.0
_POLL_S: Final = 0.01
_STOP_S: Final = 20.0


class Stuck(Exception):
    """The library, or what it runs in, does not go on."""


def until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Wait for `condition`, at most so long; whether it came to hold."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


async def reached(condition: Callable[[], bool], timeout_s: float) -> None:
    """Wait for `condition` on the running loop. Raises Stuck when it does not come to hold in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise Stuck(f"what should happen within {timeout_s:g} s did not; see what the processes said")
        await asyncio.sleep(_POLL_S)


def state_of(pid: int) -> str:
    """The kernel's letter for what a process does (T: stopped, Z: dead); empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children_of(pid: int) -> list[int]:
    """The processes that this one started and that are still there."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def members_of(session: int) -> list[int]:
    """Every living process of a session."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError, IndexError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[3] == str(session) and fields[0] != "Z":
                    found.append(int(entry.name))
    return found


class Child:
    """A process with its own session; what it starts itself is in that session too."""

    def __init__(self, pid: int, role: str) -> None:
        self.pid = pid
        self.role = role
        self._fd = os.pidfd_open(pid)

    def fileno(self) -> int:
        """Readable once the process is dead."""
        return self._fd

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._fd >= 0 and not select.select([self._fd], [], [], 0)[0]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; a dead process is no error."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._fd, number)

    def kill(self) -> None:
        """Kill -9."""
        self.signal(signal.SIGKILL)

    def ended(self, timeout_s: float) -> bool:
        """Wait for its end."""
        return bool(select.select([self._fd], [], [], timeout_s)[0])

    def close(self) -> None:
        """Kill whatever is left of its session, and forget it."""
        if self._fd < 0:
            return
        self.kill()
        self.ended(5)
        for pid in members_of(self.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os.close(self._fd)
        self._fd = -1


class Nursery:
    """The process that forks the others; one serves all scenarios of a run."""

    _running: Nursery | None = None

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "chaos.nursery", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=ROOT,
            )
        self._control = ours
        ours.settimeout(_START_S)
        if ours.recv(16) != b"ready":
            self.close()
            raise CannotRun("the process that starts the others could not start; its error is above")

    @classmethod
    def shared(cls) -> Nursery:
        """The one of this process, started at first use and ended with it."""
        if cls._running is None or cls._running._process.poll() is not None:
            cls._running = cls()
            atexit.register(cls.end)
        return cls._running

    @classmethod
    def end(cls) -> None:
        """End the one of this process, if it runs."""
        if cls._running is not None:
            cls._running.close()
            cls._running = None

    def start(self, role: str, spec: Mapping[str, Any], log: Path, fds: Sequence[int] = ()) -> Child:
        """A new process in that role."""
        request = json.dumps({"role": role, "spec": spec, "log": str(log)}).encode()
        socket.send_fds(self._control, [request], list(fds))
        reply = json.loads(self._control.recv(1024))
        return Child(int(reply["pid"]), role)

    def close(self) -> None:
        """End it, and with it every child that is left."""
        self._control.close()
        self._process.kill()
        self._process.wait()


class Crowd:
    """The processes of one scenario; none outlives the `with` block."""

    def __init__(self, spec: Mapping[str, Any], log: Path) -> None:
        self.spec = dict(spec)
        self.log = log
        self.all: list[Child] = []

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill what is left."""
        for child in self.all:
            child.close()

    def start(self, role: str, fds: Sequence[int] = (), **changes: object) -> Child:
        """A new process in that role, with the scenario's specification and these changes to it."""
        child = Nursery.shared().start(role, {**self.spec, **changes}, self.log, fds)
        self.all.append(child)
        return child

    def forget(self, child: Child) -> None:
        """Clear away a process that is no longer needed, with what is left of its session."""
        self.all.remove(child)
        child.close()

    def finish(self, scale: Scale) -> None:
        """End everybody before the books are read: in the long form by SIGTERM, so that stragglers have their say."""
        if scale is Scale.LONG:
            self.stop(self.all, _STOP_S)
        for child in self.all:
            child.close()

    def stop(self, children: Sequence[Child], timeout_s: float) -> int:
        """SIGTERM to all of them, and wait; how many did not end in time."""
        for child in children:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        return sum(not child.ended(max(0.0, deadline - time.monotonic())) for child in children)


def listener(backlog: int = 1024) -> socket.socket:
    """A loopback socket that is held here, so that connections outlive whoever answers them."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", 0))
    made.listen(backlog)
    made.setblocking(False)
    return made
