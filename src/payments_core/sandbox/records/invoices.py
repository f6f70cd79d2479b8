"""Invoices, what stands on them, and how they are paid."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from attrs import Factory, frozen

from .metadata import Metadata

InvoiceStatus = Literal["draft", "open", "paid", "uncollectible", "void"]


@frozen
class InvoiceWish:
    """What a Checkout Session wants on the invoice that it makes once it is paid (`invoice_creation`)."""

    description: str | None = None
    footer: str | None = None
    metadata: Metadata = Factory(dict[str, str])


@frozen
class InvoiceItem:
    """Something that a customer owes, on an invoice or waiting for the next one. `unit_amount` is in minor units."""

    id: str
    created: int
    customer: str
    currency: str
    unit_amount: Decimal
    amount_minor: int
    quantity: int
    period: tuple[int, int]
    description: str | None = None
    price: str | None = None
    product: str | None = None
    invoice: str | None = None
    line: str | None = None
    discountable: bool = True
    metadata: Metadata = Factory(dict[str, str])


@frozen
class Transitions:
    """When an invoice reached its statuses, in epoch seconds."""

    finalized_at: int | None = None
    marked_uncollectible_at: int | None = None
    paid_at: int | None = None
    voided_at: int | None = None


@frozen
class Invoice:
    """A bill to one customer. What stands on it are its items, oldest first. `off_stripe`: paid out of band."""

    id: str
    created: int
    customer: str
    currency: str
    items: tuple[InvoiceItem, ...] = ()
    status: InvoiceStatus = "draft"
    collection_method: str = "charge_automatically"
    number: str | None = None
    due_date: int | None = None
    days_until_due: int | None = None
    default_payment_method: str | None = None
    description: str | None = None
    footer: str | None = None
    statement_descriptor: str | None = None
    metadata: Metadata = Factory(dict[str, str])
    attempts: int = 0
    payment_intent: str | None = None
    transitions: Transitions = Factory(Transitions)
    effective_at: int | None = None
    off_stripe: bool = False

    @property
    def total_minor(self) -> int:
        """What the lines add up to."""
        return sum(item.amount_minor for item in self.items)


@frozen
class InvoicePayment:
    """The link between an invoice and the payment intent that pays it."""

    id: str
    created: int
    invoice: str
    payment_intent: str
    currency: str
    requested_minor: int
    status: Literal["open", "paid", "canceled"] = "open"
    paid_at: int | None = None
    canceled_at: int | None = None
