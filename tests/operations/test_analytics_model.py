"""The figures of random payments equal those of a pure model, on every store that the library ships."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from attrs import evolve, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine

from payments_core.adapters.memory import MemoryStore
from payments_core.adapters.memory.data import Recorded
from payments_core.adapters.sql import blocking_store
from payments_core.adapters.sql.rows import payment_values
from payments_core.adapters.sql.tables import payment as payment_table
from payments_core.adapters.sql.tables import transition as transition_table
from payments_core.adapters.sql.urls import database_url
from payments_core.domain.analytics import ENDED, Period, Report, Standing, Takings, Tallies, report
from payments_core.domain.payment import Payment, PaymentState
from payments_core.drive import run_blocking
from payments_core.money import MAX_AMOUNT_MINOR
from payments_core.ports import Store
from payments_core.services.analytics import analytics
from payments_core.testing.contracts.examples import payment

START = datetime(2026, 10, 30, tzinfo=UTC)
#: Days on both sides of the end of a month, with moments at and around midnight.
MOMENTS = st.builds(
    lambda day, off: START + timedelta(days=day, microseconds=off),
    st.integers(0, 4),
    st.sampled_from([0, 1, -1, 3_600_000_000, 86_399_999_999]),
)
CURRENCIES = st.sampled_from(["usd", "eur", "jpy"])


@frozen
class Attempt:
    """A declined attempt."""

    recorded_at: datetime
    reason: str | None


@frozen
class Case:
    """A payment with its declined attempts."""

    payment: Payment
    attempts: Sequence[Attempt]


@st.composite
def payments(draw: st.DrawFn) -> Payment:
    """A payment as the library writes them: what settled has an amount, a currency and a time."""
    state = draw(st.sampled_from(PaymentState))
    begun = evolve(
        payment("p"),
        created_at=draw(MOMENTS),
        livemode=draw(st.booleans()),
        state=state,
        currency=draw(st.none() | CURRENCIES),
    )
    if state is not PaymentState.SETTLED:
        return begun
    minor = draw(st.integers(0, 5) | st.integers(0, MAX_AMOUNT_MINOR))
    return evolve(begun, currency=draw(CURRENCIES), amount_minor=minor, settled_at=draw(MOMENTS))


attempts = st.builds(Attempt, MOMENTS, st.sampled_from([None, "card_declined", "lost_card"]))
cases = st.lists(st.builds(Case, payments(), st.lists(attempts, max_size=3)), max_size=25)
periods = st.builds(
    lambda livemode, since, until, currency: Period(livemode=livemode, since=since, until=until, currency=currency),
    st.booleans(),
    st.none() | MOMENTS,
    st.none() | MOMENTS,
    st.none() | CURRENCIES,
)


def within(period: Period, moment: datetime) -> bool:
    """The period, said once more."""
    return not (period.since and moment < period.since) and not (period.until and moment >= period.until)


def modelled(found: Sequence[Case], period: Period) -> dict[str, object]:
    """What the figures are, counted one by one."""
    mine = [
        one
        for one in found
        if one.payment.livemode == period.livemode
        and (period.currency is None or one.payment.currency == period.currency)
    ]
    standings: Counter[str] = Counter()
    for one in mine:
        if within(period, one.payment.created_at):
            failed = one.payment.state is PaymentState.OPEN and one.attempts
            standings["failed" if failed else one.payment.state.value] += 1
    days: Counter[tuple[str, str]] = Counter()
    for one in mine:
        if one.payment.settled_at is not None and within(period, one.payment.settled_at):
            assert one.payment.currency is not None
            assert one.payment.amount_minor is not None
            days[one.payment.settled_at.strftime("%Y-%m-%d"), one.payment.currency] += one.payment.amount_minor
    totals: Counter[str] = Counter()
    for (_, currency), minor in days.items():
        totals[currency] += minor
    declines = Counter(one.reason for case in mine for one in case.attempts if within(period, one.recorded_at))
    return {"standings": standings, "days": dict(days), "totals": dict(totals), "declines": declines}


def told(found: Report) -> dict[str, object]:
    """The report in the model's words."""
    return {
        "standings": Counter({name.value: number for name, number in found.standings.items() if number}),
        "days": {(one.span, one.amount.currency): one.amount.minor for one in found.by_day},
        "totals": {one.amount.currency: one.amount.minor for one in found.by_currency},
        "declines": Counter(dict(found.declines)),
    }


def numbered(found: Sequence[Case]) -> list[Case]:
    """The cases with ids of their own."""
    return [evolve(one, payment=evolve(one.payment, payment_id=f"p{number}")) for number, one in enumerate(found)]


Filled = Callable[[Sequence[Case]], Store]


def fill_database(engine: Engine, found: Sequence[Case]) -> None:
    """These payments and no others."""
    declined = [
        {
            "payment_id": case.payment.payment_id,
            "transition": "attempt_failed",
            "discriminator": f"ch_{number}",
            "event_id": f"{case.payment.payment_id} {number}",
            "recorded_at": attempt.recorded_at,
            "reason": attempt.reason,
        }
        for case in found
        for number, attempt in enumerate(case.attempts)
    ]
    with engine.begin() as connection:
        connection.execute(transition_table.delete())
        connection.execute(payment_table.delete())
        if found:
            connection.execute(payment_table.insert(), [payment_values(case.payment) for case in found])
        if declined:
            connection.execute(transition_table.insert(), declined)


@pytest.fixture
def in_database(url: str) -> Iterator[Filled]:
    """A database that holds what it is given."""
    engine, store = create_engine(database_url(url, "blocking")), blocking_store(url)

    def filled(found: Sequence[Case]) -> Store:
        fill_database(engine, found)
        return store

    yield filled
    run_blocking(store.close())
    engine.dispose()


def in_memory(found: Sequence[Case]) -> Store:
    """A store in memory that holds the cases."""
    store = MemoryStore()
    for case in found:
        run_blocking(store.add_payment(case.payment))
        for number, attempt in enumerate(case.attempts):
            key = (case.payment.payment_id, "attempt_failed", f"ch_{number}")
            store._data.transitions[key] = Recorded("fact", attempt.recorded_at, attempt.reason)
    return store


def check(store: Store, found: Sequence[Case], period: Period) -> None:
    """The store's figures are the model's."""
    _, figures = run_blocking(
        analytics(
            store.records,
            livemode=period.livemode,
            since=period.since,
            until=period.until,
            currency=period.currency,
        )
    )
    assert told(figures) == modelled(found, period)


@given(found=cases.map(numbered), period=periods)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_database_counts_as_the_model_does(in_database: Filled, found: list[Case], period: Period) -> None:
    """Any payments, any period, any currency, either mode."""
    check(in_database(found), found, period)


@given(found=cases.map(numbered), period=periods)
@settings(max_examples=100, deadline=None)
def test_memory_counts_as_the_model_does(found: list[Case], period: Period) -> None:
    """The same of the store for tests."""
    check(in_memory(found), found, period)


takings = st.builds(
    Takings,
    MOMENTS.map(datetime.date),
    CURRENCIES,
    st.integers(1, 10**6),
    st.integers(0, 10**18),
)


@given(found=st.lists(takings, max_size=50, unique_by=lambda one: (one.day, one.currency)))
def test_days_months_and_totals_add_up_to_the_same(found: list[Takings]) -> None:
    """Nothing is lost or added between the sums, whatever their size; each span is there once."""
    sums = report(Tallies({}, tuple(found), {}))
    for currency in ("usd", "eur", "jpy"):
        expected = sum(one.amount_minor for one in found if one.currency == currency)
        for spans in (sums.by_currency, sums.by_month, sums.by_day):
            mine = [one for one in spans if one.amount.currency == currency]
            assert sum(one.amount.minor for one in mine) == expected
            assert sum(one.payments for one in mine) == sum(one.payments for one in found if one.currency == currency)
            assert len({one.span for one in mine}) == len(mine)
            assert [Decimal(one.exact or "") for one in mine] == [one.amount.decimal for one in mine]


@given(counts=st.fixed_dictionaries({standing: st.integers(0, 10**7) for standing in Standing}))
def test_the_rate_is_the_settled_share_cut_to_four_digits(counts: dict[Standing, int]) -> None:
    """Never more than the true share, less by under a ten-thousandth, and 1 only for all."""
    found = report(Tallies(counts, (), {}))
    ended = sum(counts[standing] for standing in ENDED)
    rate = found.success_rate
    if rate is None:
        assert ended == 0
        return
    assert 0 <= counts[Standing.SETTLED] - rate * ended < Decimal("0.0001") * ended
    assert (rate == 1) is (counts[Standing.SETTLED] == ended)
    assert len(f"{rate:f}") == 6
