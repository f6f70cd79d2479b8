"""Stripe's failures in the library's own words: one table, read at one seam.

The SDK's exceptions carry the whole request and answer, and its messages may quote an e-mail address or part of a key.
None of that goes on: a failure keeps Stripe's code, the parameter's name and the request id, which is what finds it in
the Dashboard. They are raised `from None` for the same reason.
"""

from __future__ import annotations

import re

from attrs import frozen

from payments_core.errors import StripeError, StripeObjectMissing, StripeUnavailable

_SAFE_NAME = re.compile(r"[A-Za-z0-9_.\[\]-]{1,200}")


@frozen
class Refusal:
    """What is kept of an SDK exception. `status` is None when no answer came at all."""

    status: int | None
    code: str | None = None
    param: str | None = None
    request_id: str | None = None
    retry_after_s: int | None = None


def translated(refusal: Refusal) -> StripeError:
    """The library's error for a failure of Stripe's."""
    status, code = refusal.status, refusal.code
    known = {"param": refusal.param, "request_id": refusal.request_id}
    if status is None:
        return StripeUnavailable("Stripe could not be reached, or did not answer in time; try again.", code, **known)
    if status == 429 or code in ("lock_timeout", "rate_limit"):
        busy = StripeUnavailable(f"Stripe limits our requests{_named(refusal)}; try again.", code, **known)
        return _delayed(busy, refusal)
    if status >= 500 or status == 409:
        return _delayed(
            StripeUnavailable(f"Stripe answered {status}{_named(refusal)}; try again.", code, **known), refusal
        )
    if status in (401, 403):
        return StripeError(
            f"Stripe refused our API key ({status}{_named(refusal)}); check STRIPE_SECRET_KEY and what it may do.",
            code,
            **known,
        )
    if status == 404 or code == "resource_missing":
        return StripeObjectMissing(f"Stripe has no such object under this key{_named(refusal)}.", code, **known)
    return StripeError(f"Stripe refused the request ({status}{_named(refusal)}).", code, **known)


def safe_name(value: object) -> str | None:
    """A code, parameter or id of Stripe's, if it looks like one."""
    return value if isinstance(value, str) and _SAFE_NAME.fullmatch(value) else None


def _named(refusal: Refusal) -> str:
    parts = [refusal.code, f"parameter {refusal.param}" if refusal.param else None, refusal.request_id]
    return "".join(f", {part}" for part in parts if part)


def _delayed(error: StripeUnavailable, refusal: Refusal) -> StripeUnavailable:
    if refusal.retry_after_s is not None and 0 < refusal.retry_after_s <= 600:
        error.retry_after_s = refusal.retry_after_s
    return error
