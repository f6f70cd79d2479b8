"""What is answered when something is wrong: one shape for every error, and nothing that a stranger should not read."""

from __future__ import annotations

import logging
from typing import Final

from payments_core.errors import (
    InvalidRequest,
    MethodNotAllowed,
    PaymentsError,
    PriceVerificationError,
    StripeError,
    frames_of,
)
from payments_core.http.messages import HttpReply, HttpRequest
from payments_core.http.replies import (
    ErrorReply,
    FieldProblemReply,
    allow_reply,
    discrepancy_replies,
    model_reply,
)
from payments_core.http.routes import Route

#: Failures on our side, in words for a stranger. The reason is in the log, under the same request id.
_PUBLIC_DETAIL: Final = {
    "internal_error": "Something failed on the server; its log has the reason under this reply's X-Request-Id.",
    "stripe_error": "Stripe refused the request; the server's log has the reason under this reply's X-Request-Id.",
    "stripe_unavailable": "Stripe cannot be reached or is overloaded; try again shortly.",
    "store_unavailable": "The database cannot take the request now; nothing was acknowledged. Try again shortly.",
}

_log = logging.getLogger("payments_core.http")


def refuse(error: Exception, request: HttpRequest, route: Route | None = None) -> HttpReply:
    """The reply for any error. Failures on our side are logged with the request's id, and with `route` where known."""
    # The route and not the request's path, which its sender may have written for the log.
    where = request.method if route is None else f"{request.method} {route.path}"
    if not isinstance(error, PaymentsError):
        return _unexpected(error, request, where)
    if error.status >= 500:
        _log_failure(error, request, where)
    return model_reply(error.status, _body(error), request.request_id, *_headers(error))


def refuse_method(route: Route, request: HttpRequest) -> HttpReply:
    """The reply to a method that the route does not answer: OPTIONS is told what it does, the others are refused."""
    if request.method == "OPTIONS":
        return allow_reply(route.allowed, request.request_id)
    return refuse(MethodNotAllowed(route.allowed), request)


def _body(error: PaymentsError) -> ErrorReply:
    body: dict[str, object] = {"error": error.title, "code": error.kind}
    detail = _PUBLIC_DETAIL.get(error.kind, error.detail)
    if detail:
        body["detail"] = detail
    if isinstance(error, InvalidRequest) and error.fields:
        body["fields"] = [FieldProblemReply(path=one.path, message=one.message) for one in error.fields]
    if isinstance(error, PriceVerificationError):
        body["discrepancies"] = discrepancy_replies(error.discrepancies)
    return ErrorReply.model_validate(body)


def _headers(error: PaymentsError) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    if error.retry_after_s is not None:
        headers.append(("Retry-After", str(error.retry_after_s)))
    if isinstance(error, MethodNotAllowed):
        headers.append(("Allow", ", ".join(error.allowed)))
    return headers


def _log_failure(error: PaymentsError, request: HttpRequest, where: str) -> None:
    stripe = {"stripeCode": error.code, "stripeRequestId": error.request_id} if isinstance(error, StripeError) else {}
    _log.error(
        "%s failed: %s",
        where,
        error,
        extra={"requestId": request.request_id, "code": error.kind, **stripe},
    )


def _unexpected(error: Exception, request: HttpRequest, where: str) -> HttpReply:
    _log.error(
        "%s failed unexpectedly: %s, request id %s\n%s",
        where,
        type(error).__name__,
        request.request_id,
        frames_of(error),
        extra={"requestId": request.request_id, "code": PaymentsError.kind},
    )
    body = ErrorReply(error=PaymentsError.title, code=PaymentsError.kind, detail=_PUBLIC_DETAIL[PaymentsError.kind])
    return model_reply(PaymentsError.status, body, request.request_id)
