"""Where a candidate finds what it is given, what it answers, and how one that is no server takes its time."""

from __future__ import annotations

import os
import time
from typing import Final

PATH: Final = "/api/payments/webhooks/stripe"
ANSWER: Final = b'{"received":true}'


def secret() -> str:
    """The webhook's signing secret."""
    return os.environ["BENCH_SECRET"]


def database_url() -> str:
    """The database of this round."""
    return os.environ["BENCH_DATABASE_URL"]


def sqlite_path() -> str:
    """The file of a SQLite URL."""
    return database_url().removeprefix("sqlite:///")


def begin() -> tuple[float, float]:
    """The moment and the CPU time at which work begins, for `since`."""
    return time.perf_counter(), time.process_time()


def since(begun: tuple[float, float]) -> dict[str, float]:
    """The seconds that the work took, and those of this process's CPU."""
    return {"seconds": time.perf_counter() - begun[0], "cpu_s": time.process_time() - begun[1]}
