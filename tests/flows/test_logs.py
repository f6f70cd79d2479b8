"""What an operator reads: one record per fact, ids and codes only."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from payments_core import InvalidSignature, PaymentSuccessful
from payments_core.domain.signature import sign
from tests.flows.shop import BUYER, SECRET, Shop, declined, own_intent, own_session
from tests.flows.test_handlers import Unlucky

STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


def told(caplog: pytest.LogCaptureFixture, message: str) -> list[tuple[str, dict[str, Any]]]:
    """Level and extra fields of each record of these words."""
    return [
        (record.levelname, {key: value for key, value in vars(record).items() if key not in STANDARD})
        for record in caplog.records
        if record.getMessage() == message
    ]


def test_a_success_is_one_record_of_ids_and_amount(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """`Payment processed successfully` with sessionId, paymentIntentId, amount and currency, once."""
    caplog.set_level(logging.INFO)
    opened = shop.checkout(customer_email=BUYER)
    paid = own_session(shop, opened)
    shop.hear("checkout.session.completed", paid)
    shop.hear("checkout.session.completed", paid)
    facts = {"sessionId": opened.session_id, "paymentIntentId": "pi_1", "amount": 5998, "currency": "usd"}
    assert told(caplog, "Payment processed successfully") == [("INFO", facts)]


def test_a_failure_is_one_record_with_the_last_errors_code(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """`Payment failed` with paymentIntentId, amount, currency and the error's code (not the decline's)."""
    caplog.set_level(logging.INFO)
    opened = shop.checkout()
    shop.hear("payment_intent.payment_failed", own_intent(shop, opened, declined(decline_code="lost_card")))
    ((level, facts),) = told(caplog, "Payment failed")
    assert level == "WARNING"
    assert facts == {
        "sessionId": opened.session_id,
        "paymentIntentId": "pi_1",
        "amount": 5998,
        "currency": "usd",
        "code": "card_declined",
    }


def test_a_refused_webhook_says_why(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """In the message itself: with the plainest format a wrong secret can be told from a wrong clock."""
    forged = sign(b"{}", "whsec_another_secret", timestamp_s=int(shop.clock.now.timestamp()))
    with pytest.raises(InvalidSignature):
        shop.run(shop.payments.core.receive_webhook(b"{}", forged))
    why = "no secret of ours made any of its signatures; check that the signing secret is this endpoint's"
    assert told(caplog, f"Webhook refused: {why}") == [("WARNING", {"cause": why})]


def test_a_failing_event_is_named(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """Its id stands in the message, to be given to `payments events show`."""
    opened = shop.checkout()
    shop.on(PaymentSuccessful, Unlucky(1))
    event_id = shop.hear("checkout.session.completed", own_session(shop, opened))
    assert any(line.startswith(f"Event {event_id} will be tried again: ") for line in caplog.messages)


def test_an_unreadable_webhook_says_why(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """It was signed, so somebody has to look at it."""
    shop.deliver(b"[]")
    [line] = [line for line in caplog.messages if line.startswith("Webhook cannot be read")]
    assert line.removeprefix("Webhook cannot be read: ").endswith(".")


def test_nothing_is_told_of_what_was_rolled_back(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """A success is logged after its commit, never before a handler that fails."""
    caplog.set_level(logging.INFO)
    opened = shop.checkout()
    shop.on(PaymentSuccessful, Unlucky(1))
    shop.hear("checkout.session.completed", own_session(shop, opened))
    assert told(caplog, "Payment processed successfully") == []
    shop.clock.advance(4)
    shop.work()
    assert len(told(caplog, "Payment processed successfully")) == 1


def test_no_record_holds_an_address_a_secret_or_a_body(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """Every record of a whole life (opened, declined, failed handler, paid, expired, unreadable) at DEBUG."""
    caplog.set_level(logging.DEBUG, logger="payments_core")
    opened = shop.checkout(customer_email=BUYER, metadata={"note": "canary-metadata"})
    shop.on(PaymentSuccessful, Unlucky(1))
    shop.hear("payment_intent.payment_failed", own_intent(shop, opened, declined()))
    shop.hear("checkout.session.completed", own_session(shop, opened))
    shop.clock.advance(4)
    shop.work()
    second = shop.checkout(customer_email=BUYER)
    shop.hear("checkout.session.expired", own_session(shop, second, status="expired", payment_status="unpaid"))
    shop.deliver(b'{"canary-body": "buyer@example.test"')
    shop.status(opened.session_id)
    everything = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "Payment processed successfully" in everything
    for canary in (BUYER, SECRET, "sk_test_123", "canary", "data.object"):
        assert canary not in everything.replace("evt_canary", ""), canary
