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

The table below is the whole machine. A pair that is missing changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from .cart import Cart
from .events import Origin


class PaymentState(StrEnum):
    """Where a payment stands. `processing` is a delayed method: the buyer has acted, the money is not there yet."""

    OPEN = "open"
    PROCESSING = "processing"
    SETTLED = "settled"
    EXPIRED = "expired"


class Finding(StrEnum):
    """What news amounts to, once it is known which payment it is about and Stripe was asked where needed."""

    PAID = "paid"
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


@frozen
class Step:
    """What a finding does: the transition it records, the state after it, and whether the world is told."""

    transition: Transition
    state: PaymentState
    published: bool


_OPEN, _PROCESSING, _SETTLED, _EXPIRED = PaymentState
_SETTLE = Step(Transition.SETTLED, _SETTLED, published=True)
_PROMISE = Step(Transition.PROCESSING, _PROCESSING, published=False)
_LAPSE = Step(Transition.EXPIRED, _EXPIRED, published=True)


def _failed(state: PaymentState, *, published: bool) -> Step:
    return Step(Transition.ATTEMPT_FAILED, state, published)


STEPS: Final[Mapping[tuple[PaymentState, Finding], Step]] = MappingProxyType(
    {
        (_OPEN, Finding.PAID): _SETTLE,
        (_OPEN, Finding.PROMISED): _PROMISE,
        (_OPEN, Finding.DECLINED): _failed(_OPEN, published=True),
        (_OPEN, Finding.LAPSED): _LAPSE,
        (_PROCESSING, Finding.PAID): _SETTLE,
        (_PROCESSING, Finding.DECLINED): _failed(_OPEN, published=True),
        (_PROCESSING, Finding.LAPSED): _LAPSE,
        (_EXPIRED, Finding.PAID): _SETTLE,
        (_EXPIRED, Finding.PROMISED): _PROMISE,
        (_EXPIRED, Finding.DECLINED): _failed(_EXPIRED, published=True),
        (_SETTLED, Finding.DECLINED): _failed(_SETTLED, published=False),
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
    is what was paid, set when it settles. Times are aware UTC.
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
