"""The catalogue's messages: what they say, and what is refused in which words."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_core import Money
from payments_core.app.catalogue import topics_of, with_id
from payments_core.domain.catalogue import Archive, Change, Put
from payments_core.domain.consumption import Message, message_id
from payments_core.domain.strict_json import read_json, write_json
from payments_core.errors import MalformedEvent
from payments_core.published.incoming import PRODUCT_TYPES, read_product_message
from tools.schemas.shapes import MODELS, schema_of

SHIRT: dict[str, Any] = {"id": "shirt-1", "name": "Shirt", "price": 29.99}


def read(value: object, kind: str | None = "product.updated") -> Change | None:
    return read_json_text(json.dumps(value), kind)


def read_json_text(text: str, kind: str | None = "product.updated") -> Change | None:
    value = read_json(text.encode())
    assert isinstance(value, dict)
    return read_product_message(value, kind, default_currency="eur")


@pytest.mark.parametrize("kind", ["product.created", "product.updated"])
def test_a_product_bare_or_wrapped_is_the_same_change(kind: str) -> None:
    """The topic says the type of a bare one, a wrapped one says its own."""
    expected = Put("shirt-1", "Shirt", Money(2999, "eur"))
    assert read(SHIRT, kind) == expected
    assert read({"eventType": kind, "data": SHIRT}, None) == expected
    assert read({"eventType": "product.deleted", "data": {"id": "shirt-1"}}, kind) == Archive("shirt-1")


def test_a_deletion_needs_the_id_alone() -> None:
    """What else stands there is not read."""
    assert read({"id": "shirt-1"}, "product.deleted") == Archive("shirt-1")
    assert read({"id": "shirt-1", "price": "gone"}, "product.deleted") == Archive("shirt-1")


def test_what_is_left_out_stays_and_what_is_empty_is_emptied() -> None:
    """None for "as it is", empty for "nothing"."""
    left_out, empty = read(SHIRT), read({**SHIRT, "description": None, "images": [], "metadata": None})
    assert isinstance(left_out, Put)
    assert isinstance(empty, Put)
    assert (left_out.description, left_out.images, left_out.metadata) == (None, None, None)
    assert (empty.description, empty.images, empty.metadata) == ("", (), {})


@pytest.mark.parametrize(
    ("price", "currency", "minor"),
    [
        ("0.1", "usd", 10),
        ("1.10", "USD", 110),
        ("500", "jpy", 500),
        ("5", "isk", 500),
        ("5.12", "kwd", 5120),
        ("1e2", None, 10000),
    ],
)
def test_a_price_is_read_exactly(price: str, currency: str | None, minor: int) -> None:
    """Major units as a JSON number, by Stripe's table; the currency in any case, or the configured one."""
    change = read_json_text(f'{{"id":"a","name":"A","price":{price},"currency":{json.dumps(currency)}}}')
    assert isinstance(change, Put)
    assert change.price == Money(minor, (currency or "eur").lower())


@given(st.decimals("0.01", "9999999999.99", places=2))
def test_no_price_loses_a_cent(price: Any) -> None:
    """From the text to minor units without a float."""
    change = read_json_text(write_json({"id": "a", "name": "A", "price": price}))
    assert isinstance(change, Put)
    assert change.price.decimal == price


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"price": "29.99"}, "price"),
        ({"price": True}, "price"),
        ({"price": None}, "price"),
        ({"price": 0}, "price"),
        ({"price": -1}, "price"),
        ({"price": 1.001}, "price"),
        ({"price": 10**13}, "price"),
        ({"price": 1.5, "currency": "jpy"}, "price"),
        ({"currency": "xxx"}, "currency"),
        ({"currency": 5}, "currency"),
        ({"id": ""}, "id"),
        ({"id": "a b"}, "id"),
        ({"id": "../x"}, "id"),
        ({"id": "a" * 256}, "id"),
        ({"id": "price_1"}, "id"),
        ({"id": 7}, "id"),
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"description": 1}, "description"),
        ({"images": ["ftp://x/1.png"]}, r"images\[0\]"),
        ({"images": ["http://[x"]}, r"images\[0\]"),
        ({"images": ["https://i.test/1.png"] * 9}, "images"),
        ({"images": "https://i.test/1.png"}, "images"),
        ({"metadata": {"hunter2": 1}}, "metadata"),
        ({"metadata": {"payments_core_x": "1"}}, "metadata"),
        ({"metadata": {"a[b]": "1"}}, "metadata"),
        ({"metadata": {"a" * 41: "1"}}, "metadata"),
        ({"metadata": {"a": "x" * 501}}, "metadata"),
        ({"metadata": {str(n): "x" for n in range(51)}}, "metadata"),
    ],
)
def test_what_can_never_be_carried_out_is_refused_by_its_field(change: dict[str, Any], field: str) -> None:
    """With the field's name, and nothing of what stood there."""
    with pytest.raises(MalformedEvent, match=f"^{field}: ") as caught:
        read({**SHIRT, **change})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", SHIRT)
def test_id_name_and_price_are_needed(name: str) -> None:
    """Whatever the type; for a deletion the id."""
    with pytest.raises(MalformedEvent, match=f"^{name}: "):
        read({key: value for key, value in SHIRT.items() if key != name})


def test_messages_of_other_types_are_nobodys() -> None:
    """On a shared topic they are passed over; without any type a message is refused."""
    assert read({"eventType": "order.placed", "data": {}}, None) is None
    with pytest.raises(MalformedEvent, match="eventType: is missing"):
        read(SHIRT, None)
    with pytest.raises(MalformedEvent, match="eventType: should be a string"):
        read({"eventType": 1, "data": SHIRT})


@pytest.mark.parametrize("kind", PRODUCT_TYPES)
def test_what_the_schema_lets_through_is_what_the_examples_show(kind: str) -> None:
    """Bare and wrapped are valid by the published schema, a price as text is not."""
    validator = jsonschema.Draft202012Validator(schema_of(kind, MODELS[kind], 1))
    data = {"id": "a"} if kind == "product.deleted" else SHIRT
    for value in (data, {"eventType": kind, "data": data}):
        assert validator.is_valid(value)
        assert read(value, kind) is not None
    assert not validator.is_valid({"eventType": kind, "data": {**SHIRT, "id": 1}})
    assert kind == "product.deleted" or not validator.is_valid({**SHIRT, "price": "29.99"})


def test_topics_have_the_prefix_and_named_ones_stand_for_no_type() -> None:
    """Unless they are the usual ones."""
    assert topics_of("shop.", ()) == {f"shop.{kind}": kind for kind in PRODUCT_TYPES}
    assert topics_of("", ("catalogue", "product.deleted")) == {"catalogue": "", "product.deleted": "product.deleted"}


def test_equal_messages_at_two_places_are_two_messages() -> None:
    """A price that goes back is news; the same record delivered again is not."""
    body = json.dumps(SHIRT).encode()
    first, second = (Message("t", 0, position, b"k", body) for position in (5, 9))
    assert message_id(first) == message_id(second)
    assert message_id(with_id(first)) != message_id(with_id(second))
    assert message_id(with_id(first)) == message_id(with_id(first))
    assert message_id(with_id(first)) != message_id(with_id(Message("t", 0, 5, b"k", b"{}")))
    assert len(message_id(with_id(Message("t" * 249, 0, 5, b"k", body)))) <= 255


def test_an_id_counts_within_its_source_and_topic() -> None:
    """Two systems of a shop may both count from one; a repeat of either is known wherever it stands."""

    def known(position: int = 5, *, topic: str = "t", **headers: str) -> str:
        return message_id(with_id(Message(topic, 0, position, b"k", b"{}", headers)))

    shirts = known(ce_id="1", ce_source="/shirts")
    assert shirts == known(9, ce_id="1", ce_source="/shirts")
    assert len({shirts, known(ce_id="1", ce_source="/mugs"), known(ce_id="1"), known(ce_id="1", topic="u")}) == 4
    assert len(known(topic="t" * 249, ce_id="i" * 255, ce_source="s" * 900)) <= 255
