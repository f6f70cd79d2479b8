"""What a gateway must do with products and prices that are made and changed through it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from payments_core.domain.catalogue import ListedPrice, ListedProduct
from payments_core.errors import StripeError, StripeObjectMissing
from payments_core.money import Money
from payments_core.ports.catalogue import CatalogueGateway

Run = Callable[[Callable[[CatalogueGateway], Coroutine[Any, Any, None]]], None]

SHIRT: dict[str, Any] = {
    "id": "shirt-1",
    "name": "Shirt",
    "description": "Soft",
    "images": ["https://shop.example/1.png"],
    "metadata": {"sku": "S1", "size": "L"},
    "default_price_data": {"currency": "usd", "unit_amount": 2999, "metadata": {"payments_core_catalogue": "1"}},
}
MORE: dict[str, Any] = {"product": "shirt-1", "currency": "usd", "unit_amount": 3500}


async def _shirt(gateway: CatalogueGateway) -> ListedProduct:
    found = await gateway.listed("shirt-1")
    assert found is not None
    return found


class CatalogueKeepingContract:
    """Obligations of `CatalogueGateway`. `run` drives a scenario over an empty catalogue."""

    def test_a_product_is_made_under_the_shops_id_with_its_price(self, run: Run) -> None:
        """Everything that was sent is there; an unknown product is None."""

        async def scenario(gateway: CatalogueGateway) -> None:
            assert await gateway.listed("shirt-1") is None
            await gateway.create_product(SHIRT, idempotency_key="key-1")
            shirt = await _shirt(gateway)
            assert (shirt.id, shirt.active, shirt.name, shirt.description) == ("shirt-1", True, "Shirt", "Soft")
            assert (shirt.images, dict(shirt.metadata)) == (("https://shop.example/1.png",), SHIRT["metadata"])
            (price,) = shirt.prices
            assert price == ListedPrice(str(shirt.default_price_id), Money(2999, "usd"), plain=True, ours=True)

        run(scenario)

    def test_an_id_that_is_taken_is_refused_by_name(self, run: Run) -> None:
        """`resource_already_exists`, and nothing has changed."""

        async def scenario(gateway: CatalogueGateway) -> None:
            await gateway.create_product(SHIRT, idempotency_key="key-1")
            with pytest.raises(StripeError) as caught:
                await gateway.create_product({**SHIRT, "name": "Other"}, idempotency_key="key-2")
            assert (caught.value.code, caught.value.answered) == ("resource_already_exists", 400)
            assert (await _shirt(gateway)).name == "Shirt"

        run(scenario)

    def test_a_key_that_comes_again_changes_nothing(self, run: Run) -> None:
        """The first answer again for the same request; with other parameters `idempotency_error`."""

        async def scenario(gateway: CatalogueGateway) -> None:
            for _ in range(2):
                await gateway.create_product(SHIRT, idempotency_key="key-1")
            made = [await gateway.create_price(MORE, idempotency_key="key-2") for _ in range(2)]
            assert made[0] == made[1]
            assert len((await _shirt(gateway)).prices) == 2
            with pytest.raises(StripeError) as caught:
                await gateway.create_price({**MORE, "unit_amount": 1}, idempotency_key="key-2")
            assert caught.value.code == "idempotency_error"

        run(scenario)

    def test_an_update_changes_what_it_names(self, run: Run) -> None:
        """Empty text unsets, metadata is merged by key, an archived product is listed."""

        async def scenario(gateway: CatalogueGateway) -> None:
            await gateway.create_product(SHIRT, idempotency_key="key-1")
            change = {"active": False, "description": "", "images": "", "metadata": {"size": "", "cut": "slim"}}
            await gateway.update_product("shirt-1", change, idempotency_key="key-2")
            shirt = await _shirt(gateway)
            assert (shirt.active, shirt.name, shirt.description or None, shirt.images) == (False, "Shirt", None, ())
            assert dict(shirt.metadata) == {"sku": "S1", "cut": "slim"}

        run(scenario)

    def test_the_default_moves_and_the_old_price_retires(self, run: Run) -> None:
        """A default price cannot be retired before that, and a retired one cannot be the default."""

        async def scenario(gateway: CatalogueGateway) -> None:
            await gateway.create_product(SHIRT, idempotency_key="key-1")
            old = str((await _shirt(gateway)).default_price_id)
            with pytest.raises(StripeError):
                await gateway.update_price(old, {"active": False}, idempotency_key="key-2")
            new = await gateway.create_price(MORE, idempotency_key="key-3")
            await gateway.update_product("shirt-1", {"default_price": new}, idempotency_key="key-4")
            await gateway.update_price(old, {"active": False}, idempotency_key="key-5")
            shirt = await _shirt(gateway)
            assert shirt.default_price_id == new
            assert [(price.id, price.money, price.ours) for price in shirt.prices] == [(new, Money(3500, "usd"), False)]
            with pytest.raises(StripeError):
                await gateway.update_product("shirt-1", {"default_price": old}, idempotency_key="key-6")

        run(scenario)

    def test_a_lookup_key_moves_to_a_new_price(self, run: Run) -> None:
        """Only where that is said; the price that had it is without."""

        async def scenario(gateway: CatalogueGateway) -> None:
            await gateway.create_product(SHIRT, idempotency_key="key-1")
            keyed = {**MORE, "lookup_key": "shirt"}
            old = await gateway.create_price(keyed, idempotency_key="key-2")
            with pytest.raises(StripeError):
                await gateway.create_price(keyed, idempotency_key="key-3")
            new = await gateway.create_price({**keyed, "transfer_lookup_key": True}, idempotency_key="key-4")
            keys = {price.id: price.lookup_key for price in (await _shirt(gateway)).prices}
            assert (keys[old], keys[new]) == (None, "shirt")

        run(scenario)

    def test_all_active_prices_are_listed(self, run: Run) -> None:
        """More than one page of them."""

        async def scenario(gateway: CatalogueGateway) -> None:
            await gateway.create_product(SHIRT, idempotency_key="key")
            for number in range(101):
                await gateway.create_price({**MORE, "unit_amount": 100 + number}, idempotency_key=f"key-{number}")
            assert len((await _shirt(gateway)).prices) == 102

        run(scenario)

    def test_what_is_not_there_is_missing(self, run: Run) -> None:
        """StripeObjectMissing, for products and prices alike."""

        async def scenario(gateway: CatalogueGateway) -> None:
            with pytest.raises(StripeObjectMissing):
                await gateway.update_product("nothing", {"name": "x"}, idempotency_key="key-1")
            with pytest.raises(StripeObjectMissing):
                await gateway.update_price("price_nothing", {"active": False}, idempotency_key="key-2")
            with pytest.raises(StripeError):
                await gateway.create_price({**MORE, "product": "nothing"}, idempotency_key="key-3")

        run(scenario)
