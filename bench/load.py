"""The load generator: wrk, a program of its own, so that it shares no loop and no interpreter with a server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from attrs import frozen

from bench.measured import CannotMeasure, MeasurementFailed
from bench.webhooks import RequestFile

_SCRIPT: Final = Path(__file__).with_name("wrk.lua")


@frozen
class Outcome:
    """What the generator saw. `answered` are the requests that got a 2xx."""

    answered: int
    seconds: float
    p50_ms: float
    p99_ms: float


def generator() -> str:
    """The path of wrk; installed by apt-get where that is allowed. Raises CannotMeasure."""
    found = shutil.which("wrk")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-qq", "-y", "wrk"], capture_output=True, check=False)
        found = shutil.which("wrk")
    if found is None:
        raise CannotMeasure("the load generator wrk was not found; install it (Debian: apt-get install wrk)")
    return found


def send(requests: RequestFile, *, port: int, connections: int, seconds: float, first: int = 0) -> Outcome:
    """Send requests from number `first` on. Raises MeasurementFailed when any was refused or broken off."""
    command = [generator(), "--threads", "1", "--connections", str(connections), "--latency"]
    command += ["--duration", f"{max(1, round(seconds))}s", "--timeout", "10s", "--script", str(_SCRIPT)]
    command += [f"http://127.0.0.1:{port}", "--", str(requests.path)]
    command += [str(requests.size), str(requests.total), str(first)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    return read_outcome(done.stdout, done.stderr)


def read_outcome(output: str, errors: str = "") -> Outcome:
    """The outcome that the script printed. Raises MeasurementFailed for one that does not count."""
    lines = [line.removeprefix("OUTCOME ") for line in output.splitlines() if line.startswith("OUTCOME ")]
    if not lines:
        raise MeasurementFailed(f"wrk printed no outcome: {(output + errors).strip()[-500:]}")
    found: dict[str, int] = json.loads(lines[0])
    if found["refused"] or found["broken"]:
        raise MeasurementFailed(f"{found['refused']} requests were refused and {found['broken']} broke off")
    if not found["requests"]:
        raise MeasurementFailed("no request was answered")
    return Outcome(found["requests"], found["duration_us"] / 1e6, found["p50_us"] / 1000, found["p99_us"] / 1000)
