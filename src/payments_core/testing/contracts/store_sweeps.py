"""What a reconciliation looks up and remembers: `Store.sweeps`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs

from payments_core.domain.delivery import ReceivedEvent
from payments_core.domain.payment import PaymentState
from payments_core.domain.refs import Ref
from payments_core.ports import Selection
from payments_core.testing.contracts.examples import claim_one, finish, payment, received
from payments_core.testing.contracts.store_world import StoreWorld, scenario

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)


class SweepsContract:
    """Obligations of `Sweeps`."""

    @scenario
    async def test_a_sweep_never_goes_back(self, world: StoreWorld) -> None:
        """Each name by itself, exact to the microsecond, seen by other processes."""
        store, other = await world.open(), await world.open()
        moment = datetime(2026, 11, 23, 12, 0, 0, 123457, tzinfo=UTC)
        assert await store.sweeps.swept_until("event/own/test") is None
        await store.sweeps.advance("event/own/test", moment)
        await other.sweeps.advance("event/own/test", moment - timedelta(hours=1))
        assert await other.sweeps.swept_until("event/own/test") == moment
        await other.sweeps.advance("event/own/test", moment + timedelta(hours=1))
        assert await store.sweeps.swept_until("event/own/test") == moment + timedelta(hours=1)
        assert await store.sweeps.swept_until("event/own/live") is None

    @scenario
    async def test_several_advance_at_once(self, world: StoreWorld) -> None:
        """The furthest wins, whoever comes last."""
        stores = [await world.open() for _ in range(3)]
        moments = [FAR_AHEAD - timedelta(days=days) for days in (2, 0, 1)]
        await world.together(
            *(store.sweeps.advance("event/own/test", moment) for store, moment in zip(stores, moments, strict=True))
        )
        assert await stores[0].sweeps.swept_until("event/own/test") == FAR_AHEAD

    @scenario
    async def test_held_events_are_found_under_the_account_and_under_none(self, world: StoreWorld) -> None:
        """In any mode and state; another account's are not."""
        store = await world.open()
        for name, account, livemode in (("a", None, False), ("b", "acct_1", True), ("c", "acct_2", False)):
            await store.receive(ReceivedEvent(name, "charge.succeeded", b"{}", account, livemode))
        await store.receive(ReceivedEvent("d", "charge.succeeded", b"{}", None, None, unreadable="it is no JSON"))
        asked = ["a", "b", "c", "d", "none"]
        assert await store.sweeps.held(asked, account="acct_1") == {"a", "b", "d"}
        assert await store.sweeps.held(asked, account=None) == {"a", "d"}
        assert await store.sweeps.held([], account=None) == frozenset()

    @scenario
    async def test_payments_are_known_by_id_and_by_every_name(self, world: StoreWorld) -> None:
        """Many at once; another mode's and account's names are not ours."""
        store = await world.open()
        refs = {f"p{number}": [Ref("session", f"cs_{number}"), Ref("charge", f"ch_{number}")] for number in range(5)}
        for name, names in refs.items():
            await store.adopt(payment(name), names)
        await store.adopt(payment("live", livemode=True), [Ref("session", "cs_live")])
        wanted = [ref for names in refs.values() for ref in names] + [Ref("invoice", "cs_1"), Ref("session", "cs_live")]
        known = await store.sweeps.known(["p1", "none"], wanted, account=None, livemode=False)
        assert {ref: found.payment_id for ref, found in known.by_ref.items()} == {
            ref: name for name, names in refs.items() for ref in names
        }
        assert {name: found.payment_id for name, found in known.by_id.items()} == {"p1": "p1"}
        nothing = await store.sweeps.known([], [], account="acct_1", livemode=False)
        assert (dict(nothing.by_id), dict(nothing.by_ref)) == ({}, {})

    @scenario
    async def test_what_waits_is_given_in_pages_with_its_body(self, world: StoreWorld) -> None:
        """Ready, leased and parked events, and neither handled ones nor dead letters."""
        store = await world.open()
        for name in ("done", "dead"):
            await store.receive(received(name))
            claimed = await claim_one(store)
            assert await (finish(store, claimed) if name == "done" else store.bury(claimed, "it failed"))
        await store.receive(received("parked"))
        parked = await claim_one(store)
        assert await store.let_go(parked, delay_s=5000, reason="waits", counted=False, parked=True)
        await store.receive(received("leased"))
        await claim_one(store)
        await store.receive(ReceivedEvent("ready", "charge.succeeded", b'{"x": 1}', "acct_1", True))
        first = await store.sweeps.waiting(after=0, limit=2)
        rest = await store.sweeps.waiting(after=first[-1].seq, limit=2)
        assert [entry.event_id for entry in (*first, *rest)] == ["parked", "leased", "ready"]
        [ready] = rest
        assert (ready.body, ready.account, ready.livemode, ready.type) == (
            b'{"x": 1}',
            "acct_1",
            True,
            "charge.succeeded",
        )
        assert first[0].last_error == "waits"
        assert ready.received_at.tzinfo is not None

    @scenario
    async def test_told_events_are_of_the_types_and_the_time(self, world: StoreWorld) -> None:
        """In whatever state, in the order of arrival, in pages."""
        store = await world.open()
        for number, kind in enumerate(("refund.created", "charge.succeeded", "refund.updated", "refund.created")):
            await store.receive(ReceivedEvent(f"evt_{number}", kind, b"{}", None, False))
        types = ("refund.created", "refund.updated")
        first = await store.sweeps.told(types, since=LONG_AGO, after=0, limit=2)
        rest = await store.sweeps.told(types, since=LONG_AGO, after=first[-1].seq, limit=2)
        assert [entry.event_id for entry in (*first, *rest)] == ["evt_0", "evt_2", "evt_3"]
        assert await store.sweeps.told(types, since=FAR_AHEAD, after=0, limit=2) == []

    @scenario
    async def test_payments_are_selected_by_state_time_account_and_mode(self, world: StoreWorld) -> None:
        """The window is half-open; pages follow the id."""
        store = await world.open()
        begun = datetime(2026, 11, 1, tzinfo=UTC)
        for name, hours in (("a", 0), ("b", 1), ("c", 2), ("d", 3)):
            await store.add_payment(attrs.evolve(payment(name), created_at=begun + timedelta(hours=hours)))
        settled = attrs.evolve(payment("e"), created_at=begun, state=PaymentState.SETTLED)
        for other in (settled, attrs.evolve(settled, payment_id="f", account="acct_1")):
            await store.add_payment(other)
        wanted = Selection((PaymentState.OPEN,), begun, begun + timedelta(hours=3), None, livemode=False)
        first = await store.sweeps.payments(wanted, after="", limit=2)
        rest = await store.sweeps.payments(wanted, after="b", limit=2)
        assert [one.payment_id for one in (*first, *rest)] == ["a", "b", "c"]
        both = attrs.evolve(wanted, states=(PaymentState.OPEN, PaymentState.SETTLED))
        assert [one.payment_id for one in await store.sweeps.payments(both, after="b", limit=9)] == ["c", "e"]
        theirs = attrs.evolve(both, account="acct_1")
        assert [one.payment_id for one in await store.sweeps.payments(theirs, after="", limit=9)] == ["f"]
        assert await store.sweeps.payments(attrs.evolve(both, livemode=True), after="", limit=9) == []
