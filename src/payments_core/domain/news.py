"""Which Stripe events say something about a payment, and what.

News is a claim by an event's snapshot. Whether it holds, and of which payment, is found out by the settlement flow,
which may have to ask Stripe; the table of what it then does is in `payment`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from .refs import Ref
from .stripe_objects import Intent, Invoice, Session, metadata, read_intent, read_invoice, read_session, text

#: What begins the type of our own kinds of events, which only this library writes.
OWN_PREFIX: Final = "payments_core."
#: Our own kinds of events: the success page or a reconciliation saw at Stripe what no event had told.
SESSION_OBSERVED: Final = "payments_core.session.observed"
INTENT_OBSERVED: Final = "payments_core.payment_intent.observed"
FAILURE_OBSERVED: Final = "payments_core.payment_intent.failure_observed"
INVOICE_OBSERVED: Final = "payments_core.invoice.observed"
#: Our own kinds as well: somebody looked at a quarantined payment, and accepts it as paid, or does not.
PAYMENT_RELEASED: Final = "payments_core.payment.released"
PAYMENT_REJECTED: Final = "payments_core.payment.rejected"
#: These only bring news to payments; no raw handler is called for them.
UNTOLD: Final = frozenset(
    (SESSION_OBSERVED, INTENT_OBSERVED, FAILURE_OBSERVED, INVOICE_OBSERVED, PAYMENT_RELEASED, PAYMENT_REJECTED)
)
#: Concerns no payment's state (refunds are none), and is for raw handlers.
REFUND_OBSERVED: Final = "payments_core.refund.observed"


class Claim(StrEnum):
    """What an event says happened."""

    SESSION_DONE = "session_done"
    SESSION_FAILED_LATER = "session_failed_later"
    SESSION_EXPIRED = "session_expired"
    INTENT_SUCCEEDED = "intent_succeeded"
    INTENT_FAILED = "intent_failed"
    INVOICE_PAID = "invoice_paid"
    RELEASED = "released"
    REJECTED = "rejected"


Subject: TypeAlias = Session | Intent | Invoice


@frozen
class Decision:
    """Somebody's word on a quarantined payment. `reason` says who and why."""

    payment_id: str
    reason: str | None = field(repr=False)
    metadata: Mapping[str, str] = field(factory=dict[str, str], repr=False)


@frozen
class News:
    """A claim and the snapshot it came with."""

    claim: Claim
    subject: Subject | Decision


_SESSION_CLAIMS: Final[Mapping[str, Claim]] = MappingProxyType(
    {
        "checkout.session.completed": Claim.SESSION_DONE,
        "checkout.session.async_payment_succeeded": Claim.SESSION_DONE,
        SESSION_OBSERVED: Claim.SESSION_DONE,
        "checkout.session.async_payment_failed": Claim.SESSION_FAILED_LATER,
        "checkout.session.expired": Claim.SESSION_EXPIRED,
    }
)
_INTENT_CLAIMS: Final[Mapping[str, Claim]] = MappingProxyType(
    {
        "payment_intent.succeeded": Claim.INTENT_SUCCEEDED,
        INTENT_OBSERVED: Claim.INTENT_SUCCEEDED,
        "payment_intent.payment_failed": Claim.INTENT_FAILED,
        FAILURE_OBSERVED: Claim.INTENT_FAILED,
    }
)
_INVOICE_CLAIMS: Final[Mapping[str, Claim]] = MappingProxyType(
    {
        "invoice.paid": Claim.INVOICE_PAID,
        "invoice.payment_succeeded": Claim.INVOICE_PAID,
        INVOICE_OBSERVED: Claim.INVOICE_PAID,
    }
)
_DECISION_CLAIMS: Final[Mapping[str, Claim]] = MappingProxyType(
    {PAYMENT_RELEASED: Claim.RELEASED, PAYMENT_REJECTED: Claim.REJECTED}
)
#: Stripe's types that bring news of payments made here; and those of invoices, either of which will do.
PAYMENT_EVENTS: Final = frozenset(
    kind for kind in (*_SESSION_CLAIMS, *_INTENT_CLAIMS) if not kind.startswith(OWN_PREFIX)
)
INVOICE_EVENTS: Final = frozenset(kind for kind in _INVOICE_CLAIMS if not kind.startswith(OWN_PREFIX))


def read_news(event_type: str, snapshot: Mapping[str, Any]) -> News | None:
    """The news in an event of `event_type` about `snapshot` (its `data.object`); None when it concerns no payment.

    Raises KeyError when the snapshot has no id.
    """
    if event_type in _SESSION_CLAIMS:
        return News(_SESSION_CLAIMS[event_type], read_session(snapshot))
    if event_type in _INTENT_CLAIMS:
        return News(_INTENT_CLAIMS[event_type], read_intent(snapshot))
    if event_type in _INVOICE_CLAIMS:
        return News(_INVOICE_CLAIMS[event_type], read_invoice(snapshot))
    if event_type in _DECISION_CLAIMS:
        decision = Decision(str(snapshot["id"]), text(snapshot, "reason"), metadata(snapshot))
        return News(_DECISION_CLAIMS[event_type], decision)
    return None


def refs_of(subject: Subject) -> tuple[Ref, ...]:
    """Every name the snapshot knows for its payment, its own first."""
    if isinstance(subject, Session):
        found = [Ref("session", subject.id)]
        found += [Ref("payment_intent", subject.payment_intent_id)] if subject.payment_intent_id else []
        found += [Ref("invoice", subject.invoice_id)] if subject.invoice_id else []
        return tuple(found)
    if isinstance(subject, Intent):
        charge = [Ref("charge", subject.charge_id)] if subject.charge_id else []
        return (Ref("payment_intent", subject.id), *charge)
    intent = [Ref("payment_intent", subject.payment_intent_id)] if subject.payment_intent_id else []
    return (Ref("invoice", subject.id), *intent)
