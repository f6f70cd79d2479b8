"""What a cart costs in requests to Stripe: as few as its API allows, whatever names the lines bear."""

from __future__ import annotations

from collections import Counter

import pytest

from payments_core.domain.pricing import CatalogPrice
from payments_core.ports import Io
from tests.gateway.stripe_server import Json, StripeServer
from tests.gateway.test_clients import drive
from tests.gateway.worlds import gateway_of, settings

PRICE = {"object": "price", "active": True, "type": "one_time", "currency": "usd", "unit_amount": 2999}

pytestmark = pytest.mark.parametrize("io", ["blocking", "async"])


def stock(server: StripeServer, count: int, *, default: bool = True, **fields: object) -> None:
    """So many products `prod_n`, each with an active price `price_n` of lookup key `key.n`."""
    for number in range(count):
        price: Json = {**PRICE, "id": f"price_{number}", "product": f"prod_{number}", "lookup_key": f"key.{number}"}
        server.put({"id": f"prod_{number}", "object": "product", "active": True, "default_price": None, **fields})
        server.put(price)
        if default:
            server.objects["product"][f"prod_{number}"]["default_price"] = f"price_{number}"


def ask(io: Io, server: StripeServer, references: list[str]) -> dict[str, CatalogPrice]:
    """What the gateway finds."""

    async def asked() -> dict[str, CatalogPrice]:
        gateway = gateway_of(io, settings(server.url))
        try:
            return dict(await gateway.catalogue(references))
        finally:
            await gateway.close()

    return drive(io, asked())


def names(kind: str, count: int) -> list[str]:
    return [f"{kind}{number}" for number in range(count)]


def paths(server: StripeServer) -> dict[str, int]:
    """How often each path was asked for."""
    return dict(Counter(request.path for request in server.requests))


def test_a_hundred_products_are_one_request(io: Io, server: StripeServer) -> None:
    """With their default prices and all of their currencies."""
    stock(server, 100)
    assert len(ask(io, server, names("prod_", 100))) == 100
    assert paths(server) == {"/v1/products": 1}


def test_a_hundred_lookup_keys_are_ten_requests(io: Io, server: StripeServer) -> None:
    """Stripe takes ten in one; a key with a point in it can be no id, and is not looked for as one."""
    stock(server, 100)
    assert len(ask(io, server, names("key.", 100))) == 100
    assert paths(server) == {"/v1/prices": 10}


def test_a_hundred_price_ids_of_a_small_shop_are_one_request(io: Io, server: StripeServer) -> None:
    """Stripe has no list by price ids; the list of all active prices has them, too."""
    stock(server, 100)
    found = ask(io, server, names("price_", 100))
    assert {entry.price_id for entry in found.values()} == set(names("price_", 100))
    assert paths(server) == {"/v1/prices": 1}


def test_price_ids_of_a_large_shop_cost_a_tenth_more_at_most(io: Io, server: StripeServer) -> None:
    """What the first pages do not hold is asked for one by one."""
    stock(server, 500)
    # Newest first: the oldest ones are on the last page.
    found = ask(io, server, names("price_", 20))
    assert len(found) == 20
    assert sum(paths(server).values()) == 22
    assert paths(server)["/v1/prices"] == 2


def test_a_few_price_ids_are_asked_for_one_by_one(io: Io, server: StripeServer) -> None:
    """A page of a hundred prices would cost more than it saves."""
    stock(server, 5)
    assert len(ask(io, server, names("price_", 5))) == 5
    assert paths(server) == {f"/v1/prices/price_{number}": 1 for number in range(5)}


def test_an_archived_price_among_many_is_still_told_apart_from_an_unknown_one(io: Io, server: StripeServer) -> None:
    """It is in no list of active prices, and the reason must not be lost by that."""
    stock(server, 20)
    server.objects["price"]["price_7"]["active"] = False
    found = ask(io, server, [*names("price_", 20), "price_none"])
    assert (found["price_7"].sellable, found["price_7"].reason) == (False, "its price is not active")
    assert set(found) == set(names("price_", 20))


def test_a_hundred_products_without_a_default_price_are_two_requests_in_a_small_shop(
    io: Io, server: StripeServer
) -> None:
    """One for the products, one for all one-time prices; two prices of one product stay two to choose from."""
    stock(server, 60, default=False)
    server.put({**PRICE, "id": "price_second", "product": "prod_3"})
    server.put({**PRICE, "id": "price_monthly", "product": "prod_4", "type": "recurring", "recurring": {}})
    found = ask(io, server, names("prod_", 60))
    assert found["prod_3"].reason == "it has no default price, and 2 active one-time prices to choose from"
    assert all(entry.sellable for name, entry in found.items() if name != "prod_3")
    assert paths(server) == {"/v1/products": 1, "/v1/prices": 1}


def test_the_list_is_not_taken_for_the_whole_where_it_goes_on(io: Io, server: StripeServer) -> None:
    """A second price on a page that was not read would make an ambiguous product look like a plain one."""
    server.put({"id": "prod_0", "object": "product", "active": True, "default_price": None})
    server.put({**PRICE, "id": "price_oldest", "product": "prod_0", "unit_amount": 1})
    stock(server, 250, default=False)
    found = ask(io, server, names("prod_", 12))
    assert not found["prod_0"].sellable
    assert all(found[name].price_id == f"price_{name[5:]}" for name in names("prod_", 12) if name != "prod_0")


def test_a_mixed_cart_adds_up(io: Io, server: StripeServer) -> None:
    """Forty products, thirty lookup keys and thirty price ids: one, three and one."""
    stock(server, 100)
    wanted = [*names("prod_", 40), *names("key.", 30), *names("price_", 30)]
    assert set(ask(io, server, wanted)) == set(wanted)
    assert paths(server) == {"/v1/products": 1, "/v1/prices": 4}
