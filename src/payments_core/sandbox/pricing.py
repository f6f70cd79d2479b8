"""A session's totals, worked out anew whenever a line, the code or the way of shipping changes."""

from __future__ import annotations

from attrs import evolve

from payments_core.money import MAX_AMOUNT_MINOR, Money

from . import discounts, rates
from .errors import StripeRefusal
from .records.checkout import LineItem, Session, ShippingOption
from .records.pricing import Coupon, TaxRate
from .state import Context
from .totals import Asked, Rate, price

#: Smallest charges in minor units: https://docs.stripe.com/currencies (2026), as if settled in the same currency.
MINIMUM_MINOR = {
    "aed": 200, "ars": 50, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "cop": 50, "czk": 1500, "dkk": 250, "eur": 50,
    "gbp": 30, "hkd": 400, "huf": 17500, "idr": 50, "ils": 50, "inr": 50, "jpy": 50, "krw": 50, "mxn": 1000,
    "myr": 200, "nok": 300, "nzd": 50, "php": 50, "pln": 200, "ron": 200, "rub": 50, "sek": 300, "sgd": 50,
    "thb": 1000, "usd": 50, "zar": 50,
}  # fmt: skip


def priced(context: Context, session: Session) -> Session:
    """The session with its totals as they are now. It is not put into the state."""
    discount = discounts.discount_of(session.coupon, session.currency) if session.coupon is not None else None
    lines = [_line(context, session, line) for line in session.lines]
    chosen = chosen_shipping(session)
    shipping = _shipping(context, session, chosen) if chosen is not None else None
    return evolve(session, totals=price(lines, shipping, discount))


def chosen_shipping(session: Session) -> ShippingOption | None:
    """The way of shipping that is chosen: the first, until the buyer takes another."""
    for option in session.shipping_options:
        if option.rate == session.shipping_rate:
            return option
    return session.shipping_options[0] if session.shipping_options else None


def with_discount(context: Context, session: Session, coupon: Coupon | None, code: str | None) -> Session:
    """The session with this discount, or with none. Raises StripeRefusal for a total that nobody can be charged."""
    changed = priced(context, evolve(session, coupon=coupon, promotion_code=code))
    check_total(changed)
    return changed


def check_total(session: Session) -> None:
    """Raise StripeRefusal for a total outside what Stripe charges; zero is not charged and always well."""
    total, smallest = session.amount_minor, MINIMUM_MINOR.get(session.currency, 1)
    if total > MAX_AMOUNT_MINOR:
        raise StripeRefusal(
            "The Checkout Session's total amount must be at most twelve digits.",
            code="amount_too_large",
            param="line_items",
        )
    if 0 < total < smallest:
        least = Money(smallest, session.currency).decimal
        raise StripeRefusal(
            f"The Checkout Session's total amount due must add up to at least {least} {session.currency}",
            code="amount_too_small",
            param="line_items",
        )


def _line(context: Context, session: Session, line: LineItem) -> Asked:
    found = [context.state.tax_rates.get(rate_id) for rate_id in line.tax_rates]
    taxes = [rate for rate in found if rate is not None]
    if session.automatic_tax and line.tax_code != rates.NONTAXABLE:
        taxes = [rates.automatic(context, inclusive=line.tax_behavior == "inclusive")]
    only = session.coupon.products if session.coupon is not None else None
    discountable = only is None or line.product in only
    return Asked(line.amount_minor, tuple(_rate(rate) for rate in taxes), discountable)


def _shipping(context: Context, session: Session, option: ShippingOption) -> Asked:
    rate = context.state.shipping_rates.get(option.rate)
    if not session.automatic_tax or rate is None or rate.tax_code == rates.NONTAXABLE:
        return Asked(option.amount_minor)
    tax = rates.automatic(context, inclusive=rate.tax_behavior == "inclusive")
    return Asked(option.amount_minor, (_rate(tax),))


def _rate(rate: TaxRate) -> Rate:
    return Rate(rate.id, rate.percentage, rate.inclusive)
