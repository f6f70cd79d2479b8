"""News that no event brought: what was seen by looking at Stripe's objects, written as an event of our own.

An observation goes into the inbox as a webhook does, so that its path, its retries and its single effect are the same.
Its id follows from what was seen, so that seeing it again, by whomever, is the same event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from .checkout import PAYMENT_ID_KEY
from .delivery import ReceivedEvent
from .news import (
    FAILURE_OBSERVED,
    INTENT_OBSERVED,
    INVOICE_OBSERVED,
    PAYMENT_REJECTED,
    PAYMENT_RELEASED,
    REFUND_OBSERVED,
    SESSION_OBSERVED,
    Subject,
    refs_of,
)
from .payment import WITH_MONEY, Payment, PaymentState
from .refs import Ref
from .strict_json import write_json
from .stripe_event import is_of_another_app
from .stripe_objects import (
    Document,
    Intent,
    Invoice,
    Session,
    intent_document,
    invoice_document,
    session_document,
)

#: What a session that is complete and not paid tells: a delayed method, whose end is another observation.
_SHOWN_UNPAID: Final = (PaymentState.PROCESSING, *WITH_MONEY)
_SHOWN_EXPIRED: Final = (PaymentState.EXPIRED, *WITH_MONEY)


@frozen
class Observation:
    """What was seen: the id it has for ever, its type, and the object as it was."""

    event_id: str
    type: str
    document: Mapping[str, Any]

    def received(self, *, account: str | None, livemode: bool) -> ReceivedEvent:
        """The observation as an event for the inbox."""
        event = {"id": self.event_id, "type": self.type, "livemode": livemode, "data": {"object": self.document}}
        body = write_json(event).encode("utf-8", "surrogatepass")
        return ReceivedEvent(self.event_id, self.type, body, account=account, livemode=livemode)


@frozen
class Policy:
    """Whose payments are told, as routing has it."""

    app: str | None
    tells_foreign: bool

    def is_ours(self, subject: Subject, payment: Payment | None) -> bool:
        """Whether news of the object would be acted on."""
        if payment is not None:
            return True
        return self.tells_foreign and not is_of_another_app(subject.metadata, app=self.app, payment_known=False)


def observed(subject: Subject, payment: Payment | None, seen: frozenset[Ref]) -> Observation | None:
    """What is to be told of an object whose `payment` (None: unknown here) does not show it; None when it does.

    `seen` are the names that this database knows, the failed charges among them.
    """
    if isinstance(subject, Session):
        return _of_session(subject, payment)
    if isinstance(subject, Intent):
        return _of_intent(subject, payment, seen)
    return _of_invoice(subject, payment)


def of_session(session: Session) -> Observation:
    """A session as it was seen. One id for each state that it can be seen in."""
    state = "" if session.is_paid else f"_{session.status}"
    return Observation(f"observed_{session.id}{state}", SESSION_OBSERVED, session_document(session))


def of_release(payment_id: str, reason: str) -> Observation:
    """That somebody accepts a quarantined payment as paid, and why. One id for ever: a release happens once."""
    return _of_decision(f"release_{payment_id}", PAYMENT_RELEASED, payment_id, reason)


def of_rejection(payment_id: str, reason: str) -> Observation:
    """That somebody does not accept a quarantined payment, and why. One id for ever as well."""
    return _of_decision(f"rejection_{payment_id}", PAYMENT_REJECTED, payment_id, reason)


def _of_decision(event_id: str, kind: str, payment_id: str, reason: str) -> Observation:
    document = {
        "id": payment_id,
        "object": "payments_core.payment",
        "reason": reason,
        "metadata": {PAYMENT_ID_KEY: payment_id},
    }
    return Observation(event_id, kind, document)


def of_refund(refund: Document) -> Observation:
    """A refund that no event told, exactly as Stripe has it, for raw handlers."""
    return Observation(f"observed_{refund['id']}", REFUND_OBSERVED, refund)


def names_of(subject: Subject) -> tuple[Ref, ...]:
    """Every name by which the object's payment may be known, the charge of a failed attempt included."""
    failed = subject.error.charge_id if isinstance(subject, Intent) and subject.error is not None else None
    return tuple(dict.fromkeys((*refs_of(subject), *((Ref("charge", failed),) if failed else ()))))


def is_paid(subject: Subject) -> bool:
    """Whether money came by the object, or none was due: what must be settled here."""
    if isinstance(subject, Session):
        return subject.mode == "payment" and subject.is_paid
    if isinstance(subject, Intent):
        return subject.status == "succeeded"
    return subject.status == "paid" and (subject.total or 0) > 0


def _of_session(session: Session, payment: Payment | None) -> Observation | None:
    state = payment.state if payment is not None else None
    if session.mode != "payment" or session.status == "open" or state in WITH_MONEY:
        return None
    if session.is_paid:
        return of_session(session)
    shown = _SHOWN_EXPIRED if session.status == "expired" else _SHOWN_UNPAID
    return None if state in shown else of_session(session)


def _of_intent(intent: Intent, payment: Payment | None, seen: frozenset[Ref]) -> Observation | None:
    if payment is not None and (payment.state in WITH_MONEY or (payment.invoice_id and not payment.session_id)):
        return None
    if intent.status == "succeeded":
        return Observation(f"observed_{intent.id}", INTENT_OBSERVED, intent_document(intent))
    # A failure without a charge is told apart by its event's id alone: another id would tell it a second time.
    charge_id = intent.error.charge_id if intent.error is not None else None
    if charge_id is None or Ref("charge", charge_id) in seen:
        return None
    return Observation(f"observed_{intent.id}_{charge_id}", FAILURE_OBSERVED, intent_document(intent))


def _of_invoice(invoice: Invoice, payment: Payment | None) -> Observation | None:
    if not is_paid(invoice) or (payment is not None and payment.state in WITH_MONEY):
        return None
    return Observation(f"observed_{invoice.id}", INVOICE_OBSERVED, invoice_document(invoice))
