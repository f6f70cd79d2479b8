"""Coupon, PromotionCode, TaxRate and ShippingRate on the wire."""

from __future__ import annotations

from decimal import Decimal

from ..errors import JsonObject
from ..records.pricing import Coupon, PromotionCode, ShippingRate, TaxRate


def coupon(record: Coupon, now: int) -> JsonObject:
    """A Coupon: https://docs.stripe.com/api/coupons/object. What it applies to is shown on expansion only."""
    return {
        "id": record.id,
        "object": "coupon",
        "amount_off": record.amounts_off.get(record.currency) if record.currency else None,
        "created": record.created,
        "currency": record.currency,
        "duration": record.duration,
        "duration_in_months": record.duration_in_months,
        "livemode": False,
        "max_redemptions": record.max_redemptions,
        "metadata": dict(record.metadata),
        "name": record.name,
        "percent_off": None if record.percent_off is None else number(record.percent_off),
        "redeem_by": record.redeem_by,
        "times_redeemed": record.times_redeemed,
        "valid": record.valid_at(now),
    }


def coupon_currencies(record: Coupon) -> JsonObject:
    """`currency_options` of a coupon, which a reply leaves out unless expanded."""
    return {currency: {"amount_off": amount} for currency, amount in record.amounts_off.items()}


def promotion_code(record: PromotionCode) -> JsonObject:
    """A PromotionCode: https://docs.stripe.com/api/promotion_codes/object."""
    own = record.minimum_currency
    restrictions: JsonObject = {
        "first_time_transaction": False,
        "minimum_amount": record.minimums.get(own) if own else None,
        "minimum_amount_currency": own,
    }
    return {
        "id": record.id,
        "object": "promotion_code",
        "active": record.active,
        "code": record.code,
        "created": record.created,
        "customer": None,
        "customer_account": None,
        "expires_at": record.expires_at,
        "livemode": False,
        "max_redemptions": record.max_redemptions,
        "metadata": dict(record.metadata),
        "promotion": {"coupon": record.coupon, "type": "coupon"},
        "restrictions": restrictions,
        "times_redeemed": record.times_redeemed,
    }


def tax_rate(record: TaxRate) -> JsonObject:
    """A TaxRate: https://docs.stripe.com/api/tax_rates/object."""
    percentage = number(record.percentage)
    return {
        "id": record.id,
        "object": "tax_rate",
        "active": record.active,
        "country": record.country,
        "created": record.created,
        "description": record.description,
        "display_name": record.display_name,
        "effective_percentage": percentage,
        "flat_amount": None,
        "inclusive": record.inclusive,
        "jurisdiction": record.jurisdiction,
        "jurisdiction_level": None,
        "livemode": False,
        "metadata": dict(record.metadata),
        "percentage": percentage,
        "rate_type": "percentage",
        "state": record.state,
        "tax_type": record.tax_type,
    }


def shipping_rate(record: ShippingRate) -> JsonObject:
    """A ShippingRate: https://docs.stripe.com/api/shipping_rates/object."""
    return {
        "id": record.id,
        "object": "shipping_rate",
        "active": record.active,
        "created": record.created,
        "delivery_estimate": record.delivery_estimate,
        "display_name": record.display_name,
        "fixed_amount": {"amount": record.amounts[record.currency], "currency": record.currency},
        "livemode": False,
        "metadata": dict(record.metadata),
        "tax_behavior": record.tax_behavior,
        "tax_code": record.tax_code,
        "type": "fixed_amount",
    }


def discount(session_id: str, coupon_id: str, code_id: str | None, at: int) -> JsonObject:
    """The Discount of a session: https://docs.stripe.com/api/discounts/object."""
    return {
        "id": f"di_1{session_id[-23:]}",
        "object": "discount",
        "checkout_session": session_id,
        "customer": None,
        "customer_account": None,
        "end": None,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": code_id,
        "source": {"coupon": coupon_id, "type": "coupon"},
        "start": at,
        "subscription": None,
        "subscription_item": None,
    }


def number(percent: Decimal) -> int | float:
    """A percentage as JSON has it; no money is ever computed from it."""
    return int(percent) if percent == percent.to_integral_value() else float(percent)
