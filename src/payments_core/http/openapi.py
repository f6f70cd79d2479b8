"""The routes' schemas for an OpenAPI document, generated from the models that read requests and write replies.

Schemas are whole in themselves (no `$ref`), because they are put into the host's document, whose component names are
the host's own.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias, cast

from pydantic import BaseModel

from payments_core.domain.opening import KEY_HEADER, MAX_KEY_CHARS
from payments_core.http.bodies import CheckoutBody, PricesBody
from payments_core.http.replies import (
    CheckoutSessionReply,
    ErrorReply,
    PricesReply,
    SessionStatusReply,
    WebhookReply,
)
from payments_core.http.routes import (
    CHECKOUT_SESSION,
    CREATE_CHECKOUT_SESSION,
    STRIPE_WEBHOOK,
    VERIFY_PRICES,
    Route,
)

Schema: TypeAlias = dict[str, Any]

_REQUESTS: Final[dict[Route, type[BaseModel]]] = {
    CREATE_CHECKOUT_SESSION: CheckoutBody,
    VERIFY_PRICES: PricesBody,
}
_REPLIES: Final[dict[Route, type[BaseModel]]] = {
    CREATE_CHECKOUT_SESSION: CheckoutSessionReply,
    VERIFY_PRICES: PricesReply,
    STRIPE_WEBHOOK: WebhookReply,
    CHECKOUT_SESSION: SessionStatusReply,
}
_JSON_ERRORS: Final = {
    400: "`malformed_json`",
    413: "`payload_too_large`",
    415: "`unsupported_media_type`",
    422: "`invalid_request`, `price_mismatch`, `unknown_product`, `product_id_required`, `redirect_not_allowed`",
    429: "`rate_limited`",
    500: "`internal_error`",
    502: "`stripe_error`",
    503: "`stripe_unavailable`, `store_unavailable`",
}
_ERRORS: Final[dict[Route, dict[int, str]]] = {
    CREATE_CHECKOUT_SESSION: {**_JSON_ERRORS, 409: "`idempotency_conflict`, `idempotency_in_progress`"},
    VERIFY_PRICES: _JSON_ERRORS,
    STRIPE_WEBHOOK: {
        400: "`invalid_signature`",
        413: "`payload_too_large`",
        429: "`rate_limited`",
        500: "`internal_error`",
        503: "`store_unavailable`",
    },
    CHECKOUT_SESSION: {
        404: "`session_not_found`",
        413: "`payload_too_large`",
        422: "`invalid_request`",
        500: "`internal_error`",
        502: "`stripe_error`",
        503: "`stripe_unavailable`, `store_unavailable`",
    },
}
_IDEMPOTENCY_KEY: Final[Schema] = {
    "name": KEY_HEADER,
    "in": "header",
    "required": False,
    "description": "The same key and body give the same session for 24 hours. A new UUID for each order is a good key.",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_KEY_CHARS,
        # Servers take white space off both ends of a field.
        "pattern": "^[!-~]([ -~]*[!-~])?$",
        "examples": ["5f0c1c1e-6f0e-4c7e-9d0b-1a2b3c4d5e6f"],
    },
}
SUMMARIES: Final[dict[Route, str]] = {
    CREATE_CHECKOUT_SESSION: "Open a Stripe Checkout Session for a cart",
    VERIFY_PRICES: "Compare prices with the catalogue",
    STRIPE_WEBHOOK: "Take in a Stripe event",
    CHECKOUT_SESSION: "The state of a checkout made here",
}


def responses(route: Route) -> dict[int | str, Schema]:
    """Status to response object: the good reply, and every error the route can give."""
    found: dict[int | str, Schema] = {200: _response("As asked.", _REPLIES[route])}
    for status, codes in _ERRORS[route].items():
        found[status] = _response(f"Code {codes}.", ErrorReply)
    return found


def operation(route: Route) -> Schema:
    """What FastAPI cannot see because the body is read strictly, not by it: request body and path parameters."""
    found: Schema = {}
    if route in _REQUESTS:
        found["requestBody"] = {"required": True, "content": _content(_REQUESTS[route], "validation")}
    if route is CREATE_CHECKOUT_SESSION:
        found["parameters"] = [_IDEMPOTENCY_KEY]
    if route is CHECKOUT_SESSION:
        found["parameters"] = [
            {
                "name": "session_id",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "pattern": "^cs_[A-Za-z0-9_]{1,250}$", "examples": ["cs_test_a1"]},
            }
        ]
    return found


def _response(description: str, model: type[BaseModel]) -> Schema:
    return {"description": description, "content": _content(model, "serialization")}


def _content(model: type[BaseModel], mode: Literal["validation", "serialization"]) -> Schema:
    schema = model.model_json_schema(by_alias=True, mode=mode)
    definitions = schema.pop("$defs", {})
    return {"application/json": {"schema": _whole(schema, definitions)}}


def _whole(node: object, definitions: Schema) -> object:
    """`node` with every reference replaced by what it refers to. The models do not refer to themselves."""
    if isinstance(node, list):
        return [_whole(item, definitions) for item in cast("list[object]", node)]
    if not isinstance(node, dict):
        return node
    known = cast("dict[str, object]", node)
    if "$ref" in known:
        return _whole(definitions[str(known["$ref"]).rpartition("/")[2]], definitions)
    return {key: _whole(value, definitions) for key, value in known.items()}
