"""What the sandbox remembers: one frozen record per Stripe object, with the fields that really vary here.

Fields that are always the same (no customers, no tax, no shipping) are added when a record is rendered (`shapes`).
Times are epoch seconds, amounts whole minor units. Of a card only brand, last four digits and expiry are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from attrs import Factory, frozen

from .errors import JsonObject

Metadata = Mapping[str, str]


@frozen
class Product:
    """Something that is sold. `inline` ones were made by a session's `price_data` and appear in no list."""

    id: str
    created: int
    updated: int
    name: str
    active: bool = True
    description: str | None = None
    images: tuple[str, ...] = ()
    metadata: Metadata = Factory(dict[str, str])
    default_price: str | None = None
    statement_descriptor: str | None = None
    unit_label: str | None = None
    tax_code: str | None = None
    url: str | None = None
    shippable: bool | None = None
    features: tuple[str, ...] = ()
    inline: bool = False


@frozen
class Price:
    """What one unit costs. `unit_amount` is in minor units and may have decimals; `currency_options` likewise."""

    id: str
    created: int
    product: str
    currency: str
    unit_amount: Decimal
    active: bool = True
    lookup_key: str | None = None
    nickname: str | None = None
    metadata: Metadata = Factory(dict[str, str])
    tax_behavior: str = "unspecified"
    currency_options: Mapping[str, Decimal] = Factory(dict[str, Decimal])
    inline: bool = False


@frozen
class LineItem:
    """One line of a session, its amount fixed when the session was made."""

    id: str
    price: str
    quantity: int
    description: str
    currency: str
    amount_minor: int
    metadata: Metadata = Factory(dict[str, str])


@frozen
class IntentData:
    """What a session hands to the PaymentIntent that it makes later (`payment_intent_data`)."""

    metadata: Metadata = Factory(dict[str, str])
    description: str | None = None
    receipt_email: str | None = None
    statement_descriptor: str | None = None
    statement_descriptor_suffix: str | None = None
    shipping: JsonObject | None = None


@frozen
class Buyer:
    """Who paid, as the payment page was told."""

    email: str | None
    name: str | None = None


SessionStatus = Literal["open", "complete", "expired"]
PaymentStatus = Literal["paid", "unpaid", "no_payment_required"]


@frozen
class Session:
    """A Checkout Session in payment mode."""

    id: str
    created: int
    expires_at: int
    currency: str
    lines: tuple[LineItem, ...]
    ui_mode: str = "hosted_page"
    status: SessionStatus = "open"
    payment_status: PaymentStatus = "unpaid"
    success_url: str | None = None
    cancel_url: str | None = None
    return_url: str | None = None
    client_secret: str | None = None
    client_reference_id: str | None = None
    customer_email: str | None = None
    buyer: Buyer | None = None
    metadata: Metadata = Factory(dict[str, str])
    intent_data: IntentData = IntentData()
    payment_intent: str | None = None
    allowed_payment_method_types: tuple[str, ...] | None = None
    excluded_payment_method_types: tuple[str, ...] | None = None
    adaptive_pricing: bool = False
    allow_promotion_codes: bool | None = None
    billing_address_collection: str | None = None
    display_name: str | None = None
    integration_identifier: str | None = None
    locale: str | None = None
    origin_context: str | None = None
    submit_type: str | None = None

    @property
    def amount_minor(self) -> int:
        """The total in minor units: no tax, shipping or discount exists here."""
        return sum(line.amount_minor for line in self.lines)


@frozen
class Card:
    """What may be remembered of a card."""

    brand: str
    last4: str
    exp_month: int
    exp_year: int
    cvc_check: str = "pass"


@frozen
class PaymentMethod:
    """A card as it was entered for one attempt."""

    id: str
    created: int
    card: Card
    buyer: Buyer


@frozen
class Decline:
    """Why a charge failed. `decline_code` is the issuer's reason, absent where the code says it all."""

    code: str
    message: str
    decline_code: str | None = None
    advice_code: str | None = None


@frozen
class Charge:
    """One attempt to take the money, failed ones too."""

    id: str
    created: int
    amount_minor: int
    currency: str
    payment_intent: str
    payment_method: str
    intent_data: IntentData
    decline: Decline | None = None
    refunded_minor: int = 0


@frozen
class Refund:
    """Money given back of one charge."""

    id: str
    created: int
    amount_minor: int
    currency: str
    charge: str
    payment_intent: str
    reason: str | None = None
    metadata: Metadata = Factory(dict[str, str])


@frozen
class PaymentIntent:
    """The payment of one session, made at the first attempt."""

    id: str
    created: int
    amount_minor: int
    currency: str
    client_secret: str
    intent_data: IntentData
    status: Literal["requires_payment_method", "succeeded", "canceled"] = "requires_payment_method"
    payment_method: str | None = None
    latest_charge: str | None = None
    canceled_at: int | None = None


@frozen
class Origin:
    """The API request that caused an event; both None when it was the buyer or the clock."""

    request_id: str | None = None
    idempotency_key: str | None = None


NOBODY = Origin()


@frozen
class Event:
    """One snapshot event. `object` is the object as it was when it happened, `deliveries` are its own."""

    id: str
    created: int
    type: str
    object: JsonObject
    previous: JsonObject | None = None
    origin: Origin = NOBODY
    deliveries: tuple[str, ...] = ()


@frozen
class Endpoint:
    """Who gets events. `enabled_events` may be `*`."""

    id: str
    created: int
    url: str
    secret: str
    enabled_events: tuple[str, ...] = ("*",)
    description: str | None = None
    metadata: Metadata = Factory(dict[str, str])
    api_version: str | None = None
    disabled: bool = False


@frozen
class Delivery:
    """One event on its way to one endpoint. `next_at` is None once delivered or given up."""

    id: str
    event: str
    endpoint: str
    next_at: int | None
    attempts: int = 0
    delivered: bool = False
    last_status: int | None = None
    last_error: str | None = None
