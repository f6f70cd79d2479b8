"""Products and prices."""

from __future__ import annotations

from typing import Any

import pytest

from payments_core.sandbox import Sandbox
from tests.sandbox.conftest import Caller, cart


def product(api: Caller, **params: Any) -> dict[str, Any]:
    return api.ok("POST", "/v1/products", {"name": "Shirt", **params})


def price(api: Caller, **params: Any) -> dict[str, Any]:
    return api.ok("POST", "/v1/prices", {"currency": "usd", "unit_amount": 2999, **params})


def test_a_product_is_made_with_an_id_of_the_callers_choice_and_a_default_price(api: Caller, sandbox: Sandbox) -> None:
    """One request, three events; the id cannot be taken twice."""
    made = product(
        api,
        id="shirt-1",
        images=["https://i.test/1.png"],
        metadata={"sku": "S1"},
        default_price_data={"currency": "usd", "unit_amount": 2999},
        expand=["default_price"],
    )

    assert (made["id"], made["default_price"]["unit_amount"]) == ("shirt-1", 2999)
    assert made["default_price"]["product"] == "shirt-1"
    assert [e["type"] for e in sandbox.events()] == ["product.created", "price.created", "product.updated"]
    error = api.refusal("POST", "/v1/products", {"id": "shirt-1", "name": "Again"})
    assert error["code"] == "resource_already_exists"


def test_an_update_tells_what_changed(api: Caller, sandbox: Sandbox) -> None:
    """`previous_attributes` holds the old values; an update that changes nothing tells nothing."""
    made = product(api, description="Soft", metadata={"a": "1"})
    url = f"/v1/products/{made['id']}"

    changed = api.ok("POST", url, {"name": "Better shirt", "description": "", "metadata": {"b": "2"}})
    api.ok("POST", url, {"name": "Better shirt"})

    (event,) = sandbox.events("product.updated")
    assert (changed["description"], changed["metadata"]) == (None, {"a": "1", "b": "2"})
    assert event["data"]["previous_attributes"] == {
        "name": "Shirt",
        "description": "Soft",
        "metadata": {"a": "1"},
    }


def test_the_default_price_moves_to_an_active_price_of_the_product(api: Caller) -> None:
    """Another product's price and an archived one are refused."""
    mine, other = product(api), product(api, name="Mug")
    new, foreign = price(api, product=mine["id"]), price(api, product=other["id"])
    old = price(api, product=mine["id"], active=False)
    url = f"/v1/products/{mine['id']}"

    assert api.ok("POST", url, {"default_price": new["id"]})["default_price"] == new["id"]
    assert api.refusal("POST", url, {"default_price": foreign["id"]})["param"] == "default_price"
    assert api.refusal("POST", url, {"default_price": old["id"]})["param"] == "default_price"


def test_a_default_price_cannot_be_archived_before_it_is_no_default(api: Caller, sandbox: Sandbox) -> None:
    """Another price becomes the default, or none: then it can, and each step tells its event."""
    made = product(api, default_price_data={"currency": "usd", "unit_amount": 2999})
    old, url = made["default_price"], f"/v1/products/{made['id']}"

    error = api.refusal("POST", f"/v1/prices/{old}", {"active": False})
    assert (error["status"], error["type"]) == (400, "invalid_request_error")
    assert error["message"].startswith("This price cannot be archived because it is the default price of its product.")

    new = price(api, product=made["id"], unit_amount=3500)["id"]
    api.ok("POST", url, {"default_price": new})
    assert api.ok("POST", f"/v1/prices/{old}", {"active": False})["active"] is False
    assert [one["id"] for one in api.ok("GET", "/v1/prices", {"product": made["id"], "active": True})["data"]] == [new]
    assert api.ok("POST", url, {"default_price": ""})["default_price"] is None
    assert api.ok("POST", f"/v1/prices/{new}", {"active": False})["active"] is False

    told = [(e["type"], e["data"].get("previous_attributes")) for e in sandbox.events()][3:]
    assert told == [
        ("price.created", None),
        ("product.updated", {"default_price": old}),
        ("price.updated", {"active": True}),
        ("product.updated", {"default_price": new}),
        ("price.updated", {"active": True}),
    ]


def test_a_refused_creation_leaves_nothing(api: Caller, sandbox: Sandbox) -> None:
    """A product whose default price or image cannot be: Stripe's error shape, no product, no event."""
    for wrong, param in (
        ({"default_price_data": {"currency": "jpy", "unit_amount": "1.5"}}, "default_price_data[unit_amount]"),
        ({"default_price_data": {"currency": "xxx", "unit_amount": 1}}, "default_price_data[currency]"),
        ({"images": ["no url"]}, "images[0]"),
        ({"metadata": {"a" * 41: "x"}}, "metadata"),
    ):
        error = api.refusal("POST", "/v1/products", {"id": "shirt", "name": "Shirt", **wrong})
        assert (error["status"], error["type"]) == (400, "invalid_request_error")
        assert str(error["param"]).startswith(param)
    assert api.ok("GET", "/v1/products")["data"] == []
    assert sandbox.events() == []


def test_a_product_with_prices_can_only_be_archived(api: Caller, sandbox: Sandbox) -> None:
    """One without can be deleted, and is gone."""
    sold, bare = product(api), product(api)
    price(api, product=sold["id"])

    assert api.refusal("DELETE", f"/v1/products/{sold['id']}")["status"] == 400
    assert api.ok("DELETE", f"/v1/products/{bare['id']}") == {"id": bare["id"], "object": "product", "deleted": True}
    assert api.refusal("GET", f"/v1/products/{bare['id']}")["code"] == "resource_missing"
    assert len(sandbox.events("product.deleted")) == 1


@pytest.mark.parametrize(
    "change", [{"unit_amount": 1}, {"currency": "eur"}, {"product": "prod_x"}, {"unit_amount_decimal": "1"}]
)
def test_a_prices_money_never_changes(api: Caller, change: dict[str, Any]) -> None:
    """A price id always means the same amount."""
    made = price(api, product=product(api)["id"])

    error = api.refusal("POST", f"/v1/prices/{made['id']}", change)

    assert (error["code"], error["param"]) == ("parameter_unknown", next(iter(change)))
    assert api.ok("GET", f"/v1/prices/{made['id']}") == made


def test_a_lookup_key_is_moved_only_when_asked(api: Caller) -> None:
    """Two prices cannot hold one key; `transfer_lookup_key` moves it in one step."""
    shirt = product(api)["id"]
    first = price(api, product=shirt, lookup_key="shirt")
    params = {"currency": "usd", "unit_amount": 3999, "product": shirt, "lookup_key": "shirt"}

    assert api.refusal("POST", "/v1/prices", params)["param"] == "lookup_key"
    second = api.ok("POST", "/v1/prices", {**params, "transfer_lookup_key": True})

    found = api.ok("GET", "/v1/prices", {"lookup_keys": ["shirt"], "active": True, "expand": ["data.product"]})
    assert [(p["id"], p["product"]["id"]) for p in found["data"]] == [(second["id"], shirt)]
    assert api.ok("GET", f"/v1/prices/{first['id']}")["lookup_key"] is None


def test_a_refused_update_does_not_take_another_prices_key(api: Caller) -> None:
    """Nothing changes before every parameter has been checked."""
    shirt = product(api)["id"]
    holder = price(api, product=shirt, lookup_key="shirt")
    other = price(api, product=shirt, tax_behavior="inclusive")

    change = {"lookup_key": "shirt", "transfer_lookup_key": True, "tax_behavior": "exclusive"}
    assert api.refusal("POST", f"/v1/prices/{other['id']}", change)["param"] == "tax_behavior"

    assert api.ok("GET", f"/v1/prices/{holder['id']}")["lookup_key"] == "shirt"


def test_currency_options_are_shown_on_request_and_used_by_a_session(api: Caller) -> None:
    """One price, two currencies; the session says which, until the other is unset."""
    made = price(
        api, product=product(api)["id"], currency_options={"eur": {"unit_amount": 2799}}, expand=["currency_options"]
    )
    params = cart(line_items=[{"price": made["id"], "quantity": 2}], currency="eur")

    session = api.ok("POST", "/v1/checkout/sessions", params)

    assert {key: option["unit_amount"] for key, option in made["currency_options"].items()} == {
        "usd": 2999,
        "eur": 2799,
    }
    assert "currency_options" not in api.ok("GET", f"/v1/prices/{made['id']}")
    assert (session["currency"], session["amount_total"]) == ("eur", 5598)
    unset = api.ok("POST", f"/v1/prices/{made['id']}", {"currency_options": "", "expand": ["currency_options"]})
    assert set(unset["currency_options"]) == {"usd"}


def test_what_is_not_for_sale_is_not_sold(api: Caller) -> None:
    """An archived price and a price of an archived product are refused."""
    shirt = product(api)["id"]
    archived, live = price(api, product=shirt, active=False), price(api, product=shirt)
    api.ok("POST", f"/v1/products/{shirt}", {"active": False})

    for made in (archived, live):
        params = cart(line_items=[{"price": made["id"], "quantity": 1}])
        error = api.refusal("POST", "/v1/checkout/sessions", params)
        assert error["param"] == "line_items[0][price]"
        assert "inactive" in error["message"]


def test_prices_and_products_are_filtered(api: Caller) -> None:
    """By activity, product, currency, type and ids."""
    shirt, mug = product(api)["id"], product(api, active=False)["id"]
    one, two = price(api, product=shirt), price(api, product=mug, currency="eur", active=False)

    def prices(**filters: Any) -> list[str]:
        return [found["id"] for found in api.ok("GET", "/v1/prices", filters)["data"]]

    assert prices(product=shirt) == prices(active=True) == prices(currency="usd") == [one["id"]]
    assert prices(type="one_time") == [two["id"], one["id"]]
    assert prices(type="recurring") == []
    assert [p["id"] for p in api.ok("GET", "/v1/products", {"active": True})["data"]] == [shirt]
    assert [p["id"] for p in api.ok("GET", "/v1/products", {"ids": [mug]})["data"]] == [mug]


@pytest.mark.parametrize(("currency", "amount"), [("isk", 550), ("ugx", 1), ("kwd", 5123)])
def test_amounts_follow_the_currencys_step(api: Caller, currency: str, amount: int) -> None:
    """Whole krónur and shillings, and no third decimal digit."""
    params = {"currency": currency, "unit_amount": amount, "product": product(api)["id"]}

    assert api.refusal("POST", "/v1/prices", params)["param"] == "unit_amount"
