"""Every cent from 0.01 to 100,000.00, in every currency: exact or refused, and never anything in between.

What an amount comes to depends on the currency's group alone, which one test shows for every currency of the table. So
every cent is tried in one currency of each group, and in every currency every so many cents, each beginning elsewhere.
`make test` takes steps; HYPOTHESIS_PROFILE=long takes none: forty million amounts.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pytest

from payments_core.domain.strict_json import read_json, write_json
from payments_core.money import CURRENCIES, THREE_DECIMAL, TWO_DECIMAL, ZERO_DECIMAL, InvalidAmount, Money
from tests.guarantees.worlds import IS_LONG

MOST = 10_000_000
#: In each group: how many of Stripe's minor units a cent is, and of how many cents every amount is a multiple.
GROUPS = {"usd": (1, 1), "jpy": (1, 100), "isk": (1, 100), "kwd": (10, 1)}
BATCH = 100_000


def group_of(currency: str) -> str:
    """The currency of GROUPS that counts alike."""
    if currency in TWO_DECIMAL:
        return "usd"
    return "jpy" if currency in ZERO_DECIMAL else "kwd" if currency in THREE_DECIMAL else "isk"


def tried(currency: str, cents: Iterable[int]) -> int:
    """Send each number of cents from JSON to money and back; how many were exact. The others were refused."""
    per_cent, whole = GROUPS[group_of(currency)]
    scale = 100 if group_of(currency) == "jpy" else 1
    numbers = list(cents)
    text = "[" + ",".join(f"{cent // 100}.{cent % 100:02}" for cent in numbers) + "]"
    read = read_json(text.encode())
    assert isinstance(read, list)
    exact: list[Decimal] = []
    for cent, major in zip(numbers, read, strict=True):
        assert type(major) is Decimal
        try:
            made = Money.of(major, currency)
        except InvalidAmount:
            assert cent % whole != 0
            continue
        assert cent % whole == 0
        assert made.minor * scale == cent * per_cent
        assert made.decimal == major
        exact.append(made.decimal)
    assert read_json(write_json(exact).encode()) == exact
    return len(exact)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("currency", sorted(GROUPS))
def test_every_cent_in_a_currency_of_each_group(currency: str) -> None:
    """In short: to 500.00, and the last ones. Without decimals, whole units are exact and all others refused."""
    whole = GROUPS[currency][1]
    spans = [range(1, MOST + 1)] if IS_LONG else [range(1, 50_001), range(MOST - 5_000, MOST + 1)]
    for span in spans:
        for start in range(span.start, span.stop, BATCH):
            batch = range(start, min(start + BATCH, span.stop))
            assert tried(currency, batch) == batch[-1] // whole - (batch[0] - 1) // whole


@pytest.mark.timeout(1800)
def test_every_currency_counts_as_its_group_does() -> None:
    """Over the whole span, in steps that are prime to a hundred, so that all endings come."""
    step = 99 if IS_LONG else 19_997
    for place, currency in enumerate(sorted(CURRENCIES)):
        span = range(1 + place % step, MOST + 1, step)
        whole = GROUPS[group_of(currency)][1]
        assert tried(currency, span) == sum(cent % whole == 0 for cent in span)


def test_every_currency_has_whole_amounts_up_to_a_hundred_thousand() -> None:
    """One, ninety-nine, a hundred thousand: in every currency, in Stripe's minor units."""
    for currency in CURRENCIES:
        per_cent = 1 if group_of(currency) == "jpy" else 100 * GROUPS[group_of(currency)][0]
        for major in (1, 99, 100_000):
            assert Money.of(major, currency).minor == major * per_cent
            assert Money.of(Decimal(major), currency).decimal == major
