"""What is known about a payment once Stripe has been asked, and the domain event that follows from it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import evolve, field, frozen

from ..errors import MalformedEvent
from ..money import InvalidAmount, Money
from .events import (
    CheckoutExpired,
    Difference,
    DomainEvent,
    PaymentFailed,
    PaymentMismatch,
    PaymentSuccessful,
    Product,
    fact_id,
)
from .payment import WITH_MONEY, Finding, Payment, Step, Transition
from .refs import Ref
from .stripe_objects import Intent, Invoice, LineItem, Session


@frozen(kw_only=True)
class Evidence:
    """A finding and what it rests on.

    `discriminator` tells facts of one kind apart: the charge of a failed attempt, "" for what happens once. `lines` are
    Stripe's, for payments not started here. `billing_email` is what the payer gave to the card form. `discrepancies`
    are what keeps a payment from being settled; `reason` is why an attempt failed, or why somebody decided about a
    payment as they did. `is_past`: it happened, and the payment has gone on since, so its state stays.
    """

    finding: Finding
    discriminator: str = ""
    refs: tuple[Ref, ...] = ()
    session: Session | None = None
    intent: Intent | None = None
    invoice: Invoice | None = None
    lines: tuple[LineItem, ...] = ()
    billing_email: str | None = field(default=None, repr=False)
    reason: str | None = None
    discrepancies: tuple[Difference, ...] = ()
    is_past: bool = False


def amount_of(payment: Payment, evidence: Evidence) -> Money:
    """What the evidence is about, in money: the session's total, else the invoice's, else the intent's amount.

    What was written down when the payment was settled or quarantined outranks them. Raises MalformedEvent when neither
    Stripe nor our row says.
    """
    if payment.amount_minor is not None and payment.currency is not None:
        return Money(payment.amount_minor, payment.currency)
    session, invoice, intent = evidence.session, evidence.invoice, evidence.intent
    if session and session.amount_total is not None and session.currency:
        return Money(session.amount_total, session.currency)
    if invoice and invoice.total is not None and invoice.currency:
        return Money(invoice.total, invoice.currency)
    if intent and intent.currency:
        amount = intent.amount_received or intent.amount
        if amount is not None:
            return Money(amount, intent.currency)
    if payment.cart is not None:
        return payment.cart.subtotal
    raise MalformedEvent("Stripe's objects state no amount and currency for this payment.")


def received_of(payment: Payment, evidence: Evidence) -> Money:
    """What came for a payment that is not as agreed: what its intent received where that is at hand, else its total.

    Where Stripe's figures are no money that can be written down, it is what was agreed.
    """
    intent = evidence.intent
    try:
        if intent is not None and intent.amount_received is not None and intent.currency:
            return Money(intent.amount_received, intent.currency)
        return amount_of(payment, evidence)
    except InvalidAmount:
        if payment.cart is None:
            raise MalformedEvent("Stripe's objects state an amount or a currency that cannot be.") from None
        return payment.cart.subtotal


def known_email(payment: Payment, evidence: Evidence) -> str | None:
    """The buyer's address: as given at checkout, else as given by the shop, else as given to the card form."""
    session, invoice, intent = evidence.session, evidence.invoice, evidence.intent
    return (
        (session.details_email if session else None)
        or payment.customer_email
        or (session.given_email if session else None)
        or (invoice.email if invoice else None)
        or (intent.email if intent else None)
        or evidence.billing_email
    )


def linked(payment: Payment, refs: tuple[Ref, ...]) -> Payment:
    """The payment with names it did not have yet; the first of each kind stays."""
    known = {
        "session": payment.session_id,
        "payment_intent": payment.payment_intent_id,
        "invoice": payment.invoice_id,
    }
    new: dict[str, Any] = {
        f"{ref.kind}_id": ref.stripe_id for ref in reversed(refs) if ref.kind in known and not known[ref.kind]
    }
    return evolve(payment, **new) if new else payment


def advanced(payment: Payment, step: Step, evidence: Evidence, *, now: datetime) -> Payment:
    """The payment after `step`; a settled and a quarantined one carry what was paid."""
    if step.state is payment.state:
        return payment
    if step.state in WITH_MONEY:
        # The intent that the money came by, whichever was heard of first: a copied mark may have brought another.
        payment = evolve(payment, payment_intent_id=_paid_by(evidence) or payment.payment_intent_id)
    if step.transition is Transition.QUARANTINED:
        came = received_of(payment, evidence)
        odd = evolve(payment, state=step.state, discrepancies=evidence.discrepancies, quarantined_at=now)
        return evolve(odd, amount_minor=came.minor, currency=came.currency)
    if step.transition is not Transition.SETTLED:
        return evolve(payment, state=step.state)
    amount = amount_of(payment, evidence)
    return evolve(payment, state=step.state, amount_minor=amount.minor, currency=amount.currency, settled_at=now)


def _paid_by(evidence: Evidence) -> str | None:
    if evidence.intent is not None:
        return evidence.intent.id
    return evidence.session.payment_intent_id if evidence.session is not None else None


def keyed(payment: Payment) -> Payment:
    """The payment with its Kafka key, which never changes once an event has been published under it."""
    if payment.event_key:
        return payment
    key = payment.payment_intent_id or payment.session_id or payment.invoice_id
    return evolve(payment, event_key=key or payment.payment_id)


def compose(payment: Payment, step: Step, evidence: Evidence, *, occurred_at: datetime) -> DomainEvent:
    """The domain event that tells the world of `step`."""
    facts: dict[str, Any] = {
        "event_id": fact_id(payment.payment_id, step.transition, evidence.discriminator),
        "payment_id": payment.payment_id,
        "occurred_at": occurred_at,
        "amount": amount_of(payment, evidence),
        "user_id": _user_id(payment, evidence),
        "email": known_email(payment, evidence),
        "payment_intent_id": payment.payment_intent_id,
        "session_id": payment.session_id,
        "origin": payment.origin,
    }
    if step.transition is Transition.ATTEMPT_FAILED:
        return PaymentFailed(**facts, reason=evidence.reason or "unknown")
    if step.transition is Transition.SETTLED:
        return PaymentSuccessful(**facts, products=products_of(payment, evidence), invoice_id=payment.invoice_id)
    if step.transition is Transition.QUARANTINED:
        return PaymentMismatch(**facts, discrepancies=evidence.discrepancies)
    return CheckoutExpired(**facts)


def products_of(payment: Payment, evidence: Evidence) -> tuple[Product, ...]:
    """What was paid for: our own agreed cart, else Stripe's lines.

    Lines without a unit price, or of no whole piece, are left out.
    """
    if payment.cart is not None:
        return tuple(Product(line.name, line.quantity, line.unit) for line in payment.cart.lines)
    return tuple(
        Product(line.name, line.quantity, Money(line.unit_minor, line.currency))
        for line in evidence.lines
        if line.unit_minor is not None and line.currency is not None and line.quantity
    )


def _user_id(payment: Payment, evidence: Evidence) -> str | None:
    if payment.user_id is not None or payment.origin == "here":
        return payment.user_id
    session = evidence.session
    if session and session.client_reference_id:
        return session.client_reference_id
    for subject in (session, evidence.invoice, evidence.intent):
        if subject and subject.metadata.get("userId"):
            return subject.metadata["userId"]
    return None
