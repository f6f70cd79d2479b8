"""The one path by which news becomes an effect (guarantees G2 and G3).

Whoever brings the news (webhook, success page, reconciler), it comes through here: done-stamp, the payment's row lock,
the transition's unique record, the developer's handlers and the outgoing event are one transaction, or nothing. Here,
on the row as it is when that is written, what was paid is compared with what was agreed.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from attrs import evolve, frozen

from ..domain.delivery import ClaimedEvent
from ..domain.events import (
    DomainEvent,
    PaymentFailed,
    PaymentMismatch,
    PaymentSuccessful,
    StripeEvent,
    as_published,
    fact_id,
)
from ..domain.evidence import Evidence, advanced, compose, keyed, linked
from ..domain.news import UNTOLD
from ..domain.payment import Payment, Step, next_step
from ..domain.proof import proved
from ..ports import Advance, Clock, OutboxRow, Store, StoreTransaction
from .handlers import Handlers

_log = logging.getLogger("payments_core.payments")
#: Made once: `json.dumps` makes an encoder for every call that asks for anything else than its defaults.
_compact: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class LeaseLost(Exception):
    """The event was taken over by another worker; nothing was written."""


class _NotAsSeen(Exception):
    """The payment must be looked at under its lock; undoes what was begun without it."""


@frozen
class Settlement:
    """Applies evidence to payments, once."""

    store: Store
    handlers: Handlers
    clock: Clock

    async def apply(
        self, claimed: ClaimedEvent, event: StripeEvent, *, seen: Payment | None, evidence: Evidence | None
    ) -> DomainEvent | None:
        """Handle the claimed event in one transaction; the domain event it led to, if any.

        `seen` is the payment as it was read before, None for an event that concerns none. Raises LeaseLost, the
        handlers' own errors and StoreUnavailable; in each case nothing of it is left.
        """
        if seen is None or evidence is None:
            async with self.store.transaction() as tx:
                if not await tx.stamp_done(claimed):
                    raise LeaseLost(claimed.event_id)
                await self._tell(tx, None, event)
            return None
        with suppress(_NotAsSeen):
            return _reported(await self._apply_at_once(claimed, event, seen, evidence), evidence)
        return _reported(await self._apply_in_steps(claimed, event, seen.payment_id, evidence), evidence)

    async def _apply_at_once(
        self, claimed: ClaimedEvent, event: StripeEvent, seen: Payment, evidence: Evidence
    ) -> DomainEvent | None:
        """On the payment as it was seen. Raises _NotAsSeen, with nothing written, where that is not enough."""
        named, step, judged = _judged(seen, evidence)
        if step is None:
            raise _NotAsSeen
        change, fact = _change(named, step, judged, claimed, event, now=self.clock())
        async with self.store.transaction() as tx:
            if not await tx.stamp_and_advance(claimed, seen, change):
                raise _NotAsSeen
            await self._tell(tx, fact, event)
        return fact

    async def _apply_in_steps(
        self, claimed: ClaimedEvent, event: StripeEvent, payment_id: str, evidence: Evidence
    ) -> DomainEvent | None:
        """On the payment as it is once it is locked."""
        async with self.store.transaction() as tx:
            payment = await tx.stamp_and_lock(claimed, payment_id)
            if payment is None:
                raise LeaseLost(claimed.event_id)
            fact = await _advance(tx, payment, evidence, claimed, event, now=self.clock())
            await self._tell(tx, fact, event)
        return fact

    async def _tell(self, tx: StoreTransaction, fact: DomainEvent | None, event: StripeEvent) -> None:
        """Run the handlers."""
        if fact is not None:
            await self.handlers.run(fact, tx.handle)
        if event.type not in UNTOLD:
            await self.handlers.run(event, tx.handle)
        await tx.flush()

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
    named, step, judged = _judged(payment, evidence)
    if step is not None:
        change, fact = _change(named, step, judged, claimed, event, now=now)
        if await tx.advance(change):
            return fact
    await tx.add_refs(payment.payment_id, evidence.refs)
    if named != payment:
        await tx.save_payment(named)
    return None


def _judged(payment: Payment, evidence: Evidence) -> tuple[Payment, Step | None, Evidence]:
    """The payment with its new names, what happens to it, and the evidence as it was proved or found wanting."""
    judged = proved(payment, evidence)
    named = linked(payment, judged.refs)
    step = next_step(named.state, judged.finding)
    if step is not None and judged.is_past:
        step = evolve(step, state=named.state)
    return named, step, judged


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
        payload=_compact(as_published(fact)),
        occurred_at=fact.occurred_at,
        payment_id=payment.payment_id,
        traceparent=claimed.traceparent,
    )


def _moment(event: StripeEvent, now: datetime) -> datetime:
    """When it happened: Stripe's time where it says one that can be."""
    if event.created_s is None or not 0 < event.created_s < 2**33:
        return now
    return datetime.fromtimestamp(event.created_s, UTC)


def _reported(fact: DomainEvent | None, evidence: Evidence) -> DomainEvent | None:
    """The fact, with one line in the log: ids, amount and codes, nothing personal."""
    if fact is None:
        return None
    facts: dict[str, object] = {
        "paymentIntentId": fact.payment_intent_id,
        "sessionId": fact.session_id,
        "amount": fact.amount.minor,
        "currency": fact.amount.currency,
    }
    if isinstance(fact, PaymentSuccessful):
        _log.info("Payment processed successfully", extra=facts)
    elif isinstance(fact, PaymentFailed):
        error = evidence.intent.error if evidence.intent is not None else None
        code = error.code if error is not None else None
        _log.warning("Payment failed", extra={**facts, "code": code or fact.reason})
    elif isinstance(fact, PaymentMismatch):
        differing = [{"code": one.code, "expected": one.expected, "actual": one.actual} for one in fact.discrepancies]
        _log.warning("Payment mismatch", extra={**facts, "paymentId": fact.payment_id, "discrepancies": differing})
    else:
        _log.info("Checkout expired", extra=facts)
    return fact
