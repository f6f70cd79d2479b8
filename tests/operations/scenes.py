"""What the operators of these tests find in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import attrs

from payments_core.domain.delivery import ClaimedEvent, ReceivedEvent
from payments_core.domain.payment import Payment, PaymentState
from payments_core.drive import run_blocking
from payments_core.ports import EventRecord, Store
from payments_core.testing.contracts.examples import MOMENT, outgoing, payment

#: Stands in bodies and payments; must be printed by nothing but `show --body`.
CANARY = "buyer-4711@example.test"
BODY = f'{{"email": "{CANARY}"}}'.encode()
PAYMENT = "0f8fad5b-d9cb-469f-a165-70867728950e"


def receive(store: Store, event_id: str, *, kind: str = "checkout.session.completed", **more: object) -> None:
    """Store an event."""
    values: dict[str, object] = {"body": BODY, "livemode": False, **more}
    assert run_blocking(store.receive(ReceivedEvent(event_id, kind, **values)))  # type: ignore[arg-type]


def claim(store: Store) -> ClaimedEvent:
    """Lease the one event that is due."""
    [claimed] = run_blocking(store.claim(limit=1, lease_s=1000))
    return claimed


def bury(store: Store, event_id: str, reason: str = "it failed", **more: object) -> None:
    """Make a dead letter. Nothing else may be due."""
    receive(store, event_id, **more)  # type: ignore[arg-type]
    assert run_blocking(store.bury(claim(store), reason))


def bury_unreadable(store: Store, event_id: str = "unreadable_1") -> None:
    """Store a body that nobody can read."""
    receive(store, event_id, kind="unreadable", livemode=None, unreadable="The body is no JSON object.")


def settle(store: Store, event_id: str, payment_id: str = PAYMENT) -> None:
    """An event that settled a payment after a declined attempt. Nothing else may be due."""
    known = attrs.evolve(payment(payment_id), customer_email=CANARY, currency="usd")
    run_blocking(store.add_payment(known))
    receive(store, event_id)
    claimed = claim(store)

    async def handle() -> None:
        assert await store.assign_lane(claimed, payment_id)
        async with store.transaction() as tx:
            assert await tx.stamp_done(claimed)
            assert await tx.record(payment_id, "attempt_failed", "ch_1", f"{payment_id} declined", "card_declined")
            assert await tx.record(payment_id, "settled", "", f"{payment_id} paid")
            settled = {"state": PaymentState.SETTLED, "amount_minor": 5998, "settled_at": MOMENT}
            await tx.save_payment(attrs.evolve(known, **settled))
            await tx.enqueue([attrs.evolve(outgoing(f"{payment_id} paid"), payload=CANARY, payment_id=payment_id)])

    run_blocking(handle())


def give_back(store: Store, event_id: str, *, parked: bool, delay_s: float = 7000) -> None:
    """An event that waits. Nothing else may be due."""
    receive(store, event_id)
    let_go = store.let_go(claim(store), delay_s=delay_s, reason="it waits", counted=not parked, parked=parked)
    assert run_blocking(let_go)


def only(store: Store, event_id: str) -> EventRecord:
    """The one event of that id."""
    [found] = run_blocking(store.records.named(event_id)).events
    return found


def states(store: Store, *event_ids: str) -> Sequence[str]:
    """Their states, by name."""
    return [only(store, event_id).state.name.lower() for event_id in event_ids]


def settled(payment_id: str, when: datetime, minor: int, currency: str = "usd", **more: object) -> Payment:
    """A payment that was begun and settled at `when`."""
    values = {"created_at": when, "settled_at": when, "amount_minor": minor, "currency": currency, **more}
    return attrs.evolve(payment(payment_id), state=PaymentState.SETTLED, **values)
