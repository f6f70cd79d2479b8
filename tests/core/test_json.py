"""One reading of JSON: what any two parsers could read differently is refused; numbers are exact both ways."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_core.domain.envelope import Envelope, read_envelope
from payments_core.domain.strict_json import MAX_DEPTH, read_json, write_json
from payments_core.domain.stripe_event import read_event
from payments_core.errors import MalformedEvent, MalformedJson

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**12), max_value=10**12)
scalars = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | decimals | texts
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


@given(documents)
def test_what_is_written_is_read_back(document: object) -> None:
    """Exactly: whole numbers as int, fractions as Decimal, text untouched."""
    assert read_json(write_json(document).encode()) == document


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("29.99"), "29.99"),
        (Decimal("29.90"), "29.90"),
        (Decimal("1E+2"), "100"),
        (Decimal("0.000001"), "0.000001"),
        (Decimal(-5), "-5"),
        ({"a": [Decimal("1.5"), True, None, "é\n"]}, '{"a":[1.5,true,null,"é\\n"]}'),
        ((1, 2), "[1,2]"),
    ],
)
def test_decimals_are_written_as_numbers(value: object, text: str) -> None:
    """Never as strings, never with an exponent, never rounded."""
    assert write_json(value) == text


def test_what_is_no_json_is_not_written() -> None:
    """NaN would be read by some and refused by others."""
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(float("nan"))


@pytest.mark.parametrize("number", ["29.99", "0.1", "1e2", "1.10", "123456789012345678.01"])
def test_a_fraction_is_exact(number: str) -> None:
    """29.99 is 29.99, not the nearest binary number."""
    found = read_json(number.encode())
    assert isinstance(found, Decimal)
    assert found == Decimal(number)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b"[1,]", "not JSON"),
        (b"1 2", "not JSON"),
        (b"01", "not JSON"),
        (b"+1", "not JSON"),
        (b"0x10", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"\xed\xa0\x80", "not UTF-8"),
        ('{"a":1}'.encode("utf-16"), "not UTF-8"),
        (b"NaN", "NaN is not JSON"),
        (b"[Infinity]", "Infinity is not JSON"),
        (b"-Infinity", "-Infinity is not JSON"),
        (b'{"a":1,"a":1}', "same key twice"),
        (b'{"a":{"b":1,"b":2}}', "same key twice"),
        (b'{"a":1,"\\u0061":2}', "same key twice"),
        (b"9" * 41, "too many digits"),
        (b"9" * 5000, "too many digits"),
        (b"0." + b"1" * 41, "too many digits"),
        (b'"\\ud800"', "half of a surrogate pair"),
        (b'{"\\udfff":1}', "half of a surrogate pair"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "deeper than"),
        (b"[" * 100_000, "deeper than"),
        (b'["]]]]",' * (MAX_DEPTH + 1) + b"1" + b"]" * (MAX_DEPTH + 1), "deeper than"),
        (b'["\\"]]",' * (MAX_DEPTH + 1) + b"1" + b"]" * (MAX_DEPTH + 1), "deeper than"),
        (b'"' + b'\\"[' * 50_000, "not JSON"),
        (b'"' + b'\\"[' * 50_000 + b"\\", "not JSON"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "deeper than"),
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(raw: bytes, words: str) -> None:
    """In our own words, as MalformedJson and nothing else."""
    with pytest.raises(MalformedJson, match=words):
        read_json(raw)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b" {} ", {}),
        (b'"\\u0000"', "\x00"),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        (str(2**64).encode(), 2**64),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None),
        (b"null", None),
        (b'["' + b"[{" * 100 + b'"]', ["[{" * 100]),
        (b'["\\"' + b"[" * 100 + b'"]', ['"' + "[" * 100]),
        (b"[" + b"[]," * 200 + b"[]]", None),
        (b"-0", 0),
    ],
)
def test_what_all_parsers_agree_on_is_read(raw: bytes, value: object) -> None:
    """Deep up to the limit, large up to forty digits."""
    found = read_json(raw)
    assert value is None or found == value


@pytest.mark.parametrize("exponent", ["1e400", "1e999999999", "-1E+400"])
def test_a_huge_exponent_costs_nothing(exponent: str) -> None:
    """It stays a small Decimal, neither infinity nor four hundred digits."""
    found = read_json(exponent.encode())
    assert isinstance(found, Decimal)
    assert found.is_finite()


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Never another exception; what is read, the standard parser reads too."""
    try:
        read_json(raw)
    except MalformedJson:
        return
    json.loads(raw)


def test_the_message_quotes_nothing_of_the_body() -> None:
    """A body may hold anything; the place of the mistake is enough."""
    with pytest.raises(MalformedJson) as refused:
        read_json(b'{"card": 4242424242424242, oops}')
    assert "4242" not in f"{refused.value}{refused.value!r}"
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


REFERENCE = (
    b'{"id":"evt_test_webhook","type":"checkout.session.completed","data":{"object":{"id":"cs_test_123",'
    b'"payment_intent":"pi_test_123","amount_total":2999,"currency":"usd","customer_details":'
    b'{"email":"test@example.com"}}}}'
)


def test_the_smallest_event_has_an_envelope() -> None:
    """Id, type and data.object; what is absent is unknown, not false."""
    assert read_envelope(REFERENCE) == Envelope("evt_test_webhook", "checkout.session.completed", None, None, None)
    event = read_event(REFERENCE)
    assert (event.id, event.livemode, event.created_s, event.account) == ("evt_test_webhook", None, None, None)
    assert event.object["amount_total"] == 2999


def test_the_envelope_tells_account_mode_and_time() -> None:
    """Where Stripe states them, in the types they must have."""
    rest = b'"data":{"object":{},"previous_attributes":{"a":1}},"api_version":"2026-10-28.endive"'
    stated = b'{"id":"evt_1","type":"x","account":"acct_1","livemode":true,"created":5,' + rest + b"}"
    assert read_envelope(stated) == Envelope("evt_1", "x", "acct_1", livemode=True, created_s=5)
    event = read_event(stated)
    assert (event.api_version, dict(event.previous_attributes)) == ("2026-10-28.endive", {"a": 1})
    odd = b'{"id":"evt_1","type":"x","account":7,"livemode":"yes","created":"now",' + rest + b"}"
    assert read_envelope(odd) == Envelope("evt_1", "x")


BAD_ENVELOPES = [
    b"",
    b"null",
    b"[]",
    b"7",
    b'"evt"',
    b"{}",
    b"\xff",
    b'{"id":"evt_1","type":"x"}',
    b'{"id":"evt_1","type":"x","data":null}',
    b'{"id":"evt_1","type":"x","data":{}}',
    b'{"id":"evt_1","type":"x","data":{"object":[]}}',
    b'{"id":"","type":"x","data":{"object":{}}}',
    b'{"id":null,"type":"x","data":{"object":{}}}',
    b'{"id":7,"type":"x","data":{"object":{}}}',
    b'{"id":"evt\\u0000","type":"x","data":{"object":{}}}',
    b'{"id":"evt 1","type":"x","data":{"object":{}}}',
    b'{"id":"evt_1\\n","type":"x","data":{"object":{}}}',
    b'{"id":"' + b"e" * 256 + b'","type":"x","data":{"object":{}}}',
    b'{"id":"evt_1","type":7,"data":{"object":{}}}',
    b'{"id":"evt_1","type":"","data":{"object":{}}}',
    b'{"id":"evt_\\ud800","type":"x","data":{"object":{}}}',
    b'{"id":"evt_1","type":"x","data":{"object":{"a":NaN}}}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("raw", BAD_ENVELOPES)
def test_a_body_of_another_shape_is_malformed_for_both_readers(raw: bytes) -> None:
    """The fast reader of the intake and the strict one of the runner agree that it is no event."""
    with pytest.raises(MalformedEvent):
        read_envelope(raw)
    with pytest.raises(MalformedEvent):
        read_event(raw)


@given(st.binary(max_size=80) | documents.map(lambda document: write_json(document).encode()))
def test_any_signed_bytes_are_an_envelope_or_malformed(raw: bytes) -> None:
    """Signed and hostile (S05): no other exception can come out of either reader."""
    for read in (read_envelope, read_event):
        try:
            read(raw)
        except MalformedEvent:
            continue


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=3))
def test_an_event_with_a_few_bytes_changed_is_an_envelope_or_malformed(at: int, put: bytes) -> None:
    """Damage inside a real event reaches every part of the decoders: names, strings, bytes that are no UTF-8."""
    stated = b'{"id":"evt_1","type":"x","account":"acct_1","livemode":true,"created":5,"data":{"object":{"a":"b"}}}'
    at %= len(stated)
    for read in (read_envelope, read_event):
        with suppress(MalformedEvent):
            read(stated[:at] + put + stated[at + len(put) :])
