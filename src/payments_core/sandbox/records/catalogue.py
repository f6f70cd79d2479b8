"""What is sold: products and prices."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import Factory, frozen

from .metadata import Metadata


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
