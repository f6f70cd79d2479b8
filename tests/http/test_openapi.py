"""The documents' schemas."""

from __future__ import annotations

import json

import pytest

from payments_core.http.openapi import operation, responses
from payments_core.http.routes import (
    CHECKOUT_SESSION,
    CREATE_CHECKOUT_SESSION,
    STRIPE_WEBHOOK,
    VERIFY_PRICES,
    Route,
)


@pytest.mark.parametrize("route", [CREATE_CHECKOUT_SESSION, VERIFY_PRICES, STRIPE_WEBHOOK, CHECKOUT_SESSION])
def test_schemas_are_whole_in_themselves(route: Route) -> None:
    """They are put into somebody else's document, where our component names mean nothing."""
    written = json.dumps([operation(route), responses(route)], default=str)
    assert "$ref" not in written
    assert "$defs" not in written


def test_the_checkout_s_request_is_described_as_it_is_read() -> None:
    """Money is a number, unknown fields are refused, the bounds are told."""
    schema = operation(CREATE_CHECKOUT_SESSION)["requestBody"]["content"]["application/json"]["schema"]
    line = schema["properties"]["products"]["items"]
    assert schema["required"] == ["products", "successUrl"]
    assert (schema["additionalProperties"], line["additionalProperties"]) == (False, False)
    assert (line["properties"]["price"]["type"], line["properties"]["price"]["exclusiveMinimum"]) == ("number", 0)
    assert line["properties"]["quantity"] == {"maximum": 999_999, "minimum": 1, "title": "Quantity", "type": "integer"}
    assert schema["properties"]["products"]["maxItems"] == 100


def test_the_idempotency_key_is_described_as_it_is_read() -> None:
    """A header that may be absent, with its bounds; and what is answered for a key that is taken."""
    (parameter,) = operation(CREATE_CHECKOUT_SESSION)["parameters"]
    assert (parameter["name"], parameter["in"], parameter["required"]) == ("Idempotency-Key", "header", False)
    assert (parameter["schema"]["minLength"], parameter["schema"]["maxLength"]) == (1, 255)
    assert "idempotency_conflict" in responses(CREATE_CHECKOUT_SESSION)[409]["description"]
    assert 409 not in responses(VERIFY_PRICES)


def test_every_error_is_described_in_our_shape() -> None:
    """Also the 422, which would be FastAPI's own otherwise."""
    schema = responses(CREATE_CHECKOUT_SESSION)[422]["content"]["application/json"]["schema"]
    assert schema["required"] == ["error", "code"]
    assert set(schema["properties"]) == {"error", "code", "detail", "fields", "discrepancies"}
