"""A checkout is opened once: under an Idempotency-Key, or as the cart of a signed-in user."""

from __future__ import annotations

import attrs
import pytest

from payments_core import (
    Cart,
    IdempotencyConflict,
    IdempotencyInProgress,
    InvalidRequest,
    Line,
    Money,
    PriceVerificationError,
    StoreUnavailable,
    StripeError,
    StripeUnavailable,
)
from payments_core.domain.opening import KEPT_S, LEASE_S, PENDING_S, SAME_CART_S
from payments_core.domain.payment import PaymentState
from tests.flows.conftest import Open
from tests.flows.shop import Shop, declined, intent, own_intent, own_session, session
from tests.flows.test_checkout import MUG, PRICE, mugs

ONE_SHIRT = Cart([Line("Premium T-Shirt", Money(2999, "usd"), 1)])


class Died(BaseException):
    """The process ends here: nothing of ours runs afterwards."""


def dies(shop: Shop, *, before: bool) -> None:
    """The next call to create a session ends the process, before or after Stripe has made the session."""
    create = shop.gateway.create_session

    async def die(params: object, *, idempotency_key: str) -> object:
        shop.gateway.create_session = create  # type: ignore[method-assign]
        if not before:
            await create(params, idempotency_key=idempotency_key)  # type: ignore[arg-type]
        raise Died

    shop.gateway.create_session = die  # type: ignore[method-assign, assignment]


def crash(shop: Shop, *, before: bool = False, **asked: object) -> None:
    dies(shop, before=before)
    with pytest.raises(Died):
        shop.checkout(**asked)  # type: ignore[arg-type]


def kept_500(answered: int = 500) -> StripeUnavailable:
    """The answer that Stripe keeps for a key, given again."""
    error = StripeUnavailable("Stripe answered with status 500.")
    error.answered, error.replayed = answered, True
    return error


def refusal(code: str = "amount_too_small", status: int = 400) -> StripeError:
    error = StripeError("Stripe refused the request.", code, param="line_items")
    error.answered = status
    return error


# --- under a key


def test_the_same_key_and_request_give_the_same_session(shop: Shop) -> None:
    """Word for word, and Stripe is asked once."""
    first = shop.checkout(key="order-1", customer_email="b@example.test")
    again = shop.checkout(key="order-1", customer_email="b@example.test")
    assert (again.session_id, again.url, again.client_secret) == (first.session_id, first.url, first.client_secret)
    assert len(shop.gateway.calls) == 1
    assert len(shop.all_payments()) == 1


def test_a_key_s_session_is_given_again_with_its_client_secret(shop: Shop) -> None:
    """The embedded page's reply is the same, too."""
    asked = {"ui_mode": "embedded_page", "cancel_url": None, "key": "order-1"}
    first = shop.checkout(**asked)  # type: ignore[arg-type]
    again = shop.checkout(**asked)  # type: ignore[arg-type]
    assert again == first
    assert again.client_secret is not None


def test_another_key_is_another_session(shop: Shop) -> None:
    """Also for the same cart of the same user: the caller has said so."""
    assert shop.checkout(key="a", user_id="u").session_id != shop.checkout(key="b", user_id="u").session_id


def test_a_key_belongs_to_its_user(shop: Shop) -> None:
    """The same key of another user, or of nobody, is another key."""
    found = {shop.checkout(key="order-1", user_id=user).session_id for user in ("u1", "u2", None)}
    assert len(found) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"cart": ONE_SHIRT},
        {"success_url": "https://shop.test/other"},
        {"cancel_url": "https://shop.test/other"},
        {"customer_email": "other@example.test"},
        {"metadata": {"order": "2"}},
        {"ui_mode": "embedded_page"},
    ],
)
def test_another_request_under_a_key_is_a_conflict(shop: Shop, changes: dict[str, object]) -> None:
    """And says nothing of the first one's session; the first one's answer stays."""
    first = shop.checkout(key="order-1")
    with pytest.raises(IdempotencyConflict) as refused:
        shop.checkout(key="order-1", **changes)
    assert first.session_id not in str(refused.value)
    assert shop.checkout(key="order-1") == first
    assert len(shop.gateway.sent) == 1


def test_a_request_is_compared_as_it_was_understood(shop: Shop) -> None:
    """The order of the metadata makes no difference."""
    first = shop.checkout(key="order-1", metadata={"a": "1", "b": "2"})
    assert shop.checkout(key="order-1", metadata={"b": "2", "a": "1"}) == first


@pytest.mark.parametrize("key", ["", "k" * 256, "order\n1", "\x7f", "b\u00e9b\u00e9", "a\x00"])
def test_a_key_that_is_none_is_refused(shop: Shop, key: str) -> None:
    """Naming the header; nothing is written."""
    with pytest.raises(InvalidRequest) as refused:
        shop.checkout(key=key)
    assert [field.path for field in refused.value.fields] == ["Idempotency-Key"]
    assert shop.all_payments() == []


@pytest.mark.parametrize("key", ["!", "k" * 255, "order 1/2 ~"])
def test_a_key_has_up_to_255_printable_characters(shop: Shop, key: str) -> None:
    """Both ends of the range."""
    assert shop.checkout(key=key) == shop.checkout(key=key)


def test_while_the_first_runs_the_second_is_told_to_come_again(shop: Shop) -> None:
    """With the time after which it may."""
    crash(shop, key="order-1")
    with pytest.raises(IdempotencyInProgress) as refused:
        shop.checkout(key="order-1")
    assert refused.value.retry_after_s
    with pytest.raises(IdempotencyConflict):
        shop.checkout(key="order-1", cart=ONE_SHIRT)


@pytest.mark.parametrize("before", [True, False])
def test_a_worker_that_died_is_taken_over_with_what_it_sent(shop: Shop, *, before: bool) -> None:
    """The same payment, parameters and key, whatever the request would say now: Stripe has one session."""
    crash(shop, before=before, key="order-1")
    shop.clock.advance(LEASE_S + 1)
    shop.payments.core = attrs.evolve(
        shop.payments.core, checkout=attrs.evolve(shop.payments.core.checkout, app="renamed-since")
    )
    opened = shop.checkout(key="order-1")
    (sent,) = shop.gateway.sent
    payment = shop.only_payment()
    assert opened.session_id == sent.session_id == payment.session_id
    assert "payments_core_app" not in sent.params["metadata"]
    assert sent.idempotency_key == payment.idempotency_key


def test_prices_are_verified_once(open_shop: Open) -> None:
    """A price that changed since is no reason to refuse the answer to a request that was accepted."""
    shop = open_shop(payments_price_cache_s=0)
    shop.gateway.put_product(MUG)
    shop.gateway.put_price(PRICE)
    first = shop.checkout(key="order-1", cart=mugs())
    crash(shop, key="order-2", cart=mugs())
    shop.gateway.put_price({**PRICE, "unit_amount": 600})
    assert shop.checkout(key="order-1", cart=mugs()) == first
    shop.clock.advance(LEASE_S + 1)
    shop.checkout(key="order-2", cart=mugs())
    assert len(shop.gateway.asked("catalogue")) == 2


def test_a_price_mismatch_frees_the_key(shop: Shop) -> None:
    """The corrected request may use it."""
    shop.gateway.put_product(MUG)
    shop.gateway.put_price(PRICE)
    with pytest.raises(PriceVerificationError):
        shop.checkout(key="order-1", cart=mugs(1))
    assert shop.checkout(key="order-1", cart=mugs(500)).session_id


def test_stripe_down_keeps_the_key_and_what_was_sent(shop: Shop) -> None:
    """Nobody knows what came of it: the next attempt goes on at once, with the same key of Stripe's."""
    shop.gateway.fail_next(StripeUnavailable("cut off"), method="create_session", times=3)
    for _ in range(3):
        with pytest.raises(StripeUnavailable):
            shop.checkout(key="order-1")
    with pytest.raises(IdempotencyConflict):
        shop.checkout(key="order-1", cart=ONE_SHIRT)
    opened = shop.checkout(key="order-1")
    assert len(set(shop.gateway.asked("create_session"))) == 1
    assert opened.session_id == shop.only_payment().session_id


def test_stripe_down_while_prices_are_verified_frees_the_key(shop: Shop) -> None:
    """Nothing was sent."""
    shop.gateway.fail_next(StripeUnavailable("cut off"), method="catalogue")
    with pytest.raises(StripeUnavailable):
        shop.checkout(key="order-1", cart=mugs())
    assert shop.all_payments() == []
    assert shop.checkout(key="order-1").session_id


def test_a_refusal_of_stripes_frees_the_key(shop: Shop) -> None:
    """Stripe has looked at it and made nothing: the corrected request may use it, as another payment."""
    shop.gateway.fail_next(refusal(), method="create_session")
    with pytest.raises(StripeError):
        shop.checkout(key="order-1")
    assert shop.checkout(key="order-1", cart=ONE_SHIRT).session_id
    assert len(set(shop.gateway.asked("create_session"))) == 2


@pytest.mark.parametrize("error", [refusal("idempotency_error"), StripeError("of no shape")])
def test_a_refusal_that_settles_nothing_keeps_the_key(shop: Shop, error: StripeError) -> None:
    """Stripe may have a session for it all the same."""
    shop.gateway.fail_next(error, method="create_session")
    with pytest.raises(StripeError):
        shop.checkout(key="order-1")
    shop.checkout(key="order-1")
    assert len(set(shop.gateway.asked("create_session"))) == 1


def test_a_refusal_after_an_attempt_that_died_keeps_the_key(shop: Shop) -> None:
    """The first attempt's request may still be on its way; only an answer that Stripe keeps settles it."""
    crash(shop, before=True, key="order-1")
    shop.clock.advance(LEASE_S + 1)
    shop.gateway.fail_next(refusal(), method="create_session")
    with pytest.raises(StripeError):
        shop.checkout(key="order-1")
    kept = refusal()
    kept.replayed = True
    shop.gateway.fail_next(kept, method="create_session")
    with pytest.raises(StripeError):
        shop.checkout(key="order-1")
    assert len(set(shop.gateway.asked("create_session"))) == 1
    shop.checkout(key="order-1", cart=ONE_SHIRT)
    assert len(set(shop.gateway.asked("create_session"))) == 2


def test_an_answer_500_that_stripe_keeps_is_got_over(shop: Shop) -> None:
    """Stripe repeats it for a day. There is no session of this payment, so it is asked again under another key."""
    shop.gateway.fail_next(kept_500(), method="create_session")
    opened = shop.checkout(key="order-1")
    asked = shop.gateway.asked("create_session")
    assert len(set(asked)) == 2
    assert asked[-1] == (shop.only_payment().idempotency_key,)
    assert shop.only_payment().session_id == opened.session_id


def test_an_answer_500_after_the_session_was_made_finds_it(shop: Shop) -> None:
    """What Stripe did is found by our mark; nothing is made anew."""
    crash(shop, key="order-1")
    shop.clock.advance(LEASE_S + 1)
    shop.gateway.fail_next(kept_500(), method="create_session")
    opened = shop.checkout(key="order-1")
    assert [one.session_id for one in shop.gateway.sent] == [opened.session_id]


def test_a_list_that_may_not_be_read_settles_nothing(shop: Shop) -> None:
    """A key without the permission: neither is another session made nor the key given back."""
    shop.gateway.fail_next(kept_500(), method="create_session")
    shop.gateway.fail_next(refusal("secret_key_required", 403), method="sessions")
    with pytest.raises(StripeUnavailable, match="permission to read"):
        shop.checkout(key="order-1")
    assert shop.gateway.sent == []
    with pytest.raises(IdempotencyConflict):
        shop.checkout(key="order-1", cart=ONE_SHIRT)


def test_past_the_life_of_stripes_key_a_session_that_was_made_is_found(shop: Shop) -> None:
    """A day later Stripe would make a second one under the same key."""
    crash(shop, key="order-1")
    (made,) = shop.gateway.sent
    shop.clock.advance(25 * 3600)
    forget_keys(shop)
    assert shop.checkout(key="order-1").session_id == made.session_id
    assert len(shop.gateway.asked("create_session")) == 1


def test_past_the_life_of_stripes_key_nothing_found_is_made_under_another(shop: Shop) -> None:
    """Its age begins anew."""
    crash(shop, before=True, key="order-1")
    first_key = shop.only_payment().idempotency_key
    shop.clock.advance(25 * 3600)
    opened = shop.checkout(key="order-1")
    assert shop.gateway.sent[0].idempotency_key != first_key
    assert shop.payment_of(opened.session_id) == shop.only_payment()


def test_a_session_that_expired_unseen_is_not_handed_out(shop: Shop) -> None:
    """Nobody can pay it any more: the order begins anew, as another payment."""
    crash(shop, key="order-1")
    (made,) = shop.gateway.sent
    shop.gateway.change_session(made.session_id, status="expired", url=None)
    shop.clock.advance(25 * 3600)
    forget_keys(shop)
    opened = shop.checkout(key="order-1")
    assert opened.session_id != made.session_id
    assert len(shop.all_payments()) == 2


def test_a_session_whose_expiry_was_told_is_not_handed_out(shop: Shop) -> None:
    """The payment's row says so, although Stripe would repeat its first answer."""
    crash(shop, key="order-1")
    (made,) = shop.gateway.sent
    told = session(made.session_id, status="expired", payment_status="unpaid", payment_intent=None)
    told["metadata"] = dict(made.params["metadata"])
    shop.gateway.put_session(told)
    shop.hear("checkout.session.expired", told)
    shop.clock.advance(LEASE_S + 1)
    assert shop.checkout(key="order-1").session_id != made.session_id


def test_a_key_is_kept_for_a_day(shop: Shop) -> None:
    """Then it is free: Stripe's session is over by then."""
    first = shop.checkout(key="order-1")
    shop.clock.advance(KEPT_S - 1)
    assert shop.checkout(key="order-1") == first
    shop.clock.advance(2)
    assert shop.checkout(key="order-1", cart=ONE_SHIRT).session_id != first.session_id


def test_an_attempt_without_an_end_is_given_up_in_the_end(shop: Shop) -> None:
    """What is kept is bounded."""
    crash(shop, key="order-1")
    shop.clock.advance(PENDING_S + 1)
    assert shop.checkout(key="order-1", cart=ONE_SHIRT).session_id


def test_a_key_s_session_is_given_again_when_it_is_paid(shop: Shop) -> None:
    """A repeated request must never lead to a second payment."""
    first = shop.checkout(key="order-1")
    shop.hear("checkout.session.completed", own_session(shop, first))
    assert shop.payment_of(first.session_id).state is PaymentState.SETTLED
    assert shop.checkout(key="order-1") == first


def test_who_cannot_save_gives_the_same_session_later(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database goes away between Stripe's answer and the save."""
    openings = type(shop.store.openings)
    finish = openings.finish

    async def away(*_: object, **__: object) -> object:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(openings, "finish", away)
    with pytest.raises(StoreUnavailable):
        shop.checkout(key="order-1")
    monkeypatch.setattr(openings, "finish", finish)
    shop.clock.advance(LEASE_S + 1)
    assert shop.checkout(key="order-1").session_id == shop.gateway.sent[0].session_id
    assert len(shop.gateway.sent) == 1


def test_nothing_that_was_sent_can_be_read_from_what_is_kept(shop: Shop) -> None:
    """Digests, and Stripe's own words for the session; parameters only until it is known."""
    shop.checkout(key="order-4711", user_id="user_7", customer_email="b@example.test", metadata={"note": "canary"})
    kept = repr_of_openings(shop)
    for told in ("order-4711", "user_7", "b@example.test", "canary"):
        assert told not in kept


# --- the same cart of the same user


def test_a_session_whose_delayed_payment_failed_is_not_given_again(shop: Shop) -> None:
    """It is complete, and cannot be paid a second time; one whose card was declined is open, and is given."""
    first = shop.checkout(user_id="u")
    failed = own_intent(shop, first, declined("ch_1"))
    own_session(shop, first, status="open", payment_status="unpaid")
    shop.hear("payment_intent.payment_failed", failed)
    assert shop.checkout(user_id="u") == first
    own_session(shop, first, status="complete", payment_status="unpaid")
    assert shop.checkout(user_id="u").session_id != first.session_id


def test_the_same_cart_of_the_same_user_leads_to_the_open_session(shop: Shop) -> None:
    """Two tabs, one session."""
    assert shop.checkout(user_id="u").session_id == shop.checkout(user_id="u").session_id
    assert len(shop.gateway.sent) == 1


def test_an_empty_user_id_is_nobodys(shop: Shop) -> None:
    """As None: a shop that says it for its guests does not give one the page of another."""
    assert shop.checkout(user_id="").session_id != shop.checkout(user_id="").session_id
    assert shop.checkout(user_id="", key="k") == shop.checkout(key="k")


def test_no_user_no_reuse(shop: Shop) -> None:
    """Two guests with the same cart are two guests."""
    assert shop.checkout().session_id != shop.checkout().session_id


@pytest.mark.parametrize(
    "changes",
    [
        {"user_id": "somebody else"},
        {"cart": ONE_SHIRT},
        {"success_url": "https://shop.test/other"},
        {"cancel_url": "https://shop.test/other"},
        {"customer_email": "other@example.test"},
        {"metadata": {"order": "2"}},
        {"ui_mode": "embedded_page"},
    ],
)
def test_anything_else_is_another_session(shop: Shop, changes: dict[str, object]) -> None:
    """The session would not be what was asked for."""
    first = shop.checkout(user_id="u")
    assert shop.checkout(**{"user_id": "u", **changes}).session_id != first.session_id  # type: ignore[arg-type]
    assert shop.checkout(user_id="u") == first


def test_the_prices_of_a_cart_are_verified_each_time(open_shop: Open) -> None:
    """And another price of Stripe's is another cart."""
    shop = open_shop(payments_price_cache_s=0)
    shop.gateway.put_product(MUG)
    shop.gateway.put_price(PRICE)
    first = shop.checkout(user_id="u", cart=mugs())
    shop.gateway.put_price({**PRICE, "id": "price_new"})
    shop.gateway.put_product({**MUG, "default_price": "price_new"})
    assert shop.checkout(user_id="u", cart=mugs()).session_id != first.session_id


def test_half_an_hour_later_it_is_another_session(shop: Shop) -> None:
    """Nothing is expired on the buyer's behalf: the old one stays open at Stripe."""
    first = shop.checkout(user_id="u")
    shop.clock.advance(SAME_CART_S - 1)
    assert shop.checkout(user_id="u") == first
    shop.clock.advance(2)
    assert shop.checkout(user_id="u").session_id != first.session_id
    assert {call.method for call in shop.gateway.calls} == {"create_session"}


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("checkout.session.completed", {}),
        ("checkout.session.completed", {"payment_status": "unpaid"}),
        ("checkout.session.expired", {"status": "expired", "payment_status": "unpaid", "payment_intent": None}),
    ],
    ids=["paid", "promised", "expired"],
)
def test_a_session_that_is_over_is_not_handed_out(shop: Shop, event: str, fields: dict[str, object]) -> None:
    """The payment's row tells: who has paid and wants the same again buys it again."""
    first = shop.checkout(user_id="u")
    shop.gateway.put_intent(intent(status="processing"))
    shop.hear(event, own_session(shop, first, **fields))
    second = shop.checkout(user_id="u")
    assert second.session_id != first.session_id
    assert shop.checkout(user_id="u") == second


def test_a_session_past_its_end_at_stripe_is_not_handed_out(shop: Shop) -> None:
    """Also where nobody has told of it."""
    opened = type(shop.gateway)._opened
    ends_at = int(shop.clock.now.timestamp()) + 600
    shop.gateway._opened = lambda *given: {**opened(shop.gateway, *given), "expires_at": ends_at}  # type: ignore[method-assign]
    first = shop.checkout(user_id="u")
    shop.clock.advance(500)
    assert shop.checkout(user_id="u") == first
    shop.clock.advance(101)
    assert shop.checkout(user_id="u").session_id != first.session_id


def test_a_second_click_waits_for_the_first_and_then_says_so(shop: Shop) -> None:
    """Not for ever: a worker that died keeps the cart until its lease is over."""
    crash(shop, user_id="u")
    waited = Patience()
    shop.payments.core = attrs.evolve(
        shop.payments.core, checkout=attrs.evolve(shop.payments.core.checkout, waiter=waited)
    )
    with pytest.raises(IdempotencyInProgress):
        shop.checkout(user_id="u")
    assert 5 <= waited.waited_s < 6
    shop.clock.advance(LEASE_S + 1)
    assert shop.checkout(user_id="u").session_id == shop.gateway.sent[0].session_id
    assert len(shop.gateway.sent) == 1


def test_a_cart_that_stripe_refused_is_tried_anew(open_shop: Open) -> None:
    """Each time, with the refusal each time."""
    shop = open_shop()
    shop.gateway.fail_next(refusal(), method="create_session", times=2)
    for _ in range(2):
        with pytest.raises(StripeError):
            shop.checkout(user_id="u")
    assert shop.checkout(user_id="u").session_id


class Patience:
    """A Waiter whose time passes only by waiting."""

    def __init__(self) -> None:
        self.waited_s = 0.0

    def nudge(self) -> None:
        pass

    async def pause(self, seconds: float) -> None:
        self.waited_s += seconds

    def monotonic_s(self) -> float:
        return self.waited_s


def forget_keys(shop: Shop) -> None:
    """Stripe's keys are over a day old."""
    shop.gateway.sent[:] = [attrs.evolve(one, idempotency_key="forgotten") for one in shop.gateway.sent]


def repr_of_openings(shop: Shop) -> str:
    if shop.database is None:
        return str([attrs.asdict(one) for one in shop.store._data.openings.values()])  # type: ignore[union-attr]
    return str(shop._query("SELECT * FROM payments_opening"))
