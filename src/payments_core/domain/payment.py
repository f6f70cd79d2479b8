"""A payment, and what each piece of news does to it.

Rule 1. The payment is ours, not Stripe's. It has an id of its own, `payment_id`, written down before Stripe is called;
every name Stripe gives it later (session, payment intent, charge, invoice) is only a reference that leads to it. News
therefore always finds the same row, whichever object it is about and in whatever order it comes.

Rule 2. What happened is a *transition with a discriminator*, unique per payment: `settled` has one for ever, a failed
attempt one per declined charge. Whoever records it first wins, in the same transaction as the handlers' writes and
the outgoing event; everybody after that finds it done. Two Stripe events for one fact are one transition, and two
declines are two.

Rule 3. Money outranks everything. A settled payment is never unsettled by late news; a payment that expired or
failed and is paid after all is settled. A failure that arrives after success is recorded and not published, since
whoever is told of it would undo what was paid for.

Rule 4. Paid is not enough: what was paid must be what was agreed (`proof`). Where it is not, the payment is
*quarantined*: the money is there, nobody is told of a success, and `payment.mismatch` is told once. From there no news
leads on, neither a failure nor a later message in which all is well, since both would decide in silence what somebody
was called to look at. Only that somebody's word does: released, the payment is settled as it stands; rejected, it is at
its end, whatever comes after.

The table below is the whole machine. A pair that is missing changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from .cart import Cart
from .events import Difference, Origin

#: How long a Checkout Session can be paid, at most (https://docs.stripe.com/api/checkout/sessions/create, expires_at).
SESSION_LIFE: Final = timedelta(days=1)


class PaymentState(StrEnum):
    """Where a payment stands.

    `processing` is a delayed method: the buyer has acted, the money is not there yet. `quarantined`: money came that is
    not what was agreed. `rejected`: somebody decided that it does not count, and gives it back.
    """

    OPEN = "open"
    PROCESSING = "processing"
    SETTLED = "settled"
    EXPIRED = "expired"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"


#: Money came, whatever it counts for: what else could be seen at Stripe changes nothing.
WITH_MONEY: Final = frozenset((PaymentState.SETTLED, PaymentState.QUARANTINED, PaymentState.REJECTED))


class Adjustment(StrEnum):
    """What Stripe may take off or put on the agreed lines, where it was enabled when the session was created.

    `tax` is put on top of the prices. Prices that include their tax are no adjustment: their total stays as it is.
    """

    DISCOUNT = "discount"
    SHIPPING = "shipping"
    TAX = "tax"


class Finding(StrEnum):
    """What news amounts to, once it is known which payment it is about and Stripe was asked where needed."""

    PAID = "paid"
    MISMATCHED = "mismatched"
    RELEASED = "released"
    REJECTED = "rejected"
    PROMISED = "promised"
    DECLINED = "declined"
    LAPSED = "lapsed"
    LINKED = "linked"


class Transition(StrEnum):
    """The names under which facts are recorded; part of every fact's id, so never renamed."""

    SETTLED = "settled"
    PROCESSING = "processing"
    ATTEMPT_FAILED = "attempt_failed"
    EXPIRED = "expired"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"


@frozen
class Step:
    """What a finding does: the transition it records, the state after it, and whether the world is told."""

    transition: Transition
    state: PaymentState
    published: bool


_OPEN, _PROCESSING, _SETTLED, _EXPIRED, _QUARANTINED, _REJECTED = PaymentState
_SETTLE = Step(Transition.SETTLED, _SETTLED, published=True)
_PROMISE = Step(Transition.PROCESSING, _PROCESSING, published=False)
_LAPSE = Step(Transition.EXPIRED, _EXPIRED, published=True)
_QUARANTINE = Step(Transition.QUARANTINED, _QUARANTINED, published=True)
_REJECT = Step(Transition.REJECTED, _REJECTED, published=False)


def _failed(state: PaymentState, *, published: bool) -> Step:
    return Step(Transition.ATTEMPT_FAILED, state, published)


STEPS: Final[Mapping[tuple[PaymentState, Finding], Step]] = MappingProxyType(
    {
        (_OPEN, Finding.PAID): _SETTLE,
        (_OPEN, Finding.MISMATCHED): _QUARANTINE,
        (_OPEN, Finding.PROMISED): _PROMISE,
        (_OPEN, Finding.DECLINED): _failed(_OPEN, published=True),
        (_OPEN, Finding.LAPSED): _LAPSE,
        (_PROCESSING, Finding.PAID): _SETTLE,
        (_PROCESSING, Finding.MISMATCHED): _QUARANTINE,
        (_PROCESSING, Finding.DECLINED): _failed(_OPEN, published=True),
        (_PROCESSING, Finding.LAPSED): _LAPSE,
        (_EXPIRED, Finding.PAID): _SETTLE,
        (_EXPIRED, Finding.MISMATCHED): _QUARANTINE,
        (_EXPIRED, Finding.PROMISED): _PROMISE,
        (_EXPIRED, Finding.DECLINED): _failed(_EXPIRED, published=True),
        (_SETTLED, Finding.DECLINED): _failed(_SETTLED, published=False),
        (_QUARANTINED, Finding.RELEASED): _SETTLE,
        (_QUARANTINED, Finding.REJECTED): _REJECT,
        (_QUARANTINED, Finding.DECLINED): _failed(_QUARANTINED, published=False),
        (_REJECTED, Finding.DECLINED): _failed(_REJECTED, published=False),
    }
)


def next_step(state: PaymentState, finding: Finding) -> Step | None:
    """What `finding` does to a payment in `state`; None when it changes nothing."""
    return STEPS.get((state, finding))


@frozen(kw_only=True)
class Payment:
    """A payment's row.

    `cart` is what was agreed (None for a payment not started here). `idempotency_key` is the one sent to Stripe with
    the session's creation. `event_key` is the Kafka key, fixed at the payment's first published event. `amount_minor`
    is what was paid, set when it settles or is quarantined. `adjustments` is what was enabled when the session was
    created (None: not created here, or by a version that enabled nothing). `discrepancies` are what it was quarantined
    for; they stay when it is decided. `caller_digest` stands for the address that opened it. Times are aware UTC.
    `version` is the store's own mark of the row as it was read, where it has one: no part of the payment, and not
    compared.
    """

    payment_id: str
    created_at: datetime
    livemode: bool
    state: PaymentState = PaymentState.OPEN
    origin: Origin = "here"
    account: str | None = None
    currency: str | None = None
    cart: Cart | None = None
    user_id: str | None = None
    customer_email: str | None = field(default=None, repr=False)
    idempotency_key: str | None = field(default=None, repr=False)
    event_key: str | None = None
    session_id: str | None = None
    payment_intent_id: str | None = None
    invoice_id: str | None = None
    amount_minor: int | None = None
    settled_at: datetime | None = None
    adjustments: frozenset[Adjustment] | None = None
    discrepancies: tuple[Difference, ...] = ()
    quarantined_at: datetime | None = None
    caller_digest: str | None = field(default=None, repr=False)
    version: str | None = field(default=None, eq=False, repr=False)
