"""What is really the case: from a claim in an event to evidence that a payment may be settled on.

An event's snapshot is as old as its delivery. A snapshot of a session made here that already says paid, and just what
was agreed, is taken at its word (paid is final); a declined attempt is always read from its own event, since a refetch
has forgotten the reason; for everything else Stripe is asked what is true now.
"""

from __future__ import annotations

from contextlib import suppress

from attrs import evolve, frozen

from ..domain.delivery import PARK_LIMIT_S, PARK_STEP_S
from ..domain.evidence import Evidence, known_email
from ..domain.news import Claim, Decision, News, refs_of
from ..domain.payment import WITH_MONEY, Finding, Payment, PaymentState
from ..domain.proof import differences
from ..domain.refs import Ref
from ..domain.stripe_objects import Intent, Invoice, Session
from ..errors import StripeError, StripeObjectMissing, StripeUnavailable
from ..ports import Gateway

#: Intents of which nothing is to be expected unless the buyer tries again.
_BROKEN = ("requires_payment_method", "canceled")


class NotYet(Exception):
    """The news came before its cause. Park the event for `delay_s` seconds; it is not a failed attempt."""

    def __init__(self, reason: str, delay_s: float = PARK_STEP_S) -> None:
        super().__init__(reason)
        self.delay_s = delay_s


@frozen
class Gathering:
    """Turns news about a payment into evidence."""

    gateway: Gateway

    async def gather(self, news: News, payment: Payment, *, event_id: str, age_s: float) -> Evidence:
        """The evidence. `age_s`: seconds since the event was received. Raises NotYet, and the gateway's errors."""
        subject = news.subject
        if isinstance(subject, Decision):
            return await self._of_decision(news.claim, subject, payment)
        if isinstance(subject, Intent) and news.claim is Claim.INTENT_FAILED:
            evidence = await self._failed(subject, payment, event_id)
        # The names that it brings are noted, nothing more is asked.
        elif payment.state in WITH_MONEY and news.claim is not Claim.SESSION_FAILED_LATER:
            evidence = Evidence(finding=Finding.LINKED, refs=refs_of(subject))
        elif isinstance(subject, Session):
            evidence = await self._of_session(news.claim, subject, payment, event_id)
        elif isinstance(subject, Intent):
            evidence = await self._of_intent(subject, payment, age_s)
        else:
            evidence = await self._of_invoice(subject, payment)
        return await self._completed(evidence, payment)

    async def _of_session(self, claim: Claim, session: Session, payment: Payment, event_id: str) -> Evidence:
        if claim is Claim.SESSION_FAILED_LATER:
            return await self._failed_later(session, payment, event_id)
        if not _is_proof(session, payment):
            session = await self.gateway.session(session.id)
        evidence = _session_evidence(session)
        if evidence.finding is not Finding.PAID and _is_anothers(session, payment):
            return Evidence(finding=Finding.LINKED)
        if evidence.finding is Finding.PROMISED and await self._is_broken(session):
            return evolve(evidence, finding=Finding.LINKED)
        return evidence

    async def _failed(self, intent: Intent, payment: Payment, event_id: str) -> Evidence:
        """A failed attempt, by its own event. It ends no promise that came after it, or was made by another intent."""
        is_past = payment.state is PaymentState.PROCESSING and not (
            payment.payment_intent_id in (None, intent.id) and (await self.gateway.intent(intent.id)).status in _BROKEN
        )
        return evolve(_declined(intent, event_id), is_past=is_past)

    async def _is_broken(self, session: Session) -> bool:
        """Whether the promise of a delayed method has failed already: its news may have overtaken the completion."""
        if session.payment_intent_id is None:
            return False
        return (await self.gateway.intent(session.payment_intent_id)).status in _BROKEN

    async def _failed_later(self, session: Session, payment: Payment, event_id: str) -> Evidence:
        """A delayed method that failed after all: the same fact as the failure of its charge."""
        if _is_anothers(session, payment):
            return Evidence(finding=Finding.LINKED)
        if session.payment_intent_id is None:
            session = await self.gateway.session(session.id)
        if session.payment_intent_id is None:
            return Evidence(finding=Finding.LINKED, refs=refs_of(session))
        declined = _declined(await self.gateway.intent(session.payment_intent_id), event_id)
        refs = (*refs_of(session), *declined.refs)
        return evolve(declined, session=session, refs=refs, reason=declined.reason or "async_payment_failed")

    async def _of_intent(self, intent: Intent, payment: Payment, age_s: float) -> Evidence:
        session = await self._session_of(intent, payment)
        if session is not None and session.mode != "payment":
            # A subscription's, whatever its session says: the intent may be a part of its invoice, which has the news.
            return Evidence(finding=Finding.LINKED, refs=refs_of(intent))
        if session is not None:
            if session.is_paid:
                evidence = _session_evidence(session)
                # A mark can be copied: another intent says nothing of the one that this session was paid by.
                return (
                    evidence if session.payment_intent_id not in (None, intent.id) else evolve(evidence, intent=intent)
                )
            if age_s < PARK_LIMIT_S:
                raise NotYet("the intent succeeded before its session was complete")
        elif payment.invoice_id is not None:
            return Evidence(finding=Finding.LINKED, refs=refs_of(intent))
        intent = await self.gateway.intent(intent.id)
        finding = Finding.PAID if intent.status == "succeeded" else Finding.LINKED
        evidence = Evidence(finding=finding, intent=intent, refs=refs_of(intent))
        if session is None or payment.origin != "here":
            return evidence
        # What is due is known from the session alone, complete or not: the proof compares with it.
        return evolve(evidence, session=session, refs=(*evidence.refs, *refs_of(session)))

    async def _session_of(self, intent: Intent, payment: Payment) -> Session | None:
        """The payment's session; one made here whose answer was never saved is found by the intent."""
        if payment.session_id is not None:
            return await self.gateway.session(payment.session_id)
        return await self.gateway.session_of_intent(intent.id) if payment.origin == "here" else None

    async def _of_decision(self, claim: Claim, decision: Decision, payment: Payment) -> Evidence:
        """Somebody's word; Stripe is asked only for what a success is told with."""
        if claim is Claim.REJECTED:
            return Evidence(finding=Finding.REJECTED, reason=decision.reason)
        evidence = Evidence(finding=Finding.RELEASED, reason=decision.reason)
        if payment.state is not PaymentState.QUARANTINED:
            return evidence
        with suppress(StripeObjectMissing):
            if payment.session_id is not None:
                evidence = evolve(evidence, session=await self.gateway.session(payment.session_id))
            if payment.payment_intent_id is not None:
                evidence = evolve(evidence, intent=await self.gateway.intent(payment.payment_intent_id))
        return await self._addressed(evidence, payment)

    async def _of_invoice(self, invoice: Invoice, payment: Payment) -> Evidence:
        if payment.session_id is not None:
            session = await self.gateway.session(payment.session_id)
            if session.mode == "payment":
                evidence = _session_evidence(session)
                return evolve(evidence, refs=(*evidence.refs, *refs_of(invoice)))
        invoice = await self.gateway.invoice(invoice.id)
        paid = invoice.status == "paid" and (invoice.total or 0) > 0
        finding = Finding.PAID if paid else Finding.LINKED
        return Evidence(finding=finding, invoice=invoice, lines=invoice.lines, refs=refs_of(invoice))

    async def _completed(self, evidence: Evidence, payment: Payment) -> Evidence:
        """The evidence with what a success is told with and only Stripe knows: foreign lines, the payer's address."""
        if evidence.finding is not Finding.PAID:
            return evidence
        session = evidence.session
        if session is not None and payment.cart is None:
            evidence = evolve(evidence, lines=tuple(await self.gateway.line_items(session.id)))
        return await self._addressed(evidence, payment)

    async def _addressed(self, evidence: Evidence, payment: Payment) -> Evidence:
        """The evidence with the payer's address from the card form, where no other is known.

        An intent that is asked for on the way stays at hand, for the proof.
        """
        if known_email(payment, evidence) is not None:
            return evidence
        session = evidence.session
        if evidence.intent is None and session is not None and session.payment_intent_id is not None:
            evidence = evolve(evidence, intent=await self.gateway.intent(session.payment_intent_id))
        intent = evidence.intent
        if intent is None or intent.charge_id is None or intent.email is not None:
            return evidence
        try:
            return evolve(evidence, billing_email=(await self.gateway.charge(intent.charge_id)).billing_email)
        except StripeUnavailable:
            raise
        except StripeError:  # missing, or not for a restricted key to read: an address is no reason to lose a payment
            return evidence


def _declined(intent: Intent, event_id: str) -> Evidence:
    error = intent.error
    charge_id = (error.charge_id if error else None) or intent.charge_id
    refs = (Ref("payment_intent", intent.id), *((Ref("charge", charge_id),) if charge_id else ()))
    return Evidence(
        finding=Finding.DECLINED,
        discriminator=intent.failed_attempt or event_id,
        intent=intent,
        refs=refs,
        reason=error.reason if error else None,
    )


def _is_proof(session: Session, payment: Payment) -> bool:
    """Whether a snapshot is enough: paid is final, where it is what was agreed.

    One of an old API version may lack amounts, or be in the buyer's currency: nobody is to be quarantined for that.
    """
    of_here = payment.origin == "here" and session.mode == "payment"
    return of_here and session.is_paid and not differences(payment, session, None)


def _is_anothers(session: Session, payment: Payment) -> bool:
    """Whether the order has another session: a mark can be copied, and only its own ends it without money."""
    return payment.origin == "here" and payment.session_id not in (None, session.id)


def _session_evidence(session: Session) -> Evidence:
    """What a session's current state amounts to."""
    refs = refs_of(session)
    if session.mode != "payment":
        finding = Finding.LINKED
    elif session.is_paid:
        finding = Finding.PAID
    elif session.status == "expired":
        finding = Finding.LAPSED
    elif session.status == "complete":
        finding = Finding.PROMISED
    else:
        finding = Finding.LINKED
    return Evidence(finding=finding, session=session, refs=refs)
