"""What the payments add up to: the success rate, revenue by day, month and currency, declines by reason.

The store counts and sums by day, since a million rows are its trade; everything above that is added up here, where it
is plain arithmetic over whole numbers. Money of two currencies, or of test and live mode, is never added together.

A payment stands in exactly one place (`standing_of`). It *came to an end* when it is settled, expired, failed or
rejected; the success rate is the settled share of those. A failed payment can still be settled, since its buyer may try
again; it then moves, and the rate with it. A quarantined payment is neither a success nor at an end: somebody has to
decide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from attrs import frozen

from ..money import InvalidAmount, Money
from .payment import PaymentState


class Standing(StrEnum):
    """Where a payment stands, as it is counted."""

    SETTLED = "settled"
    EXPIRED = "expired"
    FAILED = "failed"
    REJECTED = "rejected"
    QUARANTINED = "quarantined"
    PROCESSING = "processing"
    OPEN = "open"


#: The standings of payments that came to an end.
ENDED: Final = (Standing.SETTLED, Standing.EXPIRED, Standing.FAILED, Standing.REJECTED)

#: The rate is cut to this many digits, not rounded: 1.0000 then means that all were settled.
_RATE_DIGITS: Final = 4


@frozen(kw_only=True)
class Period:
    """What is counted: one mode, from `since` on and before `until` (aware, None: no bound), one currency or all."""

    livemode: bool
    since: datetime | None = None
    until: datetime | None = None
    currency: str | None = None

    def covers(self, moment: datetime | None) -> bool:
        """Whether a moment is within the bounds."""
        if moment is None:
            return False
        return (self.since is None or self.since <= moment) and (self.until is None or moment < self.until)


@frozen
class Takings:
    """What was settled on one UTC day in one currency; `amount_minor` in Stripe's minor units."""

    day: date
    currency: str
    payments: int
    amount_minor: int


@frozen
class Tallies:
    """What the store counted. A reason is None for a decline whose reason was not recorded."""

    standings: Mapping[Standing, int]
    takings: tuple[Takings, ...]
    declines: Mapping[str | None, int]


@frozen
class Revenue:
    """Settled payments of one currency in one span: a day (`2026-11-23`), a month (`2026-11`) or all (empty)."""

    span: str
    payments: int
    amount: Money

    @property
    def exact(self) -> str | None:
        """The amount in major units as text ("59.98"), or None for a currency whose digits are not known here."""
        try:
            return f"{self.amount.decimal:f}"
        except InvalidAmount:
            return None


@frozen
class Report:
    """The figures of a period. Spans are in order of time, then currency; reasons by how often they occurred."""

    standings: Mapping[Standing, int]
    by_currency: tuple[Revenue, ...]
    by_month: tuple[Revenue, ...]
    by_day: tuple[Revenue, ...]
    declines: tuple[tuple[str | None, int], ...]

    @property
    def settled(self) -> int:
        """How many payments were settled."""
        return self.standings[Standing.SETTLED]

    @property
    def ended(self) -> int:
        """How many payments came to an end."""
        return sum(self.standings[standing] for standing in ENDED)

    @property
    def success_rate(self) -> Decimal | None:
        """The settled share of the payments that came to an end, cut to four digits; None where none has."""
        if not self.ended:
            return None
        return Decimal(self.settled * 10**_RATE_DIGITS // self.ended).scaleb(-_RATE_DIGITS)

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all happened."""
        return not (sum(self.standings.values()) or self.by_day or self.declines)


def standing_of(state: PaymentState, *, was_declined: bool) -> Standing:
    """How a payment is counted. One that is open counts as failed once an attempt to pay it was declined."""
    if state is PaymentState.OPEN and was_declined:
        return Standing.FAILED
    return Standing(state.value)


def report(tallies: Tallies) -> Report:
    """Add up what was counted."""
    return Report(
        standings={standing: tallies.standings.get(standing, 0) for standing in Standing},
        by_currency=_summed(("", takings) for takings in tallies.takings),
        by_month=_summed((f"{takings.day:%Y-%m}", takings) for takings in tallies.takings),
        by_day=_summed((takings.day.isoformat(), takings) for takings in tallies.takings),
        declines=tuple(sorted(tallies.declines.items(), key=lambda one: (-one[1], one[0] is None, one[0] or ""))),
    )


def _summed(spans: Iterable[tuple[str, Takings]]) -> tuple[Revenue, ...]:
    sums: defaultdict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for span, takings in spans:
        payments, minor = sums[span, takings.currency]
        sums[span, takings.currency] = (payments + takings.payments, minor + takings.amount_minor)
    return tuple(
        Revenue(span, payments, Money(minor, currency)) for (span, currency), (payments, minor) in sorted(sums.items())
    )
