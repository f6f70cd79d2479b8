"""Refusals of the sandbox, in Stripe's own error shape.

The body follows https://docs.stripe.com/api/errors: `{"error": {"type", "code", "message", "param", "doc_url"}}`.
A refusal that Stripe would not make, because only the sandbox lacks something, carries the code
`sandbox_not_implemented`, so that nobody mistakes it for Stripe's word.
"""

from __future__ import annotations

from typing import Any, TypeAlias

#: A Stripe object, list or error as the JSON that goes over the wire.
JsonObject: TypeAlias = dict[str, Any]

NOT_IMPLEMENTED = "sandbox_not_implemented"


class StripeRefusal(Exception):
    """A request the sandbox turns down. `status` is the HTTP status, the rest goes into the error body, `more` too.

    `executed`: something has been done by then (a card was tried), so that the refusal belongs to the idempotency key.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        more: JsonObject | None = None,
        executed: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.more = more or {}
        self.executed = executed

    def body(self) -> JsonObject:
        """The reply's JSON. `code`, `param` and `doc_url` are left out where there is none, as Stripe does."""
        error: JsonObject = {"message": self.message, "type": self.kind}
        if self.code is not None:
            error["code"] = self.code
            if self.code != NOT_IMPLEMENTED:
                error["doc_url"] = f"https://docs.stripe.com/error-codes/{self.code.replace('_', '-')}"
        if self.param is not None:
            error["param"] = self.param
        return {"error": error | self.more}


def missing(param: str) -> StripeRefusal:
    """A required parameter is absent."""
    return StripeRefusal(f"Missing required param: {param}.", code="parameter_missing", param=param)


def invalid(param: str, message: str, code: str | None = None) -> StripeRefusal:
    """A parameter has a value that cannot be used."""
    return StripeRefusal(message, code=code, param=param)


def unknown_parameter(param: str) -> StripeRefusal:
    """A parameter that Stripe does not know either."""
    return StripeRefusal(f"Received unknown parameter: {param}", code="parameter_unknown", param=param)


def no_such(kind: str, object_id: str, param: str, *, status: int = 404) -> StripeRefusal:
    """No object of that id. `kind` is Stripe's word for it (`price`, `checkout.session`)."""
    return StripeRefusal(f"No such {kind}: '{object_id}'", status=status, code="resource_missing", param=param)


def not_implemented(what: str, param: str | None = None) -> StripeRefusal:
    """Stripe can do it, the sandbox cannot."""
    return StripeRefusal(
        f"The payments-core sandbox does not implement {what}. Stripe does: test it with a key of your own.",
        code=NOT_IMPLEMENTED,
        param=param,
    )


def unrecognized(method: str, path: str) -> StripeRefusal:
    """No such route here. The path is shown without its query."""
    hint = " The payments-core sandbox does not implement it; Stripe may."
    code: str | None = NOT_IMPLEMENTED
    if path.startswith("/v1/test_helpers/test_clocks"):
        hint += " The sandbox's own time, and everything with it, is moved by POST /sandbox/clock."
    if path.endswith("/"):
        code = None
        hint = (
            " If you are trying to list objects, remove the trailing slash. If you are trying to retrieve an object, "
            "make sure you passed a valid (non-empty) identifier in your code."
        )
    return StripeRefusal(f"Unrecognized request URL ({method}: {path}).{hint}", status=404, code=code)
