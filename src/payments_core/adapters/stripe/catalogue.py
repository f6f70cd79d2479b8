"""Looking references up in Stripe's catalogue with as few requests as its API allows.

A reference is a price id (`price_…`: one request each, for Stripe lists prices by no id), else a product id (100 a
request), else a lookup key (10 a request). A product without a default price costs one request more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from payments_core.adapters.stripe.calls import PAGE, Calls, all_pages, identified, is_id
from payments_core.domain.price_objects import catalog_price, price_of_product
from payments_core.domain.pricing import CatalogPrice
from payments_core.domain.stripe_objects import Document, child, reference, text
from payments_core.errors import StripeObjectMissing

T = TypeVar("T")

PRICES: Final = "/v1/prices"
PRODUCTS: Final = "/v1/products"
PRICE_PREFIX: Final = "price_"
#: https://docs.stripe.com/api/prices/list takes up to 10; a key has up to 200 characters.
LOOKUP_KEYS: Final = 10
MAX_LOOKUP_KEY_CHARS: Final = 200


async def look_up(calls: Calls, references: Sequence[str]) -> Mapping[str, CatalogPrice]:
    """What the catalogue charges for each reference; those it does not know are left out."""
    wanted = [one for one in dict.fromkeys(references) if one.isprintable() and one.strip()]
    ids = [one for one in wanted if is_id(one)]
    prices = [one for one in ids if one.startswith(PRICE_PREFIX)]
    products = [one for one in ids if not one.startswith(PRICE_PREFIX)]
    found = _merged(
        await calls.each(
            [partial(_by_price_id, calls, one) for one in prices]
            + [partial(_by_product_ids, calls, some) for some in _chunks(products, PAGE)]
        )
    )
    rest = [one for one in wanted if one not in found and len(one) <= MAX_LOOKUP_KEY_CHARS]
    jobs = [partial(_by_lookup_keys, calls, some) for some in _chunks(rest, LOOKUP_KEYS)]
    return {**found, **_merged(await calls.each(jobs))}


async def _by_price_id(calls: Calls, price_id: str) -> dict[str, CatalogPrice]:
    price = await _price(calls, price_id)
    return {price_id: catalog_price(price, child(price, "product"))} if price is not None else {}


async def _by_product_ids(calls: Calls, product_ids: Sequence[str]) -> dict[str, CatalogPrice]:
    filters = {"ids": list(product_ids), "expand": ["data.default_price.currency_options"]}
    products = await all_pages(calls, PRODUCTS, filters)
    asked = [product for product in products if text(product, "id") in product_ids]
    priced = await calls.each([partial(_of_product, calls, product) for product in asked])
    return {str(product["id"]): price for product, price in zip(asked, priced, strict=True)}


async def _of_product(calls: Calls, product: Document) -> CatalogPrice:
    default = child(product, "default_price")
    default_id = reference(product, "default_price")
    if default_id is not None and not default:
        default = await _price(calls, default_id) or {}
    if default:
        return catalog_price(default, product)
    if product.get("active") is not True:
        return price_of_product(product, ())
    filters = {
        "product": product["id"],
        "active": True,
        "type": "one_time",
        "expand": ["data.currency_options"],
    }
    return price_of_product(product, await all_pages(calls, PRICES, filters))


async def _by_lookup_keys(calls: Calls, keys: Sequence[str]) -> dict[str, CatalogPrice]:
    filters = {"lookup_keys": list(keys), "active": True, "expand": ["data.product", "data.currency_options"]}
    prices = await all_pages(calls, PRICES, filters)
    return {
        key: catalog_price(price, child(price, "product"))
        for price in prices
        if (key := text(price, "lookup_key")) in keys and key is not None
    }


async def _price(calls: Calls, price_id: str) -> Document | None:
    path = f"{PRICES}/{price_id}"
    if not is_id(price_id):
        return None
    try:
        return identified(await calls.send("get", path, {"expand": ["product", "currency_options"]}), path)
    except StripeObjectMissing:
        return None


def _chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _merged(parts: Sequence[Mapping[str, CatalogPrice]]) -> dict[str, CatalogPrice]:
    return {reference: price for part in parts for reference, price in part.items()}
