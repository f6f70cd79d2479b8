"""G6: a failing event is tried again by schedule and never early, twelve times, and is then kept as a dead letter.

Nothing that was acknowledged is forgotten: a dead letter is shown by /ready, and comes back when it is replayed.
"""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_core import PaymentSuccessful
from payments_core.domain.delivery import LATE_LEASES, LEASE_S, MAX_ATTEMPTS, InboxState, retry_delay_s
from payments_core.services.inspection import ReplayOutcome, Which, replay
from tests.flows.shop import DROPPED, own_session
from tests.guarantees.world import DONE, World

NEVER = 10_000


class Failing:
    """A handler that fails so many times, and counts how often it was called."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.calls = 0

    def __call__(self, *_: object) -> None:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise ArithmeticError


def failing(world: World, times: int) -> tuple[str, Failing]:
    """A paid payment whose handler fails; the event's id and the handler."""
    handler = Failing(times)
    world.on(PaymentSuccessful, handler)
    world.note_effects(PaymentSuccessful)
    return world.deliver(DONE, own_session(world, world.checkout())), handler  # type: ignore[arg-type]


async def cancel_a_helper() -> None:
    """What a shop does that cancels a task of its own and then waits for it."""
    helper = asyncio.get_running_loop().create_future()
    helper.cancel()
    await helper


def test_a_handler_in_which_something_was_cancelled_has_failed_like_any_other(world: World) -> None:
    """A CancelledError of the handler's own making ends nothing but its attempt: the others of the round are done."""
    strays = [True]

    async def stray(_: object, __: object) -> None:
        if strays:
            strays.pop()
            await cancel_a_helper()

    def stray_blocking(_: object, __: object) -> None:
        if strays:
            strays.pop()
            asyncio.run(cancel_a_helper())

    world.on("charge.refunded", stray if world.io == "async" else stray_blocking)
    world.note_effects("charge.refunded")
    events = [world.deliver("charge.refunded", {"id": f"ch_{number}", "object": "charge"}) for number in range(3)]
    assert world.shop.run_due() == 3
    (failed,) = (one for one in events if world.inbox(one).state is InboxState.READY)
    assert world.inbox(failed).attempts == 1
    assert "CancelledError" in str(world.inbox(failed).error)
    world.drain()
    assert sorted(effect for effect, _ in world.effects()) == sorted(events)


def next_due_s(world: World) -> float | None:
    """Seconds until something is due."""
    found = world.shop.wait(world.shop.payments.core.store.next_due_s())
    return None if found is None else float(found)


@given(st.integers(1, MAX_ATTEMPTS - 1), st.floats(0, 1, exclude_max=True))
def test_the_schedule_is_full_jitter_under_a_growing_ceiling(attempt: int, fraction: float) -> None:
    """Between one second and the ceiling 2 * 3^attempt, twelve hours at most; a larger fraction never waits less."""
    delay_s = retry_delay_s(attempt, fraction)
    assert 1 <= delay_s <= min(12 * 3600, 2 * 3**attempt)
    assert retry_delay_s(attempt + 1, fraction) >= delay_s
    assert retry_delay_s(attempt, max(fraction, min(0.999, fraction + 0.1))) >= delay_s


def test_twelve_attempts_spread_over_about_a_day() -> None:
    """The mean of the schedule's sum is between half a day and two days."""
    mean_s = sum(retry_delay_s(attempt, 0.5) for attempt in range(1, MAX_ATTEMPTS))
    assert MAX_ATTEMPTS == 12
    assert 12 * 3600 < mean_s < 48 * 3600


def test_an_event_is_never_tried_before_its_time_and_always_when_it_has_come(world: World) -> None:
    """At each of the twelve attempts: nothing a moment before it is due, one attempt when it is; then it is dead."""
    event_id, handler = failing(world, NEVER)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert world.shop.run_due() == 1
        assert handler.calls == world.inbox(event_id).attempts == attempt
        due_s = next_due_s(world)
        if attempt == MAX_ATTEMPTS:
            break
        assert due_s is not None
        assert due_s <= min(12 * 3600, 2 * 3**attempt)
        if due_s > 3:
            world.advance(due_s - 3)
            assert world.shop.run_due() == 0
        world.advance(min(due_s, 3) + 0.1)
    row = world.inbox(event_id)
    assert (row.state, row.attempts, due_s) == (InboxState.DEAD, MAX_ATTEMPTS, None)
    assert "ArithmeticError" in str(row.error)
    assert (world.effects(), world.published()) == ([], [])
    assert world.ready()["deadLetters"] == 1


def test_a_failing_handler_that_recovers_is_run_until_it_has_succeeded_once(world: World) -> None:
    """Five failures, one effect, and never again."""
    event_id, handler = failing(world, 5)
    world.drain()
    world.drain()
    row = world.inbox(event_id)
    assert (row.state, row.attempts, handler.calls) == (InboxState.DONE, 6, 6)
    assert len(world.effects()) == len(world.published()) == 1


def test_a_dead_letters_neighbours_are_not_affected(world: World) -> None:
    """One payment's handler fails for ever; the others' are done at once."""
    handler = Failing(0)

    def fails_for_one(event: PaymentSuccessful, _: object) -> None:
        if event.payment_intent_id == "pi_poison":
            handler.left = 1
            handler()

    world.on(PaymentSuccessful, fails_for_one)
    world.note_effects(PaymentSuccessful)
    names = ("pi_1", "pi_poison", "pi_2")
    sent = {
        name: world.deliver(DONE, own_session(world, world.checkout(), payment_intent=name))  # type: ignore[arg-type]
        for name in names
    }
    world.shop.work()
    assert [world.inbox(sent[name]).state for name in ("pi_1", "pi_2")] == [InboxState.DONE] * 2
    world.drain()
    assert world.inbox(sent["pi_poison"]).state is InboxState.DEAD
    assert len(world.effects()) == 2


def test_an_event_that_kills_its_worker_runs_out_of_attempts(world: World) -> None:
    """Attempts are counted before anything runs: after twelve dead workers no thirteenth one is sent after them."""
    event_id, handler = failing(world, 0)
    store = world.shop.payments.core.store
    for attempt in range(1, MAX_ATTEMPTS + 1):
        (claimed,) = world.shop.wait(store.claim(limit=20, lease_s=LEASE_S))
        assert claimed.attempt == attempt
        world.advance(LEASE_S * LATE_LEASES + 1)
    world.shop.work()
    assert (world.inbox(event_id).state, handler.calls) == (InboxState.DEAD, 0)


@pytest.mark.parametrize("change", [{"livemode": DROPPED}, {"created": DROPPED, "api_version": DROPPED}, {}])
def test_types_that_nobody_knows_are_acknowledged(world: World, change: dict[str, object]) -> None:
    """200, done in one attempt, no payment, no question to Stripe; fields that are absent are unknown, not wrong."""
    event_id = world.hear("radar.early_fraud_warning.created", {"id": "issfr_1"}, **change)
    row = world.inbox(event_id)
    assert (row.state, row.attempts) == (InboxState.DONE, 1)
    assert (world.gateway.calls, world.database.payments()) == ([], {})


def test_an_event_that_can_never_be_read_is_dead_at_once(world: World) -> None:
    """No attempt would make it readable; it is kept and shown."""
    event_id = world.hear(DONE, {"object": "checkout.session"})
    assert (world.inbox(event_id).state, world.ready()["deadLetters"]) == (InboxState.DEAD, 1)


def test_a_dead_letter_comes_back_when_it_is_replayed(world: World) -> None:
    """Ready at once, with all attempts before it, and its effect is there once; a handled event is not replayed."""
    event_id, handler = failing(world, MAX_ATTEMPTS)
    world.drain()
    assert (world.inbox(event_id).state, handler.calls, world.effects()) == (InboxState.DEAD, MAX_ATTEMPTS, [])
    assert replayed(world, event_id) is ReplayOutcome.REPLAYED
    assert (world.inbox(event_id).state, world.inbox(event_id).attempts) == (InboxState.READY, 0)
    assert world.shop.run_due() == 1
    assert (world.inbox(event_id).state, len(world.effects())) == (InboxState.DONE, 1)
    assert replayed(world, event_id) is ReplayOutcome.NOT_DEAD
    world.drain()
    assert len(world.effects()) == len(world.published()) == 1


def replayed(world: World, event_id: str) -> ReplayOutcome:
    """What `payments events replay` does."""
    records = world.shop.payments.core.store.records
    answer = world.shop.wait(replay(records, event_id, Which()))
    return ReplayOutcome(answer.outcome)
