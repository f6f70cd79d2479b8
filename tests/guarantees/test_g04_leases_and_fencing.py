"""G4: a dead worker's lease expires and its event is taken again; the dead one cannot complete it later.

A worker that stops in the middle is one that waits for Stripe: everything in `meanwhile` happens while it waits.
"""

from __future__ import annotations

from typing import Any

import pytest

from payments_core import PaymentSuccessful
from payments_core.domain.delivery import LATE_LEASES, LEASE_S, InboxState
from tests.flows.shop import intent, own_intent, own_session
from tests.guarantees.deployment import Deployment
from tests.guarantees.world import DONE, World

WAKE_UP = "payment_intent.succeeded"


@pytest.fixture
def other(world: World) -> Deployment:
    """A second worker, with the same handler as the first."""
    deployment = world.deploy()
    for one in (world.shop, deployment):
        world.note_effects(PaymentSuccessful, "customer.created", deployment=one)
    return deployment


def wake_up(world: World) -> str:
    """A paid payment whose news makes its worker ask Stripe; the event's id."""
    opened = world.checkout()
    own_session(world, opened)  # type: ignore[arg-type]
    return world.deliver(WAKE_UP, own_intent(world, opened, intent()))  # type: ignore[arg-type]


def claim(deployment: Deployment) -> list[Any]:
    """What a worker takes that dies before it does anything."""
    return list(deployment.wait(deployment.payments.core.store.claim(limit=20, lease_s=LEASE_S)))


def test_a_dead_workers_event_is_taken_again_when_its_lease_is_over(world: World, other: Deployment) -> None:
    """Not a moment before: until then it may be alive."""
    event_id = wake_up(world)
    assert [one.event_id for one in claim(world.shop)] == [event_id]
    world.advance(LEASE_S - 3)
    assert other.run_due() == 0
    assert world.effects() == []
    world.advance(4)
    assert other.run_due() == 1
    row = world.inbox(event_id)
    assert (row.state, row.attempts, len(world.effects())) == (InboxState.DONE, 2, 1)


def test_a_worker_paused_past_its_lease_cannot_complete_what_another_has_completed(
    world: World, other: Deployment
) -> None:
    """While it waits for Stripe its lease ends and the other worker does it all; it goes on, and changes nothing."""
    event_id = wake_up(world)
    taken: list[int] = []

    def meanwhile() -> None:
        world.advance(LEASE_S + 1)
        taken.append(other.run_due())

    world.gateway.meanwhile = meanwhile
    assert world.shop.run_due() == 1
    assert taken == [1]
    assert (world.inbox(event_id).state, len(world.effects()), len(world.published())) == (InboxState.DONE, 1, 1)


def test_a_worker_paused_past_its_lease_cannot_complete_what_another_has_taken(world: World, other: Deployment) -> None:
    """The event is leased by the other and not completed: the token refuses the first one, whose handler never runs."""
    event_id = wake_up(world)
    taken: list[Any] = []

    def meanwhile() -> None:
        world.advance(LEASE_S + 1)
        taken.extend(claim(other))

    world.gateway.meanwhile = meanwhile
    assert world.shop.run_due() == 1
    assert [one.event_id for one in taken] == [event_id]
    assert (world.inbox(event_id).state, world.effects(), world.published()) == (InboxState.LEASED, [], [])
    other.wait(other.payments.core.processing.process(taken[0]))
    assert (world.inbox(event_id).state, len(world.effects()), len(world.published())) == (InboxState.DONE, 1, 1)


def test_a_worker_that_lost_its_lease_cannot_give_the_event_back_or_bury_it(world: World, other: Deployment) -> None:
    """Its failure is of no interest any more: neither the other's lease nor its attempts are touched."""
    event_id = wake_up(world)
    taken: list[Any] = []

    def meanwhile() -> None:
        world.advance(LEASE_S + 1)
        taken.extend(claim(other))
        raise ArithmeticError

    world.gateway.meanwhile = meanwhile
    world.shop.run_due()
    row = world.inbox(event_id)
    assert (row.state, row.attempts, row.error) == (InboxState.LEASED, 2, None)


def test_a_raw_handlers_event_is_fenced_as_well(world: World, other: Deployment) -> None:
    """Events that concern no payment have no lane: the token alone keeps them once."""
    event_id = world.deliver("customer.created", {"id": "cus_1"})
    (stale,) = claim(world.shop)
    world.advance(LEASE_S + 1)
    assert other.run_due() == 1
    world.shop.wait(world.shop.payments.core.processing.process(stale))
    assert world.effects() == [(event_id, "customer.created")]


def test_every_takeover_raises_the_token(world: World, other: Deployment) -> None:
    """Of three workers in a row only the last can complete the event."""
    opened = world.checkout()
    event_id = world.deliver(DONE, own_session(world, opened))  # type: ignore[arg-type]
    claims: list[Any] = []
    for _ in range(3):
        claims += claim(other)
        world.advance(LEASE_S * LATE_LEASES + 1)
    assert [one.token for one in claims] == sorted({one.token for one in claims})
    for stale in claims[:2]:
        other.wait(other.payments.core.processing.process(stale))
        assert (world.inbox(event_id).state, world.effects()) == (InboxState.LEASED, [])
    other.wait(other.payments.core.processing.process(claims[2]))
    assert (world.inbox(event_id).state, len(world.effects())) == (InboxState.DONE, 1)
