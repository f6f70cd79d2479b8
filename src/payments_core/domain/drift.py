"""Where Stripe and this database disagree, and what to do about it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from attrs import Factory, define, frozen

from ..money import InvalidAmount, Money
from .payment import Payment, PaymentState

#: What is younger may still be on its way: a webhook being delivered, an event being handled.
GRACE: Final = timedelta(minutes=15)
#: How many differences a report holds; all are counted, and all are told to whoever watches.
MOST_KEPT: Final = 1000


class DriftKind(StrEnum):
    """The ways in which the two can differ. The words are part of the command's output."""

    MISSING = "missing"
    GHOST = "ghost"
    AMOUNT = "amount_differs"
    CURRENCY = "currency_differs"
    DEAD_LETTER = "dead_letter"
    UNHANDLED = "unhandled"
    QUARANTINED = "quarantined"
    NOT_REFUNDED = "not_refunded"
    SECOND_PAYMENT = "second_payment"


ADVICE: Final = {
    DriftKind.MISSING: "paid at Stripe and not settled here; run `payments reconcile`, and see that a worker runs",
    DriftKind.GHOST: "settled here and not paid at Stripe; look the payment up in Stripe's Dashboard",
    DriftKind.AMOUNT: "the amounts differ; look the payment up in Stripe's Dashboard, and correct whichever is wrong",
    DriftKind.CURRENCY: "the currencies differ; look the payment up in Stripe's Dashboard",
    DriftKind.DEAD_LETTER: "handling was given up; mend the cause, then `payments events replay`",
    DriftKind.UNHANDLED: "received long ago and not handled; see that a worker or a web process runs, and its log",
    DriftKind.QUARANTINED: "paid, and not what was agreed; see `payments quarantine show`, then release or reject it",
    DriftKind.NOT_REFUNDED: "rejected here, and its money was not given back; refund it in Stripe's Dashboard",
    DriftKind.SECOND_PAYMENT: "bears the mark of a payment that had its money; look both up in Stripe's Dashboard",
}


@frozen(kw_only=True)
class Drift:
    """One difference. Ids are None where they are not known; `detail` is what a dead letter failed with."""

    kind: DriftKind
    payment_id: str | None = None
    session_id: str | None = None
    payment_intent_id: str | None = None
    invoice_id: str | None = None
    event_id: str | None = None
    at_stripe: Money | None = None
    here: Money | None = None
    detail: str | None = None

    @property
    def advice(self) -> str:
        """What it means and what to do."""
        return ADVICE[self.kind]


@frozen
class DriftReport:
    """What a verification compared and found.

    `compared` counts Stripe's objects and our settled payments. `pending` are payments that are paid and may still be
    on their way; they are no drift. `drifts` holds the first 1,000; `total` counts all. `is_complete` is False for a
    run that was ended early.
    """

    since: datetime
    until: datetime
    compared: dict[str, int]
    drifts: tuple[Drift, ...]
    total: int
    pending: int
    is_complete: bool = True

    @property
    def has_drift(self) -> bool:
        """Whether there is any difference."""
        return self.total > 0


@define
class Findings:
    """The differences of a run under way: each payment or event is told once."""

    drifts: list[Drift] = Factory(list[Drift])
    told: set[str] = Factory(set[str])
    pending: set[str] = Factory(set[str])
    total: int = 0

    def add(self, key: str, drift: Drift) -> bool:
        """Note a difference of the thing that `key` names. False when one was noted already."""
        if key in self.told:
            return False
        self.told.add(key)
        self.total += 1
        if len(self.drifts) < MOST_KEPT:
            self.drifts.append(drift)
        return True


def money_of(minor: int | None, currency: str | None) -> Money | None:
    """An amount, where both halves of it are known and make sense."""
    if minor is None or currency is None:
        return None
    try:
        return Money(minor, currency)
    except InvalidAmount:
        return None


def settled_as(payment: Payment) -> Money | None:
    """What a settled payment was paid with, as its row says."""
    return money_of(payment.amount_minor, payment.currency) if payment.state is PaymentState.SETTLED else None


def difference(at_stripe: Money | None, here: Money | None) -> DriftKind | None:
    """How two amounts of one payment differ; None where they agree, or where Stripe states none."""
    if at_stripe is None or here is None or at_stripe == here:
        return None
    return DriftKind.AMOUNT if at_stripe.currency == here.currency else DriftKind.CURRENCY


def written(amount: Money | None) -> str:
    """An exact decimal with its currency, as `59.98 usd`; whole minor units where the currency's digits are unknown."""
    if amount is None:
        return "unknown"
    try:
        return f"{amount.decimal} {amount.currency}"
    except InvalidAmount:
        return f"{amount.minor} minor units of {amount.currency}"
