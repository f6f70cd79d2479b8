"""Every object against the fields, types and literals of Stripe's own at the pinned version."""

from __future__ import annotations

import re
from typing import Any

import pytest

from payments_core.sandbox import Sandbox
from tests.sandbox.conftest import Caller, cart

SESSIONS = "/v1/checkout/sessions"
PLAIN: dict[str, Any] = {"str": str, "int": int, "bool": bool, "Decimal": str, "float": (int, float)}
#: The classes of objects that appear inside others.
HOME = {
    "Price": ("_price.py", "Price"),
    "Product": ("_product.py", "Product"),
    "LineItem": ("_line_item.py", "LineItem"),
    "PaymentMethod": ("_payment_method.py", "PaymentMethod"),
    "PaymentIntent": ("_payment_intent.py", "PaymentIntent"),
    "Charge": ("_charge.py", "Charge"),
    "Refund": ("_refund.py", "Refund"),
}
#: Left out of replies unless expanded, or only on objects of another kind, as Stripe does.
OFTEN_ABSENT = {"deleted", "refunds"}


class Oracle:
    """Says what is wrong with an object, path by path."""

    def __init__(self, shapes: dict[str, Any]) -> None:
        self.shapes = shapes
        self.problems: list[str] = []

    def check(self, module: str, name: str, value: dict[str, Any], path: str) -> None:
        """An object of class `name` of `module`: no unknown field, no missing required one, every type right."""
        classes = self.shapes[module]
        fields = classes[name]
        self.problems += [f"{path}.{key}: unknown field" for key in value.keys() - fields.keys()]
        for key, field in fields.items():
            kind = field["type"]
            if key not in value:
                if not kind.startswith("Optional[") and key not in OFTEN_ABSENT:
                    self.problems.append(f"{path}.{key}: missing")
                continue
            self.type(module, name, kind, value[key], f"{path}.{key}")

    def type(self, module: str, owner: str, kind: str, value: object, path: str) -> None:
        """A value against a type as the SDK writes it."""
        if kind.startswith("Optional["):
            if value is not None:
                self.type(module, owner, kind[9:-1], value, path)
        elif kind.startswith("List[") and isinstance(value, list):
            for index, item in enumerate(value):
                self.type(module, owner, kind[5:-1], item, f"{path}[{index}]")
        elif kind.startswith("ListObject[") and isinstance(value, dict):
            for index, item in enumerate(value["data"]):
                self.named(kind, item, f"{path}.data[{index}]")
        elif kind.startswith("ExpandableField[") and isinstance(value, str):
            pass
        elif kind.startswith(("ExpandableField[", "'")):
            self.named(kind, value, path)
        elif not self.plain(kind, value, path):
            self.nested(module, owner, kind, value, path)

    def plain(self, kind: str, value: object, path: str) -> bool:
        """Whether `kind` is a plain type, against which the value is then checked."""
        if "Literal[" in kind:
            words = re.findall(r"'([^']*)'", kind)
            right = not words or value in words
        elif kind in PLAIN:
            right = isinstance(value, PLAIN[kind]) and (kind == "bool" or not isinstance(value, bool))
        elif kind.startswith(("UntypedStripeObject", "List[", "ListObject[")):
            right = kind.startswith("Untyped") and isinstance(value, dict)
        else:
            return False
        if not right:
            self.problems.append(f"{path}: {value!r} is no {kind[:80]}")
        return True

    def named(self, kind: str, value: object, path: str) -> None:
        """An object of its own, named in quotes."""
        (name,) = re.findall(r"'(\w+)'", kind)
        module, cls = HOME[name]
        if isinstance(value, dict):
            self.check(module, cls, value, path)
        else:
            self.problems.append(f"{path}: {value!r} is no {name}")

    def nested(self, module: str, owner: str, kind: str, value: object, path: str) -> None:
        """A class nested in the owner's, or in one around it."""
        scope = owner
        while scope and f"{scope}.{kind}" not in self.shapes[module]:
            scope = scope.rpartition(".")[0]
        if not scope:
            self.problems.append(f"{path}: type {kind} not found for {owner}")
        elif not isinstance(value, dict):
            self.problems.append(f"{path}: {value!r} is no {kind}")
        else:
            self.check(module, f"{scope}.{kind}", value, path)


@pytest.fixture
def oracle(shapes: dict[str, Any]) -> Oracle:
    """Stripe's shapes."""
    return Oracle(shapes)


def sessions(api: Caller) -> dict[str, dict[str, Any]]:
    """One session of every kind, with all that can be expanded."""
    sandbox: Sandbox = api.sandbox
    expand = {"expand": ["line_items", "payment_intent.latest_charge"]}
    embedded = cart(ui_mode="embedded_page", return_url="https://shop.test/back")
    del embedded["success_url"], embedded["cancel_url"]
    made = {
        "open": cart(customer_email="jenny@example.com"),
        "embedded": embedded,
        "declined": cart(),
        "paid": cart(payment_intent_data={"metadata": {"order": "7"}}),
        "expired": cart(),
        "free": cart(("Sample", 0, 1)),
    }
    ids = {kind: api.ok("POST", SESSIONS, params)["id"] for kind, params in made.items()}
    sandbox.decline(ids["declined"], card="4000000000000127")
    sandbox.pay(ids["paid"])
    sandbox.pay(ids["free"])
    sandbox.expire(ids["expired"])
    return {kind: api.ok("GET", f"{SESSIONS}/{session_id}", expand) for kind, session_id in ids.items()}


def test_sessions_intents_charges_and_lines_have_stripes_shape(api: Caller, oracle: Oracle) -> None:
    """Open, embedded, declined, paid, expired and free ones, with everything inside them."""
    for kind, session in sessions(api).items():
        oracle.check("checkout/_session.py", "Session", session, kind)

    assert oracle.problems == []


def test_the_catalogue_has_stripes_shape(api: Caller, oracle: Oracle) -> None:
    """Products and prices, with default price and currency options."""
    product = api.ok(
        "POST",
        "/v1/products",
        {
            "name": "Shirt",
            "images": ["https://i.test/1.png"],
            "marketing_features": [{"name": "Soft"}],
            "default_price_data": {"currency": "usd", "unit_amount": 2999},
            "expand": ["default_price.currency_options"],
        },
    )
    oracle.check("_product.py", "Product", product, "product")
    oracle.check("_price.py", "Price", product["default_price"], "price")

    assert oracle.problems == []
    assert set(product["default_price"]["currency_options"]) == {"usd"}


def test_events_and_endpoints_have_stripes_shape(api: Caller, oracle: Oracle) -> None:
    """Every event of every session, and the object inside each."""
    paid = sessions(api)["paid"]
    api.sandbox.refund(paid["payment_intent"]["id"], 100)
    homes = {
        "checkout.session": ("checkout/_session.py", "Session"),
        "payment_intent": HOME["PaymentIntent"],
        "charge": HOME["Charge"],
        "refund": HOME["Refund"],
    }
    events = api.ok("GET", "/v1/events", {"limit": 100})["data"]
    for event in events:
        oracle.check("_event.py", "Event", event, event["type"])
        thing = event["data"]["object"]
        oracle.check(*homes[thing["object"]], thing, f"{event['type']}.object")
    for endpoint in api.ok("GET", "/v1/webhook_endpoints")["data"]:
        oracle.check("_webhook_endpoint.py", "WebhookEndpoint", endpoint, "endpoint")

    assert oracle.problems == []
    assert len(events) >= 9


def test_a_session_shows_every_field_that_is_not_left_out_on_purpose(api: Caller, shapes: dict[str, Any]) -> None:
    """What a hosted session lacks is what Stripe too shows only when it is used."""
    session = sessions(api)["paid"]

    assert shapes["checkout/_session.py"]["Session"].keys() - session.keys() == {
        "name_collection",
        "optional_items",
        "redirect_on_completion",
        "return_url",
        "tax_id_collection",
    }
