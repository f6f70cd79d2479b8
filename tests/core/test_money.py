"""Money: exact in, exact out, Stripe's exponents, and no float anywhere."""

from __future__ import annotations

import ast
from decimal import Decimal, localcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_core import money
from payments_core.money import CURRENCIES, MAX_AMOUNT_MINOR, InvalidAmount, Money, exponent, step_minor

currencies = st.sampled_from(sorted(CURRENCIES))


@st.composite
def amounts(draw: st.DrawFn) -> Money:
    """Any amount that can be charged."""
    currency = draw(currencies)
    step = step_minor(currency)
    return Money(draw(st.integers(-MAX_AMOUNT_MINOR // step + 1, MAX_AMOUNT_MINOR // step)) * step, currency)


@given(amounts())
def test_major_units_and_back_is_the_same_amount(amount: Money) -> None:
    """`of` undoes `decimal`, for every currency and every amount; the digits written are the currency's."""
    assert Money.of(amount.decimal, amount.currency) == amount
    assert -int(amount.decimal.as_tuple().exponent) == exponent(amount.currency)


@given(currencies, st.integers(-(10**12), 10**12), st.integers(0, 8))
def test_an_amount_is_exact_or_refused(currency: str, digits: int, places: int) -> None:
    """Whatever decimal comes in: either the very same number comes out, or InvalidAmount."""
    major = Decimal(digits).scaleb(-places)
    try:
        made = Money.of(major, currency)
    except InvalidAmount:
        scaled = major.scaleb(exponent(currency))
        assert scaled % step_minor(currency) != 0 or abs(scaled) > MAX_AMOUNT_MINOR
    else:
        assert made.decimal == major
        assert made.minor % step_minor(currency) == 0


@pytest.mark.parametrize(
    ("currency", "major", "minor"),
    [
        ("usd", "29.99", 2999),
        ("usd", "29.9", 2990),
        ("usd", "1E+2", 10000),
        ("usd", "0.00", 0),
        ("usd", "-0.01", -1),
        ("jpy", "500", 500),
        ("jpy", "500.00", 500),
        ("krw", "1", 1),
        ("isk", "5", 500),
        ("ugx", "5", 500),
        ("kwd", "5.120", 5120),
        ("bhd", "0.01", 10),
        ("huf", "10.45", 1045),
        ("twd", "800.45", 80045),
        ("mga", "3", 3),
    ],
)
def test_stripes_exponents(currency: str, major: str, minor: int) -> None:
    """The special cases of docs.stripe.com/currencies; a table of ISO 4217 is wrong for ISK and UGX by a hundred."""
    assert Money.of(Decimal(major), currency).minor == minor


@pytest.mark.parametrize(
    ("currency", "major", "words"),
    [
        ("usd", "29.999", "at most 2 decimal digits in usd"),
        ("jpy", "29.99", "at most 0 decimal digits in jpy"),
        ("kwd", "5.1234", "at most 3 decimal digits in kwd"),
        ("kwd", "5.124", "the third decimal of a kwd amount must be 0"),
        ("isk", "5.50", "isk amounts are whole"),
        ("ugx", "0.01", "ugx amounts are whole"),
        ("usd", "NaN", "at most 2"),
        ("usd", "sNaN", "at most 2"),
        ("usd", "Infinity", "at most 2"),
        ("usd", "-Infinity", "at most 2"),
        ("usd", "1E+400", "larger than Stripe accepts"),
        ("usd", "1E-400", "at most 2"),
        ("usd", "10000000000.00", "larger than Stripe accepts"),
        ("usd", "-10000000000.00", "larger than Stripe accepts"),
        ("jpy", "1000000000000", "larger than Stripe accepts"),
        ("usd", "0." + "0" * 60 + "1", "at most 2"),
        ("usd", "1." + "1" * 60, "at most 2"),
        ("xxx", "1", "not a currency that Stripe charges in"),
        ("USD", "1", "not a currency"),
        ("", "1", "not a currency"),
    ],
)
def test_what_cannot_be_charged_is_refused(currency: str, major: str, words: str) -> None:
    """In words that say why."""
    with pytest.raises(InvalidAmount, match=words):
        Money.of(Decimal(major), currency)


def test_the_largest_amount_is_twelve_digits() -> None:
    """999,999,999,999 minor units are taken, to either side of zero; one more is not."""
    assert MAX_AMOUNT_MINOR == 999_999_999_999
    for sign in (1, -1):
        assert Money.of(Decimal("9999999999.99") * sign, "usd").minor == sign * MAX_AMOUNT_MINOR
        assert Money.of(999_999_999_999 * sign, "jpy").minor == sign * MAX_AMOUNT_MINOR
        with pytest.raises(InvalidAmount, match=r"^the amount is larger than Stripe accepts \(twelve digits\)$"):
            Money.of(1_000_000_000_000 * sign, "jpy")


@pytest.mark.parametrize(
    ("major", "words"),
    [
        (Decimal("1E+39"), "larger than Stripe accepts"),
        (Decimal("1E+40"), "larger than Stripe accepts"),
        (Decimal("-1E+40"), "larger than Stripe accepts"),
        (Decimal("1E-39"), "at most 2 decimal digits"),
        (Decimal("1E-40"), "at most 2 decimal digits"),
        (Decimal("1." + "0" * 38 + "1"), "at most 2 decimal digits"),
        (Decimal("1." + "0" * 39 + "1"), "at most 2 decimal digits"),
        (Decimal("1" * 40), "larger than Stripe accepts"),
        (Decimal("1" * 41), "larger than Stripe accepts"),
    ],
)
def test_numbers_beyond_any_amount_are_refused_for_what_they_are(major: Decimal, words: str) -> None:
    """Too large, or too fine: said so also where the number is too long to be computed with."""
    with pytest.raises(InvalidAmount, match=words):
        Money.of(major, "usd")


def test_trailing_zeros_change_no_amount_until_there_are_too_many_to_compute_with() -> None:
    """Forty digits are read exactly, whatever the precision of the caller's decimal context."""
    with localcontext() as context:
        context.prec = 5
        assert Money.of(Decimal("9999999999.99"), "usd").minor == MAX_AMOUNT_MINOR
        assert Money.of(Decimal("29.99" + "0" * 36), "usd").minor == 2999
        with pytest.raises(InvalidAmount, match="at most 2"):
            Money.of(Decimal("29.99" + "0" * 37), "usd")


def test_major_units_are_exact_whatever_the_precision_of_the_callers_decimal_context() -> None:
    """A host that computes with five digits still shows every cent."""
    with localcontext() as context:
        context.prec = 5
        assert str(Money(123_456_789, "usd").decimal) == "1234567.89"


@pytest.mark.parametrize("value", [29.99, True, False, "29.99", None, 1 + 0j, b"1"])
def test_only_exact_numbers_are_amounts(value: object) -> None:
    """A float has already lost what it stood for; strings and booleans are mistakes."""
    with pytest.raises(InvalidAmount, match="^an amount is a Decimal or an int, never a float or a string$"):
        Money.of(value, "usd")  # type: ignore[arg-type]


@pytest.mark.parametrize("minor", [2999.0, True, "2999", Decimal(2999), None])
def test_minor_units_are_whole_numbers(minor: object) -> None:
    """Nothing that merely looks whole; the refusal names the type that was given."""
    with pytest.raises(InvalidAmount, match=f"^minor units are a whole number, not {type(minor).__name__}$"):
        Money(minor, "usd")  # type: ignore[arg-type]


@pytest.mark.parametrize("currency", ["us", "usdt", "USD", "u$d", "", "üsd", "us1"])
def test_a_currency_is_three_lower_case_letters(currency: str) -> None:
    """Anything else cannot be a code."""
    with pytest.raises(InvalidAmount, match="^a currency is three lower-case letters, as usd$"):
        Money(1, currency)


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.integers(0, 1000))
def test_arithmetic_is_that_of_whole_numbers(one: int, two: int, quantity: int) -> None:
    """Sums, differences, products and order."""
    first, second = Money(one, "usd"), Money(two, "usd")
    assert (first + second).minor == one + two
    assert (first - second).minor == one - two
    assert (first * quantity).minor == one * quantity
    assert (first < second) == (one < two)
    assert (first >= second) == (one >= two)


def test_two_currencies_never_meet() -> None:
    """Neither added nor compared; equal amounts of two currencies are not equal."""
    usd, eur = Money(1, "usd"), Money(1, "eur")
    for combine in (lambda: usd + eur, lambda: usd - eur, lambda: usd < eur, lambda: usd >= eur):
        with pytest.raises(InvalidAmount, match="cannot be combined"):
            combine()
    assert usd != eur


@pytest.mark.parametrize("quantity", [1.5, True, Decimal(2), "2"])
def test_money_is_multiplied_by_whole_quantities(quantity: object) -> None:
    """Half a piece has no price."""
    with pytest.raises(InvalidAmount, match="^money is multiplied by whole quantities only$"):
        Money(1, "usd") * quantity  # type: ignore[operator]


def test_the_table_is_stripes() -> None:
    """Every currency is in one group only, and the groups that are special are exactly these."""
    groups = (money.ZERO_DECIMAL, money.THREE_DECIMAL, money.WHOLE_UNITS_IN_HUNDREDTHS, money.TWO_DECIMAL)
    assert sum(len(group) for group in groups) == len(CURRENCIES)
    assert (
        set(["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"])
        == money.ZERO_DECIMAL
    )
    assert {"bhd", "jod", "kwd", "omr", "tnd"} == money.THREE_DECIMAL
    assert {"isk", "ugx"} == money.WHOLE_UNITS_IN_HUNDREDTHS
    assert {exponent(currency) for currency in money.TWO_DECIMAL} == {2}


def test_no_float_in_the_module() -> None:
    """Not a literal, not the name, not a true division."""
    tree = ast.parse(Path(money.__file__).read_text("utf-8"))
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float))
        assert not (isinstance(node, ast.Name) and node.id in ("float", "round"))
        assert not isinstance(node, ast.Div)
