"""Stripe's parameter names to the client's."""

from __future__ import annotations

import pytest

from payments_core.errors import StripeError, StripeObjectMissing, StripeUnavailable
from payments_core.http.stripe_fields import as_invalid_request, field_of


@pytest.mark.parametrize(
    ("param", "field"),
    [
        ("line_items", "products"),
        ("line_items[0]", "products[0]"),
        ("line_items[0][price_data][unit_amount]", "products[0].price"),
        ("line_items[12][price_data][unit_amount_decimal]", "products[12].price"),
        ("line_items[0][price_data]", "products[0].price"),
        ("line_items[0][price_data][currency]", "currency"),
        ("line_items[0][price_data][product_data][name]", "products[0].name"),
        ("line_items[0][price_data][product_data][images]", "products[0].image"),
        ("line_items[0][price_data][product_data][images][0]", "products[0].image"),
        ("line_items[0][price_data][product]", "products[0].productId"),
        ("line_items[3][price]", "products[3].productId"),
        ("line_items[0][quantity]", "products[0].quantity"),
        ("success_url", "successUrl"),
        ("return_url", "successUrl"),
        ("cancel_url", "cancelUrl"),
        ("customer_email", "customerEmail"),
        ("ui_mode", "uiMode"),
        ("currency", "currency"),
        ("metadata", "metadata"),
        ("metadata[colour]", "metadata.colour"),
        ("payment_intent_data[metadata][colour]", "metadata.colour"),
        (None, None),
        ("", None),
        ("mode", None),
        ("client_reference_id", None),
        ("payment_intent_data", None),
        ("payment_intent_data[setup_future_usage]", None),
        ("line_items[x][price]", None),
        ("line_items[0][tax_rates]", None),
        ("success_url[0]", None),
        ("line_items[0", None),
        ("products[0].price", None),
    ],
)
def test_a_parameter_is_named_as_the_client_named_it(param: str | None, field: str | None) -> None:
    """Only what the client can correct is laid at the client's door."""
    assert field_of(param) == field


def test_a_refusal_of_a_client_s_field_becomes_the_client_s_mistake() -> None:
    """The code goes out; Stripe's sentence, which may quote the value, does not."""
    error = StripeError("Invalid email address: s3cret@example.com", "email_invalid", param="customer_email")
    invalid = as_invalid_request(error)
    assert invalid is not None
    assert [(one.path, one.message) for one in invalid.fields] == [
        ("customerEmail", "is not accepted by Stripe (email_invalid)")
    ]
    assert "s3cret" not in str(invalid)


@pytest.mark.parametrize("code", ["amount_too_small", "amount_too_large"])
def test_a_total_that_stripe_does_not_take_is_the_cart_s(code: str) -> None:
    """Stripe need not name a parameter for it: no one line makes the total."""
    invalid = as_invalid_request(StripeError("The total must be at least $0.50", code))
    assert invalid is not None
    assert [(one.path, one.message) for one in invalid.fields] == [("products", f"is not accepted by Stripe ({code})")]


@pytest.mark.parametrize(
    "error",
    [
        StripeError("No such key", "api_key_expired"),
        StripeError("x", param="mode"),
        StripeUnavailable("x", param="success_url"),
        StripeObjectMissing("x", "resource_missing", param="customer"),
    ],
)
def test_any_other_refusal_stays_stripe_s(error: StripeError) -> None:
    """An expired key or an outage is nothing the client could mend."""
    assert as_invalid_request(error) is None
