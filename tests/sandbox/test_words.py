"""The words that parameters take are those of the pinned SDK: whatever it lists is taken, and nothing else."""

from __future__ import annotations

import ast
from collections.abc import Collection

import pytest

from payments_core.sandbox.checkout import LOCALES
from payments_core.sandbox.checkout_options import COUNTRIES
from payments_core.sandbox.event_types import EVENT_TYPES
from payments_core.sandbox.payment_methods import KNOWN_TYPES
from tests.sandbox import pinned


def words(params: str, field: str) -> set[str]:
    """The words of the literals in a parameter's type, which the SDK writes as code or as text."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(pinned.parameters(params)[field])):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            inner = ast.parse(node.value, mode="eval") if "Literal[" in node.value else None
            leaves = ast.walk(inner) if inner else [node]
            found |= {str(leaf.value) for leaf in leaves if isinstance(leaf, ast.Constant)}
    return found


@pytest.mark.parametrize(
    ("params", "field", "taken"),
    [
        ("SessionCreateParams", "locale", LOCALES),
        # The list has Sudan, which the reference names among the countries that are not supported.
        ("SessionCreateParamsShippingAddressCollection", "allowed_countries", {*COUNTRIES, "SD"}),
        ("WebhookEndpointCreateParams", "enabled_events", {*EVENT_TYPES, "*"}),
    ],
)
def test_a_list_is_the_sdks(params: str, field: str, taken: Collection[str]) -> None:
    """None is missing, none is made up."""
    assert words(params, field) == set(taken)


@pytest.mark.parametrize("field", ["allowed_payment_method_types", "excluded_payment_method_types"])
def test_no_way_to_pay_that_checkout_knows_is_taken_for_a_mistake(field: str) -> None:
    """A session may name each, whether the sandbox offers it or not."""
    assert words("SessionCreateParams", field) <= set(KNOWN_TYPES)
