"""What changes a price: coupons and their codes, tax rates, shipping rates."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import Factory, frozen

from ..errors import JsonObject
from .metadata import Metadata


@frozen
class Coupon:
    """So much off: `percent_off`, or the amount of the session's currency in `amounts_off` (minor units)."""

    id: str
    created: int
    duration: str = "once"
    duration_in_months: int | None = None
    percent_off: Decimal | None = None
    currency: str | None = None
    amounts_off: Mapping[str, int] = Factory(dict[str, int])
    products: tuple[str, ...] | None = None
    name: str | None = None
    max_redemptions: int | None = None
    redeem_by: int | None = None
    times_redeemed: int = 0
    metadata: Metadata = Factory(dict[str, str])

    def valid_at(self, now: int) -> bool:
        """Whether it can still be redeemed."""
        used_up = self.max_redemptions is not None and self.times_redeemed >= self.max_redemptions
        return not used_up and (self.redeem_by is None or now < self.redeem_by)


@frozen
class PromotionCode:
    """What a buyer types to get a coupon. `minimums`: the smallest subtotal per currency, in minor units."""

    id: str
    created: int
    code: str
    coupon: str
    active: bool = True
    expires_at: int | None = None
    max_redemptions: int | None = None
    minimum_currency: str | None = None
    minimums: Mapping[str, int] = Factory(dict[str, int])
    times_redeemed: int = 0
    metadata: Metadata = Factory(dict[str, str])

    def usable_at(self, now: int) -> bool:
        """Whether it is switched on and neither used up nor over."""
        used_up = self.max_redemptions is not None and self.times_redeemed >= self.max_redemptions
        return self.active and not used_up and (self.expires_at is None or now < self.expires_at)


@frozen
class TaxRate:
    """A tax in percent. `automatic` ones stand for Stripe Tax and appear in no list."""

    id: str
    created: int
    display_name: str
    percentage: Decimal
    inclusive: bool
    active: bool = True
    country: str | None = None
    state: str | None = None
    jurisdiction: str | None = None
    description: str | None = None
    tax_type: str | None = None
    automatic: bool = False
    metadata: Metadata = Factory(dict[str, str])


@frozen
class ShippingRate:
    """A way of shipping at a fixed amount per currency, in minor units."""

    id: str
    created: int
    display_name: str
    currency: str
    amounts: Mapping[str, int]
    active: bool = True
    tax_behavior: str = "unspecified"
    tax_code: str | None = None
    delivery_estimate: JsonObject | None = None
    metadata: Metadata = Factory(dict[str, str])
    inline: bool = False
