"""The payments' figures, grouped by the database: what comes back is a few rows for each day, whatever their number.

A day is a UTC day on both databases. SQLite keeps microseconds since 1970, of which it takes whole days; PostgreSQL is
told the zone, since its own depends on the session.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Column, ColumnElement, Date, Executable, case, cast, false, func, select, type_coerce

from payments_core.adapters.sql.connector import Link, rows
from payments_core.adapters.sql.statements import Dialect
from payments_core.adapters.sql.tables import payment as payments
from payments_core.adapters.sql.tables import transition as transitions
from payments_core.domain.analytics import Period, Standing, Takings, Tallies, standing_of
from payments_core.domain.payment import PaymentState, Transition

_EPOCH: Final = date(1970, 1, 1)
_DAY_US: Final = 86_400_000_000


async def tallies(link: Link, dialect: Dialect, period: Period) -> Tallies:
    """What the period's payments add up to."""
    return Tallies(await _standings(link, period), await _takings(link, dialect, period), await _declines(link, period))


async def _standings(link: Link, period: Period) -> Counter[Standing]:
    counts: Counter[Standing] = Counter()
    for row in await rows(link, standings(period)):
        counts[standing_of(PaymentState(row.state), was_declined=bool(row.was_declined))] += row.payments
    return counts


async def _takings(link: Link, dialect: Dialect, period: Period) -> tuple[Takings, ...]:
    found = await rows(link, takings(dialect, period))
    # The sum of PostgreSQL's bigints is a numeric, exact and whole.
    return tuple(Takings(_day(row.day), row.currency, row.payments, int(row.amount_minor)) for row in found)


async def _declines(link: Link, period: Period) -> dict[str | None, int]:
    return {row.reason: row.attempts for row in await rows(link, declines(period))}


def standings(period: Period) -> Executable:
    """Payments that began in the period by state, and of the open ones whether an attempt was declined."""
    declined = (
        select(transitions.c.payment_id)
        .where(
            transitions.c.payment_id == payments.c.payment_id,
            transitions.c.transition == Transition.ATTEMPT_FAILED.value,
        )
        .exists()
    )
    was_declined = case((payments.c.state == PaymentState.OPEN.value, declined), else_=false()).label("was_declined")
    each = select(payments.c.state, was_declined).where(*_within(period, payments.c.created_at)).subquery()
    return select(each.c.state, each.c.was_declined, func.count().label("payments")).group_by(
        each.c.state, each.c.was_declined
    )


def takings(dialect: Dialect, period: Period) -> Executable:
    """What was settled in the period, by day and currency."""
    day = day_of(payments.c.settled_at, dialect).label("day")
    return (
        select(
            day,
            payments.c.currency,
            func.count().label("payments"),
            func.sum(payments.c.amount_minor).label("amount_minor"),
        )
        .where(
            payments.c.state == PaymentState.SETTLED.value,
            payments.c.amount_minor.is_not(None),
            payments.c.currency.is_not(None),
            payments.c.settled_at.is_not(None),
            *_within(period, payments.c.settled_at),
        )
        .group_by(day, payments.c.currency)
    )


def declines(period: Period) -> Executable:
    """Attempts that were declined in the period, by reason."""
    return (
        select(transitions.c.reason, func.count().label("attempts"))
        .join(payments, payments.c.payment_id == transitions.c.payment_id)
        .where(transitions.c.transition == Transition.ATTEMPT_FAILED.value, *_within(period, transitions.c.recorded_at))
        .group_by(transitions.c.reason)
    )


def day_of(moment: Column[Any], dialect: Dialect) -> ColumnElement[Any]:
    """The UTC day of a moment: a date, or on SQLite the number of days since 1970."""
    if dialect.is_sqlite:
        return type_coerce(moment, BigInteger) // _DAY_US
    return cast(func.timezone("UTC", moment), Date)


def _day(value: int | date) -> date:
    return _EPOCH + timedelta(days=value) if isinstance(value, int) else value


def _within(period: Period, moment: Column[Any]) -> Sequence[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [payments.c.livemode.is_(period.livemode)]
    if period.since is not None:
        conditions.append(moment >= period.since)
    if period.until is not None:
        conditions.append(moment < period.until)
    if period.currency is not None:
        conditions.append(payments.c.currency == period.currency)
    return conditions
