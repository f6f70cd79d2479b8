"""What a claim of a checkout's name comes to, and which failure gives the name back: the whole table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_core import Cart, CheckoutRequest, InvalidRequest, Line, Money, StoreUnavailable
from payments_core.domain.listing import Span
from payments_core.domain.opening import (
    KEPT_S,
    PENDING_S,
    SAME_CART_S,
    STRIPE_KEY_LIFE,
    Ask,
    Claim,
    Opening,
    Standing,
    by_cart,
    by_key,
    can_be_paid,
    claimed,
    fingerprint,
    has_outlived_its_key,
    is_over,
    when_tried,
)
from payments_core.domain.payment import Payment, PaymentState
from payments_core.errors import StripeError, StripeUnavailable

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
LEASE_S = 30.0
ASK = Ask("name", "body", keyed=True)
FREE = Opening(
    name="name",
    fingerprint="body",
    holder="h1",
    leased_until=NOW - timedelta(seconds=1),
    kept_until=NOW + timedelta(hours=1),
)
LEASED = attrs.evolve(FREE, leased_until=NOW + timedelta(seconds=1))
BEGUN = attrs.evolve(FREE, payment_id="p1", params="{}", keyed_at=NOW - timedelta(minutes=5))
OPENED = attrs.evolve(BEGUN, params=None, session_id="cs_1", url="https://pay.test/1")
OVER = {"kept_until": NOW}
REQUEST = CheckoutRequest(
    Cart([Line("Tee", Money(2990, "usd"), 2)]), "https://shop.test/ok", metadata={"a": "1", "b": "2"}
)


def claim(found: Opening | None, *, body: str = "body", stale: str | None = None) -> Claim:
    ask = attrs.evolve(ASK, fingerprint=body)
    return claimed(found, ask, holder="h2", now=NOW, lease_s=LEASE_S, stale=stale)


@pytest.mark.parametrize(
    ("found", "same", "other"),
    [
        (None, Standing.FRESH, Standing.FRESH),
        (LEASED, Standing.RUNNING, Standing.CONFLICT),
        (attrs.evolve(LEASED, leased_until=NOW), Standing.FRESH, Standing.FRESH),
        (attrs.evolve(LEASED, **OVER), Standing.RUNNING, Standing.CONFLICT),
        (attrs.evolve(BEGUN, leased_until=LEASED.leased_until), Standing.RUNNING, Standing.CONFLICT),
        (BEGUN, Standing.TAKEN_OVER, Standing.CONFLICT),
        (attrs.evolve(BEGUN, **OVER), Standing.FRESH, Standing.FRESH),
        (OPENED, Standing.OPENED, Standing.CONFLICT),
        (attrs.evolve(OPENED, leased_until=LEASED.leased_until), Standing.OPENED, Standing.CONFLICT),
        (attrs.evolve(OPENED, **OVER), Standing.FRESH, Standing.FRESH),
    ],
)
def test_what_a_claim_finds(found: Opening | None, same: Standing, other: Standing) -> None:
    """For the same request, and for another one under the name."""
    assert (claim(found).standing, claim(found, body="other").standing) == (same, other)


def test_a_fresh_claim_leaves_nothing_of_what_was_there() -> None:
    """No payment, no parameters, no session of an order that is over."""
    made = claim(attrs.evolve(OPENED, **OVER), body="other")
    assert made.is_mine
    assert (made.now, made.tried_until) == (NOW, None)
    assert made.opening == Opening(
        name="name",
        fingerprint="other",
        holder="h2",
        leased_until=NOW + timedelta(seconds=LEASE_S),
        kept_until=NOW + timedelta(seconds=PENDING_S),
    )


def test_who_takes_over_has_what_was_written_down() -> None:
    """And is the holder from now on, for a lease."""
    made = claim(BEGUN)
    assert made.is_mine
    assert (made.opening.payment_id, made.opening.params, made.opening.keyed_at) == ("p1", "{}", BEGUN.keyed_at)
    assert (made.opening.holder, made.opening.leased_until) == ("h2", NOW + timedelta(seconds=LEASE_S))
    assert (made.now, made.tried_until) == (NOW, BEGUN.leased_until)
    assert made.opening.kept_until == NOW + timedelta(seconds=PENDING_S)


@pytest.mark.parametrize("found", [LEASED, OPENED])
def test_who_does_not_get_it_changes_nothing(found: Opening) -> None:
    """The row is as it was."""
    made = claim(found)
    assert (made.opening, made.is_mine, made.now, made.tried_until) == (found, False, NOW, None)


def test_a_stale_session_is_replaced_and_no_other() -> None:
    """Somebody may have replaced it meanwhile."""
    assert claim(OPENED, stale="cs_1").standing is Standing.FRESH
    assert claim(OPENED, stale="cs_0").standing is Standing.OPENED
    assert claim(BEGUN, stale="cs_1").standing is Standing.TAKEN_OVER


def test_how_long_things_are_kept() -> None:
    """A day for a key's session, half an hour for a cart's, three days for an attempt under a key."""
    by_cart_ask = attrs.evolve(ASK, keyed=False)
    assert (ASK.opened_s, ASK.pending_s) == (KEPT_S, PENDING_S) == (86_400, 259_200)
    assert (by_cart_ask.opened_s, by_cart_ask.pending_s) == (SAME_CART_S, SAME_CART_S) == (1800, 1800)


def refused(code: str | None = "amount_too_small", status: int | None = 400, *, replayed: bool = False) -> StripeError:
    error = StripeError("refused", code)
    error.answered, error.replayed = status, replayed
    return error


def unavailable(status: int = 409) -> StripeUnavailable:
    error = StripeUnavailable("busy")
    error.answered = status
    return error


@pytest.mark.parametrize(
    ("error", "fresh", "taken_over"),
    [
        (refused(), True, False),
        (refused(replayed=True), True, True),
        (refused(status=499), True, False),
        (refused("idempotency_error"), False, False),
        (refused("idempotency_error", replayed=True), False, False),
        (refused(status=None), False, False),
        (refused(status=302), False, False),
        (refused(status=399), False, False),
        (refused(status=500), False, False),
        (unavailable(409), False, False),
        (unavailable(429), False, False),
        (unavailable(500), False, False),
        (StoreUnavailable("gone"), False, False),
    ],
)
def test_which_failure_gives_a_name_back(error: Exception, *, fresh: bool, taken_over: bool) -> None:
    """Only a refusal that settles it; before anything was sent, every failure of who began."""
    for found, expected in ((None, fresh), (BEGUN, taken_over)):
        assert is_over(claim(found), error, has_begun=True) is expected
    assert is_over(claim(None), error, has_begun=False)
    assert not is_over(claim(BEGUN), error, has_begun=False)


@pytest.mark.parametrize("state", PaymentState)
def test_only_an_open_payments_session_is_handed_out(state: PaymentState) -> None:
    """And only before its end at Stripe."""
    payment = Payment(payment_id="p1", created_at=NOW, livemode=False, state=state)
    assert can_be_paid(claim(OPENED), payment) is (state is PaymentState.OPEN)
    assert not can_be_paid(claim(OPENED), None)
    for ends_at, open_still in ((NOW, False), (NOW + timedelta(microseconds=1), True)):
        found = claim(attrs.evolve(OPENED, expires_at=ends_at))
        assert can_be_paid(found, attrs.evolve(payment, state=PaymentState.OPEN)) is open_still


def test_a_key_of_stripes_is_given_up_well_before_its_end() -> None:
    """Stripe keeps it for 24 hours from its first use."""
    assert timedelta(hours=20) < STRIPE_KEY_LIFE < timedelta(hours=24)
    for age, old in ((STRIPE_KEY_LIFE - timedelta(microseconds=1), False), (STRIPE_KEY_LIFE, True)):
        assert has_outlived_its_key(claim(attrs.evolve(BEGUN, keyed_at=NOW - age))) is old
    assert not has_outlived_its_key(claim(None))


def test_where_stripe_is_asked_for_what_was_made() -> None:
    """From when the key was written down to now; of an old attempt to the end of its last lease. Clocks may differ."""
    minutes = 60
    now_s = int(NOW.timestamp())
    assert when_tried(claim(BEGUN)) == Span(now_s - 15 * minutes, now_s + 10 * minutes + 1)
    old = attrs.evolve(BEGUN, keyed_at=NOW - timedelta(hours=25), leased_until=NOW - timedelta(hours=24))
    assert when_tried(claim(old)) == Span(now_s - 25 * 3600 - 10 * minutes, now_s - 24 * 3600 + 10 * minutes + 1)


def test_a_request_has_one_fingerprint() -> None:
    """Whatever the order of its metadata; all that was asked for counts."""
    reordered = attrs.evolve(REQUEST, metadata={"b": "2", "a": "1"})
    assert fingerprint(reordered) == fingerprint(REQUEST)
    changes: list[dict[str, object]] = [
        {"cart": Cart([Line("Tee", Money(2990, "usd"), 3)])},
        {"cart": Cart([Line("Tee", Money(2990, "eur"), 2)])},
        {"cart": Cart([Line("Tee", Money(2991, "usd"), 2)])},
        {"cart": Cart([Line("Cap", Money(2990, "usd"), 2)])},
        {"cart": Cart([Line("Tee", Money(2990, "usd"), 2, product_id="prod_1")])},
        {"cart": Cart([Line("Tee", Money(2990, "usd"), 2, image="https://shop.test/i.png")])},
        {"cart": Cart([Line("Tee", Money(2990, "usd"), 2, price_id="price_1")])},
        {"success_url": "https://shop.test/other"},
        {"cancel_url": "https://shop.test/cart"},
        {"customer_email": "b@example.test"},
        {"metadata": {}},
        {"ui_mode": "embedded_page"},
    ]
    found = {fingerprint(attrs.evolve(REQUEST, **change)) for change in changes}  # type: ignore[arg-type]
    assert len({*found, fingerprint(REQUEST)}) == len(changes) + 1


def test_a_fingerprint_outlives_an_upgrade() -> None:
    """A request that is repeated after a deployment must not look like another one."""
    plain = CheckoutRequest(Cart([Line("Tee", Money(2990, "usd"), 2)]), "https://shop.test/ok")
    assert fingerprint(plain) == "8c10019cc86fa1136e5f7670c31dad5a6b7d375792256037f0c5a1ab8c7534a9"


def test_every_field_of_a_request_keeps_its_place_in_the_fingerprint() -> None:
    """As above, for a request that says all it can."""
    line = Line("Tee", Money(2990, "usd"), 2, "https://shop.test/i.png", "prod_1", "price_1")
    told = CheckoutRequest(
        Cart([line]),
        "https://shop.test/ok",
        "https://shop.test/cart",
        "b@example.test",
        {"a": "1"},
        "embedded_page",
    )
    assert fingerprint(told) == "3b62c98c0743bd34aace7694c967b9853103da0c777fd2319af59514e02ea1ae"


def test_a_name_is_of_its_scope_and_tells_nothing() -> None:
    """Key, account, mode, route and user each make another; a cart's name is never a key's."""
    scopes = [(None, False, "r", "u"), (None, True, "r", "u"), ("acct_1", False, "r", "u"), (None, False, "s", "u"),
              (None, False, "r", None), (None, False, "r", "None"), (None, False, "r", "v")]  # fmt: skip
    names = {by_key("k", REQUEST, scope).name for scope in scopes} | {by_cart(REQUEST, scope).name for scope in scopes}
    names.add(by_key("l", REQUEST, scopes[0]).name)
    assert len(names) == 2 * len(scopes) + 1
    assert all(len(name) == 64 and name.isalnum() for name in names)


def test_a_name_outlives_an_upgrade() -> None:
    """Else a request that is repeated after a deployment would open a second session."""
    plain = CheckoutRequest(Cart([Line("Tee", Money(2990, "usd"), 2)]), "https://shop.test/ok")
    scope = (None, False, "create-checkout-session", "u")
    keyed, unkeyed = by_key("order-1", plain, scope), by_cart(plain, scope)
    assert (keyed.name, keyed.keyed) == ("a0ed42f9c6a473577cfee9a36993bb3f7d51c6150e08007e35bb577a03e4c9ba", True)
    assert (unkeyed.name, unkeyed.keyed) == ("e9a54b49fd61516c93da035d361af34d63d39a73106fdbbc90abc6f2267b83b0", False)
    assert keyed.fingerprint == unkeyed.fingerprint == fingerprint(plain)


def test_a_row_says_nothing_of_the_buyer() -> None:
    """Parameters, the page's address and the client secret are left out of its repr, and so out of every log."""
    told = repr(attrs.evolve(OPENED, params="canary", url="canary", client_secret="canary"))
    assert "canary" not in told
    assert "cs_1" in told


@pytest.mark.parametrize(("length", "is_one"), [(0, False), (1, True), (255, True), (256, False)])
def test_a_key_has_a_length(length: int, *, is_one: bool) -> None:
    """1 to 255 characters, and the refusal says so."""
    if is_one:
        assert by_key("k" * length, REQUEST, ()).keyed
        return
    with pytest.raises(InvalidRequest, match="The Idempotency-Key header cannot be used") as refused_key:
        by_key("k" * length, REQUEST, ())
    (problem,) = refused_key.value.fields
    assert (problem.path, problem.message) == ("Idempotency-Key", "must be 1 to 255 printable ASCII characters")


@given(st.text(min_size=1, max_size=300))
def test_a_key_is_printable_ascii_of_up_to_255_characters(key: str) -> None:
    """Anything else is refused, naming the header and quoting nothing."""
    if len(key) <= 255 and all(" " <= character <= "~" for character in key):
        assert by_key(key, REQUEST, ()).keyed
    else:
        with pytest.raises(InvalidRequest) as refused_key:
            by_key(key, REQUEST, ())
        assert [field.path for field in refused_key.value.fields] == ["Idempotency-Key"]
