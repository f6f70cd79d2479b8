"""T6: handling what was received, one worker process on PostgreSQL, against the bare driver's loop."""

from __future__ import annotations

import json
import math
import subprocess
from typing import Final

from bench import peers, shop
from bench.measured import Claim, Measure, Measured, MeasurementFailed, Sample
from bench.postgres import Postgres
from bench.servers import surroundings
from bench.stage import Stage

#: At least so many events each: fewer would measure the first of everything.
LEAST_EVENTS: Final = 2000
_EVENTS_PER_S: Final = 700
RAW: Final = "bare driver"
BLOCKING: Final = "ours, Payments"
ASYNC: Final = "ours, AsyncPayments"
BOUND: Final = "bare loop, SQLAlchemy's connection"
BOUND_PSYCOPG: Final = "bare loop, SQLAlchemy's connection on a loop by psycopg"
BOUND_ASYNCPG: Final = "bare loop, SQLAlchemy's connection on a loop by asyncpg"
_COMMANDS: Final = {
    BLOCKING: ("worker_ours", "blocking"),
    RAW: ("worker_raw",),
    ASYNC: ("worker_ours", "async"),
    BOUND: ("worker_bound", "blocking"),
    BOUND_PSYCOPG: ("worker_bound", "psycopg"),
    BOUND_ASYNCPG: ("worker_bound", "asyncpg"),
}


def _run(stage: Stage) -> Measured:
    server, events = stage.postgres(), max(LEAST_EVENTS, math.ceil(stage.seconds * _EVENTS_PER_S))
    stage.say(f"T6: opening {events} sessions")
    shop.make(server, events)
    samples: list[Sample] = []
    for number in range(stage.rounds):
        for name, command in _COMMANDS.items():
            stage.say(f"T6 round {number + 1} of {stage.rounds}: {name}")
            samples.append(Sample(name, number, _one(server, command, events)))
    return Measured(tuple(samples))


def _one(server: Postgres, command: tuple[str, ...], events: int) -> dict[str, float]:
    url = server.create("bench_shop", shop.TEMPLATE)
    server.settle()
    module, *arguments = command
    line = (str(peers.python()), "-m", f"bench.candidates.{module}", *arguments)
    done = subprocess.run(line, env=surroundings(url), cwd=peers.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MeasurementFailed(f"{module} failed: {done.stderr.strip()[-400:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    check_effects(shop.effects(url), events)
    return {"events": events, "per_s": events / found["seconds"], "claimed": found["handled"]}


def check_effects(effects: dict[str, int], events: int) -> None:
    """Raise MeasurementFailed unless every event had each of its effects, once."""
    wrong = {name: count for name, count in effects.items() if count != events}
    if wrong:
        raise MeasurementFailed(f"of {events} events there are {wrong}")


PROCESSING: Final = Measure(
    "processing, one worker process, PostgreSQL",
    (
        Claim("T6", "Payments: events per second / the bare driver's loop", "per_s", BLOCKING, RAW, at_least=0.8),
        Claim("T6", "AsyncPayments, lanes at once / the bare driver's loop", "per_s", ASYNC, RAW, at_least=1.3),
        Claim("T6", "the bare loop with SQLAlchemy's connection for the handler / without", "per_s", BOUND, RAW),
        Claim("T6", "the same on a loop, four at once, psycopg / without", "per_s", BOUND_PSYCOPG, RAW),
        Claim("T6", "the same on a loop, four at once, asyncpg / without", "per_s", BOUND_ASYNCPG, RAW),
    ),
    _run,
)
