"""What an operator looks at and does: `Store.records`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import attrs

from payments_core.domain.analytics import Period, Standing, Takings
from payments_core.domain.delivery import InboxState, ReceivedEvent
from payments_core.domain.payment import Payment, PaymentState
from payments_core.ports import EventFilter, EventRecord, Store
from payments_core.testing.contracts.examples import claim_one, finish, outgoing, payment, received
from payments_core.testing.contracts.store_world import StoreWorld, scenario

EVERY = EventFilter()
TEST = Period(livemode=False)


async def _bury(store: Store, event_id: str, *, kind: str = "invoice.paid", lane: str | None = None) -> None:
    """Make a dead letter of a new event. Nothing else may be due."""
    await store.receive(ReceivedEvent(event_id, kind, b"{}", None, False))
    claimed = await claim_one(store)
    if lane is not None:
        assert await store.assign_lane(claimed, lane)
    assert await store.bury(claimed, f"{event_id} failed")


async def _one_of_each_state(store: Store) -> None:
    """An event in each state, named after it."""
    for name in ("done", "parked"):
        await store.receive(received(name))
        claimed = await claim_one(store)
        if name == "done":
            assert await store.assign_lane(claimed, "p1")
            assert await finish(store, claimed)
        else:
            assert await store.let_go(claimed, delay_s=5000, reason="waits", counted=False, parked=True)
    await _bury(store, "dead")
    await store.receive(received("leased"))
    await claim_one(store)
    await store.receive(received("ready"))


def _settled(begun: Payment, moment: datetime, minor: int, currency: str) -> Payment:
    return attrs.evolve(begun, state=PaymentState.SETTLED, settled_at=moment, amount_minor=minor, currency=currency)


async def _only(store: Store, event_id: str) -> EventRecord:
    [found] = (await store.records.named(event_id)).events
    return found


class RecordsContract:
    """Obligations of `Records`."""

    @scenario
    async def test_events_come_newest_first_with_what_is_known(self, world: StoreWorld) -> None:
        """Each state is told with its times and counts, and none with a body."""
        store = await world.open()
        await _one_of_each_state(store)
        page = await (await world.open()).records.events(EVERY, limit=10)
        assert [event.event_id for event in page.events] == ["ready", "leased", "dead", "parked", "done"]
        assert [event.state.name.lower() for event in page.events] == [event.event_id for event in page.events]
        assert [event.attempts for event in page.events] == [0, 1, 1, 0, 1]
        assert [event.was_claimed for event in page.events] == [False, True, True, True, True]
        ready, leased, dead, parked, done = page.events
        assert ready.next_at == ready.received_at <= page.now < leased.next_at < parked.next_at
        assert (dead.last_error, parked.last_error, done.last_error) == ("dead failed", "waits", None)
        assert (done.payment_id, dead.payment_id) == ("p1", None)
        assert done.done_at is not None
        assert done.received_at <= done.done_at <= page.now
        assert (done.type, done.account, done.livemode) == ("checkout.session.completed", None, False)

    @scenario
    async def test_pages_neither_repeat_nor_skip(self, world: StoreWorld) -> None:
        """Going on before the last event of a page gives the next one, whatever arrives meanwhile."""
        store = await world.open()
        for number in range(7):
            await store.receive(received(f"evt_{number}"))
        seen: list[str] = []
        before: int | None = None
        while page := (await store.records.events(EVERY, limit=3, before=before)).events:
            seen += [event.event_id for event in page]
            before = page[-1].seq
            await store.receive(received(f"late_{before}"))
        assert seen == [f"evt_{number}" for number in reversed(range(7))]

    @scenario
    async def test_a_filter_holds_with_all_its_conditions(self, world: StoreWorld) -> None:
        """State, type, payment and time of arrival, alone and together."""
        store = await world.open()
        await _bury(store, "old", lane="p1")
        await _bury(store, "other", kind="charge.refunded")
        await world.pass_time(100)
        await _bury(store, "new", lane="p1")
        await store.receive(received("ready"))
        since = (await _only(store, "new")).received_at
        expected: list[tuple[EventFilter, InboxState | None, list[str]]] = [
            (EVERY, None, ["ready", "new", "other", "old"]),
            (EVERY, InboxState.DEAD, ["new", "other", "old"]),
            (EVERY, InboxState.READY, ["ready"]),
            (EVERY, InboxState.DONE, []),
            (EventFilter(type="charge.refunded"), None, ["other"]),
            (EventFilter(payment_id="p1"), None, ["new", "old"]),
            (EventFilter(since=since), None, ["ready", "new"]),
            (EventFilter(since=since, type="invoice.paid", payment_id="p1"), InboxState.DEAD, ["new"]),
            (EventFilter(since=since, payment_id="p2"), None, []),
        ]
        for wanted, state, names in expected:
            found = (await store.records.events(wanted, state=state, limit=10)).events
            assert [event.event_id for event in found] == names, (wanted, state)

    @scenario
    async def test_every_state_is_counted(self, world: StoreWorld) -> None:
        """Zeros too."""
        store = await world.open()
        assert dict(await store.records.counts()) == dict.fromkeys(InboxState, 0)
        await _one_of_each_state(store)
        await store.receive(received("another"))
        assert dict(await store.records.counts()) == {**dict.fromkeys(InboxState, 1), InboxState.READY: 2}

    @scenario
    async def test_an_id_is_found_in_every_account_and_mode(self, world: StoreWorld) -> None:
        """One id may be several events; an unknown one is none."""
        store = await world.open()
        places = [(account, mode) for account in (None, "acct_1", "acct_2") for mode in (None, False, True)]
        for account, mode in places:
            await store.receive(received("evt_1", account=account, livemode=mode))
            await store.receive(received("evt_2", account=account, livemode=mode))
        found = (await store.records.named("evt_1")).events
        assert [(event.account, event.livemode) for event in reversed(found)] == places
        assert {event.event_id for event in found} == {"evt_1"}
        for unknown in ("evt_3", "", "evt_\x00"):
            assert (await store.records.named(unknown)).events == ()

    @scenario
    async def test_a_body_is_read_as_it_came(self, world: StoreWorld) -> None:
        """Byte for byte, and only where it is asked for."""
        store = await world.open()
        body = bytes(range(256))
        await store.receive(received("evt_1", body=body))
        event = await _only(store, "evt_1")
        assert await store.records.body(event.seq) == body
        assert await store.records.body(event.seq + 1) is None

    @scenario
    async def test_a_payments_history_is_what_was_recorded_of_it(self, world: StoreWorld) -> None:
        """Transitions with their reasons, and the outgoing events of these facts; nothing of another payment."""
        store = await world.open(owes_broker=True)
        for name in ("p1", "p2"):
            await store.add_payment(payment(name))
        for transition, reason in (("attempt_failed", "card_declined"), ("settled", None)):
            async with store.transaction() as tx:
                for name in ("p1", "p2"):
                    assert await tx.record(name, transition, "ch_1", f"{name}_{transition}", reason)
                    await tx.enqueue([outgoing(f"{name}_{transition}")])
                    await tx.save_payment(attrs.evolve(payment(name), state=PaymentState.SETTLED))
        history = await store.records.history("p1")
        assert history is not None
        assert (history.payment_id, history.state) == ("p1", PaymentState.SETTLED)
        assert [(one.transition, one.discriminator, one.event_id, one.reason) for one in history.transitions] == [
            ("attempt_failed", "ch_1", "p1_attempt_failed", "card_declined"),
            ("settled", "ch_1", "p1_settled", None),
        ]
        assert [(one.event_id, one.owed, one.published_at) for one in history.outgoing] == [
            ("p1_attempt_failed", True, None),
            ("p1_settled", True, None),
        ]
        assert await store.records.history("p3") is None

    @scenario
    async def test_a_revived_event_is_as_new(self, world: StoreWorld) -> None:
        """Due at once, with its attempts given back, its lane kept, and what went wrong still to be read."""
        store = await world.open()
        await _bury(store, "evt_1", lane="p1")
        await world.pass_time(100)
        dead = await _only(store, "evt_1")
        assert await store.records.revive(dead.seq)
        ready = await _only(store, "evt_1")
        assert (ready.state, ready.attempts, ready.last_error) == (InboxState.READY, 0, "evt_1 failed")
        assert (await store.health()).dead_letters == 0
        again = await claim_one(store)
        assert (again.event_id, again.attempt, again.lane) == ("evt_1", 1, "p1")
        assert await finish(store, again)

    @scenario
    async def test_nobody_who_held_it_can_complete_a_revived_event(self, world: StoreWorld) -> None:
        """The token is raised by the revival itself: a claim from before has no rights, whatever happens next."""
        store = await world.open()
        await store.receive(received("evt_1"))
        old = await claim_one(store)
        assert await store.bury(old, "failed")
        assert await store.records.revive((await _only(store, "evt_1")).seq)
        assert not await finish(store, old)
        new = await claim_one(store)
        assert new.token > old.token + 1
        assert not await finish(store, old)
        assert not await store.bury(old, "late")
        assert await finish(store, new)

    @scenario
    async def test_only_what_is_dead_is_revived(self, world: StoreWorld) -> None:
        """Any other state is left as it is, and a second revival finds nothing to do."""
        store = await world.open()
        await _one_of_each_state(store)
        before = (await store.records.events(EVERY, limit=10)).events
        for event in before:
            assert await store.records.revive(event.seq) is (event.state is InboxState.DEAD)
        after = (await store.records.events(EVERY, limit=10)).events
        assert [event for event in after if event.event_id != "dead"] == [
            event for event in before if event.event_id != "dead"
        ]
        assert not await store.records.revive((await _only(store, "dead")).seq)
        assert not await store.records.revive(10**9)

    @scenario
    async def test_all_dead_letters_are_revived_in_pieces(self, world: StoreWorld) -> None:
        """The oldest first, up to the limit, each once; what does not fit the filter stays dead."""
        store = await world.open()
        for number in range(5):
            await _bury(store, f"evt_{number}")
        await _bury(store, "other", kind="charge.refunded")
        wanted = EventFilter(type="invoice.paid")
        assert (await store.records.count_dead(wanted)).revivable == 5
        parts: list[list[int]] = []
        after = 0
        while part := list(await store.records.revive_dead(wanted, after=after, limit=2)):
            parts.append(part)
            after = part[-1]
        assert [len(part) for part in parts] == [2, 2, 1]
        seqs = [(await _only(store, f"evt_{number}")).seq for number in range(5)]
        assert [seq for part in parts for seq in part] == seqs
        assert (await _only(store, "other")).state is InboxState.DEAD
        assert not await store.records.revive_dead(EVERY, after=after, limit=0)

    @scenario
    async def test_what_was_stored_dead_is_revived_by_name_only(self, world: StoreWorld) -> None:
        """Trying an unreadable body again is pointless; who insists names it."""
        store = await world.open()
        await store.receive(ReceivedEvent("unreadable_1", "unreadable", b"[]", unreadable="it is not an object"))
        await _bury(store, "evt_1")
        count = await store.records.count_dead(EVERY)
        assert (count.revivable, count.unreadable) == (1, 1)
        assert len(await store.records.revive_dead(EVERY, after=0, limit=10)) == 1
        left = await _only(store, "unreadable_1")
        assert (left.state, left.was_claimed) == (InboxState.DEAD, False)
        assert await store.records.revive(left.seq)
        assert (await _only(store, "unreadable_1")).state is InboxState.READY

    @scenario
    async def test_revivals_at_the_same_time_share_the_dead(self, world: StoreWorld) -> None:
        """Four operators bring everything back, and nothing twice."""
        stores = [await world.open() for _ in range(4)]
        for number in range(20):
            await _bury(stores[0], f"evt_{number}")

        async def revive(store: Store) -> list[int]:
            revived: list[int] = []
            for _ in range(8):
                revived += await store.records.revive_dead(EVERY, after=0, limit=3)
                await world.breathe()
            return revived

        revived = [seq for part in await world.together(*map(revive, stores)) for seq in part]
        revived += await stores[0].records.revive_dead(EVERY, after=0, limit=100)
        assert len(revived) == len(set(revived)) == 20
        assert len(await stores[0].claim(limit=100, lease_s=30)) == 20

    @scenario
    async def test_one_of_several_revivals_of_an_event_did_it(self, world: StoreWorld) -> None:
        """However many operators name the same event."""
        stores = [await world.open() for _ in range(4)]
        for number in range(5):
            await _bury(stores[0], f"evt_{number}")
            seq = (await _only(stores[0], f"evt_{number}")).seq
            told = await world.together(*(store.records.revive(seq) for store in stores))
            assert sorted(told) == [False, False, False, True]
            assert await finish(stores[0], await claim_one(stores[0]))

    @scenario
    async def test_payments_are_tallied_exactly(self, world: StoreWorld) -> None:
        """By standing, by UTC day and currency, and by reason: integers, and modes apart."""
        store = await world.open()
        evening = datetime(2026, 11, 23, 23, 59, 59, 999999, tzinfo=UTC)
        midnight = evening + timedelta(microseconds=1)
        for name, moment, currency, minor in (
            ("a", evening, "usd", 999_999_999_999),
            ("b", evening, "usd", 1),
            ("c", evening, "jpy", 500),
            ("d", midnight, "usd", 7),
        ):
            await store.add_payment(_settled(payment(name), moment, minor, currency))
            await store.add_payment(_settled(payment(f"live {name}", livemode=True), moment, minor, currency))
        for name, state in (("e", PaymentState.EXPIRED), ("f", PaymentState.OPEN), ("g", PaymentState.OPEN)):
            await store.add_payment(attrs.evolve(payment(name), state=state))
        for name, state in (("q", PaymentState.QUARANTINED), ("r", PaymentState.REJECTED)):
            odd = attrs.evolve(payment(name), state=state, amount_minor=100, currency="usd")
            await store.add_payment(odd)
        async with store.transaction() as tx:
            for name, reason in (("a", "lost_card"), ("e", "card_declined"), ("f", "card_declined")):
                assert await tx.record(name, "attempt_failed", "ch_1", f"fact {name}", reason)
            assert await tx.record("f", "attempt_failed", "ch_2", "fact f2", None)
            assert await tx.record("a", "settled", "", "fact a2")
        tallies = await store.records.tallies(TEST)
        assert {standing: tallies.standings.get(standing, 0) for standing in Standing} == {
            Standing.SETTLED: 4,
            Standing.EXPIRED: 1,
            Standing.FAILED: 1,
            Standing.REJECTED: 1,
            Standing.QUARANTINED: 1,
            Standing.PROCESSING: 0,
            Standing.OPEN: 1,
        }
        assert set(tallies.takings) == {
            Takings(date(2026, 11, 23), "usd", 2, 1_000_000_000_000),
            Takings(date(2026, 11, 23), "jpy", 1, 500),
            Takings(date(2026, 11, 24), "usd", 1, 7),
        }
        assert all(type(takings.amount_minor) is int for takings in tallies.takings)
        assert dict(tallies.declines) == {"lost_card": 1, "card_declined": 2, None: 1}
        live = await store.records.tallies(Period(livemode=True))
        assert (dict(live.standings), len(live.takings), dict(live.declines)) == ({Standing.SETTLED: 4}, 3, {})

    @scenario
    async def test_a_period_is_half_open_and_a_currency_is_kept_apart(self, world: StoreWorld) -> None:
        """A payment at `since` is in, one at `until` is out; a currency's figures hold that currency alone."""
        store = await world.open()
        noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
        for hour, currency in ((0, "usd"), (1, "usd"), (2, "usd"), (1, "eur")):
            moment = noon + timedelta(hours=hour)
            begun = attrs.evolve(payment(f"{hour}{currency}"), created_at=moment)
            await store.add_payment(_settled(begun, moment, 10**hour, currency))
        async with store.transaction() as tx:
            assert await tx.record("1usd", "attempt_failed", "ch_1", "fact 1", "lost_card")
            assert await tx.record("1eur", "attempt_failed", "ch_1", "fact 2", "lost_card")
        middle = {"since": noon + timedelta(hours=1), "until": noon + timedelta(hours=2)}
        for period, payments, minor in (
            (Period(livemode=False, currency="usd"), 3, 111),
            (Period(livemode=False, currency="usd", since=middle["since"]), 2, 110),
            (Period(livemode=False, currency="usd", until=middle["until"]), 2, 11),
            (Period(livemode=False, currency="usd", **middle), 1, 10),
        ):
            tallies = await store.records.tallies(period)
            assert dict(tallies.standings) == {Standing.SETTLED: payments}, period
            assert [(one.payments, one.amount_minor) for one in tallies.takings] == [(payments, minor)], period
        assert dict((await store.records.tallies(Period(livemode=False, currency="usd"))).declines) == {"lost_card": 1}
        long_ago = Period(livemode=False, until=datetime(2020, 1, 1, tzinfo=UTC))
        assert not (await store.records.tallies(long_ago)).declines

    @scenario
    async def test_live_payments_are_noticed(self, world: StoreWorld) -> None:
        """Figures are shown of the mode that is in use."""
        store = await world.open()
        assert not await store.records.has_live_payments()
        await store.add_payment(payment("p1"))
        assert not await store.records.has_live_payments()
        await store.add_payment(payment("p2", livemode=True))
        assert await store.records.has_live_payments()
