"""Checkout Sessions and their lines."""

from __future__ import annotations

from typing import Literal

from attrs import Factory, frozen

from ..errors import JsonObject
from ..totals import Totals
from .invoices import InvoiceWish
from .metadata import Metadata
from .payments import Buyer, IntentData
from .pricing import Coupon


@frozen
class LineItem:
    """One line of a session, its amount before discount and tax fixed when the session was made."""

    id: str
    price: str
    quantity: int
    description: str
    currency: str
    amount_minor: int
    product: str = ""
    tax_behavior: str = "unspecified"
    tax_code: str | None = None
    tax_rates: tuple[str, ...] = ()
    metadata: Metadata = Factory(dict[str, str])


@frozen
class ShippingOption:
    """A way of shipping that a session offers, its amount fixed when the session was made."""

    rate: str
    amount_minor: int


SessionStatus = Literal["open", "complete", "expired"]
PaymentStatus = Literal["paid", "unpaid", "no_payment_required"]


@frozen
class Session:
    """A Checkout Session in payment mode.

    `totals` are what its lines, `coupon`, tax and chosen `shipping_rate` come to (`pricing`). `shipping` is where the
    buyer wants things sent; `method_types` are the ways to pay that the page offers;
    `last_form` tells a form that is sent again from a new attempt.
    """

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
    intent_data: IntentData = Factory(IntentData)
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
    totals: Totals = Factory(Totals)
    automatic_tax: bool = False
    coupon: Coupon | None = None
    promotion_code: str | None = None
    shipping_options: tuple[ShippingOption, ...] = ()
    shipping_rate: str | None = None
    shipping_countries: tuple[str, ...] | None = None
    shipping: JsonObject | None = None
    phone_number_collection: bool = False
    custom_text: JsonObject = Factory(dict[str, str])
    customer: str | None = None
    customer_creation: str = "if_required"
    redirect_on_completion: str = "always"
    method_types: tuple[str, ...] = ("card",)
    attempts: int = 0
    last_form: str | None = None
    invoice_wish: InvoiceWish | None = None
    invoice: str | None = None

    @property
    def amount_minor(self) -> int:
        """The total in minor units."""
        return self.totals.total_minor
