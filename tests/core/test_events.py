"""Domain events: ids that never change, and the shape that consumers rely on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_core import (
    CheckoutExpired,
    Difference,
    Money,
    PaymentFailed,
    PaymentMismatch,
    PaymentSuccessful,
    Product,
)
from payments_core.domain.events import DOMAIN_EVENTS, as_published, fact_id, isoformat_utc

WHEN = datetime(2026, 11, 23, 12, 30, 0, 123456, tzinfo=UTC)
COMMON = {"event_id": "e1", "payment_id": "p1", "occurred_at": WHEN, "amount": Money(5998, "usd")}
PEOPLE = {"user_id": "user_7", "email": "b@example.test", "payment_intent_id": "pi_1", "session_id": "cs_1"}
NOBODY = dict.fromkeys(PEOPLE)


def test_the_id_of_a_fact_is_the_same_for_ever() -> None:
    """Pinned: consumers keep these ids, and a changed one would be a second fact."""
    assert fact_id("p1", "settled", "") == "15aaaa6b-0dca-592a-9ebc-af399258a5e6"
    assert fact_id("p1", "attempt_failed", "ch_1") == "4cdac15c-d988-5d6e-8aa8-e56e11245075"


names = st.text(alphabet="abc_", min_size=1, max_size=5)


@given(st.tuples(names, names, names), st.tuples(names, names, names))
def test_two_facts_have_two_ids(one: tuple[str, str, str], two: tuple[str, str, str]) -> None:
    """Equal exactly when payment, transition and discriminator are."""
    assert (fact_id(*one) == fact_id(*two)) == (one == two)


def test_a_success_as_published() -> None:
    """Minor units, price per unit, in exactly this shape."""
    event = PaymentSuccessful(
        **COMMON, **PEOPLE, products=(Product("Premium T-Shirt", 2, Money(2999, "usd")),), invoice_id="in_1"
    )
    assert as_published(event) == {
        "eventId": "e1",
        "eventType": "payment.successful",
        "timestamp": "2026-11-23T12:30:00.123Z",
        "data": {
            "userId": "user_7",
            "email": "b@example.test",
            "amount": 5998,
            "currency": "usd",
            "products": [{"name": "Premium T-Shirt", "quantity": 2, "price": 2999}],
            "paymentIntentId": "pi_1",
            "sessionId": "cs_1",
        },
    }


def test_a_failure_as_published() -> None:
    """With the reason, and its references."""
    event = PaymentFailed(**COMMON, **PEOPLE, reason="insufficient_funds")
    assert as_published(event)["eventType"] == "payment.failed"
    assert as_published(event)["data"] == {
        "userId": "user_7",
        "email": "b@example.test",
        "amount": 5998,
        "currency": "usd",
        "reason": "insufficient_funds",
        "paymentIntentId": "pi_1",
        "sessionId": "cs_1",
    }


def test_an_expiry_as_published() -> None:
    """No intent was ever paid."""
    assert as_published(CheckoutExpired(**COMMON, **PEOPLE))["eventType"] == "checkout.expired"
    assert as_published(CheckoutExpired(**COMMON, **PEOPLE))["data"] == {
        "userId": "user_7",
        "email": "b@example.test",
        "amount": 5998,
        "currency": "usd",
        "sessionId": "cs_1",
    }


@pytest.mark.parametrize("kind", [PaymentSuccessful, CheckoutExpired])
def test_what_is_unknown_is_null_and_never_absent(kind: type) -> None:
    """The shape does not depend on what is known."""
    full, bare = as_published(kind(**COMMON, **PEOPLE)), as_published(kind(**COMMON, **NOBODY))
    assert list(full["data"]) == list(bare["data"])
    assert bare["data"]["userId"] is None


def test_a_failure_leaves_out_the_names_that_are_unknown() -> None:
    """`paymentIntentId` and `sessionId` of a failure are optional, never null; buyer and address are null."""
    bare = as_published(PaymentFailed(**COMMON, **NOBODY, reason="unknown"))
    assert bare["data"] == {"userId": None, "email": None, "amount": 5998, "currency": "usd", "reason": "unknown"}


@pytest.mark.parametrize("kind", DOMAIN_EVENTS)
def test_a_repr_shows_no_address(kind: type) -> None:
    """Events end up in logs."""
    more: dict[type, dict[str, object]] = {
        PaymentFailed: {"reason": "unknown"},
        PaymentMismatch: {"discrepancies": (Difference("currency", "usd", "jpy"),)},
    }
    event = kind(**COMMON, **PEOPLE, **more.get(kind, {}))
    assert "b@example" not in repr(event)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.amount = Money(1, "usd")


def test_the_data_of_a_mismatch() -> None:
    """What was paid, its names, and all that differ, amounts in minor units."""
    found = (Difference("amount_total", 5998, 100), Difference("payment_intent_id", None, "pi_1"))
    told = as_published(PaymentMismatch(**COMMON, **PEOPLE, discrepancies=found))
    assert told["eventType"] == "payment.mismatch"
    assert told["data"]["discrepancies"] == [
        {"code": "amount_total", "expected": 5998, "actual": 100},
        {"code": "payment_intent_id", "expected": None, "actual": "pi_1"},
    ]
    assert {"userId", "email", "amount", "currency", "paymentIntentId", "sessionId"} <= set(told["data"])


def test_times_are_utc_with_milliseconds() -> None:
    """RFC 3339 with Z, whatever zone the value is in."""
    assert isoformat_utc(datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2)))) == "2025-12-31T23:00:00.000Z"
