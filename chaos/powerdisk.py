"""A disk that loses power: from a trace of writes and syncs to the files as they may be found afterwards.

A write, a truncation or a deletion is certain to be there when a sync of its file (for a deletion: of its folder)
began after it and ended before the power went. All else may be there or not, each by itself, and a write of several
sectors in part. Those are the terms on which SQLite, too, reckons with disks ("atomic commit in SQLite", section 2).
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

from attrs import field, frozen

from chaos.tracing import Call

SECTOR_BYTES: Final = 512
WRITES: Final = ("pwrite64", "ftruncate", "unlink", "unlinkat")
SYNCS: Final = ("fdatasync", "fsync")

Kind: TypeAlias = Literal["write", "truncate", "delete"]
#: `none`: whatever is not certain is gone; `some`: each change is there by chance; `torn`: each sector is.
Mood: TypeAlias = Literal["none", "some", "torn"]
MOODS: Final[tuple[Mood, ...]] = ("none", "some", "torn")


@frozen
class Change:
    """A change to a file. `ended` is None for one that was under way when the trace ended."""

    path: str
    kind: Kind
    began: int
    ended: int | None
    offset: int = 0
    data: bytes = field(default=b"", repr=False)


class Disk:
    """Files as they were before a trace, and what the trace did to them."""

    def __init__(self, before: Mapping[str, bytes], trace: Sequence[Call], prefix: str) -> None:
        """`prefix` is what the paths of a database's files begin with; all else in the trace is left out."""
        self._before = dict(before)
        self.changes = [change for call in trace if (change := _change(call, prefix)) is not None]
        self._syncs: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for call in trace:
            if call.name in SYNCS and call.result == 0 and call.ended is not None:
                self._syncs[call.target].append((call.began, call.ended))

    def is_synced(self, change: Change, by: int) -> bool:
        """Whether a sync that covers the change began after it and ended before position `by`."""
        if change.ended is None:
            return False
        path = str(Path(change.path).parent) if change.kind == "delete" else change.path
        syncs = self._syncs.get(path, [])
        first = bisect_right(syncs, (change.ended, -1))
        return any(ended < by for _, ended in syncs[first:])

    def after_cut(self, at: int, mood: Mood, chance: random.Random) -> dict[str, bytes]:
        """The files as they may be found when the power went at position `at`."""
        files: dict[str, bytearray | None] = {path: bytearray(data) for path, data in self._before.items()}
        for change in self.changes:
            if change.began >= at:
                break
            if self.is_synced(change, at):
                _apply(files, change)
            elif mood == "torn" and change.kind == "write":
                _apply_torn(files, change, chance)
            elif mood != "none" and chance.random() < 0.5:
                _apply(files, change)
        return {path: bytes(data) for path, data in files.items() if data is not None}


def _change(call: Call, prefix: str) -> Change | None:
    if call.name not in WRITES or (call.result is not None and call.result < 0):
        return None
    path = call.data.decode() if call.name.startswith("unlink") else call.target
    if not path.startswith(prefix):
        return None
    if call.name == "pwrite64":
        return Change(path, "write", call.began, call.ended, call.number(-1), call.data)
    if call.name == "ftruncate":
        return Change(path, "truncate", call.began, call.ended, call.number(-1))
    return Change(path, "delete", call.began, call.ended)


def _apply(files: dict[str, bytearray | None], change: Change) -> None:
    if change.kind == "delete":
        files[change.path] = None
        return
    content = files.get(change.path) or bytearray()
    if change.kind == "truncate":
        del content[change.offset :]
        content.extend(bytes(change.offset - len(content)))
    else:
        content.extend(bytes(max(0, change.offset - len(content))))
        content[change.offset : change.offset + len(change.data)] = change.data
    files[change.path] = content


def _apply_torn(files: dict[str, bytearray | None], change: Change, chance: random.Random) -> None:
    for start in range(0, len(change.data), SECTOR_BYTES):
        if chance.random() < 0.5:
            piece = change.data[start : start + SECTOR_BYTES]
            _apply(files, Change(change.path, "write", change.began, change.ended, change.offset + start, piece))
