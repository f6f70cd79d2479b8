"""What a session costs: the arithmetic of discounts, tax and shipping, for any numbers."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from payments_core.sandbox.totals import Asked, Discount, Rate, price

percents = st.decimals(0, 100, places=3)
rates = st.builds(Rate, st.sampled_from(["a", "b"]), percents, st.booleans())
asked = st.builds(Asked, st.integers(0, 10**9), st.lists(rates, max_size=3).map(tuple), st.booleans())
discounts = st.none() | st.builds(Discount, percents) | st.builds(Discount, st.none(), st.integers(0, 10**10))


@given(st.lists(asked, min_size=1, max_size=8), st.none() | asked, discounts)
def test_the_total_is_subtotal_less_discount_and_shipping_and_tax(
    lines: list[Asked], shipping: Asked | None, discount: Discount | None
) -> None:
    """Of the session as of every line; nothing is below zero, and what is inside a price is not added to it."""
    totals = price(lines, shipping, discount)

    assert totals.total_minor == (
        totals.subtotal_minor - totals.discount_minor + totals.shipping_minor + totals.tax_on_top_minor
    )
    assert totals.tax_minor == totals.tax_on_top_minor + sum(t.amount_minor for t in totals.taxes if t.inclusive)
    for line in totals.lines:
        assert 0 <= line.discount_minor <= line.subtotal_minor
        assert line.total_minor >= 0
        assert all(tax.amount_minor >= 0 for tax in line.taxes)
    assert totals.subtotal_minor == sum(line.subtotal_minor for line in lines)


@given(st.lists(st.builds(Asked, st.integers(0, 10**9)), min_size=1, max_size=8), st.integers(0, 10**10))
def test_an_amount_off_is_spread_to_the_last_cent(lines: list[Asked], amount: int) -> None:
    """The shares add up to the coupon, or to all there is; each is within a cent of its proportion."""
    totals = price(lines, None, Discount(amount_off_minor=amount))
    whole = totals.subtotal_minor

    assert totals.discount_minor == min(amount, whole)
    for line in totals.lines:
        assert abs(line.discount_minor * whole - totals.discount_minor * line.subtotal_minor) <= whole


@given(st.lists(st.builds(Asked, st.integers(0, 10**9)), min_size=1, max_size=8))
def test_a_hundred_percent_leaves_nothing(lines: list[Asked]) -> None:
    """Zero is zero."""
    assert price(lines, None, Discount(Decimal(100))).total_minor == 0


def test_tax_inside_a_price_is_not_paid_twice() -> None:
    """19 % inside 119.00 is 19.00, and the price stays; on top of 100.00 it makes 119.00."""
    inside = price([Asked(11900, (Rate("v", Decimal(19), inclusive=True),))], None, None)
    on_top = price([Asked(10000, (Rate("v", Decimal(19), inclusive=False),))], None, None)

    assert (inside.tax_minor, inside.tax_on_top_minor, inside.total_minor) == (1900, 0, 11900)
    assert (on_top.tax_minor, on_top.total_minor) == (1900, 11900)


def test_only_the_lines_a_coupon_is_for_are_discounted() -> None:
    """The rest stays as it is, and tax is taken of what is left."""
    tax = (Rate("v", Decimal(10), inclusive=False),)
    totals = price([Asked(1000, tax), Asked(500, tax, discountable=False)], Asked(300, tax), Discount(Decimal(50)))

    assert [line.discount_minor for line in totals.lines] == [500, 0]
    assert (totals.subtotal_minor, totals.discount_minor, totals.shipping_minor) == (1500, 500, 300)
    assert (totals.tax_minor, totals.total_minor) == (50 + 50 + 30, 1430)
