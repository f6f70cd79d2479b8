"""S03: ten thousand hostile heads over raw sockets, in both adapters: no 5xx, and the server goes on serving.

The single kinds of abuse, each by name, are in tests/http/test_raw_sockets.py; here they are drawn, combined and sent
in crowds, on connections that are kept and on ones that break off.
"""

from __future__ import annotations

import contextlib
import random
import socket
from collections import Counter

import pytest

from tests.attacks.shops import Shop
from tests.http.apps import PREFIX
from tests.http.sockets import connect, head, read_all, statuses

#: For each of the two servers.
REQUESTS = 5000
PER_CONNECTION = 25
PATHS = (
    "/webhooks/stripe",
    "/create-checkout-session",
    "/verify-prices",
    "/checkout-sessions/cs_test_x",
    "/ready",
    "/x",
)
ODD_BYTES = (
    b"\r",
    b"\x00",
    b"\x1b[31m",
    b"\xff\xfe",
    "\u00e9\u0661".encode(),
    b"\t",
    b"\x7f",
    b"%0d%0a",
    b"\\",
    b"'",
    b'"',
    b"{}",
)
NAMES = (
    b"Stripe-Signature", b"Content-Type", b"X-Request-Id", b"traceparent", b"Idempotency-Key", b"X-Forwarded-For",
    b"X-Forwarded-Host", b"Forwarded", b"Cookie", b"Authorization", b"Content-Encoding", b"Accept", b"Range", b"X-Odd",
)  # fmt: skip
VALUES = (
    b"", b",", b"=", b";;;", b"t=1,v1=a", b"t=1," * 200, b"v1=" + b"0" * 64, b"[1,2]", b"None", b"-1", b"9" * 30,
    b"a\r\n b", b"application/json; charset=utf-16", b'application/json;charset="', b"multipart/form-data; boundary=",
    b"gzip, br", b"bytes=0-", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", b"127.0.0.1, ::1, unknown",
    b'for="[::1]"', b"x" * 4000, b"${jndi:ldap://x}",
)  # fmt: skip


def hostile(dice: random.Random) -> bytes:
    """One request with a head that no honest client sends."""
    lines: list[str | bytes] = []
    for _ in range(dice.randrange(1, 6)):
        value = dice.choice(VALUES)
        if dice.random() < 0.3:
            place = dice.randrange(len(value) + 1)
            value = value[:place] + dice.choice(ODD_BYTES) + value[place:]
        lines.append(dice.choice(NAMES) + b": " + value)
    if dice.random() < 0.02:
        lines += [b"X-Many: 1"] * 200
    body = dice.choice((b"{}", b"", b"[", b"\xff"))
    method = dice.choice(("POST", "POST", "POST", "GET", "PUT", "OPTIONS"))
    return head(PREFIX + dice.choice(PATHS), *lines, f"Content-Length: {len(body)}", method=method) + body


def sent_together(shop: Shop, requests: list[bytes]) -> list[int]:
    """The statuses of requests sent on one connection; one that the server closes takes the rest with it."""
    with connect(shop.server) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(b"".join(requests))
            connection.shutdown(socket.SHUT_WR)
        return statuses(read_all(connection))


@pytest.mark.timeout(900)
def test_ten_thousand_hostile_heads_make_no_server_error(shop: Shop) -> None:
    """5,000 answers from each server, and every one is below 500."""
    dice = random.Random(f"heads for {shop.name}")  # noqa: S311 - repeatable on purpose
    answered: Counter[int] = Counter()
    while answered.total() < REQUESTS:
        requests = [hostile(dice) for _ in range(dice.choice((1, 1, 1, PER_CONNECTION)))]
        found = sent_together(shop, requests)
        assert not [status for status in found if status >= 500], requests
        answered.update(found)
    assert {400, 404, 405, 415} <= answered.keys() <= {200, 204, 400, 404, 405, 408, 411, 413, 415, 422, 431}
    assert shop.is_well()
