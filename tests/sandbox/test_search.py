"""Search on products and prices, in Stripe's query language."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments_core.sandbox import Sandbox
from tests.sandbox.conftest import NOON, Caller, cart


@pytest.fixture
def catalogue(api: Caller) -> Caller:
    """Three products, two of them with a price."""
    for product_id, name, more in (
        ("shirt", "Premium T-Shirt", {"metadata": {"color": "blue", "a b": "it's"}, "url": "https://s.test/shirt"}),
        ("mug", "Mug", {"description": "Holds coffee", "shippable": True, "metadata": {"color": "red"}}),
        ("old", "Old shirt", {"active": False}),
    ):
        api.ok("POST", "/v1/products", {"id": product_id, "name": name, **more})
    for product_id, key, currency in (("shirt", "shirt-usd", "usd"), ("mug", "mug-eur", "eur")):
        price = {"product": product_id, "unit_amount": 100, "currency": currency, "lookup_key": key}
        api.ok("POST", "/v1/prices", {**price, "metadata": {"of": product_id}})
    api.ok("POST", "/v1/checkout/sessions", cart(("Inline shirt", 500, 1)))
    return api


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("active:'true'", ["mug", "shirt"]),
        ("active:true", ["mug", "shirt"]),
        ("-active:'true'", ["old"]),
        ("name~'SHIRT'", ["old", "shirt"]),
        ("name:'mug'", ["mug"]),
        ('name:"Mug"', ["mug"]),
        ("active:'true' AND name~'shirt'", ["shirt"]),
        ("active:'true' name~'shirt'", ["shirt"]),
        ("name:'Mug' OR name:'Old shirt'", ["old", "mug"]),
        ("metadata['color']:'blue'", ["shirt"]),
        ("metadata['color']~'lue'", ["shirt"]),
        ('metadata["a b"]:"it\'s"', ["shirt"]),
        ("metadata['a b']:'it\\'s'", ["shirt"]),
        ("metadata['color']:null", ["old"]),
        ("-metadata['color']:null", ["mug", "shirt"]),
        ("url:'https://s.test/shirt'", ["shirt"]),
        ("url:null", ["old", "mug"]),
        ("shippable:'true'", ["mug"]),
        ("description~'coffee'", ["mug"]),
        ("name:'none'", []),
    ],
)
def test_products_are_found(catalogue: Caller, query: str, found: list[str]) -> None:
    """The newest first, products that a session made inline left out."""
    result = catalogue.ok("GET", "/v1/products/search", {"query": query})

    assert [product["id"] for product in result["data"]] == found
    assert (result["object"], result["has_more"], result["next_page"]) == ("search_result", False, None)
    assert result["url"] == "/v1/products/search"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("lookup_key:'shirt-usd'", ["shirt"]),
        ("lookup_key~'usd'", ["shirt"]),
        ("currency:'eur'", ["mug"]),
        ("product:'mug' AND type:'one_time' AND active:'true'", ["mug"]),
        ("type:'recurring'", []),
        ("metadata['of']:'mug' OR metadata['of']:'shirt'", ["mug", "shirt"]),
    ],
)
def test_prices_are_found_with_their_product(catalogue: Caller, query: str, found: list[str]) -> None:
    """Expanded through `data`."""
    result = catalogue.ok("GET", "/v1/prices/search", {"query": query, "expand": ["data.product"]})

    assert [price["product"]["id"] for price in result["data"]] == found


@pytest.mark.parametrize(
    ("path", "query", "says"),
    [
        ("products", "colour:'blue'", "unsupported search field"),
        ("products", "name", "parse"),
        ("products", "name:Mug", "quotes"),
        ("products", "name:'a' AND name:'b' OR name:'c'", "combine AND and OR"),
        ("products", "name~'ab'", "3 characters"),
        ("products", "active:'maybe'", "true or false"),
        ("products", "name>'a'", "not supported"),
        ("products", "name:'a'AND name:'b'", "parse"),
        ("prices", "currency~'usd'", "not supported"),
        ("prices", "currency>'1'", "not supported"),
        ("prices", "name:'x'", "unsupported search field"),
        ("prices", " OR ".join(["currency:'usd'"] * 11), "more than 10"),
    ],
)
def test_a_query_that_cannot_be_read_is_refused(catalogue: Caller, path: str, query: str, says: str) -> None:
    """400 naming `query`, and what is wrong with it."""
    error = catalogue.refusal("GET", f"/v1/{path}/search", {"query": query})

    assert (error["status"], error["param"]) == (400, "query")
    assert says in error["message"]


def test_a_query_is_needed_and_a_page_is_one_of_ours(catalogue: Caller) -> None:
    """Neither a blank query nor somebody else's page."""
    assert catalogue.refusal("GET", "/v1/products/search")["param"] == "query"
    wrong = {"query": "active:'true'", "page": "YWJj"}
    assert catalogue.refusal("GET", "/v1/products/search", wrong)["param"] == "page"


@settings(deadline=None)
@given(count=st.integers(0, 12), limit=st.integers(1, 5))
def test_pages_show_everything_once(count: int, limit: int) -> None:
    """`page` takes `next_page`, and there is none after the last."""
    api = Caller(Sandbox(clock=lambda: NOON))
    made = [api.ok("POST", "/v1/products", {"name": "Mug"})["id"] for _ in range(count)][::-1]
    seen: list[str] = []
    page: dict[str, str] = {}
    while True:
        result = api.ok("GET", "/v1/products/search", {"query": "name:'Mug'", "limit": limit, **page})
        seen += [product["id"] for product in result["data"]]
        assert result["has_more"] == (result["next_page"] is not None)
        if not result["has_more"]:
            break
        page = {"page": result["next_page"]}

    assert seen == made
