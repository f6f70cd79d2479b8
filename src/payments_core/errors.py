"""Every error the library raises, and what each means for an HTTP caller.

    PaymentsError
    ├── ConfigurationError            a variable is missing or wrong; the process does not start
    ├── FlowSuspendedError            a flow of the synchronous facade waited on an event loop (a programming error)
    ├── InvalidRequest                the caller's input cannot be used            422
    │   ├── ProductIdRequired         policy `catalog` and a line without one      422
    │   ├── UnknownProduct            the catalogue does not sell it               422
    │   └── RedirectNotAllowed        a success or cancel URL off the allow-list   422
    ├── PriceVerificationError        the caller's prices differ from the catalogue  422
    ├── MalformedJson                 the body is not JSON we accept               400
    ├── UnsupportedMediaType          a JSON route got something else              415
    ├── PayloadTooLarge               the body or the header fields are over the limit  413
    ├── RouteNotFound, MethodNotAllowed                                            404, 405
    ├── InvalidSignature              a webhook that Stripe did not sign for us    400
    ├── MalformedEvent                signed or published, but no event we can read  400
    │   └── UnknownEvent              published, of a type this version does not know  400
    ├── SessionNotFound               no session of that id was made here          404
    ├── IdempotencyConflict, IdempotencyInProgress                                 409
    ├── RateLimited                                                                429
    ├── StripeError                   Stripe refused or failed                     502
    │   ├── StripeObjectMissing       Stripe has no object of that id              502
    │   └── StripeUnavailable         Stripe cannot be reached, or is overloaded   503
    └── StoreUnavailable              the database cannot take or give the row     503

`kind` is the stable code of the HTTP reply, `status` the status that fits; the core knows no framework, but it knows
what its own failures mean. Messages say what happened and what to do. They never hold a secret, an e-mail address,
a request body or card data, so they can be logged as they are.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, Literal, TypeAlias, TypeVar

from attrs import frozen

ErrorT = TypeVar("ErrorT", bound=BaseException)


def frames_of(error: BaseException) -> str:
    """Where an error came from, for a log: its frames without its message.

    A foreign error's message may quote a body, a row or a secret (a driver's parameters, a parser's input).
    """
    return "".join(traceback.format_tb(error.__traceback__))


def reason_of(failure: BaseException) -> str:
    """What to keep of a failure: our own words in full; of anybody else's its type and place, not what it says."""
    if isinstance(failure, PaymentsError):
        return str(failure)
    name = type(failure).__name__
    frames = traceback.extract_tb(failure.__traceback__)
    if not frames:
        return f"{name} was raised"
    innermost = frames[-1]
    return f"{name} was raised in {innermost.name} ({innermost.filename.rpartition('/')[2]}, line {innermost.lineno})"


def untraced(error: ErrorT, *, handled: BaseException | None) -> ErrorT:
    """The error, and all that it came from, without the way that they took.

    `handled` is what the caller was handling when it began (`sys.exception()` before the `try`): where it led to the
    error it is another's, and keeps its traceback.

    A traceback's frames lead to their callers, and these back to the error: a circle, in which whatever they had in
    hand, bodies among it, would be held until the next collection of garbage.
    """
    known = [] if handled is None else [handled]
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is not None and not any(one is other for other in known):
            known.append(one)
            one.__traceback__ = None
            left += (one.__cause__, one.__context__)
    return error


@frozen
class FieldProblem:
    """One field that cannot be used: where it is (`products[0].price`) and what is wrong with it."""

    path: str
    message: str


@frozen
class Discrepancy:
    """A line whose price is not the catalogue's. Prices are exact, in major units (29.99), as HTTP speaks them."""

    product_id: str
    expected_price: Decimal
    provided_price: Decimal


class PaymentsError(Exception):
    """Base of everything this library raises on purpose."""

    kind: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"
    status: ClassVar[int] = 500

    #: Seconds after which the caller may try again; None when trying again unchanged makes no sense.
    retry_after_s: int | None = None

    @property
    def detail(self) -> str:
        """What happened and what to do, fit to be shown to the caller."""
        return str(self)


class ConfigurationError(PaymentsError):
    """A setting is missing or wrong. The message is one sentence: which variable, and what to put there."""


class FlowSuspendedError(PaymentsError):
    """A flow driven without an event loop tried to wait.

    Names the flow; the cause is an asynchronous adapter or handler in the synchronous facade.
    """


class InvalidRequest(PaymentsError):
    """The caller's input cannot be used. `fields` names each field with its reason."""

    kind = "invalid_request"
    title = "Invalid request"
    status = 422

    def __init__(self, message: str, fields: Sequence[FieldProblem] = ()) -> None:
        super().__init__(message)
        self.fields: tuple[FieldProblem, ...] = tuple(fields)


class ProductIdRequired(InvalidRequest):
    """Under price policy `catalog` every line must name a product that the catalogue sells."""

    kind = "product_id_required"
    title = "Product id required"


class UnknownProduct(InvalidRequest):
    """The catalogue does not sell what a line names."""

    kind = "unknown_product"
    title = "Unknown product"


class RedirectNotAllowed(InvalidRequest):
    """A URL leads to a host that is not on the allow-list."""

    kind = "redirect_not_allowed"
    title = "Redirect not allowed"


class PriceVerificationError(PaymentsError):
    """The caller's prices differ from the catalogue's. `discrepancies` lists each line."""

    kind = "price_mismatch"
    title = "Prices do not match the catalogue"
    status = 422

    def __init__(self, discrepancies: Sequence[Discrepancy]) -> None:
        super().__init__(
            f"{len(discrepancies)} line(s) differ from the catalogue's price; show the buyer the expected price "
            "and send the cart again."
        )
        self.discrepancies: tuple[Discrepancy, ...] = tuple(discrepancies)


class MalformedJson(PaymentsError):
    """The body is not JSON, or JSON that two parsers could read differently (duplicate keys, NaN, deep nesting)."""

    kind = "malformed_json"
    title = "Malformed JSON"
    status = 400


class UnsupportedMediaType(PaymentsError):
    """A JSON route was sent another content type."""

    kind = "unsupported_media_type"
    title = "Unsupported media type"
    status = 415


class PayloadTooLarge(PaymentsError):
    """The body is larger than the route accepts, or the header fields than any route does."""

    kind = "payload_too_large"
    title = "Payload too large"
    status = 413


class RouteNotFound(PaymentsError):
    """No route of this path."""

    kind = "not_found"
    title = "Not found"
    status = 404


class MethodNotAllowed(PaymentsError):
    """The route exists under another method. `allowed` lists them."""

    kind = "method_not_allowed"
    title = "Method not allowed"
    status = 405

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"Use {', '.join(allowed)}.")
        self.allowed: tuple[str, ...] = tuple(allowed)


#: The causes of a refused signature in words for metrics.
SignatureLabel: TypeAlias = Literal["missing", "malformed", "unknown_signer", "too_old", "too_new"]


class InvalidSignature(PaymentsError):
    """The webhook was not signed by a secret of ours, or not now.

    `cause` is for logs and `label`, one of few words, for metrics only: the caller is told the same for every cause, so
    that the reply teaches a forger nothing.
    """

    kind = "invalid_signature"
    title = "Invalid signature"
    status = 400

    def __init__(self, cause: str, label: SignatureLabel = "malformed") -> None:
        super().__init__(f"The Stripe-Signature header does not verify ({cause}).")
        self.cause = cause
        self.label: SignatureLabel = label

    @property
    def detail(self) -> str:
        """The same words whatever the cause."""
        return (
            "The Stripe-Signature header does not match the body as it arrived; check that the endpoint's signing "
            "secret is configured and that nothing re-encodes the body."
        )


class MalformedEvent(PaymentsError):
    """Signed by Stripe, but not a snapshot event that can be read; or a record that is no published event."""

    kind = "invalid_request"
    title = "Malformed event"
    status = 400


class UnknownEvent(MalformedEvent):
    """A published event of a type that this version does not know: skip it, or upgrade. `event_type` is its type."""

    title = "Unknown event"

    def __init__(self, event_type: str) -> None:
        super().__init__("The event is of a type that this version does not know: skip it, or upgrade payments-core.")
        self.event_type = event_type


class SessionNotFound(PaymentsError):
    """No checkout session of that id was made here."""

    kind = "session_not_found"
    title = "Session not found"
    status = 404


class IdempotencyConflict(PaymentsError):
    """The idempotency key was used before with another body."""

    kind = "idempotency_conflict"
    title = "Idempotency conflict"
    status = 409


class IdempotencyInProgress(PaymentsError):
    """A request with the same idempotency key is still running."""

    kind = "idempotency_in_progress"
    title = "Idempotent request in progress"
    status = 409
    retry_after_s = 1

    def __init__(self, message: str = "The first request still runs; send it again, unchanged, in a moment.") -> None:
        super().__init__(message)


class RateLimited(PaymentsError):
    """Too many requests from this caller."""

    kind = "rate_limited"
    title = "Too many requests"
    status = 429
    retry_after_s = 1


class StripeError(PaymentsError):
    """Stripe refused a request of ours or failed.

    `code` is Stripe's own error code where it gave one, `request_id` names the request in Stripe's Dashboard, `param`
    the parameter Stripe complained about, `answered` is the status of Stripe's answer (400, 401, …) where one came.
    `replayed`: it is the answer that Stripe keeps for the idempotency key, and will be the same for as long as it does.
    """

    kind = "stripe_error"
    title = "Stripe error"
    status = 502

    def __init__(
        self,
        message: str,
        code: str | None = None,
        *,
        param: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.request_id = request_id
        self.answered: int | None = None
        self.replayed = False


class StripeObjectMissing(StripeError):
    """Stripe has no object of that id under this key (`resource_missing`)."""


class StripeUnavailable(StripeError):
    """Stripe cannot be reached, answered with a server error, or limits our rate (429)."""

    kind = "stripe_unavailable"
    title = "Stripe unavailable"
    status = 503
    retry_after_s = 5


class StoreUnavailable(PaymentsError):
    """The database cannot be reached or is too busy. Nothing was acknowledged; try again."""

    kind = "store_unavailable"
    title = "Store unavailable"
    status = 503
    retry_after_s = 2
