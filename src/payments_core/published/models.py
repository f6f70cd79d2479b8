"""The published events as they stand on the wire: `{eventId, eventType, timestamp, data}`.

These models say what a consumer may rely on; the JSON Schemas and the AsyncAPI document are made from them. A field
that is not named here is let through unseen, so that a later version may add some; the type of a known one is exact.
Amounts are integers in Stripe's minor units (5998 for 59.98 USD).
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from ..domain.events import isoformat_utc
from ..money import Money

#: RFC 3339, section 5.6, with the offset that it demands.
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("should be an RFC 3339 date and time with an offset, as 2026-11-23T10:58:01.000Z")
    try:
        return datetime.fromisoformat(value)
    except ValueError:  # the parser's own words quote the input
        raise ValueError("should be a date and time that the calendar has") from None


def _not_null(value: object) -> object:
    if value is None:
        raise ValueError("should be a string, or be left out")
    return value


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_moment),
    PlainSerializer(isoformat_utc),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
#: A field that is left out where there is nothing to say, and is never null.
OptionalText = Annotated[str | None, BeforeValidator(_not_null), WithJsonSchema({"type": "string"})]
Currency = Annotated[str, Field(pattern=r"^[a-z]{3}$", description="ISO 4217, three lower-case letters.")]


class _Published(BaseModel, frozen=True):
    """Frozen, strict about types, silent about fields it does not know, camelCase outside."""

    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        hide_input_in_errors=True,
    )


class Product(_Published, frozen=True):
    """A line of what was paid for."""

    name: str = Field(description="The line's name, as the buyer saw it.")
    quantity: int = Field(description="How many pieces.")
    price: int = Field(description="Per piece, in minor units of the payment's currency (2999 for 29.99 USD).")


class EventData(_Published, frozen=True):
    """What the data of all published events has."""

    user_id: str | None = Field(description="The host's own id of the buyer; null where none is known.")
    email: str | None = Field(repr=False, description="The buyer's e-mail address; null where none is known.")
    amount: int = Field(description="In minor units of the currency (5998 for 59.98 USD).")
    currency: Currency

    @property
    def money(self) -> Money:
        """The amount with its currency."""
        return Money(self.amount, self.currency)


class SuccessfulData(EventData, frozen=True):
    """The `data` of `payment.successful`."""

    products: tuple[Product, ...] = Field(
        strict=False, description="What was agreed; empty for a payment of which no lines are known."
    )
    payment_intent_id: str | None = Field(description="Stripe's PaymentIntent; null for a total of zero.")
    session_id: str | None = Field(description="Stripe's Checkout Session; null for a payment without one.")


class FailedData(EventData, frozen=True):
    """The `data` of `payment.failed`. The two ids are left out where there is none."""

    reason: str = Field(description="Stripe's decline code, else its error code, else the error's type.")
    payment_intent_id: OptionalText = Field(default=None, description="Stripe's PaymentIntent.")
    session_id: OptionalText = Field(default=None, description="Stripe's Checkout Session.")


class ExpiredData(EventData, frozen=True):
    """The `data` of `checkout.expired`."""

    session_id: str | None = Field(description="Stripe's Checkout Session.")


class Discrepancy(_Published, frozen=True):
    """One thing in which a payment is not what was agreed."""

    code: str = Field(description="What was compared, mostly by Stripe's field: amount_total, currency, livemode, …")
    expected: int | str | None = Field(description="What was agreed; amounts in minor units; null: nothing.")
    actual: int | str | None = Field(description="What Stripe says; amounts in minor units; null: nothing.")


class MismatchData(EventData, frozen=True):
    """The `data` of `payment.mismatch`. `amount` and `currency` are what Stripe says was paid."""

    payment_intent_id: str | None = Field(description="Stripe's PaymentIntent; null where there is none.")
    session_id: str | None = Field(description="Stripe's Checkout Session; null where none is known.")
    discrepancies: tuple[Discrepancy, ...] = Field(strict=False, min_length=1, description="All that differ.")


class PublishedEvent(_Published, frozen=True):
    """What all published events have. `event_id` is the same for every repeat of one fact: the idempotency key."""

    event_id: str = Field(
        min_length=1,
        description="The fact's own id (a UUID), the same for every repeat: use it as your idempotency key.",
    )
    event_type: str = Field(description="What happened; also the topic's name, without its prefix.")
    timestamp: Moment = Field(description="When it happened by Stripe's clock: RFC 3339, UTC.")
    data: EventData

    def as_json(self) -> dict[str, Any]:
        """The event as it stands on the wire; what was left out stays out."""
        return self.model_dump(mode="json", exclude_unset=True)


class PaymentSuccessful(PublishedEvent, frozen=True):
    """A payment is settled: the money is there. Once per payment, and once per invoice of a subscription."""

    event_type: Literal["payment.successful"]
    data: SuccessfulData


class PaymentFailed(PublishedEvent, frozen=True):
    """One attempt to pay was declined. It does not end the payment: the buyer may try again."""

    event_type: Literal["payment.failed"]
    data: FailedData


class CheckoutExpired(PublishedEvent, frozen=True):
    """A checkout session ran out before anything was paid."""

    event_type: Literal["checkout.expired"]
    data: ExpiredData


class PaymentMismatch(PublishedEvent, frozen=True):
    """Money came that is not what was agreed. Nothing counts as paid: somebody has to look. Once per payment."""

    event_type: Literal["payment.mismatch"]
    data: MismatchData


PUBLISHED: Final[dict[str, type[PublishedEvent]]] = {
    "payment.successful": PaymentSuccessful,
    "payment.failed": PaymentFailed,
    "checkout.expired": CheckoutExpired,
    "payment.mismatch": PaymentMismatch,
}
