"""Looking references up in Stripe's catalogue with as few requests as its API allows.

A reference is a price id (`price_…`), else a product id (100 a request), else a lookup key (10 a request). Stripe lists
prices by no id, and by one product only: a price id costs a request of its own, and so does a product without a default
price. Many of them are looked for in the list of all active prices first, for a tenth of those requests at most: in a
shop with a hundred prices, that is one request in place of a hundred.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from attrs import frozen

from payments_core.adapters.stripe.calls import PAGE, Calls, all_pages, identified, is_id, misshapen, one_page
from payments_core.domain.price_objects import catalog_price, price_of_product
from payments_core.domain.pricing import CatalogPrice
from payments_core.domain.stripe_objects import Document, child, items, reference, text
from payments_core.errors import StripeObjectMissing

T = TypeVar("T")

PRICES: Final = "/v1/prices"
PRODUCTS: Final = "/v1/products"
PRICE_PREFIX: Final = "price_"
#: https://docs.stripe.com/api/prices/list takes up to 10; a key has up to 200 characters.
LOOKUP_KEYS: Final = 10
MAX_LOOKUP_KEY_CHARS: Final = 200
#: For so many requests that it may save, one page of the list of prices is read.
PER_PAGE_READ: Final = 10


async def look_up(calls: Calls, references: Sequence[str]) -> Mapping[str, CatalogPrice]:
    """What the catalogue charges for each reference; those it does not know are left out."""
    wanted = [one for one in dict.fromkeys(references) if one.isprintable() and one.strip()]
    ids = [one for one in wanted if is_id(one)]
    prices = [one for one in ids if one.startswith(PRICE_PREFIX)]
    products = [one for one in ids if not one.startswith(PRICE_PREFIX)]
    jobs = [partial(_by_product_ids, calls, some) for some in _chunks(products, PAGE)]
    found = _merged(await calls.each([*jobs, *([partial(_by_price_ids, calls, prices)] if prices else [])]))
    rest = [one for one in wanted if one not in found and len(one) <= MAX_LOOKUP_KEY_CHARS]
    keyed = [partial(_by_lookup_keys, calls, some) for some in _chunks(rest, LOOKUP_KEYS)]
    return {**found, **_merged(await calls.each(keyed))}


@frozen
class _Listed:
    """The first pages of a list of prices. `whole`: there are no others."""

    prices: Sequence[Document] = ()
    whole: bool = False


async def _listed(calls: Calls, filters: Mapping[str, Any], *, pages: int, wanted: frozenset[str]) -> _Listed:
    """At most so many pages; no more once every wanted price is there."""
    found: list[Document] = []
    after: dict[str, str] = {}
    for _ in range(pages):
        page = await one_page(calls, PRICES, {**filters, "limit": PAGE, **after})
        found += items(page)
        if page.get("has_more") is not True:
            return _Listed(found, whole=True)
        if wanted and wanted <= {text(price, "id") for price in found}:
            break
        last = text(found[-1], "id") if items(page) else None
        if last is None:
            raise misshapen(PRICES)
        after = {"starting_after": last}
    return _Listed(found)


async def _by_price_ids(calls: Calls, price_ids: Sequence[str]) -> dict[str, CatalogPrice]:
    filters = {"active": True, "expand": ["data.product", "data.currency_options"]}
    listed = await _listed(calls, filters, pages=len(price_ids) // PER_PAGE_READ, wanted=frozenset(price_ids))
    known = {str(price["id"]): catalog_price(price, child(price, "product")) for price in listed.prices}
    # What is not active is not in the list: asked for by itself, so that the reason can be told.
    others = [one for one in price_ids if one not in known]
    asked = await calls.each([partial(_by_price_id, calls, one) for one in others])
    return {**{one: known[one] for one in price_ids if one in known}, **_merged(asked)}


async def _by_price_id(calls: Calls, price_id: str) -> dict[str, CatalogPrice]:
    price = await _price(calls, price_id)
    return {price_id: catalog_price(price, child(price, "product"))} if price is not None else {}


async def _by_product_ids(calls: Calls, product_ids: Sequence[str]) -> dict[str, CatalogPrice]:
    filters = {"ids": list(product_ids), "expand": ["data.default_price.currency_options"]}
    products = await all_pages(calls, PRODUCTS, filters)
    asked = {str(product["id"]): product for product in products if text(product, "id") in product_ids}
    bare = [one for one, product in asked.items() if _needs_prices(product)]
    only = {"active": True, "type": "one_time", "expand": ["data.currency_options"]}
    listed = await _listed(calls, only, pages=len(bare) // PER_PAGE_READ, wanted=frozenset())
    if listed.whole:
        return {one: await _of_product(calls, product, listed.prices) for one, product in asked.items()}
    priced = await calls.each([partial(_of_product, calls, product) for product in asked.values()])
    return dict(zip(asked, priced, strict=True))


def _needs_prices(product: Document) -> bool:
    return reference(product, "default_price") is None and product.get("active") is True


async def _of_product(calls: Calls, product: Document, one_time: Sequence[Document] | None = None) -> CatalogPrice:
    """`one_time`: all active one-time prices there are, where they are known."""
    default = child(product, "default_price")
    default_id = reference(product, "default_price")
    if default_id is not None and not default:
        default = await _price(calls, default_id) or {}
    if default:
        return catalog_price(default, product)
    if not _needs_prices(product):
        return price_of_product(product, ())
    if one_time is not None:
        return price_of_product(product, [one for one in one_time if reference(one, "product") == product["id"]])
    # One page: whether there is more than one is all that matters.
    filters = {"product": product["id"], "active": True, "type": "one_time", "expand": ["data.currency_options"]}
    return price_of_product(product, items(await one_page(calls, PRICES, {**filters, "limit": PAGE})))


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
