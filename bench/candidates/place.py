"""Where a candidate finds what it is given, and what it answers."""

from __future__ import annotations

import os
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
