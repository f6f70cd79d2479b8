"""A request is carried out whole or not at all: what was done before it was refused, or broke down, is undone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from payments_core.sandbox.records.pricing import TaxRate
from payments_core.sandbox.state import State
from tests.sandbox.conftest import Caller, cart

REFUNDS = "/v1/refunds"
INTENTS = "/v1/payment_intents"


def test_money_does_not_move_twice_under_one_key(api: Caller) -> None:
    """A refund whose expansion is refused was not made, and the same key makes the one that is."""
    paid = api.sandbox.pay(api.ok("POST", "/v1/checkout/sessions", cart())["id"])
    refund = {"payment_intent": paid["payment_intent"], "amount": 500}
    before = len(api.sandbox.events())
    refused = api("POST", REFUNDS, {**refund, "expand": ["chargee"]}, idempotency_key="k")
    assert (refused.status, refused.body["error"]["param"]) == (400, "expand")
    assert api.ok("GET", REFUNDS)["data"] == []
    assert len(api.sandbox.events()) == before
    made = api.ok("POST", REFUNDS, {**refund, "expand": ["charge"]}, idempotency_key="k")
    assert [found["id"] for found in api.ok("GET", REFUNDS)["data"]] == [made["id"]]
    assert made["charge"]["amount_refunded"] == 500


def test_nobody_is_told_of_what_was_undone(api: Caller) -> None:
    """A charge that was taken back leaves no delivery behind, though events of before still wait."""
    api.ok("POST", "/v1/products", {"name": "Shirt"})
    waiting = api.sandbox.deliveries()
    params: dict[str, Any] = {"amount": 5000, "currency": "eur", "confirm": True, "payment_method": "pm_card_visa"}
    assert api.refusal("POST", INTENTS, {**params, "return_url": "https://shop.test/", "expand": ["colour"]})
    assert api.ok("GET", "/v1/charges")["data"] == api.ok("GET", INTENTS)["data"] == []
    assert api.sandbox.deliveries() == waiting != []


def test_a_declined_card_was_tried_all_the_same(api: Caller) -> None:
    """A refusal that tells what happened undoes nothing."""
    params: dict[str, Any] = {"amount": 5000, "currency": "eur", "confirm": True}
    declined = {**params, "payment_method": "pm_card_chargeDeclined", "return_url": "https://shop.test/"}
    assert api.refusal("POST", INTENTS, declined)["status"] == 402
    assert [charge["status"] for charge in api.ok("GET", "/v1/charges")["data"]] == ["failed"]


def rate(rate_id: str, name: str = "VAT") -> TaxRate:
    """A record as good as any."""
    return TaxRate(rate_id, 1, name, Decimal(20), inclusive=False)


def test_what_broke_down_leaves_every_record_as_and_where_it_was() -> None:
    """New ones go, old ones come back, changed and dropped ones included, in their order."""
    state = State("acct_1", 1)
    before = [state.tax_rates.put(rate(name)) for name in ("a", "b", "c")]

    def break_down() -> None:
        state.tax_rates.drop("a")
        state.tax_rates.put(rate("b", "GST"))
        state.tax_rates.put(rate("d"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), state.whole_or_not():
        break_down()
    assert list(state.tax_rates) == before
    with state.whole_or_not():
        state.tax_rates.drop("a")
    assert [one.id for one in state.tax_rates] == ["b", "c"]
