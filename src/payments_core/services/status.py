"""The truth for a success page: what became of a session that was made here.

The buyer may be back before the webhook. A session that Stripe calls paid and that is not settled yet is put through
the same inbox and the same settlement as any other news; the page waits for it a moment, and shows Stripe's word either
way. A handler that fails is the inbox's business, not the buyer's.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, frozen

from ..domain.cart import SessionStatus
from ..domain.observations import of_session
from ..domain.payment import WITH_MONEY, Payment, PaymentState
from ..domain.proof import differences
from ..domain.refs import Ref
from ..domain.stripe_objects import Session
from ..errors import SessionNotFound
from ..money import Money
from ..ports import Gateway, Store, Waiter

#: What a page says of money that is not what was agreed: Stripe's word for a buyer who has acted, and money that does
#: not count as come. A page that thanks for `paid` does not thank for this.
NOT_CONFIRMED: Final = "unpaid"
#: How long a page waits for handlers, at most.
WAIT_S = 2.0
_FIRST_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 0.2


@frozen
class Status:
    """Answers for sessions made here."""

    store: Store
    gateway: Gateway
    waiter: Waiter
    livemode: bool
    account: str | None

    async def of(self, session_id: str) -> SessionStatus:
        """The session's state. Raises SessionNotFound, without asking Stripe, for one that was not made here."""
        payment = await self.store.find_payment(
            [Ref("session", session_id)], account=self.account, livemode=self.livemode
        )
        if payment is None or payment.origin != "here":
            raise SessionNotFound("No checkout session of that id was made here.")
        known = _from_row(session_id, payment)
        if known is not None:
            return known
        session = await self.gateway.session(session_id)
        if session.is_paid:
            await self._settle(payment, session)
            if differences(payment, session, None):
                return evolve(_from_session(session), payment_status=NOT_CONFIRMED)
        return _from_session(session)

    async def _settle(self, payment: Payment, session: Session) -> None:
        """Put the observation into the inbox, once, and wait until the payment is judged or the time is up."""
        await self.store.receive(of_session(session).received(account=self.account, livemode=self.livemode))
        self.waiter.nudge()
        deadline_s = self.waiter.monotonic_s() + WAIT_S
        pause_s = _FIRST_PAUSE_S
        while self.waiter.monotonic_s() < deadline_s:
            await self.waiter.pause(pause_s)
            current = await self.store.payment(payment.payment_id)
            if current is None or current.state in WITH_MONEY:
                return
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _from_row(session_id: str, payment: Payment) -> SessionStatus | None:
    """The answer where the payment's row has the last word."""
    if payment.state is PaymentState.EXPIRED and payment.cart is not None:
        return SessionStatus(session_id, "expired", "unpaid", payment.cart.subtotal)
    if payment.state not in WITH_MONEY or payment.amount_minor is None or payment.currency is None:
        return None
    paid = "paid" if payment.amount_minor else "no_payment_required"
    confirmed = paid if payment.state is PaymentState.SETTLED else NOT_CONFIRMED
    return SessionStatus(session_id, "complete", confirmed, Money(payment.amount_minor, payment.currency))


def _from_session(session: Session) -> SessionStatus:
    has_amount = session.amount_total is not None and session.currency is not None
    amount = Money(session.amount_total or 0, session.currency or "") if has_amount else None
    return SessionStatus(session.id, session.status or "open", session.payment_status or "unpaid", amount)
