"""`Limiter` in this process's memory.

The in-memory storage of `limits` is not used: it keeps the key of every caller for ever and looks at all of them in a
timer's thread after each request (5.8.0), which a stranger with many addresses can make use of.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Final

from attrs import field, frozen

from payments_core.ports import Counter, Io

#: Callers that are remembered at most; the one who was silent longest makes room.
MAX_KEYS: Final = 100_000


@frozen
class _Window:
    per_s: float
    at: deque[float] = field(factory=deque[float])

    def since(self, now_s: float) -> deque[float]:
        """The events that count still."""
        while self.at and self.at[0] <= now_s - self.per_s:
            self.at.popleft()
        return self.at


class MemoryLimiter:
    """See `payments_core.ports.Limiter`. Never suspends, in either world; `clock` gives monotonic seconds."""

    def __init__(self, *, io: Io = "blocking", clock: Callable[[], float] = time.monotonic) -> None:
        self._io: Io = io
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    @property
    def io(self) -> Io:
        """See Limiter."""
        return self._io

    async def take(self, counters: Sequence[Counter]) -> float | None:
        """See Limiter: all names in one step."""
        now_s = self._clock()
        with self._lock:
            known = [(one, self._windows[one.name]) for one in counters if one.name in self._windows]
            full = [(one, window) for one, window in known if len(window.since(now_s)) >= one.rate.most]
            if full:
                # Whoever asks on is not silent, and a refusal adds nobody.
                for one, _ in known:
                    self._windows.move_to_end(one.name)
                return max(window.at[-one.rate.most] + one.rate.per_s - now_s for one, window in full)
            for one in counters:
                self._window(one).at.append(now_s)
            self._make_room(now_s)
            return None

    async def close(self) -> None:
        """There is nothing to give back."""

    def _window(self, counter: Counter) -> _Window:
        window = self._windows.setdefault(counter.name, _Window(counter.rate.per_s))
        self._windows.move_to_end(counter.name)
        return window

    def _make_room(self, now_s: float) -> None:
        """Forget a few of those that count for nothing any more: as many at a time as one event can add, and one."""
        for _ in range(3):
            name, oldest = next(iter(self._windows.items()), ("", None))
            if oldest is None or (oldest.since(now_s) and len(self._windows) <= MAX_KEYS):
                return
            del self._windows[name]
