"""The flow by itself: the same in both worlds, and steady whatever a look does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from payments_core.adapters.memory.gateway import MemoryGateway
from payments_core.domain.diagnosis import Finding, Outcome, Report
from payments_core.domain.diagnosis.database import DatabaseFacts, PostgresqlFacts
from payments_core.domain.diagnosis.services import RedisFacts, TopicFacts
from payments_core.domain.diagnosis.work import WorkFacts
from payments_core.drive import run_blocking
from payments_core.errors import StoreUnavailable, StripeError, StripeUnavailable
from payments_core.ports import Io
from payments_core.services.doctor import Doctor
from payments_core.settings import Settings
from tests.doctor.conftest import CANARY, endpoint

T = TypeVar("T")
both = pytest.mark.parametrize("io", ["blocking", "async"])
SETTINGS = Settings.of(
    stripe_secret_key=f"rk_test_{CANARY}",
    stripe_webhook_secret=f"whsec_{CANARY}",
    payments_price_policy="catalog",
    payments_redirect_hosts="shop.example",
)
SERVER = PostgresqlFacts(
    is_replica=False, fsync=True, full_page_writes=True, synchronous_commit="on", its_default="on", ahead_s=0
)
DATABASE = DatabaseFacts(engine=SERVER, revision="0006", needed="0006", is_sufficient=True)
WORK = WorkFacts(oldest_unhandled_s=0, revivable=0, unreadable=0, quarantined=0, backlog=0, parked=0)


class Clock:
    """A machine's clock, `ahead_s` of the true time."""

    def __init__(self, ahead_s: float = 0) -> None:
        self.ahead = timedelta(seconds=ahead_s)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def gives(facts: T, io: Io) -> Callable[[], Awaitable[T]]:
    """A look that finds this; in the asynchronous world it is waited for."""

    async def look() -> T:
        if io == "async":
            await asyncio.sleep(0)
        return facts

    return look


def raises(error: Exception) -> Callable[[], Awaitable[Any]]:
    """A look that comes to nothing."""

    async def look() -> Any:
        raise error

    return look


def stripe_of(io: Io) -> MemoryGateway:
    """A Stripe with one good endpoint."""
    gateway = MemoryGateway(io=io, clock=Clock())
    gateway.put_webhook_endpoint(endpoint())
    return gateway


def doctor(io: Io, **changes: Any) -> Doctor:
    """One that finds everything well."""
    looks: dict[str, Any] = {
        "settings": SETTINGS,
        "clock": Clock(),
        "database": gives(DATABASE, io),
        "work": gives(WORK, io),
        "redis": gives(RedisFacts("noeviction"), io),
        "topics": gives([TopicFacts("payment.successful", exists=True)], io),
        "stripe": stripe_of(io),
    }
    return Doctor(**{**looks, **changes})


def run(io: Io, examined: Doctor) -> Report:
    """Drive the flow in its world; what was told is what is reported."""
    told: list[Finding] = []
    drive: Callable[[Any], Report] = run_blocking if io == "blocking" else asyncio.run
    report = drive(examined.run(told.append))
    assert told == list(report.findings)
    assert CANARY not in str(report)
    return report


def bad(report: Report) -> dict[str, str]:
    """What failed or was warned of."""
    return {
        f"{one.area}: {one.name}": one.outcome.value
        for one in report.findings
        if one.outcome in (Outcome.WARNING, Outcome.FAILED)
    }


@both
def test_a_deployment_that_is_well_is_found_well(io: Io) -> None:
    """Nothing is skipped when everything is there."""
    report = run(io, doctor(io))
    assert bad(report) == {}
    assert report.count(Outcome.SKIPPED) == 0


@both
@pytest.mark.parametrize("look", ["database", "work", "redis", "topics"])
def test_a_look_that_fails_unexpectedly_is_a_finding_without_its_words(io: Io, look: str) -> None:
    """A stranger's error may quote a password: its type and place are told, and everything else is looked at."""
    report = run(io, doctor(io, **{look: raises(ValueError(f"redis://:{CANARY}@host"))}))
    [failed] = [one for one in report.findings if one.outcome is Outcome.FAILED]
    assert failed.found.startswith("ValueError was raised in look (test_flow.py, line ")
    assert [one.name for one in report.findings if one.area == "stripe"][-1] == "one endpoint"


@both
def test_a_database_that_goes_away_between_two_looks_is_told_of_the_work_alone(io: Io) -> None:
    """What was seen of it before stays said."""
    report = run(io, doctor(io, work=raises(StoreUnavailable("The database went away. Try again."))))
    assert bad(report) == {"work: all of it": "failed"}


@both
@pytest.mark.parametrize(
    ("method", "error", "wrong"),
    [
        ("greeting", StripeUnavailable("Stripe is away. Try again."), "stripe: key accepted"),
        ("webhook_endpoints", StripeUnavailable("Stripe is away. Try again."), "stripe: webhook endpoint"),
        ("webhook_endpoints", StripeError("Stripe refused. Look."), "stripe: webhook endpoint"),
        ("invoices", StripeUnavailable("Stripe is away. Try again."), "stripe: permissions"),
    ],
)
def test_a_stripe_that_goes_away_is_told_where_it_did(io: Io, method: str, error: Exception, wrong: str) -> None:
    """And keeps nothing from being told that was seen before, or can be seen after."""
    gateway = stripe_of(io)
    gateway.fail_next(error, method=method)
    assert bad(run(io, doctor(io, stripe=gateway))) == {wrong: "failed"}


@both
@pytest.mark.parametrize(("ahead_s", "wrong"), [(0, {}), (90, {"stripe: clock": "warning"}), (-400, "failed")])
def test_the_machine_s_clock_is_compared_with_stripe_s(io: Io, ahead_s: float, wrong: object) -> None:
    """Whichever of the two is moved."""
    found = bad(run(io, doctor(io, clock=Clock(ahead_s))))
    assert found == (wrong if isinstance(wrong, dict) else {"stripe: clock": wrong})
