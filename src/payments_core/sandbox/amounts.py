"""Amounts as people read them: exact, in the currency's own digits, with thousands separators."""

from __future__ import annotations

from decimal import Decimal

from payments_core.money import Money, exponent

_SYMBOLS = {
    "usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "cad": "CA$", "aud": "A$", "nzd": "NZ$", "inr": "₹",
    "krw": "₩", "brl": "R$", "mxn": "MX$", "ils": "₪", "php": "₱",
}  # fmt: skip


def amount_text(minor: int, currency: str) -> str:
    """`$59.98`, `¥500`, `12.00 CHF`; what is taken off is `-$5.00`."""
    sign = "−" if minor < 0 else ""
    return sign + _text(Money(abs(minor), currency).decimal, currency)


def unit_text(unit_amount: Decimal, currency: str) -> str:
    """A unit price in minor units, which may be a fraction of one."""
    return _text(unit_amount.scaleb(-exponent(currency)), currency)


def _text(major: Decimal, currency: str) -> str:
    number, symbol = f"{major:,f}", _SYMBOLS.get(currency)
    return f"{symbol}{number}" if symbol else f"{number} {currency.upper()}"
