"""The one path by which news becomes an effect (guarantees G2 and G3).

Whoever brings the news (webhook, success page, reconciler), it comes through here: done-stamp, the payment's row lock,
the transition's unique record, the developer's handlers and the outgoing event are one transaction, or nothing.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from attrs import frozen

from ..domain.delivery import ClaimedEvent
from ..domain.events import DomainEvent, PaymentFailed, PaymentSuccessful, StripeEvent, as_published, fact_id
from ..domain.evidence import Evidence, advanced, compose, keyed, linked
from ..domain.news import UNTOLD
from ..domain.payment import Payment, Step, next_step
from ..ports import Advance, Clock, OutboxRow, Store, StoreTransaction
from .handlers import Handlers

_log = logging.getLogger("payments_core.payments")


class LeaseLost(Exception):
    """The event was taken over by another worker; nothing was written."""


@frozen
class Settlement:
    """Applies evidence to payments, once."""

    store: Store
    handlers: Handlers
    clock: Clock

    async def apply(
        self, claimed: ClaimedEvent, event: StripeEvent, *, lane: str | None, evidence: Evidence | None
    ) -> DomainEvent | None:
        """Handle the claimed event in one transaction; the domain event it led to, if any.

        `lane` is the payment, None for an event that concerns none. Raises LeaseLost, the handlers' own errors and
        StoreUnavailable; in each case nothing of it is left.
        """
        async with self.store.transaction() as tx:
            fact: DomainEvent | None = None
            if lane is not None and evidence is not None:
                payment = await tx.stamp_and_lock(claimed, lane)
                if payment is None:
                    raise LeaseLost(claimed.event_id)
                fact = await _advance(tx, payment, evidence, claimed, event, now=self.clock())
            elif not await tx.stamp_done(claimed):
                raise LeaseLost(claimed.event_id)
            if fact is not None:
                await self.handlers.run(fact, tx.handle)
            if event.type not in UNTOLD:
                await self.handlers.run(event, tx.handle)
            await tx.flush()
        if fact is not None:
            _report(fact, evidence)
        return fact

    async def ignore(self, claimed: ClaimedEvent) -> None:
        """Stamp an event done that is none of ours: no handler, no transition. Raises LeaseLost."""
        async with self.store.transaction() as tx:
            if not await tx.stamp_done(claimed):
                raise LeaseLost(claimed.event_id)


async def _advance(
    tx: StoreTransaction,
    payment: Payment,
    evidence: Evidence,
    claimed: ClaimedEvent,
    event: StripeEvent,
    *,
    now: datetime,
) -> DomainEvent | None:
    """Record what the evidence does to the payment; the event to tell the world, if there is one."""
    named = linked(payment, evidence.refs)
    step = next_step(named.state, evidence.finding)
    if step is not None:
        change, fact = _change(named, step, evidence, claimed, event, now=now)
        if await tx.advance(change):
            return fact
    await tx.add_refs(payment.payment_id, evidence.refs)
    if named != payment:
        await tx.save_payment(named)
    return None


def _change(
    payment: Payment, step: Step, evidence: Evidence, claimed: ClaimedEvent, event: StripeEvent, *, now: datetime
) -> tuple[Advance, DomainEvent | None]:
    """What to write when the step is recorded, and what to tell the handlers then."""
    after = advanced(payment, step, evidence, now=now)
    fact: DomainEvent | None = None
    if step.published:
        after = keyed(after)
        fact = compose(after, step, evidence, occurred_at=_moment(event, now))
    change = Advance(
        payment=after,
        transition=step.transition,
        discriminator=evidence.discriminator,
        event_id=fact_id(payment.payment_id, step.transition, evidence.discriminator)
        if fact is None
        else fact.event_id,
        reason=evidence.reason,
        refs=evidence.refs,
        outgoing=() if fact is None else (_outbox_row(fact, after, claimed),),
    )
    return change, fact


def _outbox_row(fact: DomainEvent, payment: Payment, claimed: ClaimedEvent) -> OutboxRow:
    return OutboxRow(
        event_id=fact.event_id,
        type=fact.type,
        key=payment.event_key or payment.payment_id,
        payload=json.dumps(as_published(fact), ensure_ascii=False, separators=(",", ":")),
        occurred_at=fact.occurred_at,
        payment_id=payment.payment_id,
        traceparent=claimed.traceparent,
    )


def _moment(event: StripeEvent, now: datetime) -> datetime:
    """When it happened: Stripe's time where it says one that can be."""
    if event.created_s is None or not 0 < event.created_s < 2**33:
        return now
    return datetime.fromtimestamp(event.created_s, UTC)


def _report(fact: DomainEvent, evidence: Evidence | None) -> None:
    """One line per fact: ids, amount and codes, nothing personal."""
    facts: dict[str, object] = {
        "paymentIntentId": fact.payment_intent_id,
        "sessionId": fact.session_id,
        "amount": fact.amount.minor,
        "currency": fact.amount.currency,
    }
    if isinstance(fact, PaymentSuccessful):
        _log.info("Payment processed successfully", extra=facts)
    elif isinstance(fact, PaymentFailed):
        error = evidence.intent.error if evidence is not None and evidence.intent is not None else None
        code = error.code if error is not None else None
        _log.warning("Payment failed", extra={**facts, "code": code or fact.reason})
    else:
        _log.info("Checkout expired", extra=facts)
