"""S10: a hundred thousand carts under policy `catalog`, nearly all of them tampered with: no session at a price of the
client's own.

Each goes the whole way of a request: strict reader, validation, verification, the row, Stripe's parameters.
"""

from __future__ import annotations

import json
import logging
import random
from typing import Any

import pytest

from payments_core import Payments, Settings
from payments_core.adapters.memory import MemoryGateway, MemoryStore
from payments_core.http.messages import Headers, HttpRequest
from payments_core.http.routes import CREATE_CHECKOUT_SESSION

CARTS = 100_000
#: Product, its price, its amount in cents, and what it costs in euro where it has such a price.
SOLD = {f"prod_{number}": (f"price_{number}", 100 + 37 * number, 90 + 31 * number) for number in range(20)}
NAMES = [
    *SOLD,
    *(price for price, _, _ in SOLD.values()),
    "prod_none",
    "price_none",
    "prod_archived",
    "",
    "PROD_1",
    "../prod_1",
]
PRICES = (
    "0", "-1", "-0.01", "0.01", "0.001", "1e3", '"1e3"', '"1.00"', "true", "false", "null", "[1]", "{}", "NaN", "1e-9",
    "2147483648", "9223372036854775808", "99999999999999999999", "1.0000000000000001", "1.005", "Infinity",
)  # fmt: skip
QUANTITIES = (
    "0",
    "-1",
    "1.5",
    "1.0",
    "true",
    '"1"',
    "null",
    "2147483648",
    "9223372036854775808",
    "1e3",
    "[1]",
    "1000000",
)
CURRENCIES = ("usd", "usd", "usd", "eur", "jpy", "kwd", "isk", "xxx", "USD", "Usd", "usd ", "", 7, None)
MORE = (
    "unit_amount",
    "amount",
    "priceId",
    "price_id",
    "price_data",
    "discount",
    "discounts",
    "total",
    "amountTotal",
    "tax",
)


def shop(**settings: Any) -> tuple[Payments, MemoryGateway]:
    """A shop over memory whose catalogue is `SOLD`."""
    gateway = MemoryGateway()
    for number, (product, (price, usd, eur)) in enumerate(SOLD.items()):
        gateway.put_product(
            {"id": product, "object": "product", "active": True, "name": product, "default_price": price}
        )
        options = {"eur": {"unit_amount": eur}} if number % 2 else {}
        gateway.put_price(priced(price, product, usd, currency_options=options))
    gateway.put_product(
        {"id": "prod_archived", "object": "product", "active": False, "default_price": "price_archived"}
    )
    gateway.put_price(priced("price_archived", "prod_archived", 100, active=False))
    given = {
        "stripe_secret_key": "sk_test_123",
        "stripe_webhook_secret": "whsec_test_secret",
        "payments_limit_checkouts_per_address": "off",
        **settings,
    }
    payments = Payments(Settings.of(**given), store=MemoryStore(), gateway=gateway, runner=False)
    return payments, gateway


def priced(price: str, product: str, amount: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": price, "object": "price", "active": True, "product": product, "currency": "usd", "unit_amount": amount,
        "type": "one_time", "billing_scheme": "per_unit", "currency_options": {}, **changes,
    }  # fmt: skip


def cart(dice: random.Random) -> tuple[str, bool]:
    """A request as JSON text, and whether it is an honest one."""
    lines, is_honest = [], True
    currency = dice.choice(CURRENCIES) if dice.random() < 0.3 else "usd"
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        product = dice.choice(list(SOLD))
        fields = {"name": '"Tee"', "productId": f'"{product}"', "price": major(SOLD[product][1]), "quantity": "1"}
        if dice.random() < 0.85:
            is_honest = False
            tamper(dice, fields)
        lines.append("{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}")
    more = f',"{dice.choice(MORE)}":1' if dice.random() < 0.1 else ""
    body = '{"products":[%s],"successUrl":"https://a.test/","cancelUrl":"https://a.test/","currency":%s%s}'
    honest = is_honest and currency in ("usd", "USD", "Usd", None) and not more
    return body % (",".join(lines), json.dumps(currency), more), honest


def tamper(dice: random.Random, fields: dict[str, str]) -> None:
    """Change one thing or two of a line."""
    for _ in range(dice.choice((1, 1, 2))):
        kind = dice.randrange(6)
        if kind == 0:
            fields["price"] = dice.choice((*PRICES, major(dice.randrange(1, 2000))))
        elif kind == 1:
            fields["price"] = major(SOLD[dice.choice(list(SOLD))][1])
        elif kind == 2:
            fields["quantity"] = dice.choice(QUANTITIES)
        elif kind == 3:
            fields["productId"] = json.dumps(dice.choice(NAMES))
        elif kind == 4:
            fields.pop("productId", None)
        else:
            fields[dice.choice(MORE)] = dice.choice(("1", "0", f'"{dice.choice(NAMES)}"'))


def major(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02}"


def post(payments: Payments, body: str) -> int:
    headers = Headers([("content-type", "application/json")])
    request = HttpRequest("POST", "/create-checkout-session", headers, body.encode())
    return payments.answer(CREATE_CHECKOUT_SESSION, request).status


@pytest.mark.timeout(900)
def test_no_cart_of_a_hundred_thousand_opens_a_session_at_a_price_that_the_catalogue_does_not_have() -> None:
    """Every session is of Stripe Prices by id and whole quantities; the client's own numbers are nowhere in it."""
    payments, gateway = shop(payments_price_policy="catalog")
    dice = random.Random(20_261_125)  # noqa: S311 - repeatable on purpose
    ids = {price for price, _, _ in SOLD.values()}
    opened = honest = 0
    for _ in range(CARTS):
        body, is_honest = cart(dice)
        before = len(gateway.sent)
        status = post(payments, body)
        assert status in (200, 400, 422), (status, body)
        assert len(gateway.sent) - before == (status == 200), body
        assert status == 200 or not is_honest, body
        honest += is_honest
        if status != 200:
            continue
        opened += 1
        for item in gateway.sent[-1].params["line_items"]:
            assert item.keys() == {"price", "quantity"}, body
            assert item["price"] in ids, body
            assert type(item["quantity"]) is int, body
            assert 1 <= item["quantity"] <= 999_999, body
    assert honest > CARTS // 100
    assert honest <= opened < CARTS // 2
    payments.close()


def test_under_policy_declared_the_caller_s_price_is_the_price_and_every_start_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """For server-to-server callers; what names a product is compared with the catalogue all the same."""
    caplog.set_level(logging.WARNING, "payments_core")
    payments, gateway = shop(payments_price_policy="declared")
    free = '{"products":[{"name":"Tee","price":0.01,"quantity":1%s}],"successUrl":"https://a.test/","cancelUrl":"https://a.test/"}'
    assert post(payments, free % "") == 200
    assert gateway.sent[-1].params["line_items"][0]["price_data"]["unit_amount"] == 1
    assert post(payments, free % ',"productId":"prod_1"') == 422
    payments.close()
    told = [record.getMessage() for record in caplog.records]
    assert told.count("Price policy is declared: whoever reaches the checkout route names the price") == 1
