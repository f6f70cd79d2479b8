"""Requests and replies as plain values."""

from __future__ import annotations

from uuid import RFC_4122, UUID

import pytest

from payments_core.http.messages import Headers, HttpRequest


def test_header_fields_are_found_in_any_case() -> None:
    """A header's name has no case."""
    headers = Headers([("Stripe-Signature", "t=1"), ("content-type", "application/json")])
    assert headers["STRIPE-SIGNATURE"] == "t=1"
    assert headers.get("Content-Type") == "application/json"
    assert "cookie" not in headers


def test_a_repeated_header_is_one_value_joined_by_commas() -> None:
    """Two signature headers are seen as two timestamps, whichever server they came through."""
    headers = Headers([("stripe-signature", "t=1,v1=a"), ("Stripe-Signature", "t=2,v1=b")])
    assert headers["stripe-signature"] == "t=1,v1=a,t=2,v1=b"


@pytest.mark.parametrize("given", ["a", "req-1.2_3", "x" * 128])
def test_a_sane_request_id_is_kept(given: str) -> None:
    """The caller's own id goes into log and reply."""
    assert HttpRequest("GET", "/", Headers([("x-request-id", given)])).request_id == given


@pytest.mark.parametrize("given", ["", " ", "x" * 129, "a b", "a\nb", "<script>", "caf\u00e9", "a,b", "%0d%0a"])
def test_any_other_request_id_is_replaced(given: str) -> None:
    """Nothing that could forge a log line or a header is echoed."""
    made = HttpRequest("GET", "/", Headers([("x-request-id", given)])).request_id
    assert (str(UUID(made)), UUID(made).version, UUID(made).variant) == (made, 4, RFC_4122)


def test_a_trace_context_is_passed_on_only_where_it_is_one() -> None:
    """What is stored beside an event is a traceparent or nothing."""
    good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert HttpRequest("GET", "/", Headers([("traceparent", good)])).traceparent == good
    for wrong in (
        "",
        good + "-x",
        good.upper(),
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "ff" + good[2:],
        "x" * 10_000,
    ):
        assert HttpRequest("GET", "/", Headers([("traceparent", wrong)])).traceparent is None


def test_the_representation_of_a_request_shows_neither_body_nor_header_values() -> None:
    """A request may end up in a log by accident; what is private in it does not."""
    request = HttpRequest("POST", "/", Headers([("cookie", "session=s3cret")]), b"s3cret", user_id="s3cret")
    assert "s3cret" not in repr(request)
