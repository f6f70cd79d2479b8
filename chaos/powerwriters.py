"""Many processes that write to one SQLite file: `python -m chaos.powerwriters URL PROCESSES WRITES`.

Prints how many writes were acknowledged, how many raised, and the 99th percentile and the longest of their durations in
milliseconds. A process of its own, without threads, since it forks.
"""

from __future__ import annotations

import sys
import time
from functools import partial

from chaos.crashforks import Child, die_with_parent
from payments_core.adapters.sql import blocking_store
from payments_core.domain.delivery import ReceivedEvent
from payments_core.drive import run_blocking
from payments_core.errors import StoreUnavailable

_LIMIT_S = 550


def main() -> int:
    """Entry point; returns the exit code."""
    url, processes, writes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    die_with_parent(limit_s=_LIMIT_S)
    writers = [Child(partial(_write, url, name, writes), limit_s=_LIMIT_S) for name in range(processes)]
    found = [writer.result() for writer in writers]
    took_ms = sorted(duration for durations, _ in found for duration in durations)
    errors = sum(refused for _, refused in found)
    print(len(took_ms), errors, took_ms[int(len(took_ms) * 0.99)], took_ms[-1])
    return 0


def _write(url: str, name: int, writes: int) -> tuple[list[float], int]:
    """Receive so many events; the duration in milliseconds of each that was acknowledged, and how many were not."""
    store = blocking_store(url)
    took_ms: list[float] = []
    refused = 0
    for number in range(writes):
        began = time.perf_counter()
        try:
            run_blocking(store.receive(ReceivedEvent(f"evt_{name}_{number}", "customer.created", b"{}")))
        except StoreUnavailable:
            refused += 1
        else:
            took_ms.append((time.perf_counter() - began) * 1000)
    run_blocking(store.close())
    return took_ms, refused


if __name__ == "__main__":
    sys.exit(main())
