"""Customers."""

from __future__ import annotations

from attrs import Factory, frozen

from ..errors import JsonObject
from .metadata import Metadata


@frozen
class Customer:
    """Somebody who buys more than once. A deleted one stays known as such."""

    id: str
    created: int
    invoice_prefix: str
    email: str | None = None
    name: str | None = None
    description: str | None = None
    phone: str | None = None
    business_name: str | None = None
    individual_name: str | None = None
    address: JsonObject | None = None
    shipping: JsonObject | None = None
    preferred_locales: tuple[str, ...] = ()
    tax_exempt: str = "none"
    balance_minor: int = 0
    default_payment_method: str | None = None
    next_invoice_sequence: int = 1
    metadata: Metadata = Factory(dict[str, str])
    deleted: bool = False
