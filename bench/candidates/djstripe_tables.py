"""dj-stripe's database: made by its own migrations, in its own environment."""

from __future__ import annotations

import subprocess
from typing import Final

from bench import peers
from bench.databases import on_postgres
from bench.intake import Database
from bench.measured import CannotMeasure
from bench.postgres import Postgres
from bench.servers import surroundings

_STORED: Final = "SELECT count(*) FROM djstripe_event WHERE data IS NOT NULL"


def database(server: Postgres) -> Database:
    """Its tables on PostgreSQL, with one webhook endpoint."""
    return on_postgres(server, "djstripe", _prepare, _STORED)


def _prepare(url: str) -> None:
    command = (str(peers.python("djstripe")), "-m", "bench.candidates.djstripe_site")
    environment = {**surroundings(url), "BENCH_DJSTRIPE": "prepare"}
    done = subprocess.run(command, env=environment, cwd=peers.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMeasure(f"dj-stripe's tables could not be made: {done.stderr.strip()[-400:]}")
