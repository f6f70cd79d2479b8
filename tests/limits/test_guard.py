"""Declined attempts count against whoever opened the session; over the limit there is no other session."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from payments_core import CheckoutSession, Money, StripeError
from payments_core.domain.payment import PaymentState
from payments_core.errors import RateLimited
from payments_core.http.addresses import caller_of
from tests.flows.conftest import Open, database_template, open_shop
from tests.flows.shop import Shop, declined, own_intent, own_session

__all__ = ["database_template", "open_shop"]

LIMITS = {
    "payments_limit_declines_per_session": "3/day",
    "payments_limit_declines_per_user": "4/hour",
    "payments_limit_declines_per_address": "5/hour",
    "payments_limit_checkouts_per_user": "off",
}
HOME, OFFICE = "198.51.100.1", "203.0.113.9"


class Till:
    """A shop whose checkouts are asked for as over HTTP: counted first, and stamped with the caller's digest."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.declines = 0

    def open(self, address: str, user_id: str | None = None) -> CheckoutSession:
        guard, caller = self.shop.payments.core.guard, caller_of(ip_address(address))
        self.shop.run(guard.admit("checkouts", user_id=user_id, caller=caller))
        return self.shop.checkout(user_id=user_id, caller_digest=guard.digest(caller))

    def decline(self, session: CheckoutSession, times: int = 1) -> None:
        """The buyer's card is declined so often on the session's page, and the webhooks say so."""
        for _ in range(times):
            self.declines += 1
            charge, intent = f"ch_{self.declines}", f"pi_{session.session_id[-6:]}"
            self.shop.hear("payment_intent.payment_failed", own_intent(self.shop, session, declined(charge, intent)))

    def is_refused(self, address: str, user_id: str | None = None) -> bool:
        try:
            self.open(address, user_id)
        except RateLimited as refused:
            return 0 < (refused.retry_after_s or 0) <= 3600
        return False


@pytest.fixture
def till(open_shop: Open) -> Till:
    return Till(open_shop(**LIMITS))


def test_an_address_with_too_many_declines_gets_no_other_session(till: Till) -> None:
    """Exactly at the limit, over several sessions, and nobody else is kept out."""
    for times in (2, 2):
        till.decline(till.open(HOME), times)
    assert not till.is_refused(HOME)
    till.decline(till.open(HOME))
    assert till.is_refused(HOME)
    assert not till.is_refused(OFFICE)
    assert not till.is_refused("198.51.100.2")


def test_a_user_with_too_many_declines_gets_no_other_session(till: Till) -> None:
    """From whatever address; another user of the same address does."""
    till.decline(till.open(HOME, "mallory"), 2)
    till.decline(till.open(OFFICE, "mallory"), 2)
    assert till.is_refused("192.0.2.1", "mallory")
    assert not till.is_refused(HOME, "alice")
    assert not till.is_refused(HOME)


def test_declines_are_forgiven_when_they_are_over_for_an_hour(till: Till) -> None:
    """And the answer said when."""
    till.decline(till.open(HOME), 2)
    till.shop.clock.advance(600)
    till.decline(till.open(HOME), 2)
    till.decline(till.open(HOME))
    with pytest.raises(RateLimited) as refused:
        till.open(HOME)
    assert refused.value.retry_after_s is not None
    till.shop.clock.advance(refused.value.retry_after_s - 60)
    assert till.is_refused(HOME)
    till.shop.clock.advance(61)
    assert not till.is_refused(HOME)


def test_the_session_itself_is_ended_at_stripe(till: Till) -> None:
    """The page on which cards are tried is gone, whoever has its address; once, and not before the limit."""
    session = till.open(HOME)
    till.decline(session, 2)
    assert till.shop.gateway.asked("expire_session") == []
    till.decline(session)
    assert till.shop.gateway.asked("expire_session") == [(session.session_id,)]
    ended = own_session(till.shop, session, status="expired", payment_status="unpaid")
    till.shop.hear("checkout.session.expired", ended)
    assert till.shop.payment_of(session.session_id).state is PaymentState.EXPIRED
    assert till.shop.status(session.session_id).status == "expired"
    till.decline(session)
    assert len(till.shop.gateway.asked("expire_session")) == 1


def test_the_ended_session_is_not_handed_out_again(till: Till) -> None:
    """The same user with the same cart gets another one, as long as he gets any."""
    first = till.open(HOME, "bob")
    assert till.open(HOME, "bob").session_id == first.session_id
    till.decline(first, 3)
    ended = own_session(till.shop, first, status="expired", payment_status="unpaid")
    till.shop.hear("checkout.session.expired", ended)
    assert till.open(HOME, "bob").session_id != first.session_id


def test_a_failure_to_end_it_fails_nothing_else(till: Till) -> None:
    """The decline is recorded and told; the next one tries again."""
    session = till.open(HOME)
    till.shop.gateway.fail_next(StripeError("no"), method="expire_session")
    till.decline(session, 3)
    assert len(till.shop.published("payment.failed")) == 3
    till.decline(session)
    assert len(till.shop.gateway.asked("expire_session")) == 2


def test_a_paid_session_is_never_ended(till: Till) -> None:
    """A decline that is told late changes nothing about the payment."""
    session = till.open(HOME)
    till.decline(session, 2)
    till.shop.hear("checkout.session.completed", own_session(till.shop, session))
    till.decline(session, 3)
    assert till.shop.gateway.asked("expire_session") == []
    assert till.shop.payment_of(session.session_id).amount_minor == Money(5998, "usd").minor


def test_nothing_is_kept_of_the_address(till: Till) -> None:
    """A keyed digest, which is another one under another key."""
    session = till.open(HOME)
    kept = till.shop.payment_of(session.session_id).caller_digest
    assert kept is not None
    assert len(kept) == 32
    assert HOME not in repr(till.shop.payment_of(session.session_id))
    assert kept not in repr(till.shop.payment_of(session.session_id))


def test_each_limit_can_be_switched_off(open_shop: Open) -> None:
    """Then declines are only told."""
    till = Till(open_shop(**dict.fromkeys(LIMITS, "off")))
    session = till.open(HOME, "mallory")
    till.decline(session, 30)
    assert not till.is_refused(HOME, "mallory")
    assert till.shop.gateway.asked("expire_session") == []


def test_under_declared_prices_addresses_have_no_limit_of_their_own(open_shop: Open) -> None:
    """They are the shop's own servers', from which all of its buyers come; under `catalog` they are the buyers'."""
    declared, catalogue = open_shop(), open_shop(payments_price_policy="catalog")
    assert declared.payments.core.settings.limit("declines_per_address") is None
    assert declared.payments.core.settings.limit("checkouts_per_address") is None
    assert catalogue.payments.core.settings.limit("declines_per_address") == (20, 3600)
    assert catalogue.payments.core.settings.limit("checkouts_per_address") == (60, 60)
    assert catalogue.payments.core.settings.limit("prices_per_address") == (300, 60)
    for shop in (declared, catalogue):
        assert shop.payments.core.settings.limit("declines_per_user") == (10, 3600)
