"""S01 and S19: the signature matrix over raw sockets, in both adapters; one answer for every refusal, nothing stored.

The list of cases is that of the Standard Webhooks libraries (https://www.standardwebhooks.com), put into Stripe's
scheme, and what else a header can be.
"""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from payments_core.domain.signature import sign
from tests.attacks.shops import ROLLED_SECRET, Shop
from tests.http.apps import PREFIX
from tests.http.sockets import head, reply
from tests.http.targets import WEBHOOK_SECRET

ROOT = Path(__file__).resolve().parents[2]
BODY = b'{"id":"evt_matrix","type":"customer.tax_id.updated","data":{"object":{}}}'
RECEIVED = b'{"received": true}'
VECTOR = "3c5817089d739023dd6190f70a3757e04f7a2fd8b5dab12c2e000f51970dccff"
Lines = Callable[[int], list[bytes]]


def digest(now: int, secret: str = WEBHOOK_SECRET, body: bytes = BODY) -> str:
    return sign(body, secret, timestamp_s=now).partition("v1=")[2]


def line(value: str) -> list[bytes]:
    return [b"Stripe-Signature: " + value.encode("utf-8")]


ACCEPTED: dict[str, Lines] = {
    "signed now": lambda now: line(f"t={now},v1={digest(now)}"),
    "four minutes old": lambda now: line(f"t={now - 240},v1={digest(now - 240)}"),
    "four minutes ahead": lambda now: line(f"t={now + 240},v1={digest(now + 240)}"),
    "the signature first": lambda now: line(f"v1={digest(now)},t={now}"),
    "with a v0": lambda now: line(f"t={now},v1={digest(now)},v0={'0' * 64}"),
    "several, one of them good": lambda now: line(f"t={now},v1={'0' * 64},v1={digest(now)},v1={'f' * 64}"),
    "by the secret being rolled": lambda now: line(f"t={now},v1={digest(now, ROLLED_SECRET)}"),
    "by both secrets": lambda now: line(f"t={now},v1={digest(now)},v1={digest(now, ROLLED_SECRET)}"),
    "in two header lines": lambda now: [*line(f"t={now}"), *line(f"v1={digest(now)}")],
    "in lower case": lambda now: [b"stripe-signature: " + f"t={now},v1={digest(now)}".encode()],
}
REFUSED: dict[str, Lines] = {
    "no header": lambda now: [],
    "an empty header": lambda now: line(""),
    "another header's name": lambda now: [b"Webhook-Signature: " + f"t={now},v1={digest(now)}".encode()],
    "no timestamp": lambda now: line(f"v1={digest(now)}"),
    "an empty timestamp": lambda now: line(f"t=,v1={digest(now)}"),
    "no signature": lambda now: line(f"t={now}"),
    "an empty signature": lambda now: line(f"t={now},v1="),
    "half a signature": lambda now: line(f"t={now},v1={digest(now)[:32]}"),
    "a longer signature": lambda now: line(f"t={now},v1={digest(now)}00"),
    "v0 alone": lambda now: line(f"t={now},v0={digest(now)}"),
    "v2 alone": lambda now: line(f"t={now},v2={digest(now)}"),
    "a capital V1": lambda now: line(f"t={now},V1={digest(now)}"),
    "capital digits": lambda now: line(f"t={now},v1={digest(now).upper()}"),
    "old": lambda now: line(f"t={now - 310},v1={digest(now - 310)}"),
    "new": lambda now: line(f"t={now + 310},v1={digest(now + 310)}"),
    "the timestamp made current": lambda now: line(f"t={now},v1={digest(now - 3600)}"),
    "the published vector, years old": lambda now: line(f"t=1614265330,v1={VECTOR}"),
    "another secret": lambda now: line(f"t={now},v1={digest(now, 'whsec_of_somebody_else')}"),
    "an empty secret": lambda now: line(f"t={now},v1={digest(now, '')}"),
    "both secrets as one": lambda now: line(f"t={now},v1={digest(now, f'{WEBHOOK_SECRET},{ROLLED_SECRET}')}"),
    "the secret without its prefix": lambda now: line(f"t={now},v1={digest(now, WEBHOOK_SECRET[6:])}"),
    "another body": lambda now: line(f"t={now},v1={digest(now, body=BODY + b' ')}"),
    "an empty body": lambda now: line(f"t={now},v1={digest(now, body=b'')}"),
    "two timestamps": lambda now: line(f"t=1,t={now},v1={digest(now)}"),
    "the same timestamp twice": lambda now: line(f"t={now},t={now},v1={digest(now)}"),
    "two whole headers": lambda now: line(f"t={now},v1={digest(now)}") * 2,
    "Unicode digits": lambda now: line(f"t={str(now).translate(WIDE)},v1={digest(now)}"),
    "a sign": lambda now: line(f"t=+{now},v1={digest(now)}"),
    "a fraction": lambda now: line(f"t={now}.0,v1={digest(now)}"),
    "an exponent": lambda now: line(f"t=1e9,v1={digest(10**9)}"),
    "underscores": lambda now: line(f"t={now // 1000}_{now % 1000:03},v1={digest(now)}"),
    "blanks inside": lambda now: line(f"t={now}, v1={digest(now)}"),
    "semicolons": lambda now: line(f"t={now};v1={digest(now)}"),
    "seventeen signatures": lambda now: line(f"t={now}" + f",v1={'0' * 64}" * 16 + f",v1={digest(now)}"),
    "four kilobytes": lambda now: line(f"t={now},v1={digest(now)}," + "x" * 4100),
    "beyond ASCII": lambda now: line(f"t={now},v1={digest(now)},v0=\u00e9"),
    "in base64": lambda now: line(f"v1,{digest(now)}"),
}
WIDE = {ord("0") + number: ord("\uff10") + number for number in range(10)}


def post(shop: Shop, lines: list[bytes]) -> tuple[int, bytes]:
    length = f"Content-Length: {len(BODY)}"
    return reply(shop.server, head(f"{PREFIX}/webhooks/stripe", *lines, length, "Connection: close") + BODY)


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_stripe_signs_is_received(shop: Shop, case: str) -> None:
    """By any current secret, within five minutes to either side, however its parts are spread."""
    assert post(shop, ACCEPTED[case](int(time.time()))) == (200, RECEIVED)


@pytest.mark.parametrize("case", REFUSED)
def test_whatever_else_comes_is_refused_with_the_same_words_and_stored_nowhere(shop: Shop, case: str) -> None:
    """400, byte for byte the answer to a request without any header; no table has grown."""
    before = shop.counts()
    answered = post(shop, REFUSED[case](int(time.time())))
    assert answered == post(shop, [])
    assert answered[0] == 400
    assert b'"error":"Invalid signature"' in answered[1]
    assert shop.counts() == before


def test_wherever_a_secret_is_compared_it_is_by_compare_digest() -> None:
    """S19, by the syntax tree: nothing in the library compares digests, signatures or secrets with an operator."""
    compared: list[str] = []
    secretive = re.compile(r"\b(digest|signature|secret|hmac|password)s?\b")
    # The sandbox and the contracts for tests are on no border: they know made-up secrets only.
    passed_over = [ROOT / "src/payments_core" / name for name in ("sandbox", "testing")]
    for path in (ROOT / "src").rglob("*.py"):
        if any(path.is_relative_to(folder) for folder in passed_over):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Compare) or not isinstance(
                node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn
            ):
                continue
            written = ast.unparse(node)
            if secretive.search(written.replace("_", " ")):
                compared.append(f"{path.relative_to(ROOT / 'src')}: {written}")
    # Whether a key is a live one, by its first eight characters, which Stripe documents.
    assert compared == ["payments_core/settings.py: '_live_' in self.stripe_secret_key.get_secret_value()[:8]"]
