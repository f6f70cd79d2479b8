"""Under policy `catalog` no session is opened at a price that the catalogue does not have, whatever is sent.

Carts are generated: right ones, wrong ones and hostile ones, over a catalogue that changes meanwhile and tells by
webhook. Each goes the whole way, from the bytes of a request to the parameters that Stripe is sent. What must come of
it is said by a model that shares nothing with the library.

`make test` tries 10,000 carts; HYPOTHESIS_PROFILE=long, 100,000.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, field

from payments_core.app.endpoints import answer
from payments_core.http.messages import Headers, HttpReply, HttpRequest
from payments_core.http.routes import CREATE_CHECKOUT_SESSION
from payments_core.ports import Io
from tests.flows.shop import Shop
from tests.guarantees.worlds import IS_LONG

CARTS = 100_000 if IS_LONG else 10_000
#: A shop is opened anew so often, so that what it has kept does not slow the others down.
PER_SHOP = 500
HEADERS = Headers([("Content-Type", "application/json")])
CURRENCIES = ["usd", "eur", "jpy", "kwd"]
EXPONENT = {"usd": 2, "eur": 2, "jpy": 0, "kwd": 3}
STEP = {"kwd": 10}


@define
class Item:
    """A price in the model: amounts in minor units by currency, and whether it may be sold."""

    price_id: str
    units: dict[str, int]
    sold: bool = True


@define
class Catalogue:
    """What is sold under which name, by the model; the same is put into the gateway."""

    chance: random.Random
    shop: Shop
    by_name: dict[str, Item] = field(factory=dict)
    made: int = 0

    def stock(self) -> None:
        for number in range(12):
            self.put(f"prod_{number}", key=f"key.{number}")
        self.put("prod_archived", product={"active": False}, sold=False)
        self.put("prod_monthly", price={"type": "recurring", "recurring": {"interval": "month"}}, sold=False)
        self.put("prod_tiers", price={"billing_scheme": "tiered", "unit_amount": None}, sold=False)
        self.put("prod_dead_price", price={"active": False}, sold=False)
        self.put("prod_two", default=False)
        self.put("prod_two", default=False)
        # Two to choose from: not sold by its own name, and each by its own.
        self.by_name["prod_two"].sold = False

    def put(
        self,
        product_id: str,
        *,
        key: str | None = None,
        default: bool = True,
        sold: bool = True,
        price: dict[str, Any] | None = None,
        product: dict[str, Any] | None = None,
    ) -> None:
        """A new price of a product, its default from now on."""
        self.made += 1
        chance = self.chance
        units = {"usd": chance.randint(1, 99_999)}
        units |= {
            code: chance.randint(1, 9_999) * (10 if code == "kwd" else 1) for code in chance.sample(CURRENCIES, 2)
        }
        item = Item(f"price_{self.made}", units, sold)
        options = {code: {"unit_amount": unit} for code, unit in units.items()}
        self.shop.gateway.put_price(
            {
                "id": item.price_id,
                "object": "price",
                "product": product_id,
                "currency": "usd",
                "unit_amount": units["usd"],
                "currency_options": options,
                "lookup_key": key,
                **(price or {}),
            }
        )
        named = {"default_price": item.price_id} if default else {}
        self.shop.gateway.put_product(
            {"id": product_id, "object": "product", "name": product_id, **named, **(product or {})}
        )
        self.by_name |= {product_id: item, item.price_id: item, **({key: item} if key else {})}

    def change(self) -> None:
        """A product gets a new price, the old one is archived, and a webhook tells of it."""
        number = self.chance.randrange(12)
        name, key = f"prod_{number}", f"key.{number}"
        old = self.by_name[name]
        old.sold = False
        gateway = self.shop.gateway
        gateway.put_price({**gateway._objects["price"][old.price_id], "active": False, "lookup_key": None})
        self.put(name, key=key)
        self.shop.hear("price.created", {"id": self.by_name[name].price_id, "object": "price"})

    def charge(self, name: object, currency: str) -> int | None:
        """Minor units per piece, None for what is not sold."""
        item = self.by_name.get(name) if isinstance(name, str) else None
        return item.units.get(currency) if item is not None and item.sold else None


def number(minor: int, currency: str) -> Decimal:
    return Decimal(minor).scaleb(-EXPONENT[currency])


#: Prices and quantities that nobody charges; as JSON text.
# fmt: off
NO_PRICES = [
    "0",
    "-1",
    "-0.01",
    "0.001",
    '"29.99"',
    "true",
    "null",
    "NaN",
    "1e400",
    "1e-9",
    "99999999999999",
    "[1]",
    "{}",
]
NO_QUANTITIES = ["0", "-1", "1.5", "true", '"1e3"', "2147483648", "9223372036854775808", "null", "1e3", "[]", "1.0"]
NO_NAMES = [
    "prod_none",
    "price_none",
    "key.none",
    "prod_archived",
    "prod_monthly",
    "prod_tiers",
    "prod_dead_price",
    "prod_two",
]


@define
class Attempt:
    """A cart as it is sent: what Stripe must be sent for it, and what is wrong with it."""

    currency: str
    lines: list[str] = field(factory=list)
    wanted: list[tuple[str, int]] = field(factory=list)
    flaws: set[str] = field(factory=set)

    @property
    def body(self) -> bytes:
        links = '"successUrl":"https://shop.test/ok","cancelUrl":"https://shop.test/cart"'
        return f'{{"products":[{",".join(self.lines)}],{links},"currency":"{self.currency}"}}'.encode()


def attempt(catalogue: Catalogue) -> Attempt:
    """Some cart: half of them are right, the others have one or more flaws."""
    chance = catalogue.chance
    made = Attempt(chance.choice(CURRENCIES))
    honest = chance.random() < 0.5
    for _ in range(chance.choice([1, 1, 1, 2, 3, 6])):
        flaw = "" if honest or chance.random() < 0.4 else chance.choice(FLAWS)
        _add_line(catalogue, made, flaw)
    return made


FLAWS = ["one off", "one less", "another's", "another currency's", "price", "quantity", "name", "no name", "price_id"]


def _add_line(catalogue: Catalogue, made: Attempt, flaw: str) -> None:
    chance = catalogue.chance
    sold = [name for name, item in catalogue.by_name.items() if item.sold and made.currency in item.units]
    name = chance.choice(sold)
    item = catalogue.by_name[name]
    unit = item.units[made.currency]
    step = STEP.get(made.currency, 1)
    price, quantity, more = str(number(unit, made.currency)), chance.randint(1, 50), ""
    said, pieces = json.dumps(name), str(quantity)
    if flaw == "one off":
        price = str(number(unit + step, made.currency))
    elif flaw == "one less" and unit > step:
        price = str(number(unit - step, made.currency))
    elif flaw == "another's":
        other = catalogue.by_name[chance.choice(sold)].units[made.currency]
        price, flaw = str(number(other, made.currency)), flaw if other != unit else ""
    elif flaw == "another currency's":
        strange = {value for code, value in item.units.items() if code != made.currency}
        other = max(step, next(iter(strange)) // step * step) if strange else unit
        price, flaw = str(number(other, made.currency)), flaw if other != unit else ""
    elif flaw == "price":
        price = chance.choice(NO_PRICES)
    elif flaw == "quantity":
        pieces = chance.choice(NO_QUANTITIES)
    elif flaw == "name":
        said = json.dumps(chance.choice(NO_NAMES))
    elif flaw == "no name":
        said = "null"
    elif flaw == "price_id":
        more = f',"priceId":{json.dumps(item.price_id)},"unitAmount":1'
    else:
        flaw = ""
    if flaw:
        made.flaws.add(flaw)
    made.wanted.append((item.price_id, quantity))
    made.lines.append(f'{{"name":"Tee","price":{price},"quantity":{pieces},"productId":{said}{more}}}')


def send(shop: Shop, body: bytes) -> HttpReply:
    """Through the route, as an adapter calls it."""

    async def ready() -> None:
        """The shop is."""

    request = HttpRequest("POST", CREATE_CHECKOUT_SESSION.path, HEADERS, body)
    return shop.run(answer(shop.payments.core, CREATE_CHECKOUT_SESSION, request, ready))


def check(catalogue: Catalogue, made: Attempt, reply: HttpReply) -> str:
    """The one invariant, and that right carts are accepted. What was answered."""
    gateway = catalogue.shop.gateway
    if reply.status == 200:
        assert not made.flaws, made
        (sent,) = gateway.sent
        assert [(line["price"], line["quantity"]) for line in sent.params["line_items"]] == made.wanted
        assert all(set(line) == {"price", "quantity"} for line in sent.params["line_items"])
        assert sent.params["currency"] == made.currency
        total = sum(
            catalogue.charge(price_id, made.currency) * quantity  # type: ignore[operator] # None would be a finding
            for price_id, quantity in made.wanted
        )
        session = gateway._objects["session"][sent.session_id]
        assert (session["amount_subtotal"], session["currency"]) == (total, made.currency)
        return "opened"
    assert made.flaws, (made, reply.body)
    assert gateway.sent == []
    assert reply.status in (400, 422), reply.body
    return str(json.loads(reply.body)["code"])


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("io", "seed"), [("blocking", 1), ("async", 2)])
def test_no_session_is_opened_at_a_price_that_the_catalogue_does_not_have(io: Io, seed: int) -> None:
    """Every kind of flaw is met and refused, every right cart is opened at exactly the catalogue's prices."""
    chance = random.Random(seed)  # noqa: S311 - reproducible carts
    seen: Counter[str] = Counter()
    met: Counter[str] = Counter()
    for _ in range(CARTS // 2 // PER_SHOP):
        # One buyer sends them all, from one address.
        shop = Shop(io, None, payments_price_policy="catalog", payments_limit_checkouts_per_address="off")
        catalogue = Catalogue(chance, shop)
        catalogue.stock()
        for number_of_cart in range(PER_SHOP):
            if number_of_cart % 50 == 49:
                catalogue.change()
            made = attempt(catalogue)
            shop.gateway.sent.clear()
            seen[check(catalogue, made, send(shop, made.body))] += 1
            met.update(made.flaws)
        shop.close()
    assert set(met) == set(FLAWS)
    assert set(seen) == {
        "opened", "price_mismatch", "unknown_product", "product_id_required", "invalid_request", "malformed_json",
    }  # fmt: skip
    assert seen["opened"] > CARTS // 2 // 3


def test_under_policy_declared_the_callers_number_is_the_price(caplog: pytest.LogCaptureFixture) -> None:
    """Which every start says, in one line: whoever reaches the route names the price."""
    shop = Shop("blocking", None, payments_price_policy="declared")
    caplog.set_level("INFO", "payments_core")
    shop.payments.start(runner=False)
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [one for one in warned if "rice" in one] == [
        "Price policy is declared: whoever reaches the checkout route names the price"
    ]
    links = b'"successUrl":"https://shop.test/ok","cancelUrl":"https://shop.test/cart"'
    reply = send(shop, b'{"products":[{"name":"Grand piano","price":0.5,"quantity":1}],' + links + b"}")
    assert reply.status == 200
    assert shop.gateway.sent[0].params["line_items"][0]["price_data"]["unit_amount"] == 50
    shop.close()


def test_under_policy_catalog_no_start_warns_of_prices(caplog: pytest.LogCaptureFixture) -> None:
    """There is nothing to warn of."""
    shop = Shop("blocking", None, payments_price_policy="catalog")
    shop.payments.start(runner=False)
    assert "rice policy" not in caplog.text
    shop.close()
