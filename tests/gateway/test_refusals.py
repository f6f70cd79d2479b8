"""What a failed request means, case by case: the table that both worlds share."""

from __future__ import annotations

import pytest

from payments_core.adapters.stripe.refusals import Refusal, error_of, retry_after_s
from payments_core.errors import StripeError, StripeObjectMissing, StripeUnavailable

CASES = [
    # No answer at all
    (Refusal(failure="ConnectTimeout"), StripeUnavailable, None, "did not arrive whole (ConnectTimeout)"),
    (Refusal(), StripeUnavailable, None, "did not arrive whole (no answer)"),
    # Stripe is busy, limits us, or failed
    (Refusal(429, code="rate_limit"), StripeUnavailable, "rate_limit", "limits the rate"),
    (Refusal(400, code="rate_limit"), StripeUnavailable, "rate_limit", "limits the rate"),
    (Refusal(429, spoken=False), StripeUnavailable, None, "limits the rate"),
    (Refusal(429, code="lock_timeout"), StripeUnavailable, "lock_timeout", "busy with the same object"),
    (Refusal(400, code="lock_timeout"), StripeUnavailable, "lock_timeout", "status 400"),
    (Refusal(409, code="idempotency_key_in_use"), StripeUnavailable, "idempotency_key_in_use", "status 409"),
    (Refusal(500, type="api_error"), StripeUnavailable, None, "status 500"),
    (Refusal(502, spoken=False), StripeUnavailable, None, "status 502"),
    (Refusal(503), StripeUnavailable, None, "status 503"),
    # An answer that Stripe's API did not write
    (Refusal(200, spoken=False), StripeUnavailable, None, "not JSON"),
    (Refusal(302, spoken=False), StripeUnavailable, None, "not JSON"),
    (Refusal(404, spoken=False), StripeError, None, "not written by Stripe's API"),
    (Refusal(403, spoken=False), StripeError, None, "not written by Stripe's API"),
    # The key
    (Refusal(401, type="invalid_request_error"), StripeError, None, "Check STRIPE_SECRET_KEY"),
    (Refusal(401, code="api_key_expired"), StripeError, "api_key_expired", "Check STRIPE_SECRET_KEY"),
    (Refusal(403, code="account_invalid"), StripeError, "account_invalid", "Check STRIPE_SECRET_KEY"),
    # The object
    (Refusal(404, code="resource_missing"), StripeObjectMissing, "resource_missing", "no such object"),
    (Refusal(400, code="resource_missing"), StripeObjectMissing, "resource_missing", "no such object"),
    (Refusal(404), StripeObjectMissing, None, "no such object"),
    # The request
    (Refusal(402, type="card_error", code="card_declined"), StripeError, "card_declined", "declined"),
    (Refusal(400, type="idempotency_error"), StripeError, "idempotency_error", "idempotency key was used before"),
    (Refusal(400, code="amount_too_small"), StripeError, "amount_too_small", "refused the request with status 400"),
    (Refusal(418), StripeError, None, "status 418"),
]


@pytest.mark.parametrize(("refusal", "kind", "code", "said"), CASES)
def test_each_refusal_has_one_meaning(refusal: Refusal, kind: type[StripeError], code: str | None, said: str) -> None:
    """Class, code and sentence follow from status, code and type alone."""
    error = error_of(refusal)
    assert type(error) is kind
    assert error.code == code
    assert said in str(error)


def test_code_parameter_and_request_id_are_told() -> None:
    """They are attributes for code and stand in the sentence for people."""
    error = error_of(Refusal(400, code="parameter_invalid_empty", param="line_items[0][price]", request_id="req_1a"))
    assert (error.code, error.param, error.request_id) == ("parameter_invalid_empty", "line_items[0][price]", "req_1a")
    assert "(code parameter_invalid_empty, parameter line_items[0][price], request req_1a)" in str(error)


@pytest.mark.parametrize("odd", ["buyer@shop.example", "two words", "sk_test_Abc\n", "", "<html>", "x" * 300])
def test_what_does_not_look_like_a_name_is_dropped(odd: str) -> None:
    """Code, parameter and request id come from the wire: what is none of these is not repeated."""
    error = error_of(Refusal(400, code=odd, param=odd, request_id=odd))
    assert (error.code, error.param, error.request_id) == (None, None, None)
    assert not odd or odd not in str(error)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("17", 17),
        (" 2 ", 2),
        ("600", 600),
        ("601", None),
        ("0", None),
        ("-1", None),
        ("1.5", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("٣", None),
        ("9" * 5000, None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_taken_when_sane(header: str | None, seconds: int | None) -> None:
    """Whole seconds that one may wait; anything else leaves the default."""
    assert retry_after_s(header) == seconds
    error = error_of(Refusal(429, retry_after=header))
    assert error.retry_after_s == (seconds or StripeUnavailable.retry_after_s)


def test_the_stand_in_is_named() -> None:
    """Who forgot to start the sandbox reads its address."""
    said = str(error_of(Refusal(), where="STRIPE_API_BASE 127.0.0.1:12111"))
    assert "127.0.0.1:12111 could not be reached" in said
    assert said.endswith("see what listens there (start one with `payments sandbox`).")
    assert "status.stripe.com" not in said
