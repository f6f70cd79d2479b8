"""The webhook signature: what is accepted, and everything that is not."""

from __future__ import annotations

import ast
import hashlib
import hmac
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_core.domain import signature as module
from payments_core.domain.signature import check_signature, parse_header, sign
from payments_core.errors import InvalidSignature

SECRET = "whsec_test_secret"
OTHER = "whsec_other_secret"
BODY = b'{"id":"evt_test_webhook","object":"event"}'
NOW = 1614265330
VECTOR = "3c5817089d739023dd6190f70a3757e04f7a2fd8b5dab12c2e000f51970dccff"


def digest(body: bytes = BODY, secret: str = SECRET, timestamp: object = NOW) -> str:
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


GOOD = digest()


def accepts(header: str | None, *, body: bytes = BODY, secrets: tuple[str, ...] = (SECRET,), now_s: int = NOW) -> bool:
    try:
        check_signature(body, header, secrets, now_s=now_s)
    except InvalidSignature:
        return False
    return True


def test_the_reference_vector() -> None:
    """A vector computed independently: Stripe's scheme to the letter."""
    assert GOOD == VECTOR
    assert sign(BODY, SECRET, timestamp_s=NOW) == f"t={NOW},v1={VECTOR}"
    assert check_signature(BODY, f"t={NOW},v1={VECTOR}", [SECRET], now_s=NOW) == 0


@pytest.mark.parametrize(
    "header",
    [
        f"t={NOW},v1={GOOD}",
        f"v1={GOOD},t={NOW}",
        f"t={NOW},v1={'0' * 64},v1={GOOD}",
        f"t={NOW},v1={GOOD},v1={'0' * 64}",
        f"t={NOW},v1={GOOD},v0={'0' * 64}",
        f"t={NOW},v0=x,v1={GOOD},v2=new,scheme",
        f"t={NOW},v1=,v1={GOOD}",
        f"t={NOW}," + f"v1={'0' * 64}," * 15 + f"v1={GOOD}",
        f"t={NOW},v1={GOOD},".ljust(4096, "x"),
    ],
)
def test_what_stripe_sends_is_accepted(header: str) -> None:
    """Any v1 that matches will do; other schemes are passed over."""
    assert accepts(header)


NO_HEADER = "there is no Stripe-Signature header"
NO_TIMESTAMP = "the header has no timestamp"
NO_VALUE = "a part of the header has no value"
NOT_ASCII = "the header is not ASCII"
TWO_TIMESTAMPS = "the header has two timestamps"
NO_V1 = "the header has no v1 signature"
NOT_OURS = "no secret of ours made any of its signatures; check that the signing secret is this endpoint's"
TOO_MANY = "the header has too many signatures"
TOO_LONG = "the header is too long"


@pytest.mark.parametrize(
    ("header", "cause"),
    [
        (None, NO_HEADER),
        ("", NO_HEADER),
        (" ", NO_TIMESTAMP),
        ("t", NO_VALUE),
        ("=", NO_TIMESTAMP),
        (",,,,", NO_TIMESTAMP),
        (GOOD, NO_TIMESTAMP),
        (f"v1={GOOD}", NO_TIMESTAMP),
        (f"t=,v1={GOOD}", NO_TIMESTAMP),
        (f"t=abc,v1={GOOD}", NO_TIMESTAMP),
        (f"t=+{NOW},v1={GOOD}", NO_TIMESTAMP),
        (f"t=-{NOW},v1={GOOD}", NO_TIMESTAMP),
        (f"t={NOW}.0,v1={GOOD}", NO_TIMESTAMP),
        (f"t= {NOW},v1={GOOD}", NO_TIMESTAMP),
        (f"t={NOW}\n,v1={GOOD}", NO_TIMESTAMP),
        ("t=１６１４２６５３３０,v1=" + GOOD, NOT_ASCII),
        (f"t={'9' * 13},v1={GOOD}", NO_TIMESTAMP),
        (f"T={NOW},v1={GOOD}", NO_TIMESTAMP),
        (f"t={NOW},t={NOW},v1={GOOD}", TWO_TIMESTAMPS),
        (f"t=1,t={NOW},v1={GOOD}", TWO_TIMESTAMPS),
        (f"t={NOW}", NO_V1),
        (f"t={NOW},v0={GOOD}", NO_V1),
        (f"t={NOW},V1={GOOD}", NO_V1),
        (f"t={NOW}, v1={GOOD}", NO_V1),
        (f"t={NOW};v1={GOOD}", NO_TIMESTAMP),
        (f"t={NOW},v1={GOOD.upper()}", NOT_OURS),
        (f"t={NOW},v1={GOOD[:-1]}", NOT_OURS),
        (f"t={NOW},v1={GOOD}0", NOT_OURS),
        (f"t={NOW},v1= {GOOD}", NOT_OURS),
        (f"t={NOW},v1={GOOD}\n", NOT_OURS),
        (f"t={NOW},v1={'0' * 64}", NOT_OURS),
        (f"t={NOW},v1=", NOT_OURS),
        (f"t={NOW},v1={GOOD},v1", NO_VALUE),
        (f"t,t={NOW},v1={GOOD}", NO_VALUE),
        (f"t={NOW},v1={GOOD}=", NOT_OURS),
        (f"t={NOW},v1=\u00e9{GOOD[1:]}", NOT_ASCII),
        (f"t={NOW},v1={GOOD},v0=\u00e9", NOT_ASCII),
        (f"t={NOW},v1=\ud800", NOT_ASCII),
        (f"t={NOW},v1=\x00", NOT_OURS),
        (f"t={NOW - 1},v1={GOOD}", NOT_OURS),
        (f"t=0{NOW},v1={GOOD}", NOT_OURS),
        (f"t={NOW},v1={digest(secret=OTHER)}", NOT_OURS),
        (f"t={NOW},v1={digest(b'')}", NOT_OURS),
        (f"t={NOW}," + f"v1={'0' * 64}," * 16 + f"v1={GOOD}", TOO_MANY),
        (f"t={NOW},v1={GOOD}," + "x" * 4096, TOO_LONG),
        (f"t={NOW},v1={GOOD},".ljust(4097, "x"), TOO_LONG),
        (f"t={NOW}," + "v1=" + GOOD + ",v1=" * 200_000, TOO_LONG),
    ],
)
def test_what_stripe_would_not_send_is_refused(header: str | None, cause: str) -> None:
    """Every way a header can be wrong is InvalidSignature, with its cause for the log; nothing else is ever raised."""
    with pytest.raises(InvalidSignature) as refused:
        check_signature(BODY, header, [SECRET], now_s=NOW)
    assert refused.value.cause == cause


@pytest.mark.parametrize(
    ("age_s", "accepted"),
    [(0, True), (300, True), (301, False), (86400, False), (-300, True), (-301, False), (-(10**9), False)],
)
def test_the_window_has_two_sides(age_s: int, accepted: bool) -> None:
    """Five minutes old is the limit, and so is five minutes in the future."""
    signed_at = NOW - age_s
    assert accepts(sign(BODY, SECRET, timestamp_s=signed_at)) is accepted


@pytest.mark.parametrize(
    ("age_s", "tolerance_s", "cause"),
    [
        (301, 300, "it is 301 s old, more than 300"),
        (61, 60, "it is 61 s old, more than 60"),
        (-301, 300, "it is 301 s in the future, more than 300; check the clock"),
        (-61, 60, "it is 61 s in the future, more than 60; check the clock"),
    ],
)
def test_the_log_is_told_by_how_much(age_s: int, tolerance_s: int, cause: str) -> None:
    """An operator sees at once whether a clock is wrong or a delivery was late."""
    with pytest.raises(InvalidSignature) as refused:
        check_signature(BODY, sign(BODY, SECRET, timestamp_s=NOW - age_s), [SECRET], now_s=NOW, tolerance_s=tolerance_s)
    assert refused.value.cause == cause


def test_age_is_judged_after_the_signature() -> None:
    """A stranger learns nothing about our clock."""
    with pytest.raises(InvalidSignature, match="no secret of ours"):
        check_signature(BODY, f"t=1,v1={GOOD}", [SECRET], now_s=NOW)


@pytest.mark.parametrize(("signed_by", "index"), [("whsec_first_one", 0), ("whsec_second_one", 1)])
def test_every_current_secret_is_tried(signed_by: str, index: int) -> None:
    """While a secret is rolled, each verifies; which one is told."""
    secrets = ["whsec_first_one", "whsec_second_one"]
    assert check_signature(BODY, sign(BODY, signed_by, timestamp_s=NOW), secrets, now_s=NOW) == index


def test_a_header_signed_by_both_secrets_verifies_with_either() -> None:
    """Stripe sends one signature per active secret during a roll."""
    header = f"t={NOW},v1={digest(secret=OTHER)},v1={GOOD}"
    assert accepts(header, secrets=(SECRET,))
    assert accepts(header, secrets=(OTHER,))
    assert not accepts(header, secrets=("whsec_third_secret",))


@pytest.mark.parametrize("secret", ["", " ", "\t"])
def test_a_blank_secret_verifies_nothing(secret: str) -> None:
    """A forger knows the empty key too."""
    assert not accepts(sign(BODY, secret, timestamp_s=NOW), secrets=(secret,))
    assert not accepts(sign(BODY, SECRET, timestamp_s=NOW), secrets=())


def test_a_blank_secret_hides_none_that_follows_it() -> None:
    """It is passed over, and the next one is tried."""
    assert check_signature(BODY, sign(BODY, SECRET, timestamp_s=NOW), ["", OTHER, SECRET], now_s=NOW) == 2


def test_the_first_secret_that_fits_is_the_one_told() -> None:
    """Also when both signed: the index says which secret is still in use."""
    header = f"t={NOW},v1={digest(secret=OTHER)},v1={GOOD}"
    assert check_signature(BODY, header, [SECRET, OTHER], now_s=NOW) == 0
    assert check_signature(BODY, header, [OTHER, SECRET], now_s=NOW) == 0


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"x" * 300_000, "é".encode("latin-1")])
def test_the_bytes_are_what_is_signed(body: bytes) -> None:
    """Whatever they are: no decoding happens before the check."""
    header = sign(body, SECRET, timestamp_s=NOW)
    assert accepts(header, body=body)
    assert not accepts(header, body=body + b" ")


@given(st.text(max_size=200), st.binary(max_size=50))
def test_any_text_for_a_header_is_a_verdict(header: str, body: bytes) -> None:
    """Never another exception, and never acceptance."""
    assert not accepts(header, body=body)


@given(st.binary(max_size=200), st.integers(0, 10**11))
def test_what_is_signed_here_verifies_here(body: bytes, timestamp_s: int) -> None:
    """`sign` and `check_signature` agree on every body."""
    assert check_signature(body, sign(body, SECRET, timestamp_s=timestamp_s), [OTHER, SECRET], now_s=timestamp_s) == 1


def test_the_refusal_says_nothing_of_the_signature() -> None:
    """The words for the caller are the same for every cause, and hold neither header nor secret nor body."""
    details = set()
    for header in (None, f"t={NOW},v1={'a' * 64}", f"t=1,v1={digest(timestamp=1)}", "rubbish"):
        with pytest.raises(InvalidSignature) as refused:
            check_signature(BODY, header, [SECRET], now_s=NOW)
        details.add(refused.value.detail)
        shown = f"{refused.value}{refused.value!r}{refused.value.args}{refused.value.cause}"
        assert SECRET not in shown
        assert "a" * 64 not in shown
        assert "evt_test" not in shown
    assert len(details) == 1


def test_digests_are_compared_in_constant_time_only() -> None:
    """No `==`, `in` or `startswith` on a digest: compare_digest is the one comparison of secrets in the module."""
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert [call.attr for call in calls if isinstance(call, ast.Attribute)].count("compare_digest") == 1
    assert not [call for call in calls if isinstance(call, ast.Attribute) and call.attr in ("startswith", "endswith")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(
            isinstance(op, (ast.Eq, ast.NotEq, ast.In, ast.NotIn)) for op in node.ops
        ):
            assert re.fullmatch(r"name (==|in) (\('t', 'v1'\)|'t'|'v1')", ast.unparse(node)), ast.unparse(node)


def test_parsing_keeps_only_digests() -> None:
    """What is not lower-case hex of the right length can never match, and is dropped before any comparison."""
    parsed = parse_header(f"t=5,v1=zz,v1={GOOD},v1={GOOD.upper()}")
    assert (parsed.timestamp, parsed.digests) == ("5", (GOOD,))
