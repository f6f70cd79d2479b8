"""Media types and lengths, before any JSON is parsed."""

from __future__ import annotations

import pytest

from payments_core.errors import MalformedJson, PayloadTooLarge, UnsupportedMediaType
from payments_core.http.messages import Headers, HttpRequest
from payments_core.http.reading import check_head, json_body
from payments_core.http.routes import CREATE_CHECKOUT_SESSION, STRIPE_WEBHOOK, Route


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        'application/json; charset="UTF-8"',
        "application/json ; charset=utf8",
        "application/json; version=1; charset=utf-8",
        "application/json;",
    ],
)
def test_json_in_utf_8_is_read(media_type: str) -> None:
    """Parameters are allowed; a charset must be the one that JSON has."""
    assert json_body(HttpRequest("POST", "/", Headers([("content-type", media_type)]), b'{"a":1}')) == {"a": 1}


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/json; charset=utf-16", "application/json, a/b"])
def test_anything_else_is_an_unsupported_media_type(media_type: str) -> None:
    """A body is not guessed at."""
    with pytest.raises(UnsupportedMediaType):
        json_body(HttpRequest("POST", "/", Headers([("content-type", media_type)]), b"{}"))


def test_an_empty_body_is_malformed_whatever_its_type() -> None:
    """What is not there has no type."""
    with pytest.raises(MalformedJson):
        json_body(HttpRequest("POST", "/", Headers()))


@pytest.mark.parametrize(("route", "limit"), [(CREATE_CHECKOUT_SESSION, 262_144), (STRIPE_WEBHOOK, 1_048_576)])
def test_a_declared_length_over_the_limit_is_refused_before_reading(route: Route, limit: int) -> None:
    """The limit itself is allowed."""
    check_head(route, Headers([("content-length", str(limit))]))
    with pytest.raises(PayloadTooLarge):
        check_head(route, Headers([("content-length", str(limit + 1))]))


@pytest.mark.parametrize("declared", ["", "x", "-1", "1e9", "9" * 40, "\u0661"])
def test_a_length_that_is_no_number_is_left_to_the_reading(declared: str) -> None:
    """It is the server's to refuse; the body is counted in any case."""
    check_head(STRIPE_WEBHOOK, Headers([("content-length", declared)]))


def test_header_fields_have_a_limit_whatever_the_server_takes() -> None:
    """Names and values together, many small ones as well as one that is long."""
    check_head(CREATE_CHECKOUT_SESSION, Headers([("cookie", "c" * (32 * 1024 - 6))]))
    for fields in ([("cookie", "c" * (32 * 1024 - 5))], [("x", "1")] * 200_000, [(f"x-{n}", "") for n in range(8000)]):
        with pytest.raises(PayloadTooLarge):
            check_head(CREATE_CHECKOUT_SESSION, Headers(fields))
