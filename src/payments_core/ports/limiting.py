"""Counting what callers do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from ..settings import Rate
from .kinds import Io


@frozen
class Counter:
    """What is counted, for whom, and how much of it is allowed. `name` holds nothing personal."""

    name: str
    rate: Rate


class Limiter(Protocol):
    """Counts events in moving windows.

    - `take` counts one event under each counter and returns None, or counts none and returns after how many seconds
      it would; in any span of `per_s` seconds exactly `most` events are let through, however many come at once. Where
      a process cannot count under several names in one step, it may let fewer through under simultaneous requests that
      one of them refuses, and never more.
    - It never raises and takes no longer than a bounded time. Without its server it goes on counting in this process:
      callers are neither let through uncounted nor kept out.
    - Deployments that share a server share no counters.
    """

    @property
    def io(self) -> Io:
        """Whether its methods block the thread or suspend on the loop."""
        ...

    async def take(self, counters: Sequence[Counter]) -> float | None:
        """Count one event, unless one of the counters is used up: then the seconds until it is not."""
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...
