"""No input gives a 500: generated bodies, headers and paths against both frameworks, seeded and short."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, seed
from hypothesis import settings as profile
from hypothesis import strategies as st

from tests.http.targets import Target
from tests.http.wrong_bodies import REFERENCE

# Hypothesis watches the global random state while it draws, and the in-process runner's jitter may change it meanwhile.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
ALLOWED = {200, 400, 404, 405, 413, 415, 422}
PATHS = ("/create-checkout-session", "/verify-prices")
FIELDS = ("products", "successUrl", "cancelUrl", "customerEmail", "metadata", "currency", "uiMode", "other")
LINE_FIELDS = ("name", "price", "quantity", "image", "productId", "other")

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(max_size=40)
    | st.sampled_from(
        ["usd", "JPY", "https://example.com", "a@b.example", "hosted_page", "prod_nobody", 29.99, 1, 10**30]
    )
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
lines = st.dictionaries(st.sampled_from(LINE_FIELDS), values, max_size=5)
changed = st.builds(
    lambda fields, products: {**REFERENCE, **fields, **({"products": products} if products else {})},
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=3),
    st.lists(st.builds(lambda line: {**REFERENCE["products"][0], **line}, lines) | values, max_size=3),
)
near = changed.map(lambda body: json.dumps(body).encode())


@st.composite
def cut(draw: st.DrawFn) -> bytes:
    """A good body with some bytes overwritten, removed or put in."""
    body = bytearray(json.dumps(REFERENCE).encode())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 5))] = draw(st.binary(max_size=5))
    return bytes(body)


bodies: st.SearchStrategy[bytes] = near | cut() | st.binary(max_size=200) | values.map(lambda v: json.dumps(v).encode())
SHORT = profile(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@seed(20_261_123)
@SHORT
@given(path=st.sampled_from(PATHS), body=bodies)
def test_no_body_of_a_json_route_is_a_failure(target: Target, path: str, body: bytes) -> None:
    """200 or a 4xx with a code, whatever is sent."""
    answer = target.post(path, body)
    assert answer.status in ALLOWED, (answer.status, answer.body, body)
    assert answer.status == 200 or answer.code


@seed(20_261_124)
@SHORT
@given(
    body=st.binary(max_size=300),
    signature=st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=80)
    | st.from_regex(r"t=[0-9]{1,12}(,v[01]=[0-9a-f]{0,64}){0,3}", fullmatch=True),
)
def test_no_unsigned_webhook_is_anything_but_an_invalid_signature(target: Target, body: bytes, signature: str) -> None:
    """Whatever the header says, one and the same 400."""
    # A header that goes over a wire has no blanks at its ends, and an empty one is left out by some clients.
    answer = target.webhook(body, signature.strip().encode("latin-1").decode("ascii", "replace").replace("\ufffd", "?"))
    assert (answer.status, answer.code) == (400, "invalid_signature")


@seed(20_261_125)
@SHORT
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "OPTIONS"]),
    path=st.text(max_size=30),
    extra=st.text(max_size=9),
)
def test_no_path_under_the_prefix_is_a_failure(target: Target, method: str, path: str, extra: str) -> None:
    """A status below 500, and in FastAPI and Flask alike no page."""
    answer = target.request(method, f"/{quote(path)}", headers={"X-Request-Id": quote(extra) or "x"})
    assert answer.status < 500
