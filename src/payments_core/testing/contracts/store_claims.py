"""Claims: leases, fencing tokens, lanes."""

from __future__ import annotations

from payments_core.domain.delivery import ClaimedEvent
from payments_core.ports import Store
from payments_core.testing.contracts.examples import claim_one, finish, put_into_lane, received
from payments_core.testing.contracts.store_world import StoreWorld, scenario


class ClaimContract:
    """Obligations around `claim` and `assign_lane`."""

    @scenario
    async def test_an_event_is_claimed_by_one(self, world: StoreWorld) -> None:
        """A leased event is given to nobody else until its lease runs out."""
        store, other = await world.open(), await world.open()
        await store.receive(received("evt_1"))
        await claim_one(store)
        assert not await store.claim(limit=10, lease_s=30)
        assert not await other.claim(limit=10, lease_s=30)

    @scenario
    async def test_claims_at_the_same_time_share_the_events(self, world: StoreWorld) -> None:
        """Four claimants take everything there is, and nothing twice."""
        stores = [await world.open() for _ in range(4)]
        for number in range(60):
            await stores[0].receive(received(f"evt_{number}"))

        async def take(store: Store) -> list[int]:
            taken: list[int] = []
            for _ in range(8):
                taken += [event.seq for event in await store.claim(limit=4, lease_s=1000)]
                await world.breathe()
            return taken

        taken = [seq for part in await world.together(*map(take, stores)) for seq in part]
        taken += [event.seq for event in await stores[0].claim(limit=100, lease_s=1000)]
        assert len(taken) == len(set(taken)) == 60

    @scenario
    async def test_a_claim_takes_the_oldest_up_to_its_limit(self, world: StoreWorld) -> None:
        """Events come in the order in which they arrived, never more than asked for."""
        store = await world.open()
        for number in range(5):
            await store.receive(received(f"evt_{number}"))
        parts = [await store.claim(limit=2, lease_s=30) for _ in range(4)]
        named = [[event.event_id for event in part] for part in parts]
        assert named == [["evt_0", "evt_1"], ["evt_2", "evt_3"], ["evt_4"], []]

    @scenario
    async def test_an_expired_lease_is_taken_over(self, world: StoreWorld) -> None:
        """A dead worker's event is claimed again, counted again, under a higher token; not before its lease ran out."""
        store = await world.open()
        await store.receive(received("evt_1"))
        first = await claim_one(store, lease_s=100)
        await world.pass_time(50)
        assert not await store.claim(limit=10, lease_s=30)
        await world.pass_time(51)
        second = await claim_one(store)
        assert (first.attempt, second.attempt) == (1, 2)
        assert second.token > first.token

    @scenario
    async def test_what_may_have_ended_its_worker_is_claimed_alone(self, world: StoreWorld) -> None:
        """Events of a claim whose worker died come back one at a time: one cannot use up the others' attempts."""
        store = await world.open()
        for number in range(3):
            await store.receive(received(f"evt_{number}"))
        assert len(await store.claim(limit=10, lease_s=10)) == 3
        await store.receive(received("evt_3"))
        await world.pass_time(11)
        handled: list[list[str]] = []
        while found := await store.claim(limit=10, lease_s=1000):
            handled.append([event.event_id for event in found])
            for event in found:
                assert await finish(store, event)
        assert handled == [["evt_0"], ["evt_1"], ["evt_2"], ["evt_3"]]

    @scenario
    async def test_what_outlasted_its_lease_is_given_four(self, world: StoreWorld) -> None:
        """Its worker may be alive and waiting for Stripe: if others took it over at once, they used up its attempts."""
        store = await world.open()
        await store.receive(received("evt_1"))
        await claim_one(store, lease_s=100)
        await world.pass_time(101)
        late = await claim_one(store, lease_s=100)
        await world.pass_time(350)
        assert not await store.claim(limit=10, lease_s=100)
        await world.pass_time(51)
        assert (await claim_one(store)).attempt == late.attempt + 1

    @scenario
    async def test_an_expired_lease_that_nobody_took_is_still_held(self, world: StoreWorld) -> None:
        """Being late is no harm as long as nobody else has started."""
        store = await world.open()
        await store.receive(received("evt_1"))
        claimed = await claim_one(store, lease_s=10)
        await world.pass_time(11)
        assert await finish(store, claimed)
        assert not await store.claim(limit=10, lease_s=30)

    @scenario
    async def test_two_claims_never_share_a_lane(self, world: StoreWorld) -> None:
        """Of two due events of a lane the older is leased, and the younger only when the lane is free again."""
        store = await world.open()
        await put_into_lane(store, "evt_1", "p1", delay_s=50)
        await put_into_lane(store, "evt_2", "p1", delay_s=50)
        await world.pass_time(51)
        first = await claim_one(store)
        assert (first.event_id, first.lane) == ("evt_1", "p1")
        assert not await store.claim(limit=10, lease_s=30)
        assert await finish(store, first)
        assert (await claim_one(store)).event_id == "evt_2"

    @scenario
    async def test_one_claim_takes_one_event_of_each_lane(self, world: StoreWorld) -> None:
        """Different payments are claimed together; events without a lane hold nobody up."""
        store = await world.open()
        for number in range(6):
            await put_into_lane(store, f"evt_{number}", f"p{number % 2}", delay_s=50)
        await world.pass_time(51)
        await store.receive(received("evt_6"))
        await store.receive(received("evt_7"))
        found = await store.claim(limit=10, lease_s=30)
        assert [event.event_id for event in found] == ["evt_0", "evt_1", "evt_6", "evt_7"]

    @scenario
    async def test_a_leased_lane_is_not_assigned_again(self, world: StoreWorld) -> None:
        """Routing an event to a lane in which another is leased is refused, and leaves the event as it was."""
        store = await world.open()
        await store.receive(received("evt_1"))
        await store.receive(received("evt_2"))
        first, second = await store.claim(limit=10, lease_s=30)
        assert await store.assign_lane(first, "p1")
        assert not await store.assign_lane(second, "p1")
        assert await store.assign_lane(second, "p2")
        assert await finish(store, second)
        assert await finish(store, first)

    @scenario
    async def test_assigning_the_same_lane_again_is_no_conflict(self, world: StoreWorld) -> None:
        """An event that is routed a second time is not in its own way."""
        store = await world.open()
        await store.receive(received("evt_1"))
        claimed = await claim_one(store)
        assert await store.assign_lane(claimed, "p1")
        assert await store.assign_lane(claimed, "p1")

    @scenario
    async def test_of_assignments_at_the_same_time_one_wins(self, world: StoreWorld) -> None:
        """Four events routed to one lane at once: one is in it."""
        stores = [await world.open() for _ in range(4)]
        for number in range(4):
            await stores[0].receive(received(f"evt_{number}"))
        claimed = await stores[0].claim(limit=4, lease_s=1000)
        told = await world.together(
            *(store.assign_lane(event, "p1") for store, event in zip(stores, claimed, strict=True))
        )
        assert sorted(told) == [False, False, False, True]

    @scenario
    async def test_a_claim_is_put_into_its_lanes_at_once(self, world: StoreWorld) -> None:
        """Events of different payments get their lanes in one commit, and hold them against later claims."""
        store = await world.open()
        for number in range(3):
            await store.receive(received(f"evt_{number}"))
        claims = await store.claim(limit=3, lease_s=1000)
        assert await store.assign_lanes([(claimed, f"p{claimed.seq}") for claimed in claims])
        await store.receive(received("evt_3"))
        late = await claim_one(store)
        assert not await store.assign_lane(late, f"p{claims[0].seq}")
        assert [await finish(store, claimed) for claimed in claims] == [True, True, True]

    @scenario
    async def test_where_one_lane_is_leased_none_is_assigned(self, world: StoreWorld) -> None:
        """All get their lanes or none does: the others are then routed one by one."""
        store = await world.open()
        await put_into_lane(store, "evt_0", "p2")
        await claim_one(store, lease_s=1000)
        for number in (1, 2):
            await store.receive(received(f"evt_{number}"))
        first, second = await store.claim(limit=2, lease_s=1000)
        assert not await store.assign_lanes([(first, "p1"), (second, "p2")])
        assert await store.assign_lane(second, "p1")

    @scenario
    async def test_where_one_lease_is_gone_no_lane_is_assigned(self, world: StoreWorld) -> None:
        """The same for an event that another worker has completed."""
        store = await world.open()
        for number in (1, 2):
            await store.receive(received(f"evt_{number}"))
        first, second = await store.claim(limit=2, lease_s=1000)
        assert await finish(store, second)
        assert not await store.assign_lanes([(first, "p1"), (second, "p2")])
        await put_into_lane(store, "evt_3", "p1")

    @scenario
    async def test_waiting_events_do_not_hold_their_lane(self, world: StoreWorld) -> None:
        """An event that is parked or backs off lets younger ones pass: one of them may be what it waits for."""
        store = await world.open()
        await put_into_lane(store, "evt_1", "p1", delay_s=500)
        await put_into_lane(store, "evt_2", "p1", delay_s=50)
        await world.pass_time(51)
        assert (await claim_one(store)).event_id == "evt_2"

    @scenario
    async def test_an_expired_lease_does_not_block_its_lane_for_ever(self, world: StoreWorld) -> None:
        """An older event that becomes due beside a dead worker's younger one must not keep the lane shut for both."""
        store = await world.open()
        await put_into_lane(store, "evt_1", "p1", delay_s=500)
        await put_into_lane(store, "evt_2", "p1", delay_s=50)
        await world.pass_time(51)
        dead = await claim_one(store, lease_s=10)
        await world.pass_time(1000)
        handled: list[str] = []
        for _ in range(2):
            claimed = await claim_one(store)
            handled.append(claimed.event_id)
            assert await finish(store, claimed)
        assert sorted(handled) == ["evt_1", "evt_2"]
        assert not await finish(store, dead)

    @scenario
    async def test_lanes_are_exclusive_under_load(self, world: StoreWorld) -> None:
        """Four claimants, three lanes, thirty events: at no time two events of one lane are in work."""
        stores = [await world.open() for _ in range(4)]
        for number in range(30):
            await put_into_lane(stores[0], f"evt_{number}", f"p{number % 3}", delay_s=100)
        await world.pass_time(101)
        busy: set[str | None] = set()
        handled: list[str] = []

        async def work(store: Store) -> None:
            for _ in range(40):
                for event in await store.claim(limit=2, lease_s=1000):
                    await self._handle(store, event, busy, handled, world)
                await world.breathe()

        await world.together(*map(work, stores))
        while found := await stores[0].claim(limit=10, lease_s=1000):
            for event in found:
                await self._handle(stores[0], event, busy, handled, world)
        assert len(handled) == len(set(handled)) == 30

    async def _handle(
        self, store: Store, event: ClaimedEvent, busy: set[str | None], handled: list[str], world: StoreWorld
    ) -> None:
        assert event.lane not in busy, f"lane {event.lane} is worked twice"
        busy.add(event.lane)
        await world.breathe()
        # Given free before the stamp: another claimant can only see the lane free after it.
        busy.discard(event.lane)
        assert await finish(store, event)
        handled.append(event.event_id)
