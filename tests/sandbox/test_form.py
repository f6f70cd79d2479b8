"""Stripe's v1 form encoding, read back."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe._encode import _api_encode

from payments_core.sandbox.errors import StripeRefusal
from payments_core.sandbox.form import decode

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="[]\x00", exclude_categories=["Cs"]), min_size=1, max_size=12
)
LEAVES = st.text(st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
TREES = st.dictionaries(
    NAMES,
    st.recursive(
        LEAVES,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=4), st.dictionaries(NAMES, inner, min_size=1, max_size=4)
        ),
        max_leaves=12,
    ),
    max_size=5,
)


def indexed(value: object) -> object:
    """What a tree looks like after decoding: lists are dicts keyed by index."""
    if isinstance(value, list):
        return {str(index): indexed(item) for index, item in enumerate(value)}
    return {key: indexed(item) for key, item in value.items()} if isinstance(value, dict) else value


@given(TREES)
def test_what_stripe_python_encodes_is_read_back_unchanged(tree: dict[str, Any]) -> None:
    """Percent-encoded or literal brackets, any depth, any characters: the parameters come back as they were."""
    pairs = list(_api_encode(tree))

    encoded = urlencode(pairs)
    literal = "&".join(f"{quote(name, safe='[]')}={quote(value)}" for name, value in pairs)

    assert decode(encoded) == indexed(tree)
    assert decode(literal) == indexed(tree)


def test_empty_brackets_append_and_fill_the_last_object() -> None:
    """`[]` makes a list of scalars, and a list of objects whose fields follow each other."""
    assert decode("k[]=a&k[]=b") == {"k": {"0": "a", "1": "b"}}
    assert decode("l[][price]=p&l[][quantity]=1&l[][price]=q") == {
        "l": {"0": {"price": "p", "quantity": "1"}, "1": {"price": "q"}}
    }


def test_a_repeated_scalar_takes_its_last_value() -> None:
    """As forms do everywhere."""
    assert decode("a=1&a=2") == {"a": "2"}


@pytest.mark.parametrize(
    "text",
    ["a=1&a[b]=2", "a[b]=2&a=1", "a[b=1", "a]b=1", "[a]=1", "a[b]c=1", "a" + "[b]" * 20 + "=1", "a=%ff", "a=%00"],
)
def test_a_form_that_cannot_be_meant_is_refused(text: str) -> None:
    """Broken brackets, a key used twice in different roles, absurd depth, bytes that are no text."""
    with pytest.raises(StripeRefusal):
        decode(text)


def test_too_many_parameters_are_refused() -> None:
    """A request cannot make the decoder work without end."""
    with pytest.raises(StripeRefusal, match="more than 10000"):
        decode("&".join(f"a{i}=1" for i in range(10_001)))


@given(st.text(max_size=200))
def test_any_text_is_decoded_or_refused(text: str) -> None:
    """No input makes the decoder fail in a way of its own."""
    try:
        tree = decode(text)
    except StripeRefusal:
        return
    assert isinstance(tree, dict)
