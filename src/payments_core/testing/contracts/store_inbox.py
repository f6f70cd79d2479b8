"""Receiving, giving back, burying, and the figures about what waits."""

from __future__ import annotations

from payments_core.domain.delivery import ClaimedEvent, ReceivedEvent
from payments_core.errors import StoreUnavailable
from payments_core.ports import Store
from payments_core.testing.contracts.examples import claim_one, finish, outgoing, put_into_lane, received
from payments_core.testing.contracts.store_world import StoreWorld, scenario


async def _end(store: Store, claimed: ClaimedEvent, ending: str) -> bool:
    if ending == "dead":
        return await store.bury(claimed, "")
    if ending == "done":
        return await finish(store, claimed)
    return await store.let_go(claimed, delay_s=99, reason="", counted=True, parked=ending == "parked")


class InboxContract:
    """Obligations around the inbox, but for claiming."""

    @scenario
    async def test_an_event_id_is_new_once(self, world: StoreWorld) -> None:
        """The second delivery of an event is told apart and changes nothing."""
        store = await world.open()
        assert await store.receive(received("evt_1", body=b"first"))
        assert not await store.receive(received("evt_1", body=b"second"))
        assert (await claim_one(store)).body == b"first"

    @scenario
    async def test_event_ids_are_per_account_and_mode(self, world: StoreWorld) -> None:
        """One id under another account or mode is another event, and "not stated" is a value like any other."""
        store = await world.open()
        places = [(account, mode) for account in (None, "acct_1", "acct_2") for mode in (None, False, True)]
        for repeated in (False, True):
            for account, mode in places:
                new = await store.receive(received("evt_1", account=account, livemode=mode))
                assert new is not repeated
        found = await store.claim(limit=100, lease_s=30)
        assert {(event.account, event.livemode) for event in found} == set(places)

    @scenario
    async def test_of_deliveries_at_the_same_time_one_is_new(self, world: StoreWorld) -> None:
        """Eight deliveries of one event at once make one row."""
        stores = [await world.open() for _ in range(4)]
        for number in range(5):
            told = await world.together(*(store.receive(received(f"evt_{number}")) for store in stores * 2))
            assert sorted(told) == [False] * 7 + [True]
        assert len(await stores[0].claim(limit=100, lease_s=30)) == 5

    @scenario
    async def test_a_received_event_is_there_for_other_processes(self, world: StoreWorld) -> None:
        """What receive has answered for is committed: a store opened later sees it."""
        await (await world.open()).receive(received("evt_1"))
        assert (await claim_one(await world.open())).event_id == "evt_1"

    @scenario
    async def test_what_was_received_comes_back_unchanged(self, world: StoreWorld) -> None:
        """Body, type, account, mode and trace are kept as they came."""
        store = await world.open()
        body = bytes(range(256)) * 40
        await store.receive(ReceivedEvent("evt_1", "invoice.paid", body, "acct_1", True, "00-abc-def-01"))
        found = await claim_one(store)
        kept = (found.event_id, found.type, found.body, found.account, found.livemode, found.traceparent, found.lane)
        assert kept == ("evt_1", "invoice.paid", body, "acct_1", True, "00-abc-def-01", None)
        offset = found.received_at.utcoffset()
        assert offset is not None
        assert not offset

    @scenario
    async def test_hostile_text_does_not_stop_the_store(self, world: StoreWorld) -> None:
        """NUL and half a surrogate pair, which no database text holds, are stored somehow and recognised again."""
        store = await world.open()
        event = ReceivedEvent("evt_\x00\ud800", "a\x00b", b"\x00", None, None, "\udfff\x00")
        assert await store.receive(event)
        assert not await store.receive(event)
        claimed = await claim_one(store)
        assert await store.let_go(claimed, delay_s=0, reason="\x00\ud800", counted=True, parked=False)
        assert await store.bury(await claim_one(store), "\x00\ud800" * 5000)

    @scenario
    async def test_an_unreadable_event_is_a_dead_letter_at_once(self, world: StoreWorld) -> None:
        """It is kept to be seen, counted as dead, and never claimed."""
        store = await world.open()
        assert await store.receive(ReceivedEvent("evt_1", "unknown", b"[]", unreadable="it is not an object"))
        assert not await store.claim(limit=10, lease_s=30)
        health = await store.health()
        assert (health.dead_letters, health.oldest_unhandled_s) == (1, 0)

    @scenario
    async def test_a_buried_event_stays_buried(self, world: StoreWorld) -> None:
        """A dead letter is not due, now or later, and counts as such."""
        store = await world.open()
        await store.receive(received("evt_1"))
        assert await store.bury(await claim_one(store), "its attempts are used up")
        await world.pass_time(1_000_000)
        assert not await store.claim(limit=10, lease_s=30)
        assert await store.next_due_s() is None
        assert (await store.health()).dead_letters == 1

    @scenario
    async def test_an_event_given_back_is_due_after_its_delay(self, world: StoreWorld) -> None:
        """Backing off and parking differ in name only: both wake at their time and not before."""
        store = await world.open()
        for parked in (False, True):
            await store.receive(received(f"evt_{parked}"))
            claimed = await claim_one(store)
            assert await store.let_go(claimed, delay_s=60, reason="later", counted=True, parked=parked)
            assert not await store.claim(limit=10, lease_s=30)
            await world.pass_time(61)
            again = await claim_one(store)
            assert (again.event_id, again.attempt) == (claimed.event_id, 2)
            assert again.token > claimed.token
            assert await finish(store, again)

    @scenario
    async def test_an_uncounted_attempt_is_given_back(self, world: StoreWorld) -> None:
        """Letting go uncounted uses no attempt up; counted, it does."""
        store = await world.open()
        await store.receive(received("evt_1"))
        attempts: list[int] = []
        for counted in (False, False, True, True):
            claimed = await claim_one(store)
            attempts.append(claimed.attempt)
            assert await store.let_go(claimed, delay_s=0, reason="again", counted=counted, parked=False)
        assert attempts == [1, 1, 1, 2]

    @scenario
    async def test_a_lease_that_was_taken_over_gives_no_rights(self, world: StoreWorld) -> None:
        """With an older token nothing can be done to the event, and nothing changes."""
        store = await world.open()
        await store.receive(received("evt_1"))
        first = await claim_one(store, lease_s=10)
        await world.pass_time(11)
        second = await claim_one(store)
        assert not await store.assign_lane(first, "p1")
        assert not await store.let_go(first, delay_s=0, reason="late", counted=True, parked=False)
        assert not await store.bury(first, "late")
        assert not await finish(store, first)
        assert not await store.claim(limit=10, lease_s=30)
        assert await store.assign_lane(second, "p1")
        assert await finish(store, second)

    @scenario
    async def test_an_event_that_was_given_back_gives_no_rights(self, world: StoreWorld) -> None:
        """Once it is ready, parked, dead or done, its last claimant has no say any more."""
        store = await world.open()
        endings = ("ready", "parked", "dead", "done")
        for ending in endings:
            await store.receive(received(ending))
            claimed = await claim_one(store)
            assert await _end(store, claimed, ending)
            for again in endings:
                assert not await _end(store, claimed, again), f"{again} was accepted after {ending}"
            assert not await store.assign_lane(claimed, "p1")

    @scenario
    async def test_next_due_tells_when_to_come_back(self, world: StoreWorld) -> None:
        """None with nothing waiting, 0 with something due, else the seconds until a delay or a lease ends."""
        store = await world.open()
        assert await store.next_due_s() is None
        await store.receive(received("evt_1"))
        assert await store.next_due_s() == 0
        claimed = await claim_one(store, lease_s=1000)
        leased_s = await store.next_due_s()
        assert await store.let_go(claimed, delay_s=5000, reason="later", counted=True, parked=True)
        parked_s = await store.next_due_s()
        assert leased_s is not None
        assert parked_s is not None
        assert 900 < leased_s <= 1000
        assert 4900 < parked_s <= 5000
        await world.pass_time(5001)
        assert await store.next_due_s() == 0
        assert await finish(store, await claim_one(store))
        assert await store.next_due_s() is None

    @scenario
    async def test_an_event_whose_lane_is_busy_is_not_announced_as_due(self, world: StoreWorld) -> None:
        """Else a runner would come back at once, and in vain, for as long as the lane is leased."""
        store = await world.open()
        await put_into_lane(store, "evt_1", "p1", delay_s=50)
        await put_into_lane(store, "evt_2", "p1", delay_s=50)
        await world.pass_time(51)
        assert await store.next_due_s() == 0
        await claim_one(store, lease_s=1000)
        waits_s = await store.next_due_s()
        assert waits_s is not None
        assert 900 < waits_s <= 1000

    @scenario
    async def test_health_tells_how_far_behind_the_work_is(self, world: StoreWorld) -> None:
        """The age is the oldest open event's, whatever it waits for, and 0 when all is handled."""
        store = await world.open()
        assert (await store.health()).oldest_unhandled_s == 0
        await store.receive(received("evt_1"))
        await world.pass_time(100)
        await store.receive(received("evt_2"))
        first, second = await store.claim(limit=10, lease_s=1000)
        assert 100 <= (await store.health()).oldest_unhandled_s < 190
        assert await finish(store, first)
        assert (await store.health()).oldest_unhandled_s < 90
        assert await finish(store, second)
        assert (await store.health()).oldest_unhandled_s == 0

    @scenario
    async def test_the_backlog_counts_what_a_broker_is_owed(self, world: StoreWorld) -> None:
        """Events written while no broker was configured are no backlog, even when one is configured later."""
        for owes_broker, expected in ((False, 0), (True, 2)):
            store = await world.open(owes_broker=owes_broker)
            async with store.transaction() as tx:
                await tx.enqueue([outgoing(f"{owes_broker}_1"), outgoing(f"{owes_broker}_2")])
            assert (await store.health()).outbox_backlog == expected

    @scenario
    async def test_an_unusable_database_is_store_unavailable(self, world: StoreWorld) -> None:
        """Every kind of call says so in the same way, and a webhook is then not acknowledged."""
        store = world.make_unreachable()
        assert store is not None
        calls = [
            store.prepare,
            lambda: store.receive(received("evt_1")),
            lambda: store.claim(limit=1, lease_s=30),
            lambda: store.payment("p1"),
            store.health,
        ]
        refused = 0
        for call in calls:
            try:
                await call()
            except StoreUnavailable:
                refused += 1
        await store.close()
        assert refused == len(calls)

    @scenario
    async def test_a_closed_store_does_nothing_any_more(self, world: StoreWorld) -> None:
        """After close every call is refused."""
        store = await world.open()
        await store.close()
        try:
            await store.receive(received("evt_1"))
        except StoreUnavailable:
            refused = True
        else:
            refused = False
        assert refused
        assert not await (await world.open()).claim(limit=1, lease_s=30)

    @scenario
    async def test_a_closed_store_that_is_prepared_again_works(self, world: StoreWorld) -> None:
        """An application may be started anew in the same process, as test clients do."""
        store = await world.open()
        await store.close()
        await store.prepare()
        assert await store.receive(received("evt_1"))
