"""Which field of the client's a complaint of Stripe's is about.

Stripe names its own parameter (`line_items[0][price_data][unit_amount]`). Where the client sent what stood there, the
client can correct it, and is told so under the name it used; anything else is our failure.
"""

from __future__ import annotations

import re
from typing import Final

from payments_core.errors import FieldProblem, InvalidRequest, StripeError, StripeUnavailable

_PARAMETER = re.compile(r"(?P<root>[a-z_]+)(?P<rest>(?:\[[^\[\]]*\])*)")
_PARTS = re.compile(r"\[([^\[\]]*)\]")
_CODE = re.compile(r"[a-z0-9_]{1,64}")

_FIELDS: Final = {
    "success_url": "successUrl",
    "return_url": "successUrl",
    "cancel_url": "cancelUrl",
    "customer_email": "customerEmail",
    "metadata": "metadata",
    "currency": "currency",
    "ui_mode": "uiMode",
    "line_items": "products",
}
_LINE_FIELDS: Final[dict[tuple[str, ...], str]] = {
    ("quantity",): "quantity",
    ("price",): "productId",
    ("price_data",): "price",
    ("price_data", "unit_amount"): "price",
    ("price_data", "unit_amount_decimal"): "price",
    ("price_data", "product_data"): "name",
    ("price_data", "product_data", "name"): "name",
    ("price_data", "product_data", "images"): "image",
    ("price_data", "product"): "productId",
}
#: What Stripe says of the total, at times without a parameter.
_FIELDS_BY_CODE: Final = {"amount_too_small": "products", "amount_too_large": "products"}
_SHOWN_KEY_CHARS: Final = 40


def field_of(param: str | None) -> str | None:
    """The client's field for a parameter of `checkout.sessions.create`, or None where it sent no such thing."""
    found = _PARAMETER.fullmatch(param or "")
    if found is None:
        return None
    root = found["root"]
    parts = _PARTS.findall(found["rest"])
    if root == "payment_intent_data" and parts[:1] == ["metadata"]:
        root, parts = "metadata", parts[1:]
    if root == "metadata" and parts:
        return f"metadata.{parts[0][:_SHOWN_KEY_CHARS]}"
    if root == "line_items" and parts:
        return _line_field(parts)
    return _FIELDS.get(root) if not parts else None


def as_invalid_request(error: StripeError) -> InvalidRequest | None:
    """The refusal as the client's own mistake, where it is about a field that the client sent."""
    path = field_of(error.param) or _FIELDS_BY_CODE.get(error.code or "")
    if path is None or isinstance(error, StripeUnavailable):
        return None
    # Stripe's sentence may quote the value; its code does not.
    code = error.code if error.code and _CODE.fullmatch(error.code) else "invalid"
    return InvalidRequest(
        "Stripe does not accept a field of this request; correct it and send it again.",
        [FieldProblem(path, f"is not accepted by Stripe ({code})")],
    )


def _line_field(parts: list[str]) -> str | None:
    index, names = parts[0], tuple(parts[1:])
    if not index.isdecimal():
        return None
    line = f"products[{int(index)}]"
    if not names:
        return line
    if names == ("price_data", "currency"):
        return "currency"
    if names[:3] == ("price_data", "product_data", "images"):
        names = names[:3]
    name = _LINE_FIELDS.get(names)
    return None if name is None else f"{line}.{name}"
