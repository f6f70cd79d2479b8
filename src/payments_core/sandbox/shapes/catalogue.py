"""Product and Price on the wire."""

from __future__ import annotations

from decimal import Decimal

from ..errors import JsonObject
from ..records.catalogue import Price, Product


def product(record: Product) -> JsonObject:
    """A Product: https://docs.stripe.com/api/products/object."""
    return {
        "id": record.id,
        "object": "product",
        "active": record.active,
        "created": record.created,
        "default_price": record.default_price,
        "description": record.description,
        "images": list(record.images),
        "livemode": False,
        "marketing_features": [{"name": name} for name in record.features],
        "metadata": dict(record.metadata),
        "name": record.name,
        "package_dimensions": None,
        "shippable": record.shippable,
        "statement_descriptor": record.statement_descriptor,
        "tax_code": record.tax_code,
        "tax_details": None,
        "type": "service",
        "unit_label": record.unit_label,
        "updated": record.updated,
        "url": record.url,
    }


def price(record: Price) -> JsonObject:
    """A Price without the fields that only `expand` brings: https://docs.stripe.com/api/prices/object."""
    return {
        "id": record.id,
        "object": "price",
        "active": record.active,
        "billing_scheme": "per_unit",
        "created": record.created,
        "currency": record.currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": record.lookup_key,
        "metadata": dict(record.metadata),
        "nickname": record.nickname,
        "product": record.product,
        "recurring": None,
        "tax_behavior": record.tax_behavior,
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": whole(record.unit_amount),
        "unit_amount_decimal": plain(record.unit_amount),
    }


def currency_options(record: Price) -> JsonObject:
    """A Price's amounts per currency, its own included."""
    amounts = {record.currency: record.unit_amount, **record.currency_options}
    return {
        currency: {
            "custom_unit_amount": None,
            "tax_behavior": record.tax_behavior,
            "unit_amount": whole(amount),
            "unit_amount_decimal": plain(amount),
        }
        for currency, amount in amounts.items()
    }


def whole(amount: Decimal) -> int | None:
    """Minor units as an int, or None where there are decimals, as `unit_amount` has it."""
    return int(amount) if amount == amount.to_integral_value() else None


def plain(amount: Decimal) -> str:
    """Minor units as text without exponent or trailing zeros, as `unit_amount_decimal` has it."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
