"""The sandbox's time: the machine's, and what was added to it on request."""

from __future__ import annotations

import time
from collections.abc import Callable

from attrs import define


def wall_clock() -> int:
    """Epoch seconds by this machine's clock."""
    return int(time.time())


@define
class SandboxClock:
    """Epoch seconds. `machine` is the time that everybody has, `ahead_s` how far the sandbox has been moved on."""

    machine: Callable[[], int] = wall_clock
    ahead_s: int = 0

    def now(self) -> int:
        """The sandbox's own time: of expiry, settlement, retries and everything it creates."""
        return self.machine() + self.ahead_s
