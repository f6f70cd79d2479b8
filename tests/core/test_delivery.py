"""When a failed event is tried again, and the states of a payment as a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_core.domain.delivery import (
    LEASE_S,
    MAX_ATTEMPTS,
    MAX_DELAY_S,
    PARK_LIMIT_S,
    PARK_STEP_S,
    ClaimedEvent,
    DeliveryPolicy,
    InboxState,
    ReceivedEvent,
    is_exhausted,
    retry_delay_s,
)
from payments_core.domain.payment import SESSION_LIFE, STEPS, Finding, Payment, PaymentState, Transition, next_step

DAY_S = 86_400
NOW = datetime(2026, 11, 23, tzinfo=UTC)


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


def test_no_pause_is_shorter_than_a_second() -> None:
    """However small the chance's number: a failing store is not hammered."""
    assert retry_delay_s(1, 0) == 1
    assert retry_delay_s(1, 0.2) == pytest.approx(1.2)
    assert retry_delay_s(12, 0) == 1


def test_the_longest_pause_is_half_a_day() -> None:
    """The ceiling stops growing there."""
    assert MAX_DELAY_S == 43_200
    assert retry_delay_s(100, 0.5) == 21_600


def test_attempts_run_out() -> None:
    """The twelfth is the last."""
    assert [attempt for attempt in range(1, 20) if is_exhausted(attempt)][0] == MAX_ATTEMPTS == 12  # noqa: RUF015
    assert is_exhausted(3, max_attempts=3)


@pytest.mark.parametrize("finding", list(Finding))
def test_nothing_unsettles_a_settled_payment(finding: Finding) -> None:
    """Rule 3: after settlement at most a record is made, and nothing is told."""
    step = next_step(PaymentState.SETTLED, finding)
    assert step is None or (step.state is PaymentState.SETTLED and not step.published)


@pytest.mark.parametrize("state", [PaymentState.OPEN, PaymentState.PROCESSING, PaymentState.EXPIRED])
def test_money_settles_from_every_state(state: PaymentState) -> None:
    """Money outranks everything."""
    step = next_step(state, Finding.PAID)
    assert step is not None
    assert (step.state, step.transition, step.published) == (PaymentState.SETTLED, Transition.SETTLED, True)


_DECISIONS = (Finding.RELEASED, Finding.REJECTED)


@pytest.mark.parametrize("finding", [finding for finding in Finding if finding not in _DECISIONS])
def test_no_news_leads_out_of_quarantine(finding: Finding) -> None:
    """Neither money that is right by now nor a failure: somebody has to decide, and then the payment is settled."""
    step = next_step(PaymentState.QUARANTINED, finding)
    assert step is None or (step.state is PaymentState.QUARANTINED and not step.published)
    released = next_step(PaymentState.QUARANTINED, Finding.RELEASED)
    assert released is not None
    assert (released.state, released.transition) == (PaymentState.SETTLED, Transition.SETTLED)


@pytest.mark.parametrize("finding", list(Finding))
def test_nothing_leads_away_from_a_rejection(finding: Finding) -> None:
    """Neither money nor another decision: whoever rejected it gave the money back."""
    step = next_step(PaymentState.REJECTED, finding)
    assert step is None or (step.state is PaymentState.REJECTED and not step.published)


def test_the_machine_whole() -> None:
    """Every pair that changes anything."""
    told = {
        (str(state), str(finding)): (str(step.state), str(step.transition), step.published)
        for (state, finding), step in STEPS.items()
    }
    assert told == {
        ("open", "paid"): ("settled", "settled", True),
        ("open", "mismatched"): ("quarantined", "quarantined", True),
        ("open", "promised"): ("processing", "processing", False),
        ("open", "declined"): ("open", "attempt_failed", True),
        ("open", "lapsed"): ("expired", "expired", True),
        ("processing", "paid"): ("settled", "settled", True),
        ("processing", "mismatched"): ("quarantined", "quarantined", True),
        ("processing", "declined"): ("open", "attempt_failed", True),
        ("processing", "lapsed"): ("expired", "expired", True),
        ("expired", "paid"): ("settled", "settled", True),
        ("expired", "mismatched"): ("quarantined", "quarantined", True),
        ("expired", "promised"): ("processing", "processing", False),
        ("expired", "declined"): ("expired", "attempt_failed", True),
        ("settled", "declined"): ("settled", "attempt_failed", False),
        ("quarantined", "released"): ("settled", "settled", True),
        ("quarantined", "rejected"): ("rejected", "rejected", False),
        ("quarantined", "declined"): ("quarantined", "attempt_failed", False),
        ("rejected", "declined"): ("rejected", "attempt_failed", False),
    }


@pytest.mark.parametrize("state", list(PaymentState))
def test_news_that_only_links_changes_nothing(state: PaymentState) -> None:
    """Wherever the payment stands."""
    assert next_step(state, Finding.LINKED) is None


def test_the_numbers_of_the_inbox_s_states_are_the_schema_s() -> None:
    """Rows of an earlier release are read by this one, and the partial indexes name them."""
    states = {state.name: int(state) for state in InboxState}
    assert states == {"READY": 0, "LEASED": 1, "DONE": 2, "DEAD": 3, "PARKED": 4}


def test_a_deployment_that_says_nothing_gets_the_documented_policy() -> None:
    """Half a minute's lease, twelve attempts, twenty events a claim, eight at once; a minute for a cause to arrive."""
    assert DeliveryPolicy() == DeliveryPolicy(lease_s=30, max_attempts=12, claim_limit=20, hands=4)
    assert (LEASE_S, PARK_LIMIT_S, PARK_STEP_S) == (30, 60, 3)


@pytest.mark.parametrize("name", ["lease_s", "max_attempts", "claim_limit", "hands"])
def test_a_policy_under_which_nothing_would_ever_be_handled_is_refused(name: str) -> None:
    """One of each is the least."""
    assert getattr(DeliveryPolicy(**{name: 1}), name) == 1
    for too_few in (0, -1):
        with pytest.raises(ValueError, match=name):
            DeliveryPolicy(**{name: too_few})


def unstated(one: Any, *stated: str) -> set[object]:
    """The values of the fields that were not given."""
    return {value for name, value in attrs.asdict(one, recurse=False).items() if name not in stated}


def test_what_an_event_does_not_state_is_unknown() -> None:
    """None, which is neither false nor empty: an event without a mode is of no mode, not of the test mode."""
    assert unstated(ReceivedEvent("evt_1", "a", b"{}"), "event_id", "type", "body") == {None}
    given = {"seq": 1, "event_id": "evt_1", "type": "a", "body": b"{}", "token": 1, "attempt": 1, "received_at": NOW}
    assert unstated(ClaimedEvent(**given), *given) == {None}  # type: ignore[arg-type]


def test_no_body_is_in_the_repr_of_an_event() -> None:
    """Events are printed in tracebacks."""
    received = ReceivedEvent("evt_1", "a", b"private")
    claimed = ClaimedEvent(1, "evt_1", "a", b"private", 1, 1, NOW)
    for event in (received, claimed):
        assert "evt_1" in repr(event)
        assert "private" not in repr(event)


def test_a_new_payment_is_open_made_here_and_knows_nothing_else() -> None:
    """Whatever Stripe will call it, it is written down before."""
    payment = Payment(payment_id="p1", created_at=NOW, livemode=False)
    assert (payment.state, payment.origin) == (PaymentState.OPEN, "here")
    assert unstated(payment, "payment_id", "created_at", "livemode", "state", "origin", "discrepancies") == {None}
    assert payment.discrepancies == ()


def test_what_is_personal_or_opens_something_is_not_in_the_repr_of_a_payment() -> None:
    """The buyer's address, what stands for the caller's, and the key by which Stripe would give the session again."""
    hidden = {
        "customer_email": "buyer@example.test",
        "idempotency_key": "key-1",
        "caller_digest": "digest-1",
        "version": "version-1",
    }
    payment = Payment(payment_id="p1", created_at=NOW, livemode=False, **hidden)  # type: ignore[arg-type]
    assert "p1" in repr(payment)
    assert [value for value in hidden.values() if value in repr(payment)] == []


def test_two_readings_of_one_payment_are_equal_whatever_the_row_s_version() -> None:
    """The version says whether a row was written since, not what the payment is."""
    one, other = (Payment(payment_id="p1", created_at=NOW, livemode=False, version=version) for version in ("1", "2"))
    assert one == other
    assert one != attrs.evolve(one, payment_id="p2")


def test_a_session_lives_a_day() -> None:
    """As long as Stripe keeps one open by default."""
    assert timedelta(hours=24) == SESSION_LIFE
