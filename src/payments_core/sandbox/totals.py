"""What a session costs, decided purely: discounts spread over lines, tax inside or on top, shipping.

For every session `total = subtotal - discount + shipping + tax on top`. Tax that a price already includes is told
beside the others (`amount_tax`), but it is inside the subtotal and adds nothing to the total:
https://docs.stripe.com/tax/products-prices-tax-codes-tax-behavior. Amounts are whole minor units; what does not
divide evenly is rounded half up per line, and the cents of a discount go to the lines with the largest remainders.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from attrs import Factory, frozen


@frozen
class Rate:
    """A tax in percent, inside the price (`inclusive`) or on top of it. `id` is the TaxRate's."""

    id: str
    percentage: Decimal
    inclusive: bool


@frozen
class Asked:
    """A line or the shipping before discount and tax."""

    subtotal_minor: int
    rates: tuple[Rate, ...] = ()
    discountable: bool = True


@frozen
class Tax:
    """One rate's tax on one line."""

    rate: str
    amount_minor: int
    taxable_minor: int
    inclusive: bool

    def plus(self, other: Tax) -> Tax:
        """The same rate's tax on two lines together."""
        amount, taxable = self.amount_minor + other.amount_minor, self.taxable_minor + other.taxable_minor
        return Tax(self.rate, amount, taxable, self.inclusive)


@frozen
class Priced:
    """A line or the shipping with its share of the discount and its taxes."""

    subtotal_minor: int
    discount_minor: int = 0
    taxes: tuple[Tax, ...] = ()

    @property
    def tax_minor(self) -> int:
        """All tax, inside the price or on top."""
        return sum(tax.amount_minor for tax in self.taxes)

    @property
    def total_minor(self) -> int:
        """What is paid for it."""
        on_top = sum(tax.amount_minor for tax in self.taxes if not tax.inclusive)
        return self.subtotal_minor - self.discount_minor + on_top


@frozen
class Totals:
    """A whole session, priced."""

    lines: tuple[Priced, ...] = ()
    shipping: Priced = Factory(lambda: Priced(0))

    @property
    def subtotal_minor(self) -> int:
        """The lines before discount and tax on top."""
        return sum(line.subtotal_minor for line in self.lines)

    @property
    def discount_minor(self) -> int:
        """What the discount takes off."""
        return sum(line.discount_minor for line in self.lines)

    @property
    def shipping_minor(self) -> int:
        """Shipping before tax on top."""
        return self.shipping.subtotal_minor

    @property
    def taxes(self) -> tuple[Tax, ...]:
        """Every tax of every line and of the shipping."""
        return tuple(tax for part in (*self.lines, self.shipping) for tax in part.taxes)

    @property
    def tax_minor(self) -> int:
        """All tax, inside prices or on top."""
        return sum(tax.amount_minor for tax in self.taxes)

    @property
    def tax_on_top_minor(self) -> int:
        """The tax that is added to the prices."""
        return sum(tax.amount_minor for tax in self.taxes if not tax.inclusive)

    @property
    def total_minor(self) -> int:
        """What the buyer pays."""
        return sum(line.total_minor for line in self.lines) + self.shipping.total_minor


@frozen
class Discount:
    """Percent or a fixed amount off the lines that may be discounted; exactly one of the two is given."""

    percent_off: Decimal | None = None
    amount_off_minor: int | None = None


def price(lines: Sequence[Asked], shipping: Asked | None, discount: Discount | None) -> Totals:
    """The totals of lines, shipping and a discount, which never takes off more than there is."""
    shares = _shares(lines, discount)
    return Totals(
        lines=tuple(_priced(line, share) for line, share in zip(lines, shares, strict=True)),
        shipping=Priced(0) if shipping is None else _priced(shipping, 0),
    )


def _shares(lines: Sequence[Asked], discount: Discount | None) -> list[int]:
    """Each line's part of the discount, in proportion to its subtotal; they add up to the whole."""
    eligible = [line.subtotal_minor if line.discountable else 0 for line in lines]
    whole = sum(eligible)
    off = 0 if discount is None else _off(discount, whole)
    if off == 0:
        return [0] * len(lines)
    shares = [amount * off // whole for amount in eligible]
    by_remainder = sorted(range(len(lines)), key=lambda at: eligible[at] * off % whole, reverse=True)
    for at in by_remainder[: off - sum(shares)]:
        shares[at] += 1
    return shares


def _off(discount: Discount, whole: int) -> int:
    if discount.percent_off is not None:
        return _rounded(whole * discount.percent_off / 100)
    return min(discount.amount_off_minor or 0, whole)


def _priced(asked: Asked, discount_minor: int) -> Priced:
    left = asked.subtotal_minor - discount_minor
    inside = [rate for rate in asked.rates if rate.inclusive]
    net = left / (1 + sum((rate.percentage for rate in inside), Decimal(0)) / 100)
    included = [_tax(rate, net, left) for rate in inside]
    base = left - sum(tax.amount_minor for tax in included)
    added = [_tax(rate, Decimal(base), base) for rate in asked.rates if not rate.inclusive]
    return Priced(asked.subtotal_minor, discount_minor, (*included, *added))


def _tax(rate: Rate, base: Decimal, taxable_minor: int) -> Tax:
    return Tax(rate.id, _rounded(base * rate.percentage / 100), taxable_minor, rate.inclusive)


def _rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))
