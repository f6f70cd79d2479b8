"""How the shop shows amounts."""

from __future__ import annotations

import re
from decimal import Decimal

from examples.shop.pages import money
from payments_core import Money
from payments_core.money import CURRENCIES


def test_amounts_are_shown_as_people_write_them_and_lose_no_digit() -> None:
    """By Babel, whose own table would round what Stripe charges: Albanian lekë have cents at Stripe, and none there."""
    shown = {money(Money(minor, code)) for minor, code in [(5998, "usd"), (500, "jpy"), (1990, "eur"), (-1, "usd")]}
    assert shown == {"$59.98", "¥500", "€19.90", "-$0.01"}
    for currency in CURRENCIES:
        amount = Money(1_234_560, currency)
        (digits,) = re.findall(r"\d[\d,.]*", money(amount))
        assert Decimal(digits.replace(",", "")) == amount.decimal, currency
