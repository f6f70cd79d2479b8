"""Payments and Stripe's names for them."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from typing import cast

import attrs

from payments_core.domain.payment import PaymentState
from payments_core.domain.refs import Ref
from payments_core.domain.stripe_objects import Session
from payments_core.ports import DeclinedBy
from payments_core.testing.contracts.examples import MOMENT, full_payment, payment
from payments_core.testing.contracts.store_world import StoreWorld, scenario


class PaymentContract:
    """Obligations around payments and references."""

    @scenario
    async def test_a_payment_comes_back_as_it_was_written(self, world: StoreWorld) -> None:
        """Every field survives, to the microsecond and the minor unit, and is there for other processes."""
        full, bare = full_payment("p1"), payment("p2")
        store = await world.open()
        await store.add_payment(full)
        await store.add_payment(bare)
        other = await world.open()
        assert await other.payment("p1") == full
        assert await other.payment("p2") == bare
        assert await other.payment("p3") is None

    @scenario
    async def test_nothing_enabled_and_nothing_recorded_are_kept_apart(self, world: StoreWorld) -> None:
        """A session that was created without any adjustment is not one of which nobody wrote down what it had."""
        store = await world.open()
        await store.add_payment(attrs.evolve(payment("p1"), adjustments=frozenset()))
        await store.add_payment(payment("p2"))
        found = await (await world.open()).payments(["p1", "p2"])
        assert [found[name].adjustments for name in ("p1", "p2")] == [frozenset(), None]

    @scenario
    async def test_quarantined_payments_are_counted_and_come_in_pages(self, world: StoreWorld) -> None:
        """Those first that wait longest, then by id; the cursor may have left quarantine meanwhile."""
        store = await world.open()
        assert (await store.health()).quarantined == 0
        for number, seconds in enumerate((3, 1, 2, 1)):
            since = MOMENT + timedelta(seconds=seconds)
            odd = attrs.evolve(payment(f"p{number}"), state=PaymentState.QUARANTINED, quarantined_at=since)
            await store.add_payment(odd)
        released = attrs.evolve(payment("p9"), state=PaymentState.SETTLED, quarantined_at=MOMENT, amount_minor=1)
        await store.add_payment(released)
        await store.add_payment(payment("p8"))
        assert (await store.health()).quarantined == 4
        found = await store.records.quarantined(limit=3)
        assert [one.payment_id for one in found] == ["p1", "p3", "p2"]
        assert all(one.state is PaymentState.QUARANTINED for one in found)
        async with store.transaction() as tx:
            last = await tx.lock_payment("p3")
            await tx.save_payment(attrs.evolve(last, state=PaymentState.SETTLED))
        further = await store.records.quarantined(limit=3, after="p3")
        assert [one.payment_id for one in further] == ["p2", "p0"]
        assert await store.records.quarantined(limit=3, after="p0") == []

    @scenario
    async def test_several_payments_are_looked_up_at_once(self, world: StoreWorld) -> None:
        """Those that are there come by their ids; an id that nobody knows is left out."""
        store = await world.open()
        for name in ("p1", "p2", "p3"):
            await store.add_payment(payment(name))
        assert await store.payments(["p1", "p3", "p4"]) == {"p1": payment("p1"), "p3": payment("p3")}
        assert await store.payments([]) == {}

    @scenario
    async def test_declined_attempts_are_told_by_whose_they_are(self, world: StoreWorld) -> None:
        """Of one payment, of all that an address opened, of all of a user's; other transitions do not count."""
        store = await world.open()
        now = datetime.now(UTC)
        recent, after = now - timedelta(days=400), now + timedelta(days=400)
        fresh = functools.partial(attrs.evolve, created_at=now)
        await store.add_payment(fresh(payment("p1"), caller_digest="a1", user_id="u1"))
        await store.add_payment(fresh(payment("p2"), caller_digest="a1", user_id="u2"))
        await store.add_payment(fresh(payment("p3")))
        async with store.transaction() as tx:
            for number, owner in enumerate(["p1", "p1", "p2", "p3"]):
                await tx.record(owner, "attempt_failed", f"ch_{number}", f"fact-{number}", "generic_decline")
            await tx.record("p1", "expired", "", "fact-4")

        async def count(by: DeclinedBy, value: str, *, since: datetime, limit: int = 10) -> int:
            return len(await store.declines(by, value, since=since, limit=limit))

        for by, value, expected in [
            ("payment", "p1", 2), ("address", "a1", 3), ("user", "u1", 2), ("user", "u2", 1), ("payment", "p3", 1),
            ("address", "a2", 0), ("user", "", 0), ("address", "p1", 0),
        ]:  # fmt: skip
            assert await count(cast("DeclinedBy", by), value, since=recent) == expected, (by, value)
        assert await count("address", "a1", since=recent, limit=2) == 2
        assert await count("address", "a1", since=after) == 0
        told = await store.declines("address", "a1", since=recent, limit=10)
        assert list(told) == sorted(told, reverse=True)
        assert all(one.tzinfo is not None for one in told)

    @scenario
    async def test_declined_attempts_of_payments_from_long_ago_do_not_count(self, world: StoreWorld) -> None:
        """A session ends after a day: the look back need not go further."""
        store = await world.open()
        await store.add_payment(attrs.evolve(payment("p1"), caller_digest="a1", created_at=MOMENT))
        async with store.transaction() as tx:
            await tx.record("p1", "attempt_failed", "ch_1", "fact-1", "generic_decline")
        assert await store.declines("address", "a1", since=MOMENT - timedelta(days=1), limit=9)
        assert not await store.declines("address", "a1", since=MOMENT + timedelta(days=1, minutes=1), limit=9)

    @scenario
    async def test_an_opened_session_leads_to_its_payment(self, world: StoreWorld) -> None:
        """The session and what Stripe named with it are saved, and found again."""
        store = await world.open()
        await store.add_payment(payment("p1", account="acct_1", livemode=True))
        await store.opened("p1", Session("cs_1", payment_intent_id="pi_1"))
        expected = attrs.evolve(
            payment("p1", account="acct_1", livemode=True), session_id="cs_1", payment_intent_id="pi_1"
        )
        for ref in (Ref("session", "cs_1"), Ref("payment_intent", "pi_1")):
            assert await (await world.open()).find_payment([ref], account="acct_1", livemode=True) == expected
        assert await store.find_payment([Ref("charge", "cs_1")], account="acct_1", livemode=True) is None

    @scenario
    async def test_opening_forgets_nothing_that_news_has_brought(self, world: StoreWorld) -> None:
        """News can be faster than the answer that created the session: what it wrote stays."""
        store = await world.open()
        settled = attrs.evolve(
            payment("p1"), state=PaymentState.SETTLED, session_id="cs_1", payment_intent_id="pi_1", amount_minor=5
        )
        await store.add_payment(payment("p1"))
        async with store.transaction() as tx:
            await tx.lock_payment("p1")
            await tx.save_payment(settled)
        await store.opened("p1", Session("cs_1"))
        assert await store.payment("p1") == settled

    @scenario
    async def test_an_unknown_payment_cannot_be_opened(self, world: StoreWorld) -> None:
        """A session for a payment that was never stored is a mistake that must not pass."""
        store = await world.open()
        try:
            await store.opened("nobody", Session("cs_1"))
        except LookupError as error:
            told = str(error)
        else:
            told = ""
        assert "nobody" in told
        assert await store.find_payment([Ref("session", "cs_1")], account=None, livemode=False) is None

    @scenario
    async def test_the_first_reference_that_matches_decides(self, world: StoreWorld) -> None:
        """Names are tried in the given order."""
        store = await world.open()
        await store.adopt(payment("p1"), [Ref("session", "cs_1")])
        await store.adopt(payment("p2"), [Ref("payment_intent", "pi_2")])
        unknown, first, second = Ref("charge", "ch_9"), Ref("session", "cs_1"), Ref("payment_intent", "pi_2")
        for refs, expected in (([unknown, second, first], "p2"), ([unknown, first, second], "p1")):
            found = await store.find_payment(refs, account=None, livemode=False)
            assert found is not None
            assert found.payment_id == expected
        assert await store.find_payment([unknown], account=None, livemode=False) is None
        assert await store.find_payment([], account=None, livemode=False) is None

    @scenario
    async def test_references_are_per_account_and_mode(self, world: StoreWorld) -> None:
        """The same Stripe id under another account or mode is another payment's."""
        store = await world.open()
        ref = Ref("payment_intent", "pi_1")
        places = [(account, mode) for account in (None, "acct_1") for mode in (False, True)]
        for number, (account, mode) in enumerate(places):
            owner = await store.adopt(payment(f"p{number}", account=account, livemode=mode), [ref])
            assert owner == f"p{number}"
        for number, (account, mode) in enumerate(places):
            found = await store.find_payment([ref], account=account, livemode=mode)
            assert found is not None
            assert found.payment_id == f"p{number}"

    @scenario
    async def test_adoption_inserts_or_selects(self, world: StoreWorld) -> None:
        """Who comes first inserts; who comes later with any of the names gets that payment and leaves no row."""
        store = await world.open()
        assert await store.adopt(payment("p1"), [Ref("session", "cs_1"), Ref("payment_intent", "pi_1")]) == "p1"
        assert await store.adopt(payment("p2"), [Ref("charge", "ch_1"), Ref("payment_intent", "pi_1")]) == "p1"
        assert await store.payment("p2") is None
        assert await store.payment("p1") == payment("p1")

    @scenario
    async def test_adoption_gives_free_names_to_the_payment_found(self, world: StoreWorld) -> None:
        """All names of one call are of one payment: those still free lead to it from now on."""
        store = await world.open()
        await store.adopt(payment("p1"), [Ref("payment_intent", "pi_1")])
        await store.adopt(payment("p2"), [Ref("payment_intent", "pi_1"), Ref("charge", "ch_1")])
        assert await store.adopt(payment("p3"), [Ref("charge", "ch_1")]) == "p1"

    @scenario
    async def test_adopters_at_the_same_time_agree(self, world: StoreWorld) -> None:
        """Eight callers with overlapping names, in opposite orders: one payment."""
        stores = [await world.open() for _ in range(4)]
        for turn in range(10):
            refs = [Ref("session", f"cs_{turn}"), Ref("payment_intent", f"pi_{turn}"), Ref("charge", f"ch_{turn}")]
            callers = [
                store.adopt(payment(f"p{turn}_{place}_{number}"), refs if (number + place) % 2 else refs[::-1])
                for place in range(2)
                for number, store in enumerate(stores)
            ]
            owners = set(await world.together(*callers))
            assert len(owners) == 1
            found = await stores[0].find_payment(refs, account=None, livemode=False)
            assert found is not None
            assert {found.payment_id} == owners
