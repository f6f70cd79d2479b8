"""Money as Stripe counts it: whole minor units and a currency, and no float anywhere.

Stripe's minor unit is *not* ISO 4217's. The table below follows https://docs.stripe.com/currencies (read 2026-11):

* zero-decimal currencies are charged in whole units: 500 JPY is ``amount=500``;
* ISK and UGX became zero-decimal after Stripe had fixed their API at two digits: they are still sent with two
  decimals, which must be 00 (5 UGX is ``amount=500``). A table taken from ISO is wrong here by a factor of 100;
* BHD, JOD, KWD, OMR and TND have three decimals, the last of which must be 0 (5.120 KWD is ``amount=5120``);
* everything else has two. HUF and TWD are special for payouts only, not for charges.
"""

from __future__ import annotations

from decimal import Context, Decimal
from functools import total_ordering
from typing import Final

from attrs import field, frozen


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


ZERO_DECIMAL: Final = _codes("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf")
THREE_DECIMAL: Final = _codes("bhd jod kwd omr tnd")
#: Two digits in the API, of which both must be zero.
WHOLE_UNITS_IN_HUNDREDTHS: Final = _codes("isk ugx")
TWO_DECIMAL: Final = _codes(
    """
    usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny cop
    crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr jmd kes kgs khr
    kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk
    php pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah uyu uzs
    wst xcd xcg yer zar zmw
    """
)
CURRENCIES: Final = ZERO_DECIMAL | THREE_DECIMAL | WHOLE_UNITS_IN_HUNDREDTHS | TWO_DECIMAL

#: Stripe takes amounts of up to twelve digits (cards; other methods fewer, which Stripe itself checks).
MAX_AMOUNT_MINOR: Final = 999_999_999_999
_TOO_LARGE: Final = "the amount is larger than Stripe accepts (twelve digits)"

#: More digits than any amount has; beyond it a number is refused before it is computed with.
_MAX_DIGITS: Final = 40
_EXACT: Final = Context(prec=2 * _MAX_DIGITS)


class InvalidAmount(ValueError):
    """An amount that cannot be expressed exactly in the currency, or a currency Stripe does not charge in."""


def exponent(currency: str) -> int:
    """How many decimal digits Stripe's API counts for `currency` (lower case, `usd`).

    Raises InvalidAmount for a currency that Stripe does not charge in.
    """
    if currency in TWO_DECIMAL or currency in WHOLE_UNITS_IN_HUNDREDTHS:
        return 2
    if currency in ZERO_DECIMAL:
        return 0
    if currency in THREE_DECIMAL:
        return 3
    raise InvalidAmount(f"{currency!r} is not a currency that Stripe charges in (three lower-case letters, as usd)")


def step_minor(currency: str) -> int:
    """The smallest amount, in Stripe's minor units, of which every amount in `currency` is a multiple."""
    if currency in WHOLE_UNITS_IN_HUNDREDTHS:
        return 100
    return 10 if currency in THREE_DECIMAL else 1


def _is_currency_code(_: object, __: object, value: str) -> None:
    if len(value) != 3 or not value.isascii() or not value.isalpha() or not value.islower():
        raise InvalidAmount("a currency is three lower-case letters, as usd")


def _is_whole(_: object, __: object, value: int) -> None:
    if type(value) is not int:
        raise InvalidAmount(f"minor units are a whole number, not {type(value).__name__}")


@total_ordering
@frozen(order=False)
class Money:
    """An exact amount: `minor` in Stripe's minor units (5998 for 59.98 USD), `currency` in lower case.

    Only amounts of one currency can be added or compared; anything else raises InvalidAmount.
    """

    minor: int = field(validator=_is_whole)
    currency: str = field(validator=_is_currency_code)

    @classmethod
    def of(cls, major: Decimal | int, currency: str) -> Money:
        """Exact money from major units (`Decimal("29.99")`, `"usd"`).

        Raises InvalidAmount for more digits than the currency has, a non-finite number, or one too large for Stripe.
        """
        if isinstance(major, bool) or not isinstance(major, (Decimal, int)):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
            raise InvalidAmount("an amount is a Decimal or an int, never a float or a string")
        digits = exponent(currency)
        minor = _scaled(Decimal(major), digits)
        if minor is None:
            raise InvalidAmount(f"at most {digits} decimal digits in {currency}")
        step = step_minor(currency)
        if minor % step:
            raise InvalidAmount(_step_message(currency))
        if abs(minor) > MAX_AMOUNT_MINOR:
            raise InvalidAmount(_TOO_LARGE)
        return cls(minor, currency)

    @property
    def decimal(self) -> Decimal:
        """The amount in major units, exact, with the currency's digits (`Decimal("59.98")`)."""
        return Decimal(self.minor).scaleb(-exponent(self.currency), _EXACT)

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __mul__(self, quantity: int) -> Money:
        if type(quantity) is not int:
            raise InvalidAmount("money is multiplied by whole quantities only")
        return Money(self.minor * quantity, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same(other)

    def _same(self, other: Money) -> int:
        if self.currency != other.currency:
            raise InvalidAmount(f"{self.currency} and {other.currency} cannot be combined")
        return other.minor


def _scaled(major: Decimal, digits: int) -> int | None:
    """`major` times ten to the `digits`, or None when that is not whole."""
    if not major.is_finite():
        return None
    # Bounded before any arithmetic: 1e400 must not become a number of four hundred digits.
    if major and not -_MAX_DIGITS < major.adjusted() < _MAX_DIGITS:
        if major.adjusted() > 0:
            raise InvalidAmount(_TOO_LARGE)
        return None
    if len(major.as_tuple().digits) > _MAX_DIGITS:
        return None
    scaled = major.scaleb(digits, _EXACT)
    return int(scaled) if scaled == scaled.to_integral_value(context=_EXACT) else None


def _step_message(currency: str) -> str:
    if currency in THREE_DECIMAL:
        return f"the third decimal of a {currency} amount must be 0"
    return f"{currency} amounts are whole: no fraction can be charged"
