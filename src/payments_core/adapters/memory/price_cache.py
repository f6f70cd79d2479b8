"""`PriceCache` in this process's memory: every process has its own, and forgets for itself alone."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from attrs import frozen

from payments_core.domain.pricing import CatalogPrice
from payments_core.ports import Io, Kept, Remembered

#: Far more than a shop sells; the oldest make room.
MAX_ENTRIES: Final = 10_000


@frozen
class _Entry:
    price: CatalogPrice
    written_s: float


class MemoryPriceCache:
    """See `payments_core.ports.PriceCache`. Never suspends, in either world; `clock` gives monotonic seconds."""

    def __init__(self, keep_s: float, *, io: Io = "blocking", clock: Callable[[], float] = time.monotonic) -> None:
        self._io: Io = io
        self._keep_s = keep_s
        self._clock = clock
        self._lock = threading.Lock()
        self._generation = _new_generation()
        self._entries: dict[str, _Entry] = {}

    @property
    def io(self) -> Io:
        """See PriceCache."""
        return self._io

    async def read(self, references: Sequence[str]) -> Remembered:
        """See PriceCache."""
        now_s = self._clock()
        with self._lock:
            known = {one: self._entries[one] for one in references if one in self._entries}
            generation = self._generation
        ages = {name: Kept(entry.price, now_s - entry.written_s) for name, entry in known.items()}
        return Remembered(generation, {name: kept for name, kept in ages.items() if kept.age_s < self._keep_s})

    async def write(self, generation: str | None, prices: Mapping[str, CatalogPrice]) -> None:
        """See PriceCache."""
        now_s = self._clock()
        with self._lock:
            if generation != self._generation:
                return
            for name, price in prices.items():
                # Put in anew, so that the order is that of age.
                self._entries.pop(name, None)
                self._entries[name] = _Entry(price, now_s)
            for oldest in list(self._entries)[: len(self._entries) - MAX_ENTRIES]:
                del self._entries[oldest]

    async def forget(self) -> None:
        """See PriceCache."""
        with self._lock:
            self._generation = _new_generation()
            self._entries.clear()

    async def lead(self, generation: str | None, references: Sequence[str]) -> bool:
        """See PriceCache: no other process knows this cache."""
        return True

    async def close(self) -> None:
        """There is nothing to give back."""


def _new_generation() -> str:
    return str(uuid.uuid4())
