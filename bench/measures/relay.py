"""T7: a backlog in the outbox goes to Kafka, in order per key and marked, against aiokafka alone."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import IO, Any, Final

from bench import kafka, outbox, peers
from bench.measured import Claim, Measure, Measured, MeasurementFailed, Sample
from bench.postgres import number
from bench.stage import Stage

ONE: Final = "ours, one relay"
TWO: Final = "ours, two relays"
PIPELINED: Final = "aiokafka, pipelined"
SINGLE: Final = "aiokafka, one by one"
_LEAST_ROWS: Final = 20_000
_ROWS_PER_S: Final = 7_000
#: One by one takes so much longer that a share of the messages is enough.
_SINGLE_SHARE: Final = 20
_TEMPLATE: Final = "bench_backlog"
_LEFT: Final = "SELECT count(*) FROM payments_outbox WHERE published_at IS NULL"


def _run(stage: Stage) -> Measured:
    rows = max(_LEAST_ROWS, math.ceil(stage.seconds * _ROWS_PER_S))
    server, brokers = stage.postgres(), stage.kafka()
    stage.say(f"T7: writing a backlog of {rows} rows")
    outbox.fill(server.create(_TEMPLATE), rows)
    samples: list[Sample] = []
    for turn in range(stage.rounds):
        for name, relays in ((ONE, 1), (TWO, 2)):
            stage.say(f"T7 round {turn + 1} of {stage.rounds}: {name}")
            url = server.create("bench_relay", _TEMPLATE)
            server.settle()
            with kafka.fresh_topics(brokers) as prefix:
                found = _timed(brokers, prefix, [("relay_ours",)] * relays, url)
                _check(brokers, prefix, rows, number(url, _LEFT))
            samples.append(
                Sample(name, turn, {"per_s": rows / found["seconds"], "cpu_us": found["cpu_s"] / rows * 1e6})
            )
        for name, how, count in ((PIPELINED, "pipelined", rows), (SINGLE, "single", rows // _SINGLE_SHARE)):
            stage.say(f"T7 round {turn + 1} of {stage.rounds}: {name}")
            with kafka.fresh_topics(brokers) as prefix:
                found = _timed(brokers, prefix, [("relay_bare", how, str(count))], "")
                _check(brokers, prefix, count, 0)
            figures = {"per_s": count / found["seconds"], "cpu_us": found["cpu_s"] / count * 1e6}
            samples.append(Sample(name, turn, figures))
    server.drop(_TEMPLATE)
    return Measured(tuple(samples))


def _timed(brokers: str, prefix: str, commands: Sequence[tuple[str, ...]], url: str) -> dict[str, float]:
    """Start them, let them begin together, and wait for the last one."""
    environment = {
        **os.environ,
        "KAFKA_BROKERS": brokers,
        "PAYMENTS_TOPIC_PREFIX": prefix,
        "PAYMENTS_DATABASE_URL": url,
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-m", f"bench.candidates.{module}", *arguments],
            env=environment,
            cwd=peers.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for module, *arguments in commands
    ]
    try:
        for one in running:
            _line(one.stdout)
        began = time.perf_counter()
        for one in running:
            _go(one.stdin)
        told = [json.loads(_line(one.stdout)) for one in running]
        return {"seconds": time.perf_counter() - began, "cpu_s": sum(one["cpu_s"] for one in told)}
    finally:
        for one in running:
            try:
                one.wait(20)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
            for pipe in (one.stdin, one.stdout):
                if pipe is not None:
                    pipe.close()


def _line(pipe: IO[Any] | None) -> str:
    line = "" if pipe is None else str(pipe.readline())
    if not line:
        raise MeasurementFailed("a relay ended before it was done; what it said is above")
    return line


def _go(pipe: IO[Any] | None) -> None:
    if pipe is not None:
        pipe.write("go\n")
        pipe.flush()


def _check(brokers: str, prefix: str, wanted: int, left: int) -> None:
    there = kafka.messages(brokers, prefix)
    if there != wanted or left:
        raise MeasurementFailed(f"{wanted} messages were to be sent: {there} are there, {left} rows are owed")


RELAY: Final = Measure(
    "relay",
    (
        Claim("T7", "events per second / aiokafka pipelined, from memory", "per_s", ONE, PIPELINED, at_least=0.5),
        Claim("T7", "events per second / aiokafka one by one", "per_s", ONE, SINGLE, at_least=8),
        Claim("T7", "two relays / one relay", "per_s", TWO, ONE, at_least=1.0),
        Claim("T7", "CPU of the relay / aiokafka pipelined", "cpu_us", ONE, PIPELINED),
    ),
    _run,
)
