"""S06: generated requests to every route, in both adapters: only statuses that are documented, only our own bodies.

What strangers send is tried over sockets in tests/http/test_fuzz.py; here Stripe's own key signs, so that the input
gets past the door. `HYPOTHESIS_PROFILE=long` tries a hundred times more.
"""

from __future__ import annotations

import json

from hypothesis import given, seed
from hypothesis import strategies as st

from payments_core.http.openapi import responses
from payments_core.http.routes import ROUTES, STRIPE_WEBHOOK, Route
from tests.guarantees.world import World
from tests.guarantees.worlds import tries

KINDS = (
    "checkout.session.completed", "checkout.session.expired", "checkout.session.async_payment_failed",
    "payment_intent.succeeded", "payment_intent.payment_failed", "invoice.paid", "charge.refunded", "product.updated",
    "price.deleted", "v2.core.health.event_generation_failure.resolved", "something.new",
)  # fmt: skip
OBJECTS = ("checkout.session", "payment_intent", "invoice", "charge", "product", "event", "")
FIELDS = (
    "id", "object", "payment_status", "status", "mode", "amount_total", "amount_received", "amount", "currency",
    "metadata", "payment_intent", "customer_details", "last_payment_error", "latest_charge", "client_reference_id",
)  # fmt: skip
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
    | st.sampled_from(["cs_test_1", "pi_1", "in_1", "ch_1", "paid", "payment", "usd", "complete", 2999, -1, 10**30])
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), inner),
    max_leaves=8,
)
subjects = st.dictionaries(st.sampled_from(FIELDS), values, max_size=8) | st.builds(
    lambda kind, fields: {"id": "cs_test_1", "object": kind, **fields},
    st.sampled_from(OBJECTS),
    st.dictionaries(st.sampled_from(FIELDS[2:]), values, max_size=6),
)
envelopes = st.fixed_dictionaries(
    {"id": st.text(max_size=20) | st.from_regex(r"evt_[a-z0-9]{1,9}", fullmatch=True)},
    optional={
        "type": st.sampled_from(KINDS) | values,
        "data": st.fixed_dictionaries({"object": subjects}) | values,
        "livemode": st.sampled_from([False, True]) | values,
        "account": st.sampled_from(["acct_1", None]) | values,
        "created": values,
        "related_object": values,
    },
)
signed_bodies = envelopes.map(lambda event: json.dumps(event).encode()) | st.binary(max_size=200)


def test_whatever_is_signed_is_received_and_breaks_nothing(memory_or_sqlite: World) -> None:
    """200 for every body; and when the runner has read it, no error of ours was a surprise."""
    world = memory_or_sqlite

    @seed(20_261_125)
    @tries(100, 20_000)
    @given(st.lists(signed_bodies, min_size=1, max_size=5))
    def receives(bodies: list[bytes]) -> None:
        for body in bodies:
            assert world.post(body).status == 200, body
        world.shop.work()
        surprised = [row.error for row in world.database.inbox().values() if "was raised" in (row.error or "")]
        assert surprised == []

    receives()
    assert world.effects() == []


def documented(route: Route) -> set[int]:
    """The statuses that a route's description lists, and those that any path under the prefix has."""
    listed = (
        {int(status) for status in responses(route)} if route.guarded or route is STRIPE_WEBHOOK else {200, 413, 503}
    )
    return listed | {204, 405}


def test_every_route_answers_as_documented_whatever_is_asked(memory_or_sqlite: World) -> None:
    """Method, headers and body at random: a documented status, JSON with a code, a request id."""
    world = memory_or_sqlite
    headers = st.dictionaries(
        st.sampled_from(
            ["Content-Type", "Stripe-Signature", "X-Request-Id", "traceparent", "Content-Encoding", "Idempotency-Key"]
        ),
        st.sampled_from(["application/json", "text/plain", "gzip", "t=1,v1=a", "*/*"])
        | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.strip),
        max_size=4,
    )

    @seed(20_261_126)
    @tries(120, 30_000)
    @given(
        st.sampled_from(ROUTES),
        st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
        headers,
        st.binary(max_size=100) | values.map(lambda value: json.dumps(value).encode()),
    )
    def answers(route: Route, method: str, given_headers: dict[str, str], body: bytes) -> None:
        answer = world.shop.request(method, route.path.replace("{session_id}", "cs_test_1"), body, given_headers)
        assert answer.status in documented(route), (answer.status, answer.text)
        assert answer.headers["X-Request-Id"]
        if answer.status >= 400 and method != "HEAD":
            assert {"error", "code"} <= json.loads(answer.text).keys() or route.name == "ready"

    answers()
