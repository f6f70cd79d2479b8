"""Comparing with Stripe, both ways, and changing nothing.

Stripe's paid sessions, intents and invoices are looked up here; payments settled here that did not come up in that are
asked for at Stripe. It goes day by day (longer where little happened), so that what came up need not be remembered for
longer than a day or two. The inbox is looked at too: dead letters, and events that wait for longer than they should.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from attrs import Factory, define, evolve, frozen

from ..domain.delivery import InboxState
from ..domain.drift import (
    GRACE,
    Drift,
    DriftKind,
    DriftReport,
    Findings,
    difference,
    money_of,
    settled_as,
)
from ..domain.listing import Span
from ..domain.news import Subject
from ..domain.observations import is_paid
from ..domain.payment import WITH_MONEY, Payment, PaymentState
from ..domain.reconciliation import EVENTS_KEPT, Step, moment_of, seconds
from ..domain.stripe_objects import Charge, Intent, Invoice, Session
from ..errors import StripeObjectMissing
from ..money import Money
from ..ports import EventFilter, InboxEntry, Selection, Watch
from .ground import Ground, check_times, listings, payment_of
from .waiting import Waiting, all_waiting
from .walking import RunEnded, Unwatched, Walker

_PAGE: Final = 200
_FIRST_PART: Final = timedelta(days=1)
_FEW: Final = 1_000
_MANY: Final = 5_000
#: Invoices of which a part may be paid, with the rest to come.
_UNPAID_YET: Final = ("draft", "open")
#: Who paid an object older than this is asked for only where the money may have come later.
_PAID_AT_ONCE: Final = timedelta(days=1)


@frozen
class Verification:
    """Runs verifications."""

    ground: Ground

    async def run(self, *, since: datetime | None, until: datetime | None, watch: Watch | None) -> DriftReport:
        """Compare once. Raises InvalidRequest for times without a zone, StripeError and StoreUnavailable."""
        check_times(since, until)
        now = self.ground.clock()
        end = now if until is None else min(until, now)
        begin = end - EVENTS_KEPT if since is None else min(since, end)
        comparison = Comparison(self.ground, Walker(self.ground.waiter, watch or Unwatched()), now)
        is_complete = True
        try:
            await comparison.run(begin, end)
        except RunEnded:
            is_complete = False
        found = comparison.findings
        return DriftReport(
            begin, end, comparison.compared, tuple(found.drifts), found.total, len(found.pending), is_complete
        )


@define
class Comparison:
    """One run. `confirmed` are the payments that came up as paid in this part of the window, and in the one before."""

    ground: Ground
    walker: Walker
    now: datetime
    findings: Findings = Factory(Findings)
    waiting: Waiting = Factory(Waiting)
    compared: Counter[str] = Factory(Counter[str])
    confirmed: set[str] = Factory(set[str])
    before: set[str] = Factory(set[str])
    asked: set[str] = Factory(set[str])

    async def run(self, begin: datetime, end: datetime) -> None:
        """Look through the inbox, and then through the window part by part."""
        await self._dead_letters(begin)
        self.waiting = await all_waiting(self.ground.sweeps, self._late)
        at, length = begin, _FIRST_PART
        while at < end:
            self.walker.go_on()
            until, seen = min(at + length, end), self.compared.total()
            await self._part(at, until)
            share = (until - begin) / (end - begin)
            self.walker.watch.came(Step("payment", share, self.compared.total(), self.findings.total))
            at, seen = until, self.compared.total() - seen
            if seen < _FEW:
                length *= 2
            elif seen > _MANY:
                length = max(length / 2, timedelta(minutes=10))

    async def _part(self, at: datetime, until: datetime) -> None:
        self.before, self.confirmed = self.confirmed, set()
        # A part's last second belongs to the next one; the very last part has none behind it.
        span = Span(seconds(at), seconds(until) + (1 if until >= self.now else 0))
        for kind, fetch in listings(self.ground.gateway):
            await self.walker.walk(span, fetch, partial(self.compare, kind), _nothing)
        await self._settled_here(at, until)
        await self._each_here(PaymentState.QUARANTINED, at, until, self._quarantined)
        await self._each_here(PaymentState.REJECTED, at, until, self._rejected)

    async def compare(self, kind: str, subjects: Sequence[Subject]) -> None:
        """Look a page of Stripe's objects up here."""
        paid = [subject for subject in subjects if is_paid(subject)]
        self.compared[kind] += len(paid)
        known = await self.ground.known(paid)
        for subject in paid:
            payment, root = payment_of(subject, known), subject
            if payment is None:
                payment, root = await self._asked(subject)
            if not (self.ground.policy.is_ours(root, payment) and self.ground.policy.is_ours(subject, payment)):
                continue
            if payment is None or payment.state not in WITH_MONEY:
                await self._missing(payment, subject, root)
            elif payment.state is PaymentState.REJECTED:
                await self._kept(payment, intent_of(subject))
            elif await self._is_second(payment, subject):
                await self._second(payment, subject)
            elif payment.state is PaymentState.QUARANTINED:
                await self._quarantined(payment)
            else:
                self.confirmed.add(payment.payment_id)
                self._compare_amounts(payment, subject)

    async def _asked(self, subject: Subject) -> tuple[Payment | None, Subject]:
        """The payment of an object that is not known here, by what Stripe says it belongs to; and what that is."""
        stripe = self.ground.gateway
        root: Subject = subject
        if isinstance(subject, Intent):
            root = await self.walker.ask(lambda: stripe.session_of_intent(subject.id)) or subject
            if root is subject:
                invoice_id = await self.walker.ask(lambda: stripe.invoice_of_intent(subject.id))
                root = subject if invoice_id is None else Invoice(invoice_id)
        elif isinstance(subject, Invoice) and not subject.is_of_subscription:
            for intent_id in await self.walker.ask(lambda: stripe.intents_of_invoice(subject.id)):
                session = await self.walker.ask(partial(stripe.session_of_intent, intent_id))
                root = session or root
        if root is subject:
            return None, subject
        return payment_of(root, await self.ground.known([root])), root

    def _compare_amounts(self, payment: Payment, subject: Subject) -> None:
        if payment.discrepancies:  # somebody looked at the difference, and released it
            return
        here, there = settled_as(payment), _amount(subject, payment)
        kind = difference(there, here)
        if kind is not None:
            self._tell(payment.payment_id, _drift(kind, payment, subject, at_stripe=there, here=here))

    async def _missing(self, payment: Payment | None, subject: Subject, root: Subject) -> None:
        if await self._is_a_part(payment, subject, root):
            return
        key = payment.payment_id if payment is not None else root.id
        if key in self.findings.told or key in self.findings.pending:
            return
        received_at = self.waiting.since(subject) or self.waiting.since(root)
        told_lately = received_at is not None and self.now - received_at < GRACE
        if told_lately or await self._is_young(payment, subject):
            self.findings.pending.add(key)
            return
        amount = _amount(subject, None)
        drift = _drift(DriftKind.MISSING, payment, subject, at_stripe=amount, here=None)
        if isinstance(root, Session):
            drift = evolve(drift, session_id=root.id)
        elif isinstance(root, Invoice):
            drift = evolve(drift, invoice_id=root.id)
        self._tell(key, drift)

    async def _is_a_part(self, payment: Payment | None, subject: Subject, root: Subject) -> bool:
        """Whether an intent paid a part of an invoice that is not paid yet: nothing is due to be settled."""
        if not isinstance(subject, Intent):
            return False
        invoice_id = root.id if isinstance(root, Invoice) else None
        if payment is not None and payment.origin != "here":
            invoice_id = invoice_id or payment.invoice_id
        if invoice_id is None:
            return False
        invoice = await self.walker.ask(lambda: self.ground.gateway.invoice(invoice_id))
        return invoice.status in _UNPAID_YET

    async def _is_young(self, payment: Payment | None, subject: Subject) -> bool:
        """Whether the money came so lately that the news of it may still be under way."""
        may_have_waited = payment is not None and payment.state is PaymentState.PROCESSING
        if subject.created_s is None:
            return False
        if not may_have_waited and self.now - moment_of(subject.created_s) > _PAID_AT_ONCE:
            return False
        paid_s = await self._paid_s(subject) or subject.created_s
        return self.now - moment_of(paid_s) < GRACE

    async def _paid_s(self, subject: Subject) -> int | None:
        stripe = self.ground.gateway
        if isinstance(subject, Invoice):
            return subject.paid_s
        try:
            if isinstance(subject, Session):
                intent_id = subject.payment_intent_id
                if intent_id is None:
                    return None
                subject = await self.walker.ask(lambda: stripe.intent(intent_id))
            charge_id = subject.charge_id
            if charge_id is None:
                return None
            return (await self.walker.ask(lambda: stripe.charge(charge_id))).created_s
        except StripeObjectMissing:
            return None

    async def _settled_here(self, at: datetime, until: datetime) -> None:
        ground = self.ground
        wanted = Selection((PaymentState.SETTLED,), at, until, ground.account, ground.livemode)
        payments = await ground.sweeps.payments(wanted, after="", limit=_PAGE)
        while payments:
            self.compared["payment"] += len(payments)
            for payment in payments:
                if payment.payment_id not in self.confirmed and payment.payment_id not in self.before:
                    await self._at_stripe(payment)
            payments = await ground.sweeps.payments(wanted, after=payments[-1].payment_id, limit=_PAGE)

    async def _each_here(
        self, state: PaymentState, at: datetime, until: datetime, look: Callable[[Payment], Awaitable[None]]
    ) -> None:
        """Those of which nothing came up at Stripe are looked at all the same."""
        ground = self.ground
        wanted = Selection((state,), at, until, ground.account, ground.livemode)
        payments = await ground.sweeps.payments(wanted, after="", limit=_PAGE)
        while payments:
            for payment in payments:
                await look(payment)
            payments = await ground.sweeps.payments(wanted, after=payments[-1].payment_id, limit=_PAGE)

    async def _quarantined(self, payment: Payment) -> None:
        """Neither drift of ours nor Stripe's: what was agreed stands against what was paid."""
        agreed = payment.cart.subtotal if payment.cart is not None else None
        paid = money_of(payment.amount_minor, payment.currency)
        detail = ", ".join(one.code for one in payment.discrepancies)
        drift = _drift(DriftKind.QUARANTINED, payment, None, at_stripe=paid, here=agreed)
        self._tell(payment.payment_id, evolve(drift, detail=f"differs in {detail}"))

    async def _is_second(self, payment: Payment, subject: Subject) -> bool:
        """Whether money came under a payment's mark by another session than the one that it was judged by."""
        intent_id = intent_of(subject)
        if payment.origin != "here" or isinstance(subject, Invoice) or intent_id == payment.payment_intent_id:
            return False
        if payment.payment_intent_id is not None and intent_id is not None:
            return True
        session: Session | None = subject if isinstance(subject, Session) else None
        if session is None:
            session = await self.walker.ask(lambda: self.ground.gateway.session_of_intent(subject.id))
        judged = [one.actual for one in payment.discrepancies if one.code == "session_id"] or [payment.session_id]
        return session is None or session.id not in (*judged, None)

    async def _second(self, payment: Payment, subject: Subject) -> None:
        """Until it was given back, as that of a rejected payment."""
        intent_id = intent_of(subject)
        charge = None if intent_id is None else await self._charge_of(intent_id)
        if charge is not None and charge.kept_minor == 0:
            return
        came = _amount(subject, None)
        drift = _drift(DriftKind.SECOND_PAYMENT, payment, subject, at_stripe=came, here=settled_as(payment))
        self._tell(intent_id or subject.id, drift)

    async def _rejected(self, payment: Payment) -> None:
        """Whoever rejects a payment refunds it too; what was kept of it is the buyer's."""
        intent_id = payment.payment_intent_id
        if intent_id is None and payment.session_id is not None:
            session_id = payment.session_id
            with suppress(StripeObjectMissing):
                intent_id = (await self.walker.ask(lambda: self.ground.gateway.session(session_id))).payment_intent_id
        await self._kept(payment, intent_id)

    async def _kept(self, payment: Payment, intent_id: str | None) -> None:
        """Tell what Stripe still has of one intent of a rejected payment. Each intent is asked for once."""
        if intent_id is None or intent_id in self.asked:
            return
        self.asked.add(intent_id)
        charge = await self._charge_of(intent_id)
        if charge is not None and charge.kept_minor:
            kept = money_of(charge.kept_minor, charge.currency)
            drift = _drift(DriftKind.NOT_REFUNDED, payment, None, at_stripe=kept, here=None)
            self._tell(intent_id, evolve(drift, payment_intent_id=intent_id))

    async def _charge_of(self, intent_id: str) -> Charge | None:
        stripe = self.ground.gateway
        try:
            charge_id = (await self.walker.ask(lambda: stripe.intent(intent_id))).charge_id
            return None if charge_id is None else await self.walker.ask(lambda: stripe.charge(charge_id))
        except StripeObjectMissing:
            return None

    async def _at_stripe(self, payment: Payment) -> None:
        """Ask Stripe for a payment that did not come up: a ghost, unless one of its objects is paid."""
        for subject in await self._objects_of(payment):
            if is_paid(subject):
                self._compare_amounts(payment, subject)
                return
        here = settled_as(payment)
        self._tell(payment.payment_id, _drift(DriftKind.GHOST, payment, None, at_stripe=None, here=here))

    async def _objects_of(self, payment: Payment) -> Sequence[Subject]:
        stripe = self.ground.gateway
        asked: list[tuple[Callable[[str], Awaitable[Subject]], str | None]] = [
            (stripe.session, payment.session_id),
            (stripe.invoice, payment.invoice_id),
            (stripe.intent, payment.payment_intent_id),
        ]
        found: list[Subject] = []
        for ask, name in asked:
            if name is not None:
                with suppress(StripeObjectMissing):
                    found.append(await self.walker.ask(partial(ask, name)))
        return found

    async def _dead_letters(self, begin: datetime) -> None:
        before: int | None = None
        wanted = EventFilter(since=begin)
        while True:
            page = await self.ground.store.records.events(wanted, state=InboxState.DEAD, limit=_PAGE, before=before)
            if not page.events:
                return
            for event in page.events:
                before = event.seq
                self._tell(
                    event.event_id,
                    Drift(
                        kind=DriftKind.DEAD_LETTER,
                        event_id=event.event_id,
                        payment_id=event.payment_id,
                        detail=event.last_error,
                    ),
                )

    def _late(self, entry: InboxEntry) -> None:
        if self.now - entry.received_at >= GRACE:
            drift = Drift(kind=DriftKind.UNHANDLED, event_id=entry.event_id, detail=entry.last_error)
            self._tell(entry.event_id, drift)

    def _tell(self, key: str, drift: Drift) -> None:
        if self.findings.add(key, drift):
            self.walker.watch.found(drift)


async def _nothing(until_s: int) -> None:
    """A verification remembers nothing."""


def intent_of(subject: Subject) -> str | None:
    """The intent that brought the object's money, where it is known."""
    return subject.id if isinstance(subject, Intent) else subject.payment_intent_id


def _amount(subject: Subject, payment: Payment | None) -> Money | None:
    """What the object says was paid, where that is the payment's own amount.

    Sessions and invoices state the total that the payment was settled with; an intent does where it is neither's, and
    where the session was made here, of which it must have received the total.
    """
    if isinstance(subject, Session):
        return money_of(subject.amount_total, subject.currency)
    if isinstance(subject, Invoice):
        has_session = payment is not None and payment.session_id is not None
        return None if has_session else money_of(subject.total, subject.currency)
    if payment is not None and payment.origin == "here":
        return money_of(subject.amount_received, subject.currency)
    if payment is not None and (payment.session_id is not None or payment.invoice_id is not None):
        return None
    return money_of(subject.amount_received or subject.amount, subject.currency)


def _drift(
    kind: DriftKind, payment: Payment | None, subject: Subject | None, *, at_stripe: Money | None, here: Money | None
) -> Drift:
    """A difference, with every name that either side knows."""
    session_id = subject.id if isinstance(subject, Session) else None
    intent_id = subject.id if isinstance(subject, Intent) else None
    invoice_id = subject.id if isinstance(subject, Invoice) else None
    if isinstance(subject, Session | Invoice):
        intent_id = subject.payment_intent_id
    return Drift(
        kind=kind,
        payment_id=payment.payment_id if payment is not None else None,
        session_id=session_id or (payment.session_id if payment is not None else None),
        payment_intent_id=intent_id or (payment.payment_intent_id if payment is not None else None),
        invoice_id=invoice_id or (payment.invoice_id if payment is not None else None),
        at_stripe=at_stripe,
        here=here,
    )
