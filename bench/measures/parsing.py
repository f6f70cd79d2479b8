"""T1: to verify a signature and read the envelope, in process, against the least that can be done and the SDK."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Final

import stripe

from bench.measured import Claim, Measure, Measured, Sample
from bench.stage import Stage
from bench.webhooks import SECRET, bodies
from payments_core.domain.envelope import read_envelope
from payments_core.domain.signature import check_signature, sign

_OURS: Final = "check and envelope"
_FLOOR: Final = "HMAC + json.loads"
_SDK: Final = "construct_event"
#: Each candidate runs this often before the clock is looked at again.
_BATCH: Final = 20


def _run(stage: Stage) -> Measured:
    body = next(bodies(1))
    key = SECRET.encode()

    def ours() -> None:
        now_s = int(time.time())
        check_signature(body, header, (SECRET,), now_s=now_s)
        read_envelope(body)

    def floor() -> None:
        timestamp, _, given = header.removeprefix("t=").partition(",v1=")
        digest = hmac.digest(key, timestamp.encode() + b"." + body, hashlib.sha256).hex()
        if not hmac.compare_digest(digest, given):
            raise AssertionError("the signature does not fit")
        json.loads(body)

    def sdk() -> None:
        stripe.Webhook.construct_event(body, header, SECRET)

    samples: list[Sample] = []
    for number in range(stage.rounds):
        stage.say(f"parsing round {number + 1} of {stage.rounds}")
        header = sign(body, SECRET, timestamp_s=int(time.time()))
        for name, work in ((_OURS, ours), (_FLOOR, floor), (_SDK, sdk)):
            samples.append(Sample(name, number, {"cpu_us": cpu_us(work, min(stage.seconds, 1.0))}))
    return Measured(tuple(samples))


def cpu_us(work: Callable[[], None], seconds: float) -> float:
    """The CPU microseconds of one call, over `seconds` of them."""
    work()
    calls, began, until = 0, time.process_time(), time.monotonic() + seconds
    while time.monotonic() < until:
        for _ in range(_BATCH):
            work()
        calls += _BATCH
    return (time.process_time() - began) / calls * 1e6


PARSING: Final = Measure(
    "parsing",
    (
        Claim("T1", "CPU of signature and envelope / HMAC + json.loads", "cpu_us", _OURS, _FLOOR, at_most=0.65),
        Claim("T1", "CPU of construct_event / signature and envelope", "cpu_us", _SDK, _OURS, at_least=30),
    ),
    _run,
)
