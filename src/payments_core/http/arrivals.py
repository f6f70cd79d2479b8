"""Bodies that are still arriving: a bound on what all of them together hold in memory.

Each route bounds one body. On an event loop that is not enough: a thousand strangers who each send most of a megabyte,
slowly or without end, would hold a gigabyte. (Where every request has a thread, the number of threads is the bound.)

While all of them together are within the limit nothing happens. Beyond it, a body that has taken more than its equal
share is refused when its next piece comes. So small bodies, which Stripe's are, get through however many large ones
wait, and what all of them hold grows no further than with the logarithm of their number: each newcomer's share is
smaller than the last one's.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from payments_core.errors import RateLimited

ARRIVING_LIMIT_BYTES: Final = 8 * 1024 * 1024


class Arriving:
    """One body of which a part has come; `size` is what is held of it."""

    __slots__ = ("_arrivals", "size")

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self.size = 0

    def hold(self, size: int) -> None:
        """Say that `size` bytes are held by now. Raises RateLimited for more than its share of too much."""
        self._arrivals.held += size - self.size
        self.size = size
        if self._arrivals.held > self._arrivals.limit_bytes and size > self._arrivals.share_bytes:
            raise RateLimited("Too many bodies are being sent at once; try again shortly.")


class Arrivals:
    """The bodies that are arriving at one application. Belongs to one event loop: it takes no lock."""

    def __init__(self, limit_bytes: int = ARRIVING_LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.held = 0
        self._bodies = 0

    @property
    def share_bytes(self) -> int:
        """What each would hold of the limit, were it divided equally."""
        return self.limit_bytes // max(1, self._bodies)

    @contextmanager
    def one(self) -> Generator[Arriving]:
        """A further body, until it is complete or given up."""
        arriving = Arriving(self)
        self._bodies += 1
        try:
            yield arriving
        finally:
            self._bodies -= 1
            self.held -= arriving.size
