"""The error tree: stable codes and statuses, and words that can be shown."""

from __future__ import annotations

from decimal import Decimal

import pytest

import payments_core
from payments_core import errors
from payments_core.errors import PaymentsError

#: Every code of the HTTP contract with its status.
CODES = {
    "malformed_json": 400,
    "invalid_signature": 400,
    "session_not_found": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "idempotency_conflict": 409,
    "idempotency_in_progress": 409,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "invalid_request": 422,
    "price_mismatch": 422,
    "unknown_product": 422,
    "product_id_required": 422,
    "redirect_not_allowed": 422,
    "rate_limited": 429,
    "internal_error": 500,
    "stripe_error": 502,
    "stripe_unavailable": 503,
    "store_unavailable": 503,
}


def tree(kind: type[PaymentsError] = PaymentsError) -> list[type[PaymentsError]]:
    """The class and everything below it that this module defines."""
    below = [each for child in kind.__subclasses__() if child.__module__ == errors.__name__ for each in tree(child)]
    return [kind, *below]


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_of_the_contract(kind: type[PaymentsError]) -> None:
    """And its status; MalformedEvent alone is a 400, since it is Stripe who sent it."""
    assert kind.status == (400 if issubclass(kind, errors.MalformedEvent) else CODES[kind.kind])
    assert kind.title
    assert kind.__doc__


def test_every_code_of_the_contract_has_an_error() -> None:
    """Nothing is promised that is never raised."""
    assert {kind.kind for kind in tree()} == set(CODES)


def test_who_can_be_caught_as_what() -> None:
    """The tree that users write `except` against."""
    assert issubclass(errors.StripeUnavailable, errors.StripeError)
    assert issubclass(errors.StripeObjectMissing, errors.StripeError)
    for kind in (errors.ProductIdRequired, errors.UnknownProduct, errors.RedirectNotAllowed):
        assert issubclass(kind, errors.InvalidRequest)
    assert not issubclass(errors.StoreUnavailable, errors.StripeError)


def test_the_errors_carry_what_the_contract_says() -> None:
    """Codes, discrepancies, fields, methods, and when to come back."""
    stripe = errors.StripeError("Stripe refused.", "amount_too_small", param="line_items", request_id="req_1")
    assert (stripe.code, stripe.param, stripe.request_id, stripe.detail) == (
        "amount_too_small", "line_items", "req_1", "Stripe refused.",
    )  # fmt: skip
    mismatch = errors.PriceVerificationError([errors.Discrepancy("p", Decimal("5.00"), Decimal("0.01"))])
    assert len(mismatch.discrepancies) == 1
    assert "1 line(s)" in mismatch.detail
    invalid = errors.InvalidRequest("No.", [errors.FieldProblem("products[0].price", "is negative")])
    assert invalid.fields[0].path == "products[0].price"
    assert errors.MethodNotAllowed(["GET", "POST"]).detail == "Use GET, POST."
    retryable = {kind.__name__ for kind in tree() if kind.retry_after_s is not None}
    assert retryable == {"IdempotencyInProgress", "RateLimited", "StripeUnavailable", "StoreUnavailable"}


def test_the_documented_names_are_exported() -> None:
    """What a user catches is one import away."""
    for name in ("PaymentsError", "StripeError", "PriceVerificationError", "InvalidSignature", "ConfigurationError"):
        assert getattr(payments_core, name) is getattr(errors, name)
