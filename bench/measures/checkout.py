"""T8: opening a checkout against a local Stripe, over what the bare SDK takes for the same call."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

from bench import databases, peers
from bench.measured import Claim, Measure, Measured, MeasurementFailed, Sample
from bench.postgres import number
from bench.servers import Server, started, surroundings
from bench.stage import Stage
from bench.webhooks import SECRET

_OURS: Final = "ours, create_checkout_session"
_SDK: Final = "bare SDK call"
_CALLS_PER_S: Final = 50
_SCRIPT: Final = "from payments_core.cli import main; main()"


def _run(stage: Stage) -> Measured:
    calls = max(20, round(stage.seconds * _CALLS_PER_S))
    fresh = databases.ours_postgres(stage.postgres()).fresh
    samples: list[Sample] = []
    for round_number in range(stage.rounds):
        stage.say(f"T8 round {round_number + 1} of {stage.rounds}")
        url = fresh()
        stage.postgres().settle()
        with started(Server(_sandbox), "", stage.folder / "sandbox.log") as (port, _):
            found = _opened(url, port, calls)
        stored = number(url, "SELECT count(*) FROM payments_payment WHERE session_id IS NOT NULL")
        if stored != calls:
            raise MeasurementFailed(f"{calls} checkouts were opened, and {stored} are stored")
        samples += [
            Sample(_OURS, round_number, {"p50_ms": found["library"]}),
            Sample(_SDK, round_number, {"p50_ms": found["sdk"]}),
        ]
    return Measured(tuple(samples))


def _sandbox(port: int) -> tuple[str, ...]:
    return (sys.executable, "-c", _SCRIPT, "sandbox", "--port", str(port), "--webhook-secret", SECRET)


def _opened(url: str, port: int, calls: int) -> dict[str, float]:
    settings = {"BENCH_STRIPE": f"http://127.0.0.1:{port}", "BENCH_CALLS": str(calls)}
    line = (str(peers.python()), "-m", "bench.candidates.checkouts")
    environment = {**surroundings(url), **settings}
    done = subprocess.run(line, env=environment, cwd=peers.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MeasurementFailed(f"checkouts failed: {done.stderr.strip()[-400:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


CHECKOUT: Final = Measure(
    "opening a checkout",
    (Claim("T8", "median latency / the bare SDK's call", "p50_ms", _OURS, _SDK, at_most=1.15),),
    _run,
)
