"""The catalogue's flow over a Stripe in memory: the fold of the messages, crashes, refusals, pace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from payments_core import Money
from payments_core.adapters.memory.gateway import MemoryGateway
from payments_core.domain.catalogue import Archive, Change, ListedProduct, Put, plan
from payments_core.drive import run_blocking
from payments_core.errors import StripeError, StripeUnavailable
from payments_core.ports.consuming import Rejected
from payments_core.services.catalogue import CatalogueFlow, Pace

SHIRT = Put("shirt", "Shirt", Money(1000, "usd"))
WRITES = ("create_product", "update_product", "create_price", "update_price")


class Clock:
    """A waiter whose time passes only while somebody pauses."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def nudge(self) -> None:
        """Nobody is waited for."""

    async def pause(self, seconds: float) -> None:
        self.now_s += seconds

    def monotonic_s(self) -> float:
        return self.now_s


class Timed(MemoryGateway):
    """Notes when each call came."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.times: list[float] = []

        #: After this call the process dies, its answer unread.
        self.dies_after: str | None = None

    def _called(self, method: str, *arguments: str) -> None:
        self.times.append(self.clock.now_s)
        super()._called(method, *arguments)

    async def create_product(self, params: Mapping[str, Any], *, idempotency_key: str) -> None:
        await super().create_product(params, idempotency_key=idempotency_key)
        self._die("create_product")

    async def update_product(self, product_id: str, params: Mapping[str, Any], *, idempotency_key: str) -> None:
        await super().update_product(product_id, params, idempotency_key=idempotency_key)
        self._die("update_product")

    async def create_price(self, params: Mapping[str, Any], *, idempotency_key: str) -> str:
        made = await super().create_price(params, idempotency_key=idempotency_key)
        self._die("create_price")
        return made

    async def update_price(self, price_id: str, params: Mapping[str, Any], *, idempotency_key: str) -> None:
        await super().update_price(price_id, params, idempotency_key=idempotency_key)
        self._die("update_price")

    def _die(self, method: str) -> None:
        if self.dies_after == method:
            raise KeyboardInterrupt


class World:
    def __init__(self, calls_per_s: int = 20) -> None:
        self.clock = Clock()
        self.stripe = Timed(self.clock)
        self.calls_per_s = calls_per_s
        self.restart()

    def restart(self) -> None:
        """A new process: nothing is left but what Stripe has."""
        self.flow = CatalogueFlow(self.stripe, Pace(self.clock, self.calls_per_s))

    def apply(self, change: Change, message_id: str) -> None:
        run_blocking(self.flow.apply(change, message_id))

    def writes(self) -> list[str]:
        return [call.method for call in self.stripe.calls if call.method in WRITES]

    def listed(self, product_id: str = "shirt") -> ListedProduct | None:
        return run_blocking(self.stripe.listed(product_id))

    def shirt(self) -> ListedProduct:
        found = self.listed()
        assert found is not None
        return found


changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(Archive, st.sampled_from("ab")),
    st.builds(
        Put,
        st.sampled_from("ab"),
        st.sampled_from(["Shirt", "Mug"]),
        st.builds(Money, st.sampled_from([1000, 1200]), st.sampled_from(["usd", "eur"])),
        st.sampled_from([None, "", "Soft"]),
        st.sampled_from([None, (), ("https://i.test/1.png",)]),
        st.sampled_from([None, {}, {"sku": "1"}, {"size": "L", "sku": ""}]),
    ),
)


def folded(told: Sequence[Change]) -> dict[str, tuple[Any, ...]]:
    """Name, price, description, images, metadata and whether it is sold, after all of these."""
    found: dict[str, tuple[Any, ...]] = {}
    for change in told:
        before = found.get(change.product_id)
        if isinstance(change, Archive):
            if before is not None:
                found[change.product_id] = (*before[:5], False)
            continue
        _, _, description, images, metadata, _ = before or (None, None, "", (), {}, True)
        found[change.product_id] = (
            change.name,
            change.price,
            description if change.description is None else change.description,
            images if change.images is None else change.images,
            metadata if change.metadata is None else {key: value for key, value in change.metadata.items() if value},
            True,
        )
    return found


def as_sold(product: ListedProduct) -> tuple[Any, ...]:
    """As `folded`; the product must have exactly one active price, its default."""
    (price,) = product.prices
    assert price.id == product.default_price_id
    metadata = dict(product.metadata)
    return (product.name, price.money, product.description or "", product.images, metadata, product.active)


@settings(max_examples=150)
@given(told=st.lists(changes, max_size=8), data=st.data())
def test_the_catalogue_is_the_fold_wherever_the_process_dies(told: list[Change], data: st.DataObject) -> None:
    """After any call, its answer unread: the message comes again, to a new process. Once more, and nothing happens."""
    world = World()
    for number, change in enumerate(told):
        for _ in range(data.draw(st.integers(0, 3))):
            world.stripe.dies_after = data.draw(st.sampled_from(WRITES))
            try:
                world.apply(change, f"m{number}")
            except KeyboardInterrupt:
                event("died")
                world.restart()
            world.stripe.dies_after = None
        world.apply(change, f"m{number}")
        before = len(world.writes())
        world.apply(change, f"m{number}")
        assert len(world.writes()) == before
    found = {name: as_sold(product) for name in "ab" if (product := world.listed(name)) is not None}
    assert found == folded(told)


def test_a_new_product_is_one_write_and_a_new_price_three() -> None:
    """Price, default, retirement: in this order, for a default price cannot be retired."""
    world = World()
    world.apply(SHIRT, "m1")
    world.apply(Put("shirt", "Shirt", Money(1200, "usd")), "m2")
    assert world.writes() == ["create_product", "create_price", "update_product", "update_price"]


def test_a_price_that_was_made_before_the_process_died_is_used() -> None:
    """It is active, ours and fits: no second one is made."""
    world = World()
    world.apply(SHIRT, "m1")
    world.stripe.dies_after = "create_price"
    with pytest.raises(KeyboardInterrupt):
        world.apply(Put("shirt", "Shirt", Money(1200, "usd")), "m2")
    world.stripe.dies_after = None
    world.restart()
    world.apply(Put("shirt", "Shirt", Money(1200, "usd")), "m2")
    assert world.writes() == ["create_product", "create_price", "update_product", "update_price"]


def test_a_message_that_comes_after_newer_ones_again_is_carried_out_again() -> None:
    """A topic that is read anew: under the key of the first time Stripe would give a price that is retired since."""
    world = World()
    dearer = Put("shirt", "Shirt", Money(1200, "usd"))
    for change, message_id in ((SHIRT, "m1"), (dearer, "m2"), (SHIRT, "m3"), (dearer, "m2"), (SHIRT, "m3")):
        world.apply(change, message_id)
        assert as_sold(world.shirt())[1] == change.price


def test_a_deletion_of_what_is_not_there_is_nothing() -> None:
    """One look, no write."""
    world = World()
    world.apply(Archive("shirt"), "m1")
    assert (world.writes(), len(world.stripe.calls)) == ([], 1)


def test_a_catalogue_made_by_hand_is_taken_over() -> None:
    """The default price that Stripe has is retired only when it is another; prices of others stay."""
    world = World()
    world.stripe.put_product({"id": "shirt", "object": "product", "name": "Shirt", "default_price": "price_hand"})
    price = {"object": "price", "product": "shirt", "currency": "usd", "type": "one_time", "billing_scheme": "per_unit"}
    world.stripe.put_price({**price, "id": "price_hand", "unit_amount": 1000})
    world.stripe.put_price({**price, "id": "price_other", "unit_amount": 900})
    world.apply(SHIRT, "m1")
    assert world.writes() == []
    world.apply(Put("shirt", "Shirt", Money(1200, "usd")), "m2")
    assert [one.id for one in world.shirt().prices if not one.ours] == ["price_other"]


@pytest.mark.parametrize(
    "unlike", [{"type": "recurring", "recurring": {"interval": "month"}}, {"billing_scheme": "tiered"}]
)
def test_a_default_price_of_another_kind_is_replaced(unlike: dict[str, Any]) -> None:
    """The same amount for a month, or by tiers, is not the price of a piece."""
    world = World()
    world.stripe.put_product({"id": "shirt", "object": "product", "name": "Shirt", "default_price": "price_x"})
    base = {"id": "price_x", "object": "price", "product": "shirt", "currency": "usd", "unit_amount": 1000}
    world.stripe.put_price({**base, "type": "one_time", **unlike})
    world.apply(SHIRT, "m1")
    (price,) = world.shirt().prices
    assert (price.id == world.shirt().default_price_id, price.plain, price.ours) == (True, True, True)


def test_a_new_price_takes_over_the_lookup_key() -> None:
    """Carts that name the key are asked for the new price."""
    world = World()
    world.stripe.put_product({"id": "shirt", "object": "product", "name": "Shirt", "default_price": "price_hand"})
    price = {"object": "price", "product": "shirt", "currency": "usd", "type": "one_time", "billing_scheme": "per_unit"}
    world.stripe.put_price({**price, "id": "price_hand", "unit_amount": 1000, "lookup_key": "tee"})
    world.apply(Put("shirt", "Shirt", Money(1200, "usd")), "m1")
    assert [(one.money, one.lookup_key) for one in world.shirt().prices] == [(Money(1200, "usd"), "tee")]


def test_metadata_of_others_is_replaced_and_ours_is_left() -> None:
    """Exactly what the message says, beside what this library has put there."""
    listed = ListedProduct("shirt", True, "Shirt", metadata={"old": "1", "payments_core_x": "2"})
    (_, update) = plan(Put("shirt", "Shirt", Money(1, "usd"), metadata={"new": "3"}), listed)
    assert update.params["metadata"] == {"old": "", "new": "3"}  # type: ignore[union-attr]


def refusal(code: str | None, answered: int, param: str | None = None) -> StripeError:
    error = StripeError("Stripe said no.", code, param=param, request_id="req_1")
    error.answered = answered
    return error


def test_what_stripe_refuses_is_rejected_with_its_code() -> None:
    """And the parameter and the request, which opens the whole story in the Dashboard."""
    world = World()
    world.stripe.fail_next(refusal("url_invalid", 400, "images[0]"), method="create_product")
    with pytest.raises(Rejected, match=r"\(url_invalid, parameter images\[0\], request req_1\)"):
        world.apply(SHIRT, "m1")


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_stripe_does_not_accept_is_no_fault_of_the_message(status: int) -> None:
    """It waits, as for an outage, until the key is right."""
    world = World()
    world.stripe.fail_next(refusal(None, status), method="listed")
    with pytest.raises(StripeUnavailable, match="Stripe said no"):
        world.apply(SHIRT, "m1")
    world.apply(SHIRT, "m1")
    assert world.shirt().name == "Shirt"


@pytest.mark.parametrize("code", ["resource_already_exists", "idempotency_error", "resource_missing"])
def test_a_catalogue_that_moved_between_look_and_act_is_looked_at_again(code: str) -> None:
    """With another key, so that a key used before cannot stand in the way; not for ever."""
    world = World()
    world.stripe.fail_next(refusal(code, 400), method="create_product")
    world.apply(SHIRT, "m1")
    keys = [arguments[0] for arguments in world.stripe.asked("create_product")]
    assert len(set(keys)) == 2
    world.stripe.fail_next(refusal(code, 400), method="update_product", times=9)
    with pytest.raises(Rejected, match=code):
        world.apply(Archive("shirt"), "m2")


def test_after_a_failure_of_stripes_own_another_key_is_used() -> None:
    """Stripe repeats a 500 under its key for a day; no answer at all keeps the key, for the work may be done."""
    world = World()
    broken, silent = StripeUnavailable("Stripe answered with status 500."), StripeUnavailable("no answer")
    broken.answered = 500
    for failure in (silent, broken):
        world.stripe.fail_next(failure, method="create_product")
        with pytest.raises(StripeUnavailable):
            world.apply(SHIRT, "m1")
    world.apply(SHIRT, "m1")
    first, second, third = (arguments[0] for arguments in world.stripe.asked("create_product"))
    assert first == second
    assert second != third


def test_keys_are_as_long_as_stripe_takes_and_differ_by_message() -> None:
    """However long the message's id is."""
    world = World()
    for number in range(2):
        world.apply(SHIRT, f"{'m' * 255}{number}")
        world.apply(Put("shirt", "Shirt", Money(1200, "usd")), f"{'n' * 255}{number}")
    keys = [arguments[-1] for method in WRITES for arguments in world.stripe.asked(method)]
    assert len(set(keys)) == len(keys)
    assert max(map(len, keys)) <= 255


@given(st.integers(1, 100), st.lists(st.sampled_from([1000, 1200]), min_size=3, max_size=10))
def test_no_second_has_more_calls_than_agreed(calls_per_s: int, prices: list[int]) -> None:
    """Reads and writes together, whatever the messages ask for."""
    world = World(calls_per_s)
    for number, price in enumerate(prices):
        world.apply(Put("shirt", "Shirt", Money(price, "usd")), f"m{number}")
    times = world.stripe.times
    for at, begin in enumerate(times):
        assert sum(one < begin + 1 - 1e-6 for one in times[at:]) <= calls_per_s
