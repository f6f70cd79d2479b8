"""What a gateway must make of the catalogue: product ids, price ids, lookup keys, and what is not for sale."""

from __future__ import annotations

import pytest

from payments_core.domain.pricing import CatalogPrice
from payments_core.testing.contracts.gateway_world import GatewayWorld, price, product, scenario


class CatalogueContract:
    """Obligations of `Gateway.catalogue`."""

    @scenario
    async def test_a_product_costs_its_default_price(self, world: GatewayWorld) -> None:
        """A product id gives the default price's id, currency and amount."""
        world.put(product("prod_1", price("price_1", "prod_1")))
        assert await world.gateway.catalogue(["prod_1"]) == {"prod_1": CatalogPrice("price_1", {"usd": 2999})}

    @scenario
    async def test_a_price_has_an_amount_for_each_of_its_currencies(self, world: GatewayWorld) -> None:
        """Currency options with an amount join the price's own currency, however the price was found."""
        options = {
            "usd": {"unit_amount": 2999},
            "eur": {"unit_amount": 2799},
            "jpy": {"unit_amount": None, "custom_unit_amount": {"minimum": 1}},
        }
        shirt = product("prod_1", price("price_1", "prod_1", currency_options=options))
        mug = product("prod_2")
        world.put(shirt)
        world.put(mug)
        world.put(price("price_2", mug, currency_options=options, lookup_key="mug"))
        references = ["prod_1", "price_2", "mug", "prod_2"]
        found = await world.gateway.catalogue(references)
        assert set(found) == set(references)
        assert all(entry.units == {"usd": 2999, "eur": 2799} for entry in found.values())

    @scenario
    async def test_price_ids_and_lookup_keys_are_references_too(self, world: GatewayWorld) -> None:
        """A price id and a lookup key give their own price, not the product's default."""
        shirt = product("prod_1", price("price_1", "prod_1"))
        world.put(shirt)
        world.put(price("price_2", shirt, unit_amount=100))
        world.put(price("price_3", shirt, unit_amount=200, lookup_key="shirt.sale"))
        found = await world.gateway.catalogue(["price_2", "shirt.sale"])
        assert found == {
            "price_2": CatalogPrice("price_2", {"usd": 100}),
            "shirt.sale": CatalogPrice("price_3", {"usd": 200}),
        }

    @scenario
    async def test_unknown_references_are_left_out(self, world: GatewayWorld) -> None:
        """What Stripe does not know is absent; neither an error nor an entry."""
        world.put(product("prod_1", price("price_1", "prod_1")))
        found = await world.gateway.catalogue(["prod_1", "prod_none", "price_none", "key none"])
        assert set(found) == {"prod_1"}

    @pytest.mark.parametrize("reference", ["", " ", "a/b", "..", "prod_1?limit=1", "prod_1\n", "é", "x" * 300])
    def test_what_can_be_no_id_is_unknown(self, world: GatewayWorld, reference: str) -> None:
        """A reference that could lead elsewhere in a URL is answered like any other that nobody knows."""

        async def asked() -> None:
            world.put(product("prod_1", price("price_1", "prod_1")))
            assert await world.gateway.catalogue([reference]) == {}

        world.run(asked())

    @scenario
    async def test_nothing_asked_is_nothing_found(self, world: GatewayWorld) -> None:
        """No references, no entries."""
        assert await world.gateway.catalogue([]) == {}

    @scenario
    async def test_a_reference_may_be_asked_twice(self, world: GatewayWorld) -> None:
        """Repeated references are one entry."""
        world.put(product("prod_1", price("price_1", "prod_1")))
        assert set(await world.gateway.catalogue(["prod_1", "prod_1"])) == {"prod_1"}

    @scenario
    async def test_a_large_cart_is_looked_up_whole(self, world: GatewayWorld) -> None:
        """Over a hundred products, and more lookup keys than a request takes, are all found."""
        ids = [f"prod_{number}" for number in range(120)]
        for name in ids:
            world.put(product(name, price(f"price_of_{name}", name)))
        keys = [f"key.{number}" for number in range(23)]
        for name in keys:
            world.put(price(f"price_{name.replace('.', '')}", product("prod_keyed"), lookup_key=name))
        assert set(await world.gateway.catalogue([*ids, *keys])) == {*ids, *keys}

    @scenario
    async def test_the_only_one_time_price_stands_in_for_a_default(self, world: GatewayWorld) -> None:
        """Without a default price the one active one-time price is meant; inactive and recurring ones do not count."""
        shirt = product("prod_1")
        world.put(shirt)
        world.put(price("price_1", shirt))
        world.put(price("price_2", shirt, active=False))
        world.put(price("price_3", shirt, type="recurring", recurring={"interval": "month"}))
        assert await world.gateway.catalogue(["prod_1"]) == {"prod_1": CatalogPrice("price_1", {"usd": 2999})}

    @scenario
    async def test_several_prices_without_a_default_cannot_be_sold(self, world: GatewayWorld) -> None:
        """Which of two prices is meant nobody said; the reason gives their number."""
        shirt = product("prod_1")
        world.put(shirt)
        world.put(price("price_1", shirt))
        world.put(price("price_2", shirt, unit_amount=1))
        entry = (await world.gateway.catalogue(["prod_1"]))["prod_1"]
        assert not entry.sellable
        assert "2 active one-time prices" in (entry.reason or "")

    @scenario
    async def test_a_product_without_any_price_cannot_be_sold(self, world: GatewayWorld) -> None:
        """It is known, and the reason says what is missing."""
        world.put(product("prod_1"))
        entry = (await world.gateway.catalogue(["prod_1"]))["prod_1"]
        assert not entry.sellable
        assert "price" in (entry.reason or "")

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"active": False}, "not active"),
            ({"type": "recurring", "recurring": {"interval": "month"}}, "recurring"),
            ({"unit_amount": None, "custom_unit_amount": {"minimum": 100}}, "chosen by the buyer"),
            ({"unit_amount": None, "billing_scheme": "tiered"}, "tiers"),
            ({"unit_amount": None, "unit_amount_decimal": "0.5"}, "minor units"),
            ({"transform_quantity": {"divide_by": 10, "round": "up"}}, "package"),
        ],
    )
    @pytest.mark.parametrize("by", ["prod_1", "price_1"])
    def test_a_price_that_is_no_price_per_piece_cannot_be_sold(
        self, world: GatewayWorld, wrong: dict[str, object], said: str, by: str
    ) -> None:
        """Inactive, recurring, variable, tiered, fractional and package prices are known but not sellable, with why."""

        async def asked() -> None:
            default = price("price_1", "prod_1", **wrong)
            world.put(product("prod_1", default))
            world.put({**default, "product": product("prod_1")})
            entry = (await world.gateway.catalogue([by]))[by]
            assert not entry.sellable
            assert said in (entry.reason or "")

        world.run(asked())

    @scenario
    async def test_an_inactive_product_cannot_be_sold(self, world: GatewayWorld) -> None:
        """By its own id, by its price's, and by lookup key."""
        shirt = product("prod_1", price("price_1", "prod_1"), active=False)
        world.put(shirt)
        world.put(price("price_1", shirt, lookup_key="shirt"))
        found = await world.gateway.catalogue(["prod_1", "price_1", "shirt"])
        assert {name: (entry.sellable, entry.reason) for name, entry in found.items()} == dict.fromkeys(
            ("prod_1", "price_1", "shirt"), (False, "its product is not active")
        )
