"""The load: signed `checkout.session.completed` requests of 3.7 kB, each with an event id of its own, in a file.

Made before a round, so that the load generator only reads: repeated ids would write nothing and measure nothing. All
requests are of one length, so that the generator can start anywhere.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import evolve, frozen

from payments_core.domain.signature import sign
from payments_core.sandbox.records.checkout import LineItem, Session
from payments_core.sandbox.records.events import Event
from payments_core.sandbox.records.payments import Buyer
from payments_core.sandbox.shapes.account import event as event_shape
from payments_core.sandbox.shapes.checkout import session as session_shape
from payments_core.sandbox.totals import Priced, Totals

SECRET: Final = "whsec_bench_0123456789abcdef0123456789"
PATH: Final = "/api/payments/webhooks/stripe"
BODY_BYTES: Final = 3700
_PLACE: Final = "evt_bench_000000000000"
_BUYER: Final = Buyer("buyer@example.test", "Jenny Rosen")


@frozen
class RequestFile:
    """A file of `total` requests of `size` bytes each, signed at `made_at` (seconds on the monotonic clock)."""

    path: Path
    size: int
    total: int
    made_at: float


def completed(record: Session, event_id: str) -> bytes:
    """The event that this session was paid, as Stripe writes it, made up to 3,700 bytes in its metadata."""
    paid = evolve(record, status="complete", payment_status="paid", buyer=_BUYER, customer_email=_BUYER.email)
    short = _document(paid, event_id, "")
    return _document(paid, event_id, "x" * (BODY_BYTES - len(short)))


def _document(record: Session, event_id: str, note: str) -> bytes:
    noted = evolve(record, metadata={**record.metadata, "note": note})
    shape = session_shape(noted, "http://127.0.0.1")
    wrapped = Event(event_id, record.created, "checkout.session.completed", shape)
    # Stripe indents by two; by one it is the size that the targets speak of.
    return json.dumps(event_shape(wrapped, 1), indent=1).encode()


def some_session() -> Session:
    """A session of two shirts that was not made by the application under test."""
    now = int(time.time())
    line = LineItem("li_1", "price_1", 2, "Premium T-Shirt", "usd", 5998)
    totals = Totals((Priced(line.amount_minor),))
    return Session("cs_test_bench", now, now + 86400, "usd", (line,), payment_intent="pi_bench", totals=totals)


def event_id(number: int) -> str:
    """The id of event `number`; all are of one length."""
    return f"evt_bench_{number:012d}"


def bodies(total: int) -> Iterator[bytes]:
    """That many events that differ in their ids."""
    before, _, after = completed(some_session(), _PLACE).partition(_PLACE.encode())
    for number in range(total):
        yield before + event_id(number).encode() + after


def request(body: bytes, timestamp_s: int, secret: str = SECRET) -> bytes:
    """The whole HTTP request that delivers `body`."""
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json; charset=utf-8\r\n"
        f"User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\nContent-Length: {len(body)}\r\n"
        f"Stripe-Signature: {sign(body, secret, timestamp_s=timestamp_s)}\r\n\r\n"
    )
    return head.encode() + body


def write_requests(path: Path, total: int) -> RequestFile:
    """Write `total` requests, signed now."""
    now_s, size = int(time.time()), 0
    with path.open("wb", buffering=1 << 20) as file:
        for body in bodies(total):
            whole = request(body, now_s)
            if size not in (0, len(whole)):
                raise AssertionError("the requests differ in length")
            size = len(whole)
            file.write(whole)
    return RequestFile(path, size, total, time.monotonic())
