"""What a failed request to Stripe means, as one of this library's errors.

Pure, and the only place where that is decided. Stripe's own message is left out on purpose: it may quote what was sent
(an address, the masked key). Its code, parameter and request id say the same, and the request id opens the full text in
Stripe's Dashboard. They too come from the wire, so each must look like what it claims to be.
Meanings follow https://docs.stripe.com/error-low-level and https://docs.stripe.com/rate-limits.
"""

from __future__ import annotations

import re
from typing import Final, TypeVar

from attrs import frozen

from payments_core.errors import StripeError, StripeObjectMissing, StripeUnavailable

E = TypeVar("E", bound=StripeError)

#: A Retry-After beyond this is taken for a mistake.
MAX_RETRY_AFTER_S: Final = 600

_CODE = re.compile(r"[a-z][a-z0-9_]{0,99}")
_PARAM = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]-]{0,199}")
_REQUEST_ID = re.compile(r"req_[A-Za-z0-9]{1,100}")
_STRIPE: Final = "Stripe"
_AGAIN = "Try again; if it lasts, see https://status.stripe.com."
_STAND_IN_AGAIN = "Try again; if it lasts, see what listens there (start one with `payments sandbox`)."


@frozen
class Refusal:
    """What is known of a failed request.

    `status` is None when there was no answer; `spoken` says whether the body was Stripe's error object; `failure` names
    the class of the transport's error, `replayed` says that Stripe gave a kept answer again.
    """

    status: int | None = None
    spoken: bool = True
    type: str | None = None
    code: str | None = None
    param: str | None = None
    request_id: str | None = None
    retry_after: str | None = None
    failure: str | None = None
    replayed: bool = False


def error_of(refusal: Refusal, *, where: str = _STRIPE) -> StripeError:
    """The error to raise. `where` names the server: Stripe, or the loopback address that stands in for it."""
    status = refusal.status
    if status is None:
        failure = refusal.failure or "no answer"
        return _unavailable(
            refusal, f"{where} could not be reached, or its answer did not arrive whole ({failure}). {_again(where)}"
        )
    if status == 429 or refusal.code == "rate_limit":
        return _limited(refusal, where)
    if status >= 500 or status == 409 or refusal.code == "lock_timeout":
        return _unavailable(refusal, f"{where} answered with status {status}{_named(refusal)}. {_again(where)}")
    if not refusal.spoken:
        return _unspoken(refusal, where)
    return _refused(refusal, where)


def _again(where: str) -> str:
    return _AGAIN if where == _STRIPE else _STAND_IN_AGAIN


def _limited(refusal: Refusal, where: str) -> StripeUnavailable:
    if refusal.code == "lock_timeout":
        return _unavailable(refusal, f"{where} was busy with the same object{_named(refusal)}. Try again.")
    return _unavailable(
        refusal, f"{where} limits the rate of our requests{_named(refusal)}. Try again later, and send fewer at once."
    )


def _unspoken(refusal: Refusal, where: str) -> StripeError:
    status = refusal.status or 0
    if status < 400:
        # The request may have been carried out: trying again with its idempotency key finds out.
        told = f"{where} answered with status {status} and a body that is not JSON. {_again(where)}"
        return _unavailable(refusal, told)
    return StripeError(
        f"The answer to a request to {where} had status {status} and was not written by Stripe's API. Check what "
        "stands between this server and Stripe (a proxy, a firewall, STRIPE_API_BASE).",
        request_id=_checked(_REQUEST_ID, refusal.request_id),
    )


def _refused(refusal: Refusal, where: str) -> StripeError:
    status, named = refusal.status, _named(refusal)
    if status == 401:
        return _error(
            StripeError,
            refusal,
            f"{where} did not accept the API key{named}. Check STRIPE_SECRET_KEY (the Dashboard's API keys page).",
        )
    if status == 403:
        return _error(
            StripeError,
            refusal,
            f"The API key may not do this{named}. Check STRIPE_SECRET_KEY: a restricted key needs the permission, and "
            "PAYMENTS_ACCOUNT must be an account that the key may act for.",
        )
    if status == 404 or refusal.code == "resource_missing":
        return _error(
            StripeObjectMissing,
            refusal,
            f"{where} has no such object{named}. Check that it belongs to this account and mode (test or live).",
        )
    if status == 402:
        return _error(StripeError, refusal, f"The payment was declined{named}.")
    if refusal.type == "idempotency_error":
        return _error(
            StripeError,
            refusal,
            f"The idempotency key was used before with other parameters{named}. Send the first request again "
            "unchanged, or use a new key.",
        )
    return _error(StripeError, refusal, f"{where} refused the request with status {status}{named}.")


def _unavailable(refusal: Refusal, message: str) -> StripeUnavailable:
    error = _error(StripeUnavailable, refusal, message)
    error.retry_after_s = retry_after_s(refusal.retry_after) or error.retry_after_s
    return error


def _error(kind: type[E], refusal: Refusal, message: str) -> E:
    error = kind(
        message,
        _checked(_CODE, refusal.code) or ("idempotency_error" if refusal.type == "idempotency_error" else None),
        param=_checked(_PARAM, refusal.param),
        request_id=_checked(_REQUEST_ID, refusal.request_id),
    )
    error.answered = refusal.status
    error.replayed = refusal.replayed
    return error


def retry_after_s(header: str | None) -> int | None:
    """The seconds of a Retry-After header, where it gives whole seconds that one may wait."""
    if header is None or not re.fullmatch(r"[0-9]{1,6}", header.strip()):
        return None
    seconds = int(header)
    return seconds if 0 < seconds <= MAX_RETRY_AFTER_S else None


def _named(refusal: Refusal) -> str:
    """Code, parameter and request id, as they stand behind the sentence."""
    known = {
        "code": _checked(_CODE, refusal.code),
        "parameter": _checked(_PARAM, refusal.param),
        "request": _checked(_REQUEST_ID, refusal.request_id),
    }
    told = ", ".join(f"{name} {value}" for name, value in known.items() if value is not None)
    return f" ({told})" if told else ""


def _checked(pattern: re.Pattern[str], value: str | None) -> str | None:
    return value if value is not None and pattern.fullmatch(value) else None
