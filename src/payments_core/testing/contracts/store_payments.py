"""Payments and Stripe's names for them."""

from __future__ import annotations

import attrs

from payments_core.domain.payment import PaymentState
from payments_core.domain.refs import Ref
from payments_core.domain.stripe_objects import Session
from payments_core.testing.contracts.examples import full_payment, payment
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
    async def test_several_payments_are_looked_up_at_once(self, world: StoreWorld) -> None:
        """Those that are there come by their ids; an id that nobody knows is left out."""
        store = await world.open()
        for name in ("p1", "p2", "p3"):
            await store.add_payment(payment(name))
        assert await store.payments(["p1", "p3", "p4"]) == {"p1": payment("p1"), "p3": payment("p3")}
        assert await store.payments([]) == {}

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
