"""Reading a published event: what is let through, and what is refused in which words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from payments_core import Money
from payments_core.errors import MalformedEvent, UnknownEvent
from payments_core.published import (
    CheckoutExpired,
    PaymentFailed,
    PaymentMismatch,
    PaymentSuccessful,
    PublishedEvent,
    parse_published,
)

DATA: dict[str, dict[str, Any]] = {
    "payment.successful": {
        "userId": "u-1",
        "email": "buyer@example.test",
        "amount": 5998,
        "currency": "usd",
        "products": [{"name": "Shirt", "quantity": 2, "price": 2999}],
        "paymentIntentId": "pi_1",
        "sessionId": "cs_1",
    },
    "payment.failed": {"userId": None, "email": None, "amount": 5998, "currency": "usd", "reason": "expired_card"},
    "checkout.expired": {"userId": None, "email": None, "amount": 5998, "currency": "usd", "sessionId": "cs_1"},
    "payment.mismatch": {
        "userId": None,
        "email": None,
        "amount": 5998,
        "currency": "usd",
        "paymentIntentId": "pi_1",
        "sessionId": "cs_1",
        "discrepancies": [{"code": "amount_tax", "expected": 0, "actual": 100}],
    },
}
KINDS = {
    "payment.successful": PaymentSuccessful,
    "payment.failed": PaymentFailed,
    "checkout.expired": CheckoutExpired,
    "payment.mismatch": PaymentMismatch,
}


def event(kind: str = "payment.successful", /, *, also: dict[str, Any] | None = None, **data: Any) -> dict[str, Any]:
    return {
        "eventId": "e1",
        "eventType": kind,
        "timestamp": "2026-11-23T10:58:01.250Z",
        "data": {**DATA[kind], **data},
        **(also or {}),
    }


def parsed(value: object) -> PublishedEvent:
    return parse_published(json.dumps(value).encode())


@pytest.mark.parametrize("kind", KINDS)
def test_each_type_has_its_class(kind: str) -> None:
    """By `eventType`, with an aware time and money."""
    found = parsed(event(kind))
    assert type(found) is KINDS[kind]
    assert (found.event_id, found.data.money) == ("e1", Money(5998, "usd"))
    assert found.timestamp == datetime(2026, 11, 23, 10, 58, 1, 250_000, UTC)


def test_fields_have_python_names_and_never_change() -> None:
    """snake_case, frozen."""
    found = parsed(event())
    assert isinstance(found, PaymentSuccessful)
    assert (found.data.user_id, found.data.products[0].quantity) == ("u-1", 2)
    with pytest.raises(ValidationError):
        found.event_id = "other"  # type: ignore[misc]


def test_an_address_is_in_no_repr() -> None:
    """Events end up in logs."""
    assert "buyer@" not in repr(parsed(event()))


def test_fields_of_a_later_version_are_let_through() -> None:
    """Anywhere in the event."""
    product = {**DATA["payment.successful"]["products"][0], "sku": "S1"}
    assert parsed(event(also={"traceId": "t"}, tax=1, products=[product])) == parsed(event())


def test_a_failure_may_leave_its_names_out_and_never_makes_them_null() -> None:
    """Optional is not nullable."""
    found = parsed(event("payment.failed"))
    assert isinstance(found, PaymentFailed)
    assert (found.data.payment_intent_id, found.data.session_id) == (None, None)
    with pytest.raises(MalformedEvent, match="sessionId: should be a string, or be left out"):
        parsed(event("payment.failed", sessionId=None))


@pytest.mark.parametrize("name", ["userId", "email", "paymentIntentId", "sessionId"])
def test_a_successs_names_may_be_null_and_are_never_left_out(name: str) -> None:
    """Nullable is not optional."""
    parsed(event(**{name: None}))
    without = event()
    del without["data"][name]
    with pytest.raises(MalformedEvent, match=f"data.{name}: Field required"):
        parsed(without)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"amount": "5998"}, "data.amount"),
        ({"amount": 59.98}, "data.amount"),
        ({"amount": True}, "data.amount"),
        ({"amount": None}, "data.amount"),
        ({"currency": "USD"}, "data.currency"),
        ({"userId": 7}, "data.userId"),
        ({"products": None}, "data.products"),
        ({"products": [{"name": "x", "quantity": 1, "price": "1"}]}, r"data.products\[0\].price"),
    ],
)
def test_the_type_of_a_known_field_is_exact(data: dict[str, Any], field: str) -> None:
    """Nothing is coerced; the reason names the field."""
    with pytest.raises(MalformedEvent, match=f"^{field}: "):
        parsed(event(**data))


@pytest.mark.parametrize("name", ["user_id", "payment_intent_id"])
def test_python_names_are_not_read_from_the_wire(name: str) -> None:
    """On the wire a field has one name."""
    value = event()
    camel = {"user_id": "userId", "payment_intent_id": "paymentIntentId"}[name]
    value["data"][name] = value["data"].pop(camel)
    with pytest.raises(MalformedEvent, match=camel):
        parsed(value)


@pytest.mark.parametrize("moment", ["2026-11-23T10:58:01", "2026-11-23", 1780000000, "2026-13-23T10:58:01Z", "soon"])
def test_a_time_has_an_offset_and_is_on_the_calendar(moment: object) -> None:
    """RFC 3339, and nothing looser."""
    with pytest.raises(MalformedEvent, match="^timestamp: "):
        parsed(event(also={"timestamp": moment}))


def test_a_time_with_another_offset_is_the_same_moment() -> None:
    """Written back in UTC."""
    found = parsed(event(also={"timestamp": "2026-11-23T12:58:01.25+02:00"}))
    assert found.timestamp.utcoffset() == timedelta(hours=2)
    assert found.as_json() == event()


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b'{"a":1,"a":2}', b"[]", b"null", b"{}", b'{"eventType":1}', b'{"eventType":"\\ud800"}'],
)
def test_what_is_no_event_is_malformed(body: bytes) -> None:
    """One error for all of it, read by the strict reader."""
    with pytest.raises(MalformedEvent):
        parse_published(body)


def test_an_unknown_type_can_be_told_from_a_broken_event() -> None:
    """So that a consumer can skip it."""
    with pytest.raises(UnknownEvent) as caught:
        parsed(event(also={"eventType": "payment.blessed"}))
    assert caught.value.event_type == "payment.blessed"
    assert isinstance(caught.value, MalformedEvent)


@pytest.mark.parametrize(
    "value",
    [
        event(amount="hunter2"),
        event(also={"eventType": "hunter2"}),
        event(also={"timestamp": "hunter2"}),
        event(products=[{"hunter2": 1}]),
        event(currency="hunter2"),
        {"eventType": {"hunter2": 1}},
        "hunter2",
    ],
)
def test_an_error_never_repeats_what_was_sent(value: object) -> None:
    """Reasons are stored and logged."""
    with pytest.raises(MalformedEvent) as caught:
        parsed(value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "hunter2" not in str(caught.value)
