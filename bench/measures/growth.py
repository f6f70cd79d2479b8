"""T10: intake, claims and the relay with a million handled events in the tables, against a thousand."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median
from typing import Final

from bench import databases, filling
from bench.intake import Candidate, Database, Load, interleaved
from bench.measured import Claim, Measure, Measured, MeasurementFailed, Sample
from bench.postgres import Postgres
from bench.servers import uvicorn
from bench.stage import Stage
from payments_core.adapters.sql import blocking_store
from payments_core.adapters.sql.relaying import async_outbox
from payments_core.app.relays import LoopErrands
from payments_core.drive import run_blocking
from payments_core.ports import Store
from payments_core.ports.publishing import OwedRow, Refusal
from payments_core.services.relay import Relay

SMALL: Final = "a thousand handled"
LARGE: Final = "a million handled"
SIZES: Final = {SMALL: 1_000, LARGE: 1_000_000}
_CLAIMS: Final = 100
_OWED: Final = 20_000
_LIMIT: Final = 20


def _run(stage: Stage) -> Measured:
    server = stage.postgres()
    urls: dict[str, str] = {}
    for name, events in SIZES.items():
        stage.say(f"T10: filling the tables with {name}")
        urls[name] = server.create(f"bench_{events}_handled")
        databases.upgraded(urls[name])
        filling.handled(urls[name], events)
    candidates = [Candidate(name, uvicorn("ours_fastapi"), _grown(server, url)) for name, url in urls.items()]
    intake = interleaved(stage, "T10", Load(16), candidates)
    claims = tuple(_claims(stage, number, name, url) for number in range(stage.rounds) for name, url in urls.items())
    relays = tuple(_relays(stage, turn, name, url) for turn in range(stage.rounds) for name, url in urls.items())
    for name in SIZES:
        server.drop(f"bench_{SIZES[name]}_handled")
    return Measured((*(_renamed(one) for one in intake.samples), *claims, *relays), intake.missing)


def _grown(server: Postgres, url: str) -> Database:
    """The filled database: what a round leaves waiting is taken away before the next."""

    def fresh() -> str:
        filling.clear_waiting(url)
        return url

    return Database(fresh, filling.waiting, server)


def _renamed(sample: Sample) -> Sample:
    """Per request, so that all of T10 is a cost."""
    figures = {**sample.figures, "request_us": 1e6 / sample.figures["per_s"]}
    return Sample(sample.candidate, sample.round, figures)


def _claims(stage: Stage, number: int, name: str, url: str) -> Sample:
    stage.say(f"T10 claims, round {number + 1} of {stage.rounds}: {name}")
    filling.clear_waiting(url)
    filling.ready(url, _CLAIMS * _LIMIT)
    stage.postgres().settle()
    store = blocking_store(url)
    run_blocking(store.prepare())
    try:
        claim_ms = median(_claim_ms(store) for _ in range(_CLAIMS))
    finally:
        run_blocking(store.close())
        filling.clear_waiting(url)
    return Sample(f"claims, {name}", number, {"claim_ms": claim_ms})


class _Acknowledges:
    """A broker that takes everything at once: what is left is what the relay costs the database."""

    async def publish(self, rows: Sequence[OwedRow]) -> tuple[Sequence[int], Mapping[int, Refusal]]:
        """See Publisher."""
        return [row.row_id for row in rows], {}

    async def close(self) -> None:
        """Nothing is held."""


def _relays(stage: Stage, turn: int, name: str, url: str) -> Sample:
    stage.say(f"T10 relay, round {turn + 1} of {stage.rounds}: {name}")
    filling.clear_owed(url)
    filling.owed(url, _OWED)
    stage.postgres().settle()
    try:
        took_s = asyncio.run(_drained_s(url))
    finally:
        filling.clear_owed(url)
    return Sample(f"relay, {name}", turn, {"row_us": took_s / _OWED * 1e6})


async def _drained_s(url: str) -> float:
    relay = Relay(async_outbox(url), [_Acknowledges()], LoopErrands(), random.Random().random)  # noqa: S311 - jitter
    try:
        async with relay.outbox.batch(1):
            pass
        began = time.perf_counter()
        await relay.drain()
        took_s = time.perf_counter() - began
    finally:
        await relay.close()
    if relay.tally.published != _OWED:
        raise MeasurementFailed(f"the relay published {relay.tally.published} events, not {_OWED}")
    return took_s


def _claim_ms(store: Store) -> float:
    began = time.perf_counter()
    claimed = run_blocking(store.claim(limit=_LIMIT, lease_s=300))
    took_s = time.perf_counter() - began
    if len(claimed) != _LIMIT:
        raise MeasurementFailed(f"a claim gave {len(claimed)} events, not {_LIMIT}")
    return took_s * 1000


_ratio = partial(Claim, "T10")
GROWTH: Final = Measure(
    "growth",
    (
        _ratio("time per request, a million / a thousand handled", "request_us", LARGE, SMALL, at_most=1.2),
        _ratio("CPU per request", "cpu_us", LARGE, SMALL),
        _ratio("median time of a claim", "claim_ms", f"claims, {LARGE}", f"claims, {SMALL}", at_most=1.2),
        _ratio("the relay's time per event, broker aside", "row_us", f"relay, {LARGE}", f"relay, {SMALL}", at_most=1.2),
    ),
    _run,
)
