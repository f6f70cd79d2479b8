"""The fields of products and prices that can be searched: https://docs.stripe.com/search#supported-query-fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from .records.catalogue import Price, Product
from .search import Field, Fields, Kind

T = TypeVar("T")


def _field(kind: Kind, of: type[T], value: Callable[[T], str | bool | None]) -> Field:
    def text(record: object) -> str | None:
        found = value(cast("T", record))
        return str(found).lower() if isinstance(found, bool) else found

    return Field(kind, text)


def _metadata(record: object) -> Mapping[str, str]:
    return cast("Product | Price", record).metadata


PRODUCTS = Fields(
    {
        "active": _field("boolean", Product, lambda product: product.active),
        "description": _field("text", Product, lambda product: product.description),
        "name": _field("text", Product, lambda product: product.name),
        "shippable": _field("boolean", Product, lambda product: product.shippable),
        "url": _field("text", Product, lambda product: product.url),
    },
    _metadata,
)
PRICES = Fields(
    {
        "active": _field("boolean", Price, lambda price: price.active),
        "currency": _field("token", Price, lambda price: price.currency),
        "lookup_key": _field("text", Price, lambda price: price.lookup_key),
        "product": _field("text", Price, lambda price: price.product),
        "type": _field("token", Price, lambda price: "one_time"),
    },
    _metadata,
)
