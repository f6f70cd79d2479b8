"""Stripe's webhook signature, checked over the bytes as they arrived.

Scheme (https://docs.stripe.com/webhooks#verify-manually): the header is `t=<unix seconds>,v1=<hex>[,v1=<hex>…]`;
`v1` is HMAC-SHA256 over `t + "." + body`, keyed by the whole secret, `whsec_` included. Several `v1` appear while a
secret is being rolled; any that matches will do. `v0` and unknown schemes never count.

Stricter than Stripe's SDK on purpose: a timestamp from the future is refused like an old one, `t` may appear once,
the header is bounded, and nothing but a verdict ever comes out. The SDK raises TypeError for a non-ASCII signature and
UnicodeDecodeError for a body that is not UTF-8, before it has authenticated anybody.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from attrs import frozen

from ..errors import InvalidSignature

#: Seconds a signature stays good, to either side of now. Stripe's own libraries use the same.
TOLERANCE_S: Final = 300
MAX_HEADER_CHARS: Final = 4096
MAX_SIGNATURES: Final = 16

_TIMESTAMP = re.compile(r"[0-9]{1,12}")
#: What Stripe sends on nearly every delivery: one timestamp, one signature.
_PLAIN = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")


@frozen
class SignatureHeader:
    """A `Stripe-Signature` header taken apart: `timestamp` as it was written, the `v1` digests in lower-case hex."""

    timestamp: str
    digests: tuple[str, ...]


def check_signature(
    body: bytes, header: str | None, secrets: Sequence[str], *, now_s: int, tolerance_s: int = TOLERANCE_S
) -> int:
    """The index of the secret that signed `body`; every secret is tried against every signature.

    `now_s` is the current Unix time. Raises InvalidSignature, whose `cause` says for the log what was wrong.
    """
    parsed = parse_header(header)
    matched = _matching_secret(body, parsed, secrets)
    if matched is None:
        raise InvalidSignature(
            "no secret of ours made any of its signatures; check that the signing secret is this endpoint's",
            "unknown_signer",
        )
    age_s = now_s - int(parsed.timestamp)
    if age_s > tolerance_s:
        raise InvalidSignature(f"it is {age_s} s old, more than {tolerance_s}", "too_old")
    if age_s < -tolerance_s:
        raise InvalidSignature(f"it is {-age_s} s in the future, more than {tolerance_s}; check the clock", "too_new")
    return matched


def sign(body: bytes, secret: str, *, timestamp_s: int) -> str:
    """The header Stripe would send for `body`, for the sandbox and for tests."""
    return f"t={timestamp_s},v1={_digest(secret, b'%d.' % timestamp_s, body)}"


def parse_header(header: str | None) -> SignatureHeader:
    """The header's parts. Raises InvalidSignature for one that Stripe would not have sent."""
    if not header:
        raise InvalidSignature("there is no Stripe-Signature header", "missing")
    plain = _PLAIN.fullmatch(header)
    if plain is not None:
        return SignatureHeader(plain[1], (plain[2],))
    if len(header) > MAX_HEADER_CHARS:
        raise InvalidSignature("the header is too long")
    if not header.isascii():
        raise InvalidSignature("the header is not ASCII")
    parts = [part.partition("=") for part in header.split(",")]
    if any(name in ("t", "v1") and not separator for name, separator, _ in parts):
        raise InvalidSignature("a part of the header has no value")
    timestamp = _timestamp([value for name, _, value in parts if name == "t"])
    return SignatureHeader(timestamp, _digests([value for name, _, value in parts if name == "v1"]))


def _timestamp(values: Sequence[str]) -> str:
    if len(values) > 1:
        raise InvalidSignature("the header has two timestamps")
    if not values or not _TIMESTAMP.fullmatch(values[0]):
        raise InvalidSignature("the header has no timestamp")
    return values[0]


def _digests(values: Sequence[str]) -> tuple[str, ...]:
    if not values:
        raise InvalidSignature("the header has no v1 signature")
    if len(values) > MAX_SIGNATURES:
        raise InvalidSignature("the header has too many signatures")
    return tuple(value for value in values if _HEX_DIGEST.fullmatch(value))


def _matching_secret(body: bytes, parsed: SignatureHeader, secrets: Sequence[str]) -> int | None:
    matched: int | None = None
    begun = parsed.timestamp.encode("ascii") + b"."
    for index, secret in enumerate(secrets):
        if not secret.strip():
            continue
        expected = _digest(secret, begun, body)
        for digest in parsed.digests:
            if hmac.compare_digest(expected, digest) and matched is None:
                matched = index
    return matched


def _digest(secret: str, begun: bytes, body: bytes) -> str:
    """The digest over both parts, in lower-case hex."""
    mac = _keyed(secret).copy()
    mac.update(begun)
    mac.update(body)
    return mac.hexdigest()


@lru_cache(maxsize=16)
def _keyed(secret: str) -> hmac.HMAC:
    """An HMAC that has taken its key and nothing else; to be copied. Taking the key is a quarter of the work."""
    return hmac.new(secret.encode(), digestmod=hashlib.sha256)
