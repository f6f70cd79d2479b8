"""strace as an instrument: what a process did to files and sockets, in order, and faults put into its system calls.

Two uses. `attached` looks at a process that runs already and may end it, or make a call fail, at the N-th of a kind;
`calls` reads a trace back. Order in a trace is causal: a thread cannot act on another's finished call before strace
has let that one go on, so a line that stands earlier happened no later.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import field, frozen

from chaos.scenario import CannotRun

#: What `os.getppid()` answers in a process whose tracing has begun: see `wait_until_traced`.
_TRACED: Final = 77
_BEGIN_LIMIT_S: Final = 20.0

_LINE: Final = re.compile(r"(?P<pid>\d+) +(?P<rest>.*)", re.DOTALL)
_STARTED: Final = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)", re.DOTALL)
_RESUMED: Final = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<arguments>.*)", re.DOTALL)
_UNFINISHED: Final = " <unfinished ...>"
_ENDED: Final = re.compile(r"\) += (?P<result>-?\d+|\?)(?P<remark>[^\"]*)\Z", re.DOTALL)
_DATA: Final = re.compile(r'"((?:[^"\\]|\\.)*)"(\.\.\.)?')


class StraceMissing(CannotRun):
    """Strace is not there, or may not trace here."""


@frozen
class Call:
    """A system call. `began` and `ended` are positions in the trace; `ended` is None for one that never returned.

    `arguments` is the text between its brackets, with descriptors as `7</path/of/file>`; `result` is None when the
    call was cut short.
    """

    pid: int
    name: str
    arguments: str = field(repr=False)
    began: int
    ended: int | None
    result: int | None
    is_injected: bool = False

    @property
    def target(self) -> str:
        """What its first argument, a descriptor, stands for: a path, or a socket by its inode."""
        _, _, rest = self.arguments.partition("<")
        return rest.partition(">")[0]

    @property
    def data(self) -> bytes:
        """Its first string, as bytes. Raises ValueError for one that strace has cut off."""
        found = _DATA.search(self.arguments)
        if found is None:
            return b""
        if found[2]:
            raise ValueError(f"the trace holds only the beginning of a {self.name}")
        return bytes(ast.literal_eval(f'b"{found[1]}"'))

    def number(self, position: int) -> int:
        """One of the numbers that follow its string or descriptor, counted from the end (-1 is the last)."""
        return int(
            self.arguments.rpartition('"')[2].split(",")[position]
            if '"' in self.arguments
            else self.arguments.split(",")[position]
        )


def require_strace() -> str:
    """The path of strace. Raises StraceMissing with what to do about it."""
    found = shutil.which("strace")
    if found is None:
        raise StraceMissing("strace is not installed; install it (Debian: apt-get install strace)")
    tried = subprocess.run([found, "-qq", "-e", "trace=none", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        raise StraceMissing(f"strace may not trace here: {tried.stderr.strip() or tried.returncode}")
    return found


def command(trace: Path, names: Sequence[str], *, data_bytes: int = 0, injections: Sequence[str] = ()) -> list[str]:
    """What is strace's own of a command line: `names` are the calls to write down, with data up to `data_bytes`."""
    given = ["strace", "-f", "-qq", "-y", "-s", str(data_bytes), "-e", f"trace={','.join(names)}", "-o", str(trace)]
    return given + [part for one in injections for part in ("-e", f"inject={one}")]


def wait_until_traced() -> None:
    """Called by the process that is to be traced: returns when its calls are seen and faults reach it."""
    deadline = time.monotonic() + _BEGIN_LIMIT_S
    while os.getppid() != _TRACED:
        if time.monotonic() > deadline:
            raise StraceMissing("strace did not attach in time")
        time.sleep(0.001)


@contextmanager
def attached(
    pid: int, trace: Path, names: Sequence[str], *, injections: Sequence[str] = (), is_waited_for: bool = False
) -> Generator[None]:
    """Trace all threads of a running process until the block ends or the process does.

    `is_waited_for`: the process is in `wait_until_traced`.
    """
    if is_waited_for:
        names, injections = [*names, "getppid"], [*injections, f"getppid:retval={_TRACED}"]
    line = command(trace, names, injections=injections)
    with subprocess.Popen([*line, "-p", str(pid)], stderr=subprocess.PIPE, text=True) as strace:
        try:
            _wait_attached(pid, strace)
            yield
        finally:
            strace.send_signal(signal.SIGINT)
            try:
                strace.wait(10)
            except subprocess.TimeoutExpired:
                strace.kill()


def _wait_attached(pid: int, strace: subprocess.Popen[str]) -> None:
    """Wait until every thread has its tracer; one that ended meanwhile, and strace with it, needs none."""
    deadline = time.monotonic() + _BEGIN_LIMIT_S
    while not _is_traced(pid):
        if strace.poll() is not None:
            said = strace.stderr.read().strip() if strace.stderr else ""
            if not said:
                return
            raise StraceMissing(f"strace could not attach: {said}")
        if time.monotonic() > deadline:
            raise StraceMissing("strace did not attach in time")
        time.sleep(0.001)


def _is_traced(pid: int) -> bool:
    try:
        statuses = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    except OSError:
        return not Path(f"/proc/{pid}").exists()
    return all("\nTracerPid:\t0\n" not in status for status in statuses)


def calls(trace: Path) -> list[Call]:
    """The calls of a finished trace, in the order in which they began."""
    with trace.open(encoding="latin-1", newline="\n") as lines:
        return _read(lines)


def _read(lines: Iterator[str]) -> list[Call]:
    found: list[Call] = []
    open_calls: dict[tuple[int, str], tuple[int, str]] = {}
    for position, line in enumerate(lines):
        parts = _LINE.match(line.rstrip("\n"))
        if parts is None:
            continue
        pid, rest = int(parts["pid"]), parts["rest"]
        began = _STARTED.match(rest)
        resumed = None if began else _RESUMED.match(rest)
        if began and rest.endswith(_UNFINISHED):
            open_calls[pid, began["name"]] = (position, began["arguments"].removesuffix(_UNFINISHED))
        elif began:
            found.append(_call(pid, began["name"], began["arguments"], position, position))
        elif resumed:
            start, arguments = open_calls.pop((pid, resumed["name"]), (position, ""))
            found.append(_call(pid, resumed["name"], arguments + resumed["arguments"], start, position))
    found += [Call(pid, name, text, start, None, None) for (pid, name), (start, text) in open_calls.items()]
    return sorted(found, key=lambda call: call.began)


def _call(pid: int, name: str, text: str, began: int, ended: int) -> Call:
    end = _ENDED.search(text)
    if end is None or end["result"] == "?":
        return Call(pid, name, text if end is None else text[: end.start()], began, None, None)
    injected = "INJECTED" in end["remark"]
    return Call(pid, name, text[: end.start()], began, ended, int(end["result"]), injected)
