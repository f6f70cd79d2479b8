"""S01: our signature check against the one of Stripe's SDK, over 100,000 mutated headers: never more permissive.

The SDK is the oracle of what Stripe means. It is asked with the same clock, so that the edges of the window are tried
too, and with each of the current secrets.
"""

from __future__ import annotations

import random
import time

import pytest
import stripe

from payments_core.domain.signature import check_signature, sign
from payments_core.errors import InvalidSignature

HEADERS = 100_000
NOW = 1_764_000_000
SECRETS = ("whsec_the_current_secret", "whsec_the_one_being_rolled")
STRANGER = "whsec_of_somebody_else"
BODIES = (b'{"id":"evt_test_webhook","object":"event"}', '{"id":"evt_\u00e9"}'.encode(), b"", b"[]")
#: Ages in seconds, to either side of the window's two edges and far beyond.
AGES_S = (0, 0, 0, 0, 5, 299, 300, 301, 400, 10**6, -1, -299, -300, -301, -(10**6))
PIECES = (
    "",
    "0",
    "a",
    "f",
    ",",
    "=",
    " ",
    "t",
    "v1",
    "\u00e9",
    "\x00",
    "\uff11",
    "\n",
    "\t",
    ";",
    "_",
    "+",
    "-",
    ".",
    "'",
)


def ours(body: bytes, header: str) -> bool:
    """The library's verdict; anything it raised but InvalidSignature would fail the test."""
    try:
        check_signature(body, header, SECRETS, now_s=NOW)
    except InvalidSignature:
        return False
    return True


def theirs(body: bytes, header: str) -> bool:
    """The SDK's verdict with any current secret; whatever it raises is a refusal."""
    for secret in SECRETS:
        try:
            if stripe.WebhookSignature.verify_header(body.decode(), header, secret, tolerance=300):
                return True
        except Exception:  # noqa: BLE001, S112 - it raises TypeError and ValueError too
            continue
    return False


def signed(dice: random.Random, body: bytes, stamp: int) -> str:
    """A digest that is good, or nearly."""
    secret = dice.choice((*SECRETS, *SECRETS, STRANGER))
    signed_body = body if dice.random() < 0.9 else dice.choice(BODIES)
    return sign(signed_body, secret, timestamp_s=stamp).partition("v1=")[2]


def mutated(dice: random.Random, body: bytes) -> str:
    """A header close to a good one: parts added, taken away and shuffled, then characters put in and taken out."""
    stamp = NOW - dice.choice(AGES_S)
    good = signed(dice, body, stamp)
    parts = [f"t={stamp}", f"v1={good}"]
    zeros = f"v1={'0' * 64}"
    extra = [
        zeros, zeros, f"v1={good.upper()}", f"v0={good}", f"v2={good}", f"t={stamp}", f"t={NOW}", "v1=", "v1",
        "t", "", "=",
        "v1=\u00e9", f" v1={good}", f"v1 ={good}", f"v1=={good}", f"v1={good} ", f"v1={good}\n", f"v1={good}0",
        f"v1={good[1:]}", f"t={stamp}.0", f"t=+{stamp}", f"t= {stamp}", f"t=0{stamp}",
        f"t={stamp // 1000}_{stamp % 1000}", "t=NaN", "t=1e9", f"v1={signed(dice, body, stamp)}",
        ",".join([zeros] * 17),
    ]  # fmt: skip
    parts += dice.sample(extra, dice.choice([0, 0, 1, 2, 3]))
    if dice.random() < 0.2:
        parts.remove(dice.choice(parts))
    if dice.random() < 0.5:
        dice.shuffle(parts)
    header = ",".join(parts)
    for _ in range(dice.choice([0, 0, 0, 1, 2])):
        place = dice.randrange(len(header) + 1)
        header = header[:place] + dice.choice(PIECES) + header[place + dice.randrange(3) :]
    return header


def test_never_more_permissive_than_stripes_own_verifier(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is accepted here the SDK accepts too; what it alone accepts is refused for a reason of ours."""
    dice = random.Random(20261123)  # noqa: S311 - repeatable on purpose
    accepted = refused_by_both = refused_here_only = 0
    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: float(NOW))
        for _ in range(HEADERS):
            body = dice.choice(BODIES)
            header = mutated(dice, body)
            by_us, by_them = ours(body, header), theirs(body, header)
            assert by_them or not by_us, (body, header)
            accepted += by_us
            refused_by_both += not (by_us or by_them)
            refused_here_only += by_them and not by_us
    # The headers are near enough to good ones to mean something, on either side.
    assert accepted > HEADERS // 10
    assert refused_by_both > HEADERS // 10
    assert refused_here_only > HEADERS // 100


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("t={future},v1={good_in_the_future}", "301 s in the future"),
        ("t={now},v1={good},v0=\u00e9", "not ASCII"),
        ("t= {now},v1={good}", "no timestamp"),
        ("t={now},v1={good}," + "x" * 4096, "too long"),
        ("t={now},v1={good}" + ",v1=0" * 16, "too many"),
    ],
)
def test_what_the_sdk_alone_accepts_is_refused_on_purpose(
    header: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way in which we are stricter, by name, so that a change of either side is seen."""
    body = BODIES[0]
    digests = {stamp: sign(body, SECRETS[0], timestamp_s=stamp).partition("v1=")[2] for stamp in (NOW, NOW + 301)}
    told = header.format(now=NOW, future=NOW + 301, good=digests[NOW], good_in_the_future=digests[NOW + 301])
    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: float(NOW))
        by_them = theirs(body, told)
    with pytest.raises(InvalidSignature, match=why):
        check_signature(body, told, SECRETS, now_s=NOW)
    assert by_them, "the SDK refuses it as well"
