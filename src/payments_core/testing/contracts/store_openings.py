"""Checkouts that are opened once, by name: `Store.openings`."""

from __future__ import annotations

import attrs

from payments_core.domain.opening import KEPT_S, PENDING_S, SAME_CART_S, Ask, Claim, Standing
from payments_core.domain.payment import Payment
from payments_core.domain.stripe_objects import Session
from payments_core.ports import Store
from payments_core.testing.contracts.examples import LEASE_S, payment
from payments_core.testing.contracts.store_world import StoreWorld, scenario

ASK = Ask("name-1", "body-1", keyed=True)
OTHER_BODY = Ask("name-1", "body-2", keyed=True)
CART = Ask("name-2", "body-1", keyed=False)
SESSION = Session("cs_1", url="https://pay.test/cs_1", client_secret="cs_1_secret", expires_s=1_800_000_000)  # noqa: S106
PARAMS = '{"mode":"payment"}'


async def claim(store: Store, ask: Ask = ASK, *, holder: str = "h1", stale: str | None = None) -> Claim:
    """Claim a name with the contract's lease."""
    return await store.openings.claim(ask, holder=holder, lease_s=LEASE_S, stale=stale)


async def opened(store: Store, ask: Ask = ASK, *, payment_id: str = "p1", holder: str = "h1") -> Claim:
    """Claim a name and open its session."""
    claimed = await claim(store, ask, holder=holder)
    assert claimed.is_mine
    assert await store.openings.begin(claimed.opening, keyed(payment_id), PARAMS)
    mine = attrs.evolve(claimed.opening, payment_id=payment_id)
    assert await store.openings.finish(mine, SESSION, kept_s=ask.opened_s) is not None
    return claimed


def keyed(payment_id: str) -> Payment:
    """A payment with the key that Stripe is sent."""
    return attrs.evolve(payment(payment_id), idempotency_key=f"key-{payment_id}")


class OpeningsContract:
    """Obligations of `Openings`."""

    @scenario
    async def test_a_name_is_claimed_once(self, world: StoreWorld) -> None:
        """Whoever comes while the first is at work finds it running, also in another process."""
        first = await claim(await world.open())
        second = await claim(await world.open(), holder="h2")
        assert (first.standing, first.opening.holder, first.is_mine) == (Standing.FRESH, "h1", True)
        assert (second.standing, second.is_mine) == (Standing.RUNNING, False)
        assert (await claim(await world.open(), CART, holder="h3")).standing is Standing.FRESH

    @scenario
    async def test_claims_at_the_same_time_have_one_winner(self, world: StoreWorld) -> None:
        """Eight at once, again and again, fresh names and abandoned ones alike."""
        stores = [await world.open() for _ in range(4)]
        for turn in range(6):
            ask = attrs.evolve(ASK, name=f"race-{turn}")
            if turn % 2:
                await claim(stores[0], ask, holder="gone")
                await world.pass_time(LEASE_S + 1)
            callers = [claim(store, ask, holder=f"{turn}-{n}-{m}") for m in range(2) for n, store in enumerate(stores)]
            found = await world.together(*callers)
            assert sum(one.is_mine for one in found) == 1
            assert {one.standing for one in found if not one.is_mine} == {Standing.RUNNING}

    @scenario
    async def test_another_body_under_a_name_is_told_apart(self, world: StoreWorld) -> None:
        """While the first runs, after it was begun, and when it is opened: a conflict each time."""
        store = await world.open()
        claimed = await claim(store)
        assert (await claim(store, OTHER_BODY, holder="h2")).standing is Standing.CONFLICT
        assert await store.openings.begin(claimed.opening, keyed("p1"), PARAMS)
        await store.openings.release(claimed.opening)
        assert (await claim(store, OTHER_BODY, holder="h3")).standing is Standing.CONFLICT
        mine = attrs.evolve(claimed.opening, payment_id="p1")
        await store.openings.finish(mine, SESSION, kept_s=KEPT_S)
        assert (await claim(store, OTHER_BODY, holder="h4")).standing is Standing.CONFLICT

    @scenario
    async def test_an_opened_session_is_given_again(self, world: StoreWorld) -> None:
        """All of it, in every process, and its payment leads to it; what was to be sent is gone."""
        store = await world.open()
        await opened(store)
        again = await claim(await world.open(), holder="h2")
        assert again.standing is Standing.OPENED
        found = again.opening
        assert (found.session_id, found.url, found.client_secret) == (SESSION.id, SESSION.url, SESSION.client_secret)
        assert found.expires_at is not None
        assert found.expires_at.timestamp() == SESSION.expires_s
        assert (found.payment_id, found.params) == ("p1", None)
        saved = await store.payment("p1")
        assert saved is not None
        assert (saved.session_id, saved.idempotency_key) == ("cs_1", "key-p1")

    @scenario
    async def test_a_dead_worker_is_taken_over_after_its_lease(self, world: StoreWorld) -> None:
        """With the payment and the parameters that it was about to send, and when it can have sent them."""
        store = await world.open()
        claimed = await claim(store)
        assert await store.openings.begin(claimed.opening, keyed("p1"), PARAMS)
        await world.pass_time(LEASE_S - 5)
        assert (await claim(store, holder="h2")).standing is Standing.RUNNING
        await world.pass_time(10)
        taken = await claim(await world.open(), holder="h3")
        assert (taken.standing, taken.opening.holder) == (Standing.TAKEN_OVER, "h3")
        assert (taken.opening.payment_id, taken.opening.params) == ("p1", PARAMS)
        assert taken.opening.keyed_at is not None
        assert taken.tried_until is not None
        assert taken.opening.keyed_at < taken.tried_until < taken.now
        assert (await claim(store, holder="h4")).standing is Standing.RUNNING

    @scenario
    async def test_a_worker_that_died_before_it_wrote_anything_leaves_a_free_name(self, world: StoreWorld) -> None:
        """Also for another body: nothing was sent."""
        store = await world.open()
        await claim(store)
        await world.pass_time(LEASE_S + 1)
        taken = await claim(store, OTHER_BODY, holder="h2")
        assert (taken.standing, taken.opening.fingerprint) == (Standing.FRESH, "body-2")

    @scenario
    async def test_who_was_taken_over_can_change_nothing(self, world: StoreWorld) -> None:
        """It begins no second payment, changes no key, gives nothing back."""
        store = await world.open()
        zombie = (await claim(store, holder="zombie")).opening
        await world.pass_time(LEASE_S + 1)
        mine = (await claim(store, holder="h2")).opening
        assert not await store.openings.begin(zombie, keyed("p1"), PARAMS)
        assert await store.payment("p1") is None
        assert await store.openings.begin(mine, keyed("p2"), PARAMS)
        assert not await store.openings.begin(mine, keyed("p3"), PARAMS)
        assert await store.payment("p3") is None
        assert not await store.openings.rekey(attrs.evolve(zombie, payment_id="p2"), "another")
        await store.openings.free(zombie)
        await store.openings.release(zombie)
        found = await claim(store, holder="h3")
        assert (found.standing, found.opening.payment_id) == (Standing.RUNNING, "p2")

    @scenario
    async def test_the_first_session_saved_is_the_one_that_is_given(self, world: StoreWorld) -> None:
        """A worker that was taken over may still save what Stripe answered; both give the same."""
        store = await world.open()
        zombie = (await claim(store, holder="zombie")).opening
        assert await store.openings.begin(zombie, keyed("p1"), PARAMS)
        await world.pass_time(LEASE_S + 1)
        mine = (await claim(store, holder="h2")).opening
        first = await store.openings.finish(mine, SESSION, kept_s=KEPT_S)
        late = await store.openings.finish(
            attrs.evolve(zombie, payment_id="p1"), attrs.evolve(SESSION, url=None), kept_s=KEPT_S
        )
        assert first is not None
        assert late is not None
        assert (late.session_id, late.url) == (first.session_id, first.url) == (SESSION.id, SESSION.url)

    @scenario
    async def test_a_session_for_a_name_that_went_on_is_its_payments_alone(self, world: StoreWorld) -> None:
        """The name belongs to another payment by now: it is not given for it, and the payment has it all the same."""
        store = await world.open()
        first = (await claim(store)).opening
        assert await store.openings.begin(first, keyed("p1"), PARAMS)
        await store.openings.free(first)
        await opened(store, payment_id="p2", holder="h2")
        late = Session("cs_late")
        assert await store.openings.finish(attrs.evolve(first, payment_id="p1"), late, kept_s=KEPT_S) is None
        again = await claim(store, holder="h3")
        assert again.opening.payment_id == "p2"
        saved = await store.payment("p1")
        assert saved is not None
        assert saved.session_id == "cs_late"

    @scenario
    async def test_another_key_for_stripe_is_kept_with_the_payment(self, world: StoreWorld) -> None:
        """And its age begins anew; only before there is a session."""
        store = await world.open()
        claimed = (await claim(store)).opening
        assert not await store.openings.rekey(claimed, "too early")
        assert await store.openings.begin(claimed, keyed("p1"), PARAMS)
        begun = attrs.evolve(claimed, payment_id="p1")
        await world.pass_time(5)
        assert await store.openings.rekey(begun, "second")
        await world.pass_time(LEASE_S)
        taken = await claim(store, holder="h2")
        assert taken.opening.keyed_at is not None
        assert LEASE_S - 1 <= (taken.now - taken.opening.keyed_at).total_seconds() < LEASE_S + 5
        saved = await store.payment("p1")
        assert saved is not None
        assert saved.idempotency_key == "second"
        await store.openings.finish(taken.opening, SESSION, kept_s=KEPT_S)
        assert not await store.openings.rekey(taken.opening, "too late")

    @scenario
    async def test_a_released_name_is_gone_on_with_at_once(self, world: StoreWorld) -> None:
        """And one that is given back begins anew."""
        store = await world.open()
        claimed = (await claim(store)).opening
        assert await store.openings.begin(claimed, keyed("p1"), PARAMS)
        await store.openings.release(claimed)
        taken = await claim(store, holder="h2")
        assert (taken.standing, taken.opening.payment_id) == (Standing.TAKEN_OVER, "p1")
        await store.openings.free(taken.opening)
        anew = await claim(store, OTHER_BODY, holder="h3")
        assert (anew.standing, anew.opening.payment_id, anew.opening.params) == (Standing.FRESH, None, None)

    @scenario
    async def test_a_session_of_no_use_is_begun_anew_once(self, world: StoreWorld) -> None:
        """Several find it stale at once: one begins, and nothing of the old session is left."""
        store = await world.open()
        await opened(store, CART)
        callers = [claim(await world.open(), CART, holder=f"h{n}", stale="cs_1") for n in range(2, 5)]
        found = await world.together(*callers)
        assert sorted(one.standing.name for one in found) == ["FRESH", "RUNNING", "RUNNING"]
        (mine,) = (one.opening for one in found if one.is_mine)
        assert (mine.payment_id, mine.session_id, mine.url, mine.expires_at) == (None,) * 4
        assert await store.openings.begin(mine, keyed("p2"), PARAMS)
        await store.openings.finish(attrs.evolve(mine, payment_id="p2"), Session("cs_2"), kept_s=SAME_CART_S)
        again = await claim(store, CART, holder="h9", stale="cs_1")
        assert (again.standing, again.opening.session_id, again.opening.url) == (Standing.OPENED, "cs_2", None)

    @scenario
    async def test_names_are_kept_as_long_as_promised(self, world: StoreWorld) -> None:
        """A session under a key a day, the same cart half an hour, an unended attempt three days."""
        store = await world.open()
        await opened(store)
        await opened(store, CART, payment_id="p2")
        unended = attrs.evolve(ASK, name="name-3")
        pending = await claim(store, unended)
        assert await store.openings.begin(pending.opening, keyed("p3"), PARAMS)
        await world.pass_time(SAME_CART_S + 1)
        assert (await claim(store, CART, holder="h2")).standing is Standing.FRESH
        await world.pass_time(KEPT_S - SAME_CART_S - 10)
        assert (await claim(store, holder="h2")).standing is Standing.OPENED
        await world.pass_time(20)
        assert (await claim(store, OTHER_BODY, holder="h2")).standing is Standing.FRESH
        await world.pass_time(PENDING_S - KEPT_S - 60)
        assert (await claim(store, unended, holder="h2")).standing is Standing.TAKEN_OVER

    @scenario
    async def test_names_whose_time_is_over_go(self, world: StoreWorld) -> None:
        """New ones take old ones with them, so that the table does not grow."""
        store = await world.open()
        for number in range(12):
            await opened(store, attrs.evolve(ASK, name=f"old-{number}"), payment_id=f"p{number}")
        assert await world.count_openings() == 12
        await world.pass_time(KEPT_S + 1)
        for number in range(3):
            await claim(store, attrs.evolve(ASK, name=f"new-{number}"))
        assert await world.count_openings() == 3

    @scenario
    async def test_a_session_for_a_payment_that_is_not_there_is_a_mistake(self, world: StoreWorld) -> None:
        """It must not pass, and nothing is saved."""
        store = await world.open()
        claimed = await claim(store)
        try:
            await store.openings.finish(attrs.evolve(claimed.opening, payment_id="nobody"), SESSION, kept_s=KEPT_S)
        except LookupError as error:
            told = str(error)
        else:
            told = ""
        assert "nobody" in told
