"""The success page: it knows the truth before the webhook does, and settles once with it."""

from __future__ import annotations

import pytest

from payments_core import Money, PaymentSuccessful, SessionNotFound, SessionStatus, StripeUnavailable
from payments_core.domain.payment import PaymentState
from tests.flows.shop import Shop, own_session, session
from tests.flows.test_handlers import Unlucky

DONE = "checkout.session.completed"


def test_the_page_settles_before_the_webhook_arrives(shop: Shop) -> None:
    """The same path, the same single effect; the webhook then finds it done."""
    opened = shop.checkout()
    told, raw = shop.on(PaymentSuccessful), shop.on(DONE)
    ours = shop.on("payments_core.session.observed")
    paid = own_session(shop, opened)
    seen = shop.status(opened.session_id)
    assert seen == SessionStatus(opened.session_id, "complete", "paid", Money(5998, "usd"))
    assert shop.only_payment().state is PaymentState.SETTLED
    assert raw == ours == []
    shop.hear(DONE, paid)
    assert len(told) == len(shop.published()) == len(raw) == 1


def test_looking_often_is_one_effect(shop: Shop) -> None:
    """A buyer who reloads, and two tabs: one observation in the inbox, one success."""
    opened = shop.checkout()
    own_session(shop, opened)
    told = shop.on(PaymentSuccessful, Unlucky(1))
    for _ in range(3):
        shop.status(opened.session_id)
    shop.clock.advance(4)
    shop.work()
    assert shop.status(opened.session_id).payment_status == "paid"
    assert len(shop.published()) == 1
    assert len(told) == 2


def test_a_settled_payment_is_answered_without_asking_stripe(shop: Shop) -> None:
    """Our own row has the last word."""
    opened = shop.checkout()
    shop.hear(DONE, own_session(shop, opened))
    shop.gateway.calls.clear()
    assert shop.status(opened.session_id).amount_total == Money(5998, "usd")
    assert shop.gateway.calls == []


def test_an_expired_session_is_answered_without_asking_stripe(shop: Shop) -> None:
    """However often a page is reloaded: nothing can come of it any more but a payment, which a webhook would tell."""
    opened = shop.checkout()
    shop.hear("checkout.session.expired", own_session(shop, opened, status="expired", payment_status="unpaid"))
    shop.gateway.calls.clear()
    expected = SessionStatus(opened.session_id, "expired", "unpaid", Money(5998, "usd"))
    assert [shop.status(opened.session_id) for _ in range(3)] == [expected] * 3
    assert shop.gateway.calls == []


def test_an_open_session_is_shown_as_stripe_has_it(shop: Shop) -> None:
    """Nothing is settled by looking at a session that is not paid."""
    opened = shop.checkout()
    assert shop.status(opened.session_id) == SessionStatus(opened.session_id, "open", "unpaid", Money(5998, "usd"))
    assert shop.transitions() == []


def test_a_failing_handler_never_fails_the_page(shop: Shop) -> None:
    """The page tells the buyer what is true; the handler is the inbox's business."""
    opened = shop.checkout()
    own_session(shop, opened)
    shop.on(PaymentSuccessful, Unlucky(99))
    assert shop.status(opened.session_id).payment_status == "paid"
    assert shop.published() == []


def test_a_session_that_was_not_made_here_is_not_found(shop: Shop) -> None:
    """Neither an unknown id nor a foreign payment's is shown, and Stripe is not asked."""
    foreign = session("cs_foreign")
    shop.gateway.put_session(foreign)
    shop.hear(DONE, foreign)
    shop.gateway.calls.clear()
    for session_id in ("cs_unknown", "cs_foreign"):
        with pytest.raises(SessionNotFound):
            shop.status(session_id)
    assert shop.gateway.calls == []


def test_an_outage_of_stripe_is_told_and_not_guessed(shop: Shop) -> None:
    """Without Stripe's word the page has none."""
    opened = shop.checkout()
    shop.gateway.fail_next(StripeUnavailable("Stripe could not be reached."))
    with pytest.raises(StripeUnavailable):
        shop.status(opened.session_id)
