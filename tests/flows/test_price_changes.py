"""The catalogue changes at Stripe, and a webhook tells: what was remembered is not sold any more."""

from __future__ import annotations

import pytest

from payments_core import Cart, Line, Money, PriceVerificationError
from payments_core.drive import run_blocking
from tests.flows.conftest import Open
from tests.flows.shop import DROPPED, Shop
from tests.flows.test_checkout import MUG, PRICE, mugs


@pytest.fixture
def warm(shop: Shop) -> Shop:
    """A shop that has sold a mug at 5.00 already, which now costs 7.00."""
    shop.gateway.put_product(MUG)
    shop.gateway.put_price(PRICE)
    shop.checkout(cart=mugs())
    # Active still: Stripe itself would not refuse it.
    shop.gateway.put_price({**PRICE, "lookup_key": None})
    shop.gateway.put_price({**PRICE, "id": "price_new", "unit_amount": 700})
    shop.gateway.put_product({**MUG, "default_price": "price_new"})
    shop.gateway.calls.clear()
    return shop


NEWS = [
    ("product.updated", {"id": "prod_mug", "object": "product"}, {"default_price": "price_mug", "updated": 1}),
    ("product.created", {"id": "prod_other", "object": "product"}, DROPPED),
    ("product.deleted", {"id": "prod_mug", "object": "product"}, DROPPED),
    ("price.created", {"id": "price_new", "object": "price"}, DROPPED),
    ("price.updated", {"id": "price_mug", "object": "price"}, {"active": True}),
    ("price.updated", {"id": "price_mug", "object": "price"}, {"lookup_key": "mug-2026", "metadata": {}}),
    ("price.updated", {"id": "price_mug", "object": "price"}, {"currency_options": {}}),
    ("price.deleted", {"id": "price_mug", "object": "price"}, DROPPED),
    ("product.updated", {"id": "prod_mug", "object": "product"}, {"a_field_of_next_year": 1}),
    ("product.updated", {"id": "prod_mug", "object": "product"}, {}),
]


@pytest.mark.parametrize(("kind", "subject", "previous"), NEWS)
def test_news_of_the_catalogue_ends_what_was_remembered(
    warm: Shop, kind: str, subject: dict[str, object], previous: object
) -> None:
    """The old price is refused from then on, with the new one in the answer."""
    data = {"object": subject, **({} if previous is DROPPED else {"previous_attributes": previous})}
    warm.hear(kind, subject, data=data)
    with pytest.raises(PriceVerificationError) as refused:
        warm.checkout(cart=mugs())
    assert [str(one.expected_price) for one in refused.value.discrepancies] == ["7.00"]


@pytest.mark.parametrize(
    ("kind", "previous"),
    [
        ("product.updated", {"metadata": {"stock": "7"}, "updated": 1}),
        ("product.updated", {"description": "old", "images": []}),
        ("price.updated", {"nickname": "old", "metadata": {}}),
    ],
)
def test_news_that_changes_no_price_keeps_what_is_remembered(
    warm: Shop, kind: str, previous: dict[str, object]
) -> None:
    """A shop that keeps its stock in metadata would otherwise ask Stripe for every cart."""
    subject = {"id": "prod_mug", "object": "product"}
    warm.hear(kind, subject, data={"object": subject, "previous_attributes": previous})
    warm.checkout(cart=mugs())
    assert warm.gateway.asked("catalogue") == []


def test_other_news_keeps_what_is_remembered(warm: Shop) -> None:
    """A payment changes no price."""
    warm.hear("customer.updated", {"id": "cus_1", "object": "customer"})
    warm.checkout(cart=mugs())
    assert warm.gateway.asked("catalogue") == []


def test_handlers_of_the_news_see_the_new_price(warm: Shop) -> None:
    """It is forgotten before they run, and stays so where one of them fails."""
    cache = warm.payments.core.cache
    seen: list[bool] = []

    def look(_: object) -> None:
        seen.append(run_blocking(cache.read(["prod_mug"])).entries == {})
        raise RuntimeError("no")

    warm.on("product.updated", look)
    subject = {"id": "prod_mug", "object": "product"}
    warm.hear("product.updated", subject, data={"object": subject, "previous_attributes": {"default_price": "x"}})
    assert seen == [True]


def test_the_cache_can_be_switched_off(open_shop: Open) -> None:
    """PAYMENTS_PRICE_CACHE_S=0: every cart is compared with the catalogue of the moment."""
    shop = open_shop(payments_price_cache_s=0)
    shop.gateway.put_product(MUG)
    shop.gateway.put_price(PRICE)
    shop.checkout(cart=mugs())
    shop.checkout(cart=mugs())
    assert len(shop.gateway.asked("catalogue")) == 2


def test_a_hundred_lines_on_a_warm_cache_cost_one_call_in_all(shop: Shop) -> None:
    """The session's creation; the prices are known (T8)."""
    lines = [Line("Mug", Money(500, "usd"), 1, product_id=f"prod_{number}") for number in range(100)]
    for number in range(100):
        shop.gateway.put_price({**PRICE, "id": f"price_{number}", "product": f"prod_{number}", "lookup_key": None})
        shop.gateway.put_product({**MUG, "id": f"prod_{number}", "default_price": f"price_{number}"})
    shop.checkout(cart=Cart(lines))
    shop.gateway.calls.clear()
    shop.checkout(cart=Cart(lines))
    assert [call.method for call in shop.gateway.calls] == ["create_session"]
