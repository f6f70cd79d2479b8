"""When a failed event is tried again, and the states of a payment as a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_core.domain.delivery import MAX_ATTEMPTS, MAX_DELAY_S, is_exhausted, retry_delay_s
from payments_core.domain.payment import STEPS, Finding, PaymentState, Transition, next_step

DAY_S = 86_400


def schedule(fraction: float) -> list[float]:
    """The pauses between twelve attempts."""
    return [retry_delay_s(attempt, fraction) for attempt in range(1, MAX_ATTEMPTS)]


def test_twelve_attempts_spread_over_about_a_day() -> None:
    """On average 20 hours; at most two days; and a first retry within seconds."""
    assert 0.75 * DAY_S < sum(schedule(0.5)) < 1.1 * DAY_S
    assert sum(schedule(1)) < 2 * DAY_S
    assert schedule(0.5)[0] == 3
    assert schedule(1)[:4] == [6, 18, 54, 162]


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_every_pause_is_within_its_bounds(attempt: int, fraction: float) -> None:
    """Full jitter: anything from a second to the ceiling, which grows and is capped at twelve hours."""
    pause_s = retry_delay_s(attempt, fraction)
    assert 1 <= pause_s <= MAX_DELAY_S
    assert pause_s <= retry_delay_s(attempt, 1) <= retry_delay_s(attempt + 1, 1)


def test_attempts_run_out() -> None:
    """The twelfth is the last."""
    assert [attempt for attempt in range(1, 20) if is_exhausted(attempt)][0] == MAX_ATTEMPTS == 12  # noqa: RUF015
    assert is_exhausted(3, max_attempts=3)


@pytest.mark.parametrize("finding", list(Finding))
def test_nothing_unsettles_a_settled_payment(finding: Finding) -> None:
    """Rule 3: after settlement at most a record is made, and nothing is told."""
    step = next_step(PaymentState.SETTLED, finding)
    assert step is None or (step.state is PaymentState.SETTLED and not step.published)


@pytest.mark.parametrize("state", [state for state in PaymentState if state is not PaymentState.SETTLED])
def test_money_settles_from_every_state(state: PaymentState) -> None:
    """Money outranks everything."""
    step = next_step(state, Finding.PAID)
    assert step is not None
    assert (step.state, step.transition, step.published) == (PaymentState.SETTLED, Transition.SETTLED, True)


def test_the_machine_whole() -> None:
    """Every pair that changes anything."""
    told = {
        (str(state), str(finding)): (str(step.state), str(step.transition), step.published)
        for (state, finding), step in STEPS.items()
    }
    assert told == {
        ("open", "paid"): ("settled", "settled", True),
        ("open", "promised"): ("processing", "processing", False),
        ("open", "declined"): ("open", "attempt_failed", True),
        ("open", "lapsed"): ("expired", "expired", True),
        ("processing", "paid"): ("settled", "settled", True),
        ("processing", "declined"): ("open", "attempt_failed", True),
        ("processing", "lapsed"): ("expired", "expired", True),
        ("expired", "paid"): ("settled", "settled", True),
        ("expired", "promised"): ("processing", "processing", False),
        ("expired", "declined"): ("expired", "attempt_failed", True),
        ("settled", "declined"): ("settled", "attempt_failed", False),
    }


@pytest.mark.parametrize("state", list(PaymentState))
def test_news_that_only_links_changes_nothing(state: PaymentState) -> None:
    """Wherever the payment stands."""
    assert next_step(state, Finding.LINKED) is None
