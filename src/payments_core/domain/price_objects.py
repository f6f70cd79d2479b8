"""What a Price of Stripe's says about the price of one piece, and why it may not be sold here.

Shapes: https://docs.stripe.com/api/prices/object and https://docs.stripe.com/api/products/object.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from ..money import Money
from .catalogue import PRICE_MARK, ListedPrice, ListedProduct
from .pricing import CatalogPrice
from .stripe_objects import Document, child, number, reference, text


def catalog_price(price: Document, product: Document) -> CatalogPrice:
    """The price per piece in each of its currencies; not sellable, with the reason, where there is no such thing."""
    reason = _product_problem(product) or _price_problem(price)
    return CatalogPrice(text(price, "id") or "", _units(price), reason is None, reason, text(product, "name"))


def price_of_product(product: Document, active_one_time: Sequence[Document]) -> CatalogPrice:
    """The price of a product without a default: its only active one-time price."""
    if len(active_one_time) == 1:
        return catalog_price(active_one_time[0], product)
    reason = _product_problem(product)
    if reason is None and not active_one_time:
        reason = "it has no default price, and no active one-time price"
    if reason is None:
        reason = f"it has no default price, and {len(active_one_time)} active one-time prices to choose from"
    return CatalogPrice("", sellable=False, reason=reason)


def is_recurring(price: Document) -> bool:
    """Whether the price belongs to a subscription."""
    return text(price, "type") == "recurring" or bool(child(price, "recurring"))


def _product_problem(product: Document) -> str | None:
    if product.get("deleted") is True:
        return "its product is deleted"
    return None if product.get("active") is True else "its product is not active"


def _price_problem(price: Document) -> str | None:
    if price.get("active") is not True:
        return "its price is not active"
    if is_recurring(price):
        return "its price is recurring"
    if child(price, "custom_unit_amount"):
        return "its price is chosen by the buyer"
    if text(price, "billing_scheme") == "tiered":
        return "its price depends on the quantity (tiers)"
    if child(price, "transform_quantity"):
        # Stripe divides the quantity before it multiplies: a piece has no price of its own.
        return "its price is per package (transform_quantity)"
    if number(price, "unit_amount") is None:
        return "its price is no whole number of minor units"
    return None


def _units(price: Document) -> dict[str, int]:
    options = child(price, "currency_options")
    found = {currency.lower(): number(child(options, currency), "unit_amount") for currency in options}
    # The price's own currency stands among the options too, where they are expanded; its own field decides.
    found[(text(price, "currency") or "").lower()] = number(price, "unit_amount")
    return {currency: unit for currency, unit in found.items() if currency and unit is not None}


def listed_product(product: Document, active_prices: Sequence[Document]) -> ListedProduct:
    """A product and its active prices, as the keeper of the catalogue compares them."""
    images: object = product.get("images")
    return ListedProduct(
        id=text(product, "id") or "",
        active=product.get("active") is True,
        name=text(product, "name") or "",
        description=text(product, "description"),
        images=tuple(str(image) for image in cast("list[object]", images)) if isinstance(images, list) else (),
        metadata={str(key): str(value) for key, value in child(product, "metadata").items()},
        default_price_id=reference(product, "default_price"),
        prices=tuple(map(_listed_price, active_prices)),
    )


def _listed_price(price: Document) -> ListedPrice:
    currency, unit = text(price, "currency"), number(price, "unit_amount")
    money = Money(unit, currency) if unit is not None and currency else None
    ours = PRICE_MARK in child(price, "metadata")
    plain = _price_problem(price) is None and not is_recurring(price)
    return ListedPrice(text(price, "id") or "", money, plain, ours, text(price, "lookup_key"))
