"""Transactions: everything that must hold together."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from payments_core.domain.delivery import ClaimedEvent
from payments_core.domain.payment import Payment, PaymentState
from payments_core.domain.refs import Ref
from payments_core.errors import StoreUnavailable
from payments_core.ports import Advance, Store, StoreTransaction
from payments_core.testing.contracts.examples import claim_one, full_payment, outgoing, payment, received
from payments_core.testing.contracts.store_world import StoreWorld, scenario


class Stop(Exception):
    """What a failing handler raises."""


class TransactionContract:
    """Obligations around `Store.transaction`."""

    @scenario
    async def test_all_writes_commit_together(self, world: StoreWorld) -> None:
        """After the block, everything is there for everybody."""
        store = await world.open()
        await store.add_payment(payment("p1"))
        await self._write_everything(store, None)
        other = await world.open()
        found = await other.find_payment([Ref("charge", "ch_1")], account=None, livemode=False)
        assert found is not None
        assert found.state is PaymentState.SETTLED
        assert await other.recent_events(10) == ["told"]
        assert not await other.claim(limit=10, lease_s=30)
        async with other.transaction() as tx:
            assert not await tx.record("p1", "settled", "", "fact-1")

    @scenario
    async def test_nothing_is_written_when_the_block_raises(self, world: StoreWorld) -> None:
        """The error passes unchanged, and all is as before but for the attempt."""
        store = await world.open()
        await store.add_payment(payment("p1"))
        error, raised = Stop(), None
        try:
            await self._write_everything(store, error)
        except Stop as stopped:
            raised = stopped
        assert raised is error
        assert await store.payment("p1") == payment("p1")
        assert await store.find_payment([Ref("charge", "ch_1")], account=None, livemode=False) is None
        assert await store.recent_events(10) == []
        await world.pass_time(31)
        assert (await claim_one(store)).attempt == 2
        async with store.transaction() as tx:
            assert await tx.record("p1", "settled", "", "fact-1")

    async def _write_everything(self, store: Store, error: Exception | None) -> None:
        await store.receive(received("evt_1"))
        claimed = await claim_one(store)
        async with store.transaction() as tx:
            assert await tx.stamp_done(claimed)
            known = await tx.lock_payment("p1")
            assert await tx.record("p1", "settled", "", "fact-1")
            await tx.save_payment(attrs.evolve(known, state=PaymentState.SETTLED))
            await tx.add_refs("p1", [Ref("charge", "ch_1")])
            await tx.enqueue([outgoing("fact-1", payload="told")])
            await tx.flush()
            if error is not None:
                raise error

    @scenario
    async def test_a_lost_lease_cannot_be_stamped(self, world: StoreWorld) -> None:
        """The fencing token: who was overtaken completes nothing, and who overtook does."""
        store = await world.open()
        await store.receive(received("evt_1"))
        first = await claim_one(store, lease_s=10)
        await world.pass_time(11)
        second = await claim_one(store)
        assert [await self._stamp(store, claimed) for claimed in (first, second, second)] == [False, True, False]

    async def _stamp(self, store: Store, claimed: ClaimedEvent) -> bool:
        async with store.transaction() as tx:
            return await tx.stamp_done(claimed)

    @scenario
    async def test_an_event_is_stamped_and_its_payment_locked_in_one_step(self, world: StoreWorld) -> None:
        """Who holds the lease gets the payment as it is now; who lost it gets nothing, and stamps nothing."""
        store = await world.open()
        await store.add_payment(payment("p1"))
        await store.receive(received("evt_1"))
        first = await claim_one(store, lease_s=10)
        await world.pass_time(11)
        second = await claim_one(store)
        async with store.transaction() as tx:
            assert await tx.stamp_and_lock(first, "p1") is None
        async with store.transaction() as tx:
            assert await tx.stamp_and_lock(second, "p1") == payment("p1")
        assert not await self._stamp(store, second)

    @scenario
    async def test_an_event_of_an_unknown_payment_is_not_stamped(self, world: StoreWorld) -> None:
        """A payment that is gone is told by LookupError, and the event is still to be handled."""
        store = await world.open()
        await store.receive(received("evt_1"))
        claimed, told = await claim_one(store), False
        try:
            async with store.transaction() as tx:
                await tx.stamp_and_lock(claimed, "nobody")
        except LookupError:
            told = True
        assert told
        assert await self._stamp(store, claimed)

    @scenario
    async def test_an_advance_writes_the_fact_and_all_that_goes_with_it(self, world: StoreWorld) -> None:
        """The transition, the payment as it is afterwards, its names and what is to be told, in its order."""
        store = await world.open()
        await store.add_payment(payment("p1"))
        change = self._change(amount_minor=5998, refs=["ch_2", "ch_1"], told=["e1", "e2"])
        assert await self._advance(store, change)
        assert await store.payment("p1") == change.payment
        for charge in ("ch_1", "ch_2"):
            assert await store.find_payment([Ref("charge", charge)], account=None, livemode=False) == change.payment
        assert await store.recent_events(10) == ["e2", "e1"]
        history = await store.records.history("p1")
        assert history is not None
        told = [(fact.transition, fact.discriminator, fact.event_id, fact.reason) for fact in history.transitions]
        assert told == [("settled", "", "fact-1", "for a reason")]

    @scenario
    async def test_a_fact_that_is_known_writes_nothing_at_all(self, world: StoreWorld) -> None:
        """The second advance is told so; payment, names and outgoing events are as the first left them."""
        store = await world.open()
        await store.add_payment(payment("p1"))
        first = self._change(amount_minor=5998, refs=["ch_1"], told=["e1"])
        assert await self._advance(store, first)
        assert not await self._advance(store, self._change(amount_minor=1, refs=["ch_2"], told=["e2"]))
        assert await store.payment("p1") == first.payment
        assert await store.find_payment([Ref("charge", "ch_2")], account=None, livemode=False) is None
        assert await store.recent_events(10) == ["e1"]

    @scenario
    async def test_an_advance_may_write_the_fact_alone(self, world: StoreWorld) -> None:
        """Nothing changed in the payment, no name is new, nothing to tell."""
        store = await world.open()
        await store.adopt(payment("p1"), [Ref("session", "cs_1")])
        assert await self._advance(store, self._change(refs=[]))
        assert await store.payment("p1") == payment("p1")
        assert await store.recent_events(10) == []

    @scenario
    async def test_an_advance_leaves_taken_names_where_they_are(self, world: StoreWorld) -> None:
        """A name of another payment stays with it, and is no error."""
        store = await world.open()
        await store.add_payment(payment("p1"))
        await store.adopt(payment("p2"), [Ref("charge", "ch_1")])
        assert await self._advance(store, self._change(refs=["ch_1", "ch_2"]))
        owners = [
            await store.find_payment([Ref("charge", charge)], account=None, livemode=False)
            for charge in ("ch_1", "ch_2")
        ]
        assert [owner.payment_id for owner in owners if owner is not None] == ["p2", "p1"]

    def _change(self, *, amount_minor: int | None = None, refs: Sequence[str], told: Sequence[str] = ()) -> Advance:
        return Advance(
            payment=attrs.evolve(payment("p1"), amount_minor=amount_minor),
            transition="settled",
            discriminator="",
            event_id="fact-1",
            reason="for a reason",
            refs=[Ref("charge", charge) for charge in refs],
            outgoing=[outgoing(event_id, payload=event_id) for event_id in told],
        )

    async def _advance(self, store: Store, change: Advance) -> bool:
        async with store.transaction() as tx:
            await tx.lock_payment("p1")
            return await tx.advance(change)

    @scenario
    async def test_a_payment_that_is_as_it_was_seen_is_stamped_and_advanced_at_once(self, world: StoreWorld) -> None:
        """The event is handled, and all that goes with the fact is written."""
        store = await world.open()
        await store.add_payment(payment("p1"))
        await store.receive(received("evt_1"))
        claimed, change = await claim_one(store), self._change(amount_minor=5998, refs=["ch_1"], told=["e1", "e2"])
        assert await self._at_once(store, claimed, change)
        assert await store.payment("p1") == change.payment
        assert await store.find_payment([Ref("charge", "ch_1")], account=None, livemode=False) == change.payment
        assert await store.recent_events(10) == ["e2", "e1"]
        assert not await self._stamp(store, claimed)

    @scenario
    async def test_a_payment_that_was_written_since_it_was_seen_is_not_advanced(self, world: StoreWorld) -> None:
        """Whatever was written to it; the event can still be handled, on the payment as it is now."""
        store = await world.open()
        await store.adopt(payment("p1"), [Ref("session", "cs_1")])
        await store.receive(received("evt_1"))
        claimed, seen = await claim_one(store), await store.payment("p1")
        assert seen is not None
        async with store.transaction() as tx:
            await tx.save_payment(attrs.evolve(await tx.lock_payment("p1"), payment_intent_id="pi_1"))
        change = self._change(amount_minor=5998, refs=["ch_1"], told=["e1"])
        assert not await self._at_once(store, claimed, change, seen=seen)
        found = await store.payment("p1")
        assert found is not None
        assert (found.amount_minor, found.payment_intent_id) == (None, "pi_1")
        assert await store.recent_events(10) == []
        assert await self._at_once(store, claimed, change)

    @scenario
    async def test_a_payment_that_was_only_locked_since_it_was_seen_is_advanced(self, world: StoreWorld) -> None:
        """Who looked at it under its lock and changed nothing is in nobody's way."""
        store = await world.open()
        await store.add_payment(payment("p1"))
        await store.receive(received("evt_1"))
        claimed, seen = await claim_one(store), await store.payment("p1")
        async with store.transaction() as tx:
            await tx.lock_payment("p1")
        assert await self._at_once(store, claimed, self._change(refs=[], told=["e1"]), seen=seen)

    @scenario
    async def test_a_lost_lease_is_not_advanced(self, world: StoreWorld) -> None:
        """The fencing token: who was overtaken writes nothing, and who overtook does."""
        store = await world.open()
        await store.add_payment(payment("p1"))
        await store.receive(received("evt_1"))
        first = await claim_one(store, lease_s=10)
        await world.pass_time(11)
        second, change = await claim_one(store), self._change(amount_minor=5998, refs=[], told=["e1"])
        assert not await self._at_once(store, first, change)
        assert await store.payment("p1") == payment("p1")
        assert await self._at_once(store, second, change)
        assert await store.recent_events(10) == ["e1"]

    @scenario
    async def test_a_known_fact_is_not_advanced_again(self, world: StoreWorld) -> None:
        """The event is still to be handled, and payment, names and outgoing events are as the first left them."""
        store = await world.open()
        await store.add_payment(payment("p1"))
        first = self._change(amount_minor=5998, refs=["ch_1"], told=["e1"])
        assert await self._advance(store, first)
        await store.receive(received("evt_1"))
        claimed = await claim_one(store)
        assert not await self._at_once(store, claimed, self._change(amount_minor=1, refs=["ch_2"], told=["e2"]))
        assert await store.payment("p1") == first.payment
        assert await store.find_payment([Ref("charge", "ch_2")], account=None, livemode=False) is None
        assert await store.recent_events(10) == ["e1"]
        assert await self._stamp(store, claimed)

    @scenario
    async def test_of_those_who_advance_at_once_at_the_same_time_one_does(self, world: StoreWorld) -> None:
        """Eight events of one payment, all with what they saw before: one writes, and its event alone goes out."""
        stores = [await world.open() for _ in range(4)]
        await stores[0].add_payment(payment("p1"))
        for number in range(8):
            await stores[0].receive(received(f"evt_{number}"))
        claims = await stores[0].claim(limit=8, lease_s=30)
        seen = await stores[0].payment("p1")

        async def settle(index: int) -> bool:
            await world.breathe()
            change = self._change(amount_minor=5998, refs=[], told=[f"e{index}"])
            return await self._at_once(stores[index % 4], claims[index], change, seen=seen)

        assert sorted(await world.together(*map(settle, range(8)))) == [False] * 7 + [True]
        assert len(await stores[0].recent_events(10)) == 1

    async def _at_once(
        self, store: Store, claimed: ClaimedEvent, change: Advance, *, seen: Payment | None = None
    ) -> bool:
        """Whether it was done; if not, undone as the flow undoes it."""
        known = seen or await store.payment("p1")
        assert known is not None
        change = attrs.evolve(change, payment=attrs.evolve(known, amount_minor=change.payment.amount_minor))
        try:
            async with store.transaction() as tx:
                if not await tx.stamp_and_advance(claimed, known, change):
                    raise Stop
        except (Stop, StoreUnavailable):
            return False
        return True

    @scenario
    async def test_a_stamp_that_is_rolled_back_is_no_stamp(self, world: StoreWorld) -> None:
        """The event is still leased by the same claim, which may try again."""
        store = await world.open()
        await store.receive(received("evt_1"))
        claimed = await claim_one(store)
        try:
            async with store.transaction() as tx:
                assert await tx.stamp_done(claimed)
                raise Stop
        except Stop:
            pass
        assert await self._stamp(store, claimed)

    @scenario
    async def test_a_locked_payment_is_current_and_exclusive(self, world: StoreWorld) -> None:
        """Twenty read-add-write rounds at the same time lose none."""
        stores = [await world.open() for _ in range(4)]
        await stores[0].add_payment(attrs.evolve(payment("p1"), amount_minor=0))

        async def add(store: Store) -> None:
            for _ in range(5):
                async with store.transaction() as tx:
                    known = await tx.lock_payment("p1")
                    await world.breathe()
                    await tx.save_payment(attrs.evolve(known, amount_minor=(known.amount_minor or 0) + 1))

        await world.together(*map(add, stores))
        found = await stores[0].payment("p1")
        assert found is not None
        assert found.amount_minor == 20

    @scenario
    async def test_a_payment_can_be_locked_twice_in_one_transaction(self, world: StoreWorld) -> None:
        """The second time it is as this transaction has written it."""
        store = await world.open()
        await store.add_payment(payment("p1"))
        async with store.transaction() as tx:
            known = await tx.lock_payment("p1")
            await tx.save_payment(attrs.evolve(known, user_id="u1"))
            assert (await tx.lock_payment("p1")).user_id == "u1"

    @scenario
    async def test_an_unknown_payment_is_told_apart(self, world: StoreWorld) -> None:
        """Locking, saving or naming a payment that was never stored raises LookupError, and stores nothing."""
        store = await world.open()

        async def lock(tx: StoreTransaction) -> None:
            await tx.lock_payment("nobody")

        async def save(tx: StoreTransaction) -> None:
            await tx.save_payment(payment("nobody"))

        async def name(tx: StoreTransaction) -> None:
            await tx.add_refs("nobody", [Ref("charge", "ch_1")])

        told = 0
        for action in (lock, save, name):
            try:
                async with store.transaction() as tx:
                    await action(tx)
            except LookupError:
                told += 1
        assert told == 3
        assert await store.find_payment([Ref("charge", "ch_1")], account=None, livemode=False) is None

    @scenario
    async def test_saving_writes_every_field(self, world: StoreWorld) -> None:
        """Whatever changed is there afterwards, also where it became None."""
        store = await world.open()
        full = full_payment("p1")
        bare = attrs.evolve(payment("p1", account="acct_1", livemode=True), origin="foreign")
        await store.add_payment(bare)
        for version in (full, bare, full):
            async with store.transaction() as tx:
                await tx.lock_payment("p1")
                await tx.save_payment(version)
            assert await store.payment("p1") == version

    @scenario
    async def test_names_that_are_taken_stay_as_they_are(self, world: StoreWorld) -> None:
        """Adding a name that another payment has, or this one already, changes nothing and is no error."""
        store = await world.open()
        await store.adopt(payment("p1"), [Ref("session", "cs_1")])
        await store.adopt(payment("p2"), [Ref("session", "cs_2")])
        for _ in range(2):
            async with store.transaction() as tx:
                await tx.add_refs("p2", [Ref("session", "cs_1"), Ref("session", "cs_2"), Ref("charge", "ch_2")])
        for ref, expected in (
            (Ref("session", "cs_1"), "p1"),
            (Ref("session", "cs_2"), "p2"),
            (Ref("charge", "ch_2"), "p2"),
        ):
            found = await store.find_payment([ref], account=None, livemode=False)
            assert found is not None
            assert found.payment_id == expected

    @scenario
    async def test_a_fact_is_recorded_once(self, world: StoreWorld) -> None:
        """Payment, transition and discriminator together are the fact; the same again is refused, another is not."""
        store = await world.open()
        for payment_id in ("p1", "p2"):
            await store.add_payment(payment(payment_id))
        facts = [(payment_id, name, part) for payment_id in ("p1", "p2") for name in ("a", "b") for part in ("", "c")]
        async with store.transaction() as tx:
            assert all([await tx.record(*fact, "event-1") for fact in facts])
            assert not any([await tx.record(*fact, "event-2") for fact in facts])
        async with store.transaction() as tx:
            assert not any([await tx.record(*fact, "event-3") for fact in facts])

    @scenario
    async def test_of_those_who_record_at_the_same_time_one_does(self, world: StoreWorld) -> None:
        """Under the payment's lock exactly one of eight records the fact, and its event alone goes out."""
        stores = [await world.open() for _ in range(4)]
        await stores[0].add_payment(payment("p1"))

        async def settle(store: Store) -> bool:
            async with store.transaction() as tx:
                await tx.lock_payment("p1")
                await world.breathe()
                first = await tx.record("p1", "settled", "", "fact-1")
                if first:
                    await tx.enqueue([outgoing("fact-1")])
                return first

        assert sorted(await world.together(*map(settle, stores * 2))) == [False] * 7 + [True]
        assert len(await stores[0].recent_events(10)) == 1

    @scenario
    async def test_recording_without_the_lock_is_still_once(self, world: StoreWorld) -> None:
        """Who comes second is told so, or has to try again; never are there two."""
        stores = [await world.open() for _ in range(4)]
        await stores[0].add_payment(payment("p1"))

        async def settle(store: Store) -> bool:
            try:
                async with store.transaction() as tx:
                    first = await tx.record("p1", "settled", "", "fact-1")
                    await world.breathe()
            except StoreUnavailable:
                return False
            return first

        assert sum(await world.together(*map(settle, stores))) == 1

    @scenario
    async def test_outgoing_events_are_shown_newest_first(self, world: StoreWorld) -> None:
        """In the order in which they were put in, across transactions and within one."""
        store = await world.open()
        for first in (0, 3):
            async with store.transaction() as tx:
                await tx.enqueue([outgoing(f"e{number}", payload=str(number)) for number in range(first, first + 3)])
        assert await store.recent_events(4) == ["5", "4", "3", "2"]
        assert len(await store.recent_events(100)) == 6

    @scenario
    async def test_an_outgoing_event_goes_in_once(self, world: StoreWorld) -> None:
        """A second row of one event id is a mistake that must not pass: the transaction fails."""
        store = await world.open()
        failed = False
        try:
            for _ in range(2):
                async with store.transaction() as tx:
                    await tx.enqueue([outgoing("e1")])
        except StoreUnavailable:
            failed = True
        assert failed
        assert len(await store.recent_events(10)) == 1

    @scenario
    async def test_flushing_nothing_is_fine(self, world: StoreWorld) -> None:
        """A handler that never touched the session leaves nothing to send."""
        store = await world.open()
        async with store.transaction() as tx:
            await tx.flush()
        assert await store.recent_events(10) == []
