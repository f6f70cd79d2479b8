"""Domain events: what happened to a payment, in the library's own words.

Handlers receive these values; Kafka receives the same facts as JSON (`as_published`). Amounts are `Money` here and
integers in minor units there. `event_id` is derived from the payment, its transition and a discriminator, so that the
same fact has the same id for ever, whoever brings the news and however often.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, Literal, TypeAlias

from attrs import field, frozen

from ..money import Money

#: Fixed for ever: changing it would give every fact of the past a second id.
_NAMESPACE: Final = uuid.UUID("6f6f0f3c-6a1c-5b0e-9d53-2f1f6f1c0c11")

Origin: TypeAlias = Literal["here", "foreign"]


@frozen
class Product:
    """A line of what was paid for. `price` is per unit."""

    name: str
    quantity: int
    price: Money


@frozen
class Difference:
    """One thing in which a payment is not what was agreed.

    `code` names what was compared, mostly by Stripe's own field (`amount_total`, `currency`); amounts are minor units;
    None: there is none.
    """

    code: str
    expected: str | int | None
    actual: str | int | None


@frozen(kw_only=True)
class DomainEvent:
    """What all domain events have.

    `event_id` is the same for every repeat of one fact: use it as the idempotency key of whatever a handler does
    outside the transaction. `payment_id` is this library's own name of the payment. `origin` is `foreign` for a
    payment that was not started here (an invoice, the Dashboard). `occurred_at` is aware UTC.
    """

    type: ClassVar[str] = ""

    event_id: str
    payment_id: str
    occurred_at: datetime
    amount: Money
    user_id: str | None = None
    email: str | None = field(default=None, repr=False)
    payment_intent_id: str | None = None
    session_id: str | None = None
    origin: Origin = "here"

    @property
    def currency(self) -> str:
        """The amount's currency, in lower case."""
        return self.amount.currency

    @property
    def amount_minor(self) -> int:
        """The amount in Stripe's minor units (5998 for 59.98 USD)."""
        return self.amount.minor

    def data(self) -> dict[str, Any]:
        """The `data` of the published event."""
        return {
            "userId": self.user_id,
            "email": self.email,
            "amount": self.amount.minor,
            "currency": self.amount.currency,
        }


@frozen(kw_only=True)
class PaymentSuccessful(DomainEvent):
    """The payment is settled: the money is Stripe's word, not a promise.

    Once per payment (per invoice for subscriptions). `products` is empty for a payment of which no lines are known.
    """

    type: ClassVar[str] = "payment.successful"

    products: tuple[Product, ...] = ()
    invoice_id: str | None = None

    def data(self) -> dict[str, Any]:
        """The `data` of `payment.successful`."""
        return {
            **DomainEvent.data(self),
            "products": [
                {"name": product.name, "quantity": product.quantity, "price": product.price.minor}
                for product in self.products
            ],
            "paymentIntentId": self.payment_intent_id,
            "sessionId": self.session_id,
        }


@frozen(kw_only=True)
class PaymentFailed(DomainEvent):
    """One attempt to pay was declined.

    It does not end the payment: the buyer may try again. `reason` is the decline code, else the error code, else its
    type.
    """

    type: ClassVar[str] = "payment.failed"

    reason: str

    def data(self) -> dict[str, Any]:
        """The `data` of `payment.failed`; a name that Stripe has not given yet is left out."""
        names = {"paymentIntentId": self.payment_intent_id, "sessionId": self.session_id}
        known = {key: name for key, name in names.items() if name is not None}
        return {**DomainEvent.data(self), "reason": self.reason, **known}


@frozen(kw_only=True)
class CheckoutExpired(DomainEvent):
    """A checkout session ran out before anything was paid."""

    type: ClassVar[str] = "checkout.expired"

    def data(self) -> dict[str, Any]:
        """The `data` of `checkout.expired`."""
        return {**DomainEvent.data(self), "sessionId": self.session_id}


@frozen(kw_only=True)
class PaymentMismatch(DomainEvent):
    """Money came that is not what was agreed: the payment is quarantined, and nothing counts as paid.

    Once per payment at most. `amount` is what Stripe says was paid, `discrepancies` are all that differ. Somebody has
    to look (`payments quarantine show`); when the payment is released, `PaymentSuccessful` follows.
    """

    type: ClassVar[str] = "payment.mismatch"

    discrepancies: tuple[Difference, ...]

    def data(self) -> dict[str, Any]:
        """The `data` of `payment.mismatch`."""
        return {
            **DomainEvent.data(self),
            "paymentIntentId": self.payment_intent_id,
            "sessionId": self.session_id,
            "discrepancies": [
                {"code": one.code, "expected": one.expected, "actual": one.actual} for one in self.discrepancies
            ],
        }


DOMAIN_EVENTS: Final[tuple[type[DomainEvent], ...]] = (
    PaymentSuccessful,
    PaymentFailed,
    CheckoutExpired,
    PaymentMismatch,
)


def fact_id(payment_id: str, transition: str, discriminator: str) -> str:
    """The id of a fact: uuid5 of what happened to which payment, the same for ever."""
    return str(uuid.uuid5(_NAMESPACE, f"{payment_id}\n{transition}\n{discriminator}"))


def as_published(event: DomainEvent) -> dict[str, Any]:
    """The event as consumers see it: `{eventId, eventType, timestamp, data}`, amounts in minor units."""
    return {
        "eventId": event.event_id,
        "eventType": event.type,
        "timestamp": isoformat_utc(event.occurred_at),
        "data": event.data(),
    }


def isoformat_utc(moment: datetime) -> str:
    """RFC 3339 with milliseconds and `Z`. `moment` is aware."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@frozen
class StripeEvent:
    """A Stripe event for raw handlers.

    `object` is the event's `data.object`, exactly as Stripe sent it (plain dictionaries, amounts in minor units,
    fractions as Decimal). `created_s` is Unix seconds.
    """

    id: str
    type: str
    object: Mapping[str, Any] = field(repr=False)
    account: str | None = None
    livemode: bool | None = None
    created_s: int | None = None
    api_version: str | None = None
    previous_attributes: Mapping[str, Any] = field(factory=dict[str, Any], repr=False)

    @property
    def event_id(self) -> str:
        """The id under another name, so that raw and domain handlers find their idempotency key alike."""
        return self.id
