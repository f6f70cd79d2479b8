"""What an operator does with quarantined payments: look at them, and accept one as paid, or not.

A decision is news like any other: it goes into the inbox once, and whoever runs events acts on it, for a release with
the payment's handlers, in one transaction. Nothing is decided here; the payment's own table says what a decision does.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeAlias

from attrs import frozen

from ..domain.delivery import InboxState
from ..domain.observations import Observation, of_rejection, of_release
from ..domain.payment import Payment, PaymentState
from ..domain.proof import odd_lines
from ..domain.refs import Ref, RefKind
from ..errors import InvalidRequest
from ..ports import EventPage, Gateway, Store

#: What is written down of who and why; it stands in a table's row and in a terminal's line.
LONGEST_REASON: Final = 500

#: What the names of Stripe's objects begin with.
_PREFIXES: Final[dict[str, RefKind]] = {"cs": "session", "pi": "payment_intent"}
_Kind: TypeAlias = Callable[[str, str], Observation]


class Outcome(StrEnum):
    """What became of a wish to decide."""

    RELEASED = "released"
    REJECTED = "rejected"
    REPEATED = "repeated"
    CONTRADICTED = "contradicted"
    NOT_QUARANTINED = "not_quarantined"
    UNKNOWN = "unknown"


@frozen
class Answer:
    """How a wish ended. `payment` is as it was found, `before` holds the decision that was there before."""

    outcome: Outcome
    payment: Payment | None = None
    before: EventPage | None = None


@frozen
class OddLines:
    """Lines of the cart that Stripe's session does not have so, and the session's that were not agreed."""

    agreed: tuple[str, ...]
    charged: tuple[str, ...]


async def called(store: Store, name: str, *, account: str | None) -> Payment | None:
    """The payment of this id, or of this session or payment intent in either mode of the account."""
    payment = await store.payment(name)
    kind = _PREFIXES.get(name.partition("_")[0])
    if payment is not None or kind is None:
        return payment
    for livemode in (True, False):
        found = await store.find_payment([Ref(kind, name)], account=account, livemode=livemode)
        if found is not None:
            return found
    return None


async def release(store: Store, payment_id: str, reason: str) -> Answer:
    """Accept a quarantined payment as paid: see `_decide`."""
    return await _decide(store, payment_id, reason, (of_release, of_rejection), Outcome.RELEASED)


async def reject(store: Store, payment_id: str, reason: str) -> Answer:
    """Do not accept a quarantined payment, whose money is given back by other means: see `_decide`."""
    return await _decide(store, payment_id, reason, (of_rejection, of_release), Outcome.REJECTED)


async def _decide(store: Store, payment_id: str, reason: str, kinds: tuple[_Kind, _Kind], decided: Outcome) -> Answer:
    """Put the decision, the first kind, into the inbox, once for ever. Durable on return.

    Where the other kind is there already it is refused, unless handling that was given up; of two that race, the one
    that is handled first holds. Raises InvalidRequest for a reason that says nothing or is too long.
    """
    said = " ".join(reason.split())
    if not 0 < len(said) <= LONGEST_REASON:
        raise InvalidRequest(f"A reason has 1 to {LONGEST_REASON} characters.")
    payment = await store.payment(payment_id)
    if payment is None:
        return Answer(Outcome.UNKNOWN)
    if payment.state is not PaymentState.QUARANTINED:
        return Answer(Outcome.NOT_QUARANTINED, payment)
    decision, opposite = (kind(payment_id, said) for kind in kinds)
    contrary = await store.records.named(opposite.event_id)
    if contrary.events and contrary.events[0].state is not InboxState.DEAD:
        return Answer(Outcome.CONTRADICTED, payment, contrary)
    if await store.receive(decision.received(account=payment.account, livemode=payment.livemode)):
        return Answer(decided, payment)
    return Answer(Outcome.REPEATED, payment, await store.records.named(decision.event_id))


async def explained(gateway: Gateway, payment: Payment) -> OddLines | None:
    """Where the lines differ, as Stripe has them now; None for a payment without session or cart."""
    if payment.session_id is None or payment.cart is None:
        return None
    return OddLines(*odd_lines(payment.cart, await gateway.line_items(payment.session_id)))
