"""CPU time of process trees, by the kernel's count (Linux)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from attrs import frozen

from bench.measured import CannotMeasure

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@frozen
class Process:
    """A process: its parent, and its CPU seconds with those of children that ended."""

    pid: int
    parent: int
    cpu_s: float


def read_stat(text: str) -> Process:
    """A line of `/proc/<pid>/stat` (proc(5)); the name in it may hold anything, spaces and brackets too."""
    fields = text.rpartition(")")[2].split()
    ticks = sum(int(field) for field in fields[11:15])
    return Process(int(text.split(" ", 1)[0]), int(fields[1]), ticks / _TICKS_PER_S)


def processes() -> list[Process]:
    """All processes of this machine. Raises CannotMeasure where the kernel does not list them."""
    if not Path("/proc/self/stat").exists():
        raise CannotMeasure("CPU times are read from /proc, which only Linux has; run this on Linux")
    found: list[Process] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            found.append(read_stat(path.read_text(errors="replace")))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def tree_cpu_s(root: int, among: Iterable[Process]) -> float:
    """The CPU seconds of `root` and of all that descends from it."""
    listed = list(among)
    inside, grew = {root}, True
    while grew:
        more = {one.pid for one in listed if one.parent in inside} - inside
        inside |= more
        grew = bool(more)
    return sum(one.cpu_s for one in listed if one.pid in inside)
