"""What the catalogue charges, in as few calls as the API allows.

A reference is a price id (`price_…`), a product id (Stripe's or the shop's own) or a lookup key. Products come a
hundred to a call, lookup keys ten; prices by id have no list of their own and cost a call each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from payments_core.adapters.stripe.sdk import Caller
from payments_core.domain.pricing import CatalogPrice
from payments_core.domain.stripe_objects import Document, child, items, number, text
from payments_core.errors import StripeObjectMissing

PRODUCTS_PER_CALL = 100
LOOKUP_KEYS_PER_CALL = 10

_REFERENCE = re.compile(r"[A-Za-z0-9_.:-]{1,200}")
_PRICE_ID = re.compile(r"price_[A-Za-z0-9]+")
T = TypeVar("T")


class Catalogue:
    """Looks references up."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def prices_of(self, references: Sequence[str]) -> Mapping[str, CatalogPrice]:
        """The catalogue's prices by reference; an unknown reference is left out."""
        wanted = [name for name in dict.fromkeys(references) if _REFERENCE.fullmatch(name)]
        found: dict[str, CatalogPrice] = {}
        for name in wanted:
            if _PRICE_ID.fullmatch(name):
                found.update(await self._by_price_id(name))
        for batch in _batches([name for name in wanted if name not in found], PRODUCTS_PER_CALL):
            found.update(await self._by_product_ids(batch))
        for batch in _batches([name for name in wanted if name not in found], LOOKUP_KEYS_PER_CALL):
            found.update(await self._by_lookup_keys(batch))
        return found

    async def _by_price_id(self, price_id: str) -> dict[str, CatalogPrice]:
        try:
            price = await self._caller.call("prices.retrieve", price_id, {"expand": ["product", "currency_options"]})
        except StripeObjectMissing:
            return {}
        return {price_id: catalog_price(price, child(price, "product"))}

    async def _by_product_ids(self, product_ids: Sequence[str]) -> dict[str, CatalogPrice]:
        params: dict[str, Any] = {
            "ids": list(product_ids),
            "limit": PRODUCTS_PER_CALL,
            "expand": ["data.default_price", "data.default_price.currency_options"],
        }
        products = items(await self._caller.call("products.list", params))
        return {str(product["id"]): await self._of_product(product) for product in products}

    async def _of_product(self, product: Document) -> CatalogPrice:
        default = child(product, "default_price")
        if default:
            return catalog_price(default, product)
        params = {"product": product["id"], "active": True, "limit": 2, "type": "one_time"}
        params["expand"] = ["data.currency_options"]
        prices = items(await self._caller.call("prices.list", params))
        if len(prices) == 1:
            return catalog_price(prices[0], product)
        reason = "it has several prices and no default price" if prices else "it has no active price"
        return CatalogPrice("", sellable=False, reason=reason)

    async def _by_lookup_keys(self, keys: Sequence[str]) -> dict[str, CatalogPrice]:
        expand = ["data.product", "data.currency_options"]
        params = {"lookup_keys": list(keys), "limit": LOOKUP_KEYS_PER_CALL, "expand": expand}
        prices = items(await self._caller.call("prices.list", params))
        return {str(price["lookup_key"]): catalog_price(price, child(price, "product")) for price in prices}


def catalog_price(price: Document, product: Document) -> CatalogPrice:
    """What a price charges per unit, and whether it may be sold. Both are documents in Stripe's shape."""
    units = {
        currency: unit
        for currency, option in child(price, "currency_options").items()
        if (unit := number(option, "unit_amount")) is not None
    }
    own, unit = text(price, "currency"), number(price, "unit_amount")
    if own is not None and unit is not None:
        units[own] = unit
    reason = _obstacle(price, product, units)
    return CatalogPrice(str(price["id"]), units, sellable=reason is None, reason=reason)


def _obstacle(price: Document, product: Document, units: Mapping[str, int]) -> str | None:
    if product.get("active") is False or product.get("deleted"):
        return "the product is not active"
    if price.get("active") is False:
        return "the price is not active"
    if price.get("recurring"):
        return "the price is a subscription's"
    if price.get("custom_unit_amount") or not units:
        return "the price has no fixed amount"
    return None


def _batches(names: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]
