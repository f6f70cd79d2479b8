"""A checkout that is opened once, however often it is asked for.

Rule 1. What must be opened once has a *name*: the caller's Idempotency-Key in its scope, or, without one, the same
cart of the same signed-in user. The name is unique in the database, so of requests that come at the same time exactly
one opens; nobody looks first and writes second.

Rule 2. Who opens holds the name by a lease, on the database's time. A worker that dies leaves behind what it was about
to do: the payment, the parameters and the idempotency key that Stripe knows. Whoever takes over sends the very same
request, and Stripe answers with the very same session. A lease that ends too early therefore costs nothing but a
second request.

Rule 3. A name is given back only where no session can have come of it: nothing was sent, or the one request that was
sent has been refused. In every other case it keeps its payment, and the next attempt goes on with it.

Rule 4. Stripe forgets a key once it is 24 hours old, and an answer 500 it repeats for as long. Before another key is
used for a payment, Stripe is asked whether the first one has made a session after all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, Final

import attrs
from attrs import field, frozen

from ..errors import FieldProblem, InvalidRequest, StripeError, StripeUnavailable
from .cart import CheckoutRequest, cart_to_json
from .listing import Span
from .payment import Payment, PaymentState

KEY_HEADER: Final = "Idempotency-Key"
MAX_KEY_CHARS: Final = 255

#: How long a request may be silent before another takes over. Too short costs a request to Stripe, never a session.
LEASE_S: Final = 30
#: The session of a key is given again for so long after it was opened.
KEPT_S: Final = 24 * 3600
#: An attempt that came to no end is taken up again for so long: what it opened has expired at Stripe by then.
PENDING_S: Final = 3 * KEPT_S
#: The same cart of the same user leads to the session that is open already for so long.
SAME_CART_S: Final = 30 * 60
#: Stripe keeps a key for at least 24 hours (https://docs.stripe.com/api/idempotent_requests); this is well within.
STRIPE_KEY_LIFE: Final = timedelta(hours=23)
#: How far Stripe's clock and the database's may be apart.
_CLOCKS_APART: Final = timedelta(minutes=10)


@frozen
class Ask:
    """What is to be opened once.

    `name` and `fingerprint` are digests, from which nothing that was sent can be read; `fingerprint` tells another
    request under the same name. `pending_s` and `opened_s` say how long an attempt and a session are kept.
    """

    name: str
    fingerprint: str
    keyed: bool

    @property
    def pending_s(self) -> int:
        """How long an attempt that came to no end is kept."""
        return PENDING_S if self.keyed else SAME_CART_S

    @property
    def opened_s(self) -> int:
        """How long a session is given again."""
        return KEPT_S if self.keyed else SAME_CART_S


@frozen(kw_only=True)
class Opening:
    """A name's row. Times are aware UTC, by the database's clock.

    `holder` is who claimed it last, new with every claim. `payment_id`, `params` (JSON) and `keyed_at` are there once
    something may have been sent to Stripe; `params` go when the session is known. `keyed_at` is when the idempotency
    key in the payment's row was written down. `session_id`, `url`, `client_secret` and `expires_at` are Stripe's.
    """

    name: str
    fingerprint: str
    holder: str
    leased_until: datetime
    kept_until: datetime
    payment_id: str | None = None
    params: str | None = field(default=None, repr=False)
    keyed_at: datetime | None = None
    session_id: str | None = None
    url: str | None = field(default=None, repr=False)
    client_secret: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None


class Standing(Enum):
    """What a claim found: nothing yet, an attempt that came to no end, one that runs, a session, another request."""

    FRESH = auto()
    TAKEN_OVER = auto()
    RUNNING = auto()
    OPENED = auto()
    CONFLICT = auto()


@frozen
class Claim:
    """A claim's answer. `opening` is the row as it is now, `now` the database's time.

    `tried_until` is when the last attempt before this one can still have sent something.
    """

    standing: Standing
    opening: Opening
    now: datetime
    tried_until: datetime | None = None

    @property
    def is_mine(self) -> bool:
        """Whether the caller holds the name now."""
        return self.standing in (Standing.FRESH, Standing.TAKEN_OVER)


def by_key(key: str, request: CheckoutRequest, scope: Sequence[object]) -> Ask:
    """The request under a caller's key. `scope` is what the key is unique in: account, mode, route, user.

    Raises InvalidRequest, naming the header, for a key that is none.
    """
    if not (0 < len(key) <= MAX_KEY_CHARS and key.isascii() and key.isprintable()):
        raise InvalidRequest(
            f"The {KEY_HEADER} header cannot be used; send a new UUID for each order.",
            [FieldProblem(KEY_HEADER, f"must be 1 to {MAX_KEY_CHARS} printable ASCII characters")],
        )
    return Ask(_digest(["key", *scope, key]), fingerprint(request), keyed=True)


def by_cart(request: CheckoutRequest, scope: Sequence[object]) -> Ask:
    """The request of a signed-in user without a key; its cart has been verified, and its user is in `scope`."""
    told = fingerprint(request)
    return Ask(_digest(["cart", *scope, told]), told, keyed=False)


def fingerprint(request: CheckoutRequest) -> str:
    """A digest of all that was asked for, as it was understood.

    The order of keys and the spelling of numbers make no difference. What is not set is left out, so that a field which
    a later version adds does not change the digest of a request without it.
    """
    told = {
        "cart": cart_to_json(request.cart),
        "success_url": request.success_url,
        "cancel_url": request.cancel_url,
        "customer_email": request.customer_email,
        "metadata": dict(request.metadata),
        "ui_mode": request.ui_mode,
    }
    return _digest(_without_unset(told))


def claimed(
    found: Opening | None, ask: Ask, *, holder: str, now: datetime, lease_s: float, stale: str | None = None
) -> Claim:
    """What a claim of `ask` by `holder` comes to; `is_mine` says that `opening` is to be written.

    `stale` is a session that the caller has found to be of no use any more.
    """
    leased_until = now + timedelta(seconds=lease_s)
    kept_until = now + timedelta(seconds=ask.pending_s)
    fresh = Opening(
        name=ask.name, fingerprint=ask.fingerprint, holder=holder, leased_until=leased_until, kept_until=kept_until
    )
    if found is None:
        return Claim(Standing.FRESH, fresh, now)
    standing = _standing(found, ask, now, stale)
    if standing is Standing.FRESH:
        return Claim(standing, fresh, now)
    if standing is Standing.TAKEN_OVER:
        mine = attrs.evolve(found, holder=holder, leased_until=leased_until, kept_until=kept_until)
        return Claim(standing, mine, now, tried_until=found.leased_until)
    return Claim(standing, found, now)


def _standing(found: Opening, ask: Ask, now: datetime, stale: str | None) -> Standing:
    same = found.fingerprint == ask.fingerprint
    if found.session_id is None and found.leased_until > now:
        return Standing.RUNNING if same else Standing.CONFLICT
    # Nothing was sent, or it is so long ago that it is over at Stripe, or it is known to be over.
    if found.payment_id is None or found.kept_until <= now or (stale is not None and found.session_id == stale):
        return Standing.FRESH
    if not same:
        return Standing.CONFLICT
    return Standing.TAKEN_OVER if found.session_id is None else Standing.OPENED


def can_be_paid(claim: Claim, payment: Payment | None) -> bool:
    """Whether the session of a claim may be handed out to a user who did not ask for it by a key."""
    expires_at = claim.opening.expires_at
    is_open = payment is not None and payment.state is PaymentState.OPEN
    return is_open and (expires_at is None or claim.now < expires_at)


def has_outlived_its_key(claim: Claim) -> bool:
    """Whether Stripe may have forgotten the idempotency key."""
    keyed_at = claim.opening.keyed_at
    return keyed_at is not None and claim.now - keyed_at >= STRIPE_KEY_LIFE


def when_tried(claim: Claim) -> Span:
    """In which span of Stripe's time a session of this payment can have been made."""
    since = (claim.opening.keyed_at or claim.now) - _CLOCKS_APART
    until = (claim.tried_until or claim.now) if has_outlived_its_key(claim) else claim.now
    return Span(int(since.timestamp()), int((until + _CLOCKS_APART).timestamp()) + 1)


def is_over(claim: Claim, error: Exception, *, has_begun: bool) -> bool:
    """Whether no session can have come of an attempt that failed with `error`, now or later: the name is free again.

    A refusal settles it where no other attempt has sent the same, or where it is the answer that Stripe keeps.
    """
    if not has_begun:
        return claim.standing is Standing.FRESH
    if not isinstance(error, StripeError) or isinstance(error, StripeUnavailable):
        return False
    is_refused = error.answered is not None and 400 <= error.answered < 500 and error.code != "idempotency_error"
    return is_refused and (claim.standing is Standing.FRESH or error.replayed)


def _without_unset(told: dict[str, Any]) -> dict[str, Any]:
    cart: dict[str, Any] = told["cart"]
    lines = [{name: value for name, value in line.items() if value is not None} for line in cart["lines"]]
    return {name: value for name, value in told.items() if value is not None} | {"cart": {**cart, "lines": lines}}


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
