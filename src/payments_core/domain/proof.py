"""Whether what was paid is what was agreed: the proof that a payment made here is settled on.

An authentic message is not an honest one (CVE-2026-9189: amount, currency and recipient were never compared, so that
one dollar paid an order of two thousand). The row that was committed before Stripe was called says what was agreed;
each thing that Stripe says of the payment is compared with it by itself:

- the session is ours: its id is the row's, its `metadata.payments_core_id` the row's own, its mode the row's;
- currency and `amount_subtotal` are those of the agreed cart;
- discount, shipping and tax are there only where they were enabled at creation, and `amount_total` is
  subtotal - discount + shipping + tax, exactly;
- with a total, the session says `paid`; with a total of zero nothing was due, and there is no payment intent;
- where the payment intent is at hand, it is the session's (or bears our mark where the session names none yet), and
  its currency and the amount received are the same.

What Stripe does not state counts as different, but for the mode and for adjustments, which are then none. Adaptive
pricing needs nothing: Stripe reports the session and the intent in the currency of the session.
https://docs.stripe.com/payments/currencies/localize-prices/adaptive-pricing
Of a payment that was not made here nothing was agreed, and nothing is claimed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from attrs import evolve

from ..money import Money
from .cart import Cart
from .checkout import PAYMENT_ID_KEY
from .events import Difference
from .evidence import Evidence
from .payment import Adjustment, Finding, Payment
from .stripe_objects import Intent, LineItem, Session

_SUCCEEDED: Final = "succeeded"
_MODES: Final = {True: "live", False: "test"}
#: What was compared, what was agreed, and what Stripe says.
_Compared: TypeAlias = tuple[str, str | int | None, str | int | None]


def proved(payment: Payment, evidence: Evidence) -> Evidence:
    """The evidence, if it does not say that the payment is paid, or proves it; else what differs, as a finding.

    `payment` is the row as it is when the finding is written.
    """
    if evidence.finding is not Finding.PAID or payment.origin != "here":
        return evidence
    found = differences(payment, evidence.session, evidence.intent)
    if not found:
        return evidence
    codes = ", ".join(dict.fromkeys(one.code for one in found))
    return evolve(evidence, finding=Finding.MISMATCHED, discrepancies=found, reason=codes)


def differences(payment: Payment, session: Session | None, intent: Intent | None) -> tuple[Difference, ...]:
    """Everything in which a payment made here is not what was agreed; nothing where it is proved."""
    if payment.cart is None:
        return (Difference("cart", "agreed", None),)
    if session is None and (intent is None or payment.adjustments):
        # Only a session says what was adjusted; anything else (an invoice) was not made by us for this payment.
        return (Difference("session_id", payment.session_id, None),)
    agreed = payment.cart.subtotal
    compared: list[_Compared] = []
    if session is not None:
        compared += _of_session(payment, agreed, session, intent)
    if intent is not None:
        compared += _of_intent(payment, agreed, session, intent)
    return tuple(Difference(*one) for one in compared if one[1] != one[2])


def misplaced(payment: Payment, *, livemode: bool, account: str | None) -> str | None:
    """Why news of this payment must not be acted on under this configuration; None when it may.

    A mark can be copied: without this, money of test mode would pay what was ordered in live mode.
    """
    if payment.livemode != livemode:
        ours, theirs = ("live", "test") if livemode else ("test", "live")
        return f"the payment is of {theirs} mode and the key of {ours} mode"
    if payment.account != account:
        return "the payment is of another account than PAYMENTS_ACCOUNT"
    return None


def odd_lines(cart: Cart, lines: Sequence[LineItem]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """To explain a mismatch: agreed lines that Stripe does not have so, and Stripe's that were not agreed.

    A line is `quantity x unit currency name`, the unit in minor units. Names do not count: the catalogue has its own.
    """
    agreed = [((line.quantity, line.unit.minor, line.unit.currency), line.name) for line in cart.lines]
    charged = [((line.quantity, line.unit_minor, line.currency), line.name) for line in lines]
    return _beyond(agreed, charged), _beyond(charged, agreed)


_Priced: TypeAlias = tuple[tuple[int, int | None, str | None], str]


def _beyond(these: Sequence[_Priced], those: Sequence[_Priced]) -> tuple[str, ...]:
    left = Counter(priced for priced, _ in those)
    found: list[str] = []
    for priced, name in these:
        left[priced] -= 1
        if left[priced] < 0:
            quantity, unit, currency = priced
            found.append(f"{quantity} x {unit} {currency} {name}")
    return tuple(found)


def _of_session(payment: Payment, agreed: Money, session: Session, intent: Intent | None) -> Iterator[_Compared]:
    yield "session_id", payment.session_id or session.id, session.id
    yield _mark(payment, session)
    yield from _mode(payment, session)
    yield "currency", agreed.currency, session.currency
    yield "amount_subtotal", agreed.minor, session.amount_subtotal
    yield from _adjusted(payment, session)
    yield "amount_total", _total(agreed, session), session.amount_total
    # A session that is not complete is proved by its intent, which has the money.
    if session.is_paid or intent is None or intent.status != _SUCCEEDED:
        yield from _ended(session)


def _adjusted(payment: Payment, session: Session) -> Iterator[_Compared]:
    """Each kind that was not enabled must be nothing, and none may turn the sign that the sum gives it."""
    enabled = payment.adjustments or ()
    for kind, amount in (
        (Adjustment.DISCOUNT, session.amount_discount),
        (Adjustment.SHIPPING, session.amount_shipping),
        (Adjustment.TAX, session.amount_tax),
    ):
        if amount and (kind not in enabled or amount < 0):
            yield f"amount_{kind}", 0, amount


def _total(agreed: Money, session: Session) -> int:
    """What must be due for the agreed lines with what Stripe says it took off and put on."""
    return agreed.minor - (session.amount_discount or 0) + (session.amount_shipping or 0) + (session.amount_tax or 0)


def _ended(session: Session) -> Iterator[_Compared]:
    yield "status", "complete", session.status
    if session.amount_total == 0:
        said = session.payment_status
        yield "payment_status", "no_payment_required", "no_payment_required" if said == "paid" else said
        yield "payment_intent_id", None, session.payment_intent_id
    else:
        yield "payment_status", "paid", session.payment_status


def _of_intent(payment: Payment, agreed: Money, session: Session | None, intent: Intent) -> Iterator[_Compared]:
    named = session.payment_intent_id if session is not None else None
    if named is not None:
        yield "payment_intent_id", named, intent.id
    else:
        yield _mark(payment, intent)
    yield from _mode(payment, intent)
    yield "currency", agreed.currency, intent.currency
    due = agreed.minor if session is None else session.amount_total
    yield "amount_received", due, intent.amount_received


def _mark(payment: Payment, subject: Session | Intent) -> _Compared:
    return f"metadata.{PAYMENT_ID_KEY}", payment.payment_id, subject.metadata.get(PAYMENT_ID_KEY)


def _mode(payment: Payment, subject: Session | Intent) -> Iterator[_Compared]:
    if subject.livemode is not None:
        yield "livemode", _MODES[payment.livemode], _MODES[subject.livemode]
