"""The types of single fields: what each accepts, and the words in which it refuses.

Values arrive from `read_json`: strings, ints and Decimals, never floats. Nothing is coerced: "29.99" is no number and
true is not 1. No message repeats what was sent.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, PlainValidator, StringConstraints, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from payments_core.money import CURRENCIES, InvalidAmount, Money

#: Checkout's own bound on a line's quantity (https://docs.stripe.com/api/checkout/sessions/create).
MAX_QUANTITY: Final = 999_999
MAX_NAME_CHARS: Final = 5000
#: Stripe's bound on an image's URL.
MAX_IMAGE_URL_CHARS: Final = 2048
#: Stripe's ids have up to 255 characters, lookup keys up to 200.
MAX_PRODUCT_ID_CHARS: Final = 255
#: RFC 5321, 4.5.3.1: 64 octets before the @, 255 after it.
MAX_EMAIL_CHARS: Final = 320
MAX_URL_CHARS: Final = 5000
PROBLEM: Final = "payments_core"
#: The key under which the currency of the prices is handed to their validators; None where it is not known.
CURRENCY: Final = "currency"

# What the HTML standard takes for an address, with at least one dot in the domain: plausible, not proven.
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])"
)
_NOT_IN_URLS = re.compile(r'[^\x21-\x7e]|[\\"<>^`|]')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def problem(message: str) -> PydanticCustomError:
    """A refusal in our own words; pydantic would read braces in it as its own."""
    return PydanticCustomError(PROBLEM, "{message}", {"message": message})


def known_currency(value: object) -> str | None:
    """The currency's code in lower case, or None for what is no currency that Stripe charges in."""
    code = value.lower() if isinstance(value, str) and value.isascii() else None
    return code if code in CURRENCIES else None


def _currency(value: object) -> str:
    code = known_currency(value)
    if code is None:
        raise problem("must be the three-letter code of a currency that Stripe charges in, as usd")
    return code


def _price(value: object, info: ValidationInfo) -> Money:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise problem("must be a number in major units, as 29.99 (no string)")
    if value <= 0:
        raise problem("must be greater than 0")
    context: dict[str, str | None] = info.context or {}
    currency = context.get(CURRENCY)
    if currency is None:
        # Refused for its currency anyway; there is nothing to count its digits by.
        return Money(0, "usd")
    try:
        return Money.of(value, currency)
    except InvalidAmount as wrong:
        raise problem(str(wrong)) from None


def _quantity(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_QUANTITY:
        raise problem(f"must be a whole number from 1 to {MAX_QUANTITY}")
    return value


def _without_nul(value: str) -> str:
    if "\x00" in value:
        raise problem("holds a NUL character")
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise problem("must not be empty")
    return _without_nul(value)


def _identifier(value: str) -> str:
    if _CONTROL.search(value):
        raise problem("holds a control character")
    return _not_blank(value)


def _image_url(value: str) -> str:
    if _NOT_IN_URLS.search(value):
        raise problem("holds a character that does not belong in a URL (encode it)")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise problem("is no URL") from None
    if parts.scheme.lower() not in ("http", "https") or not host or "@" in parts.netloc:
        raise problem("must be an absolute http(s) URL without a user name")
    return value


def _email(value: str) -> str:
    local = value.partition("@")[0]
    if not _EMAIL.fullmatch(value) or local.startswith(".") or local.endswith(".") or ".." in local:
        raise problem("must be an e-mail address, as name@example.com")
    return value


Currency = Annotated[
    str,
    PlainValidator(_currency),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z]{3}$", "examples": ["usd"]}),
]
Price = Annotated[
    Money,
    PlainValidator(_price),
    WithJsonSchema(
        {
            "type": "number",
            "exclusiveMinimum": 0,
            "description": "Per piece, in major units, with no more digits than the currency has.",
            "examples": [29.99],
        }
    ),
]
Quantity = Annotated[
    int,
    PlainValidator(_quantity),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_QUANTITY}),
]
Name = Annotated[str, StringConstraints(max_length=MAX_NAME_CHARS, min_length=1), AfterValidator(_not_blank)]
ProductId = Annotated[
    str, StringConstraints(max_length=MAX_PRODUCT_ID_CHARS, min_length=1), AfterValidator(_identifier)
]
ImageUrl = Annotated[str, StringConstraints(max_length=MAX_IMAGE_URL_CHARS), AfterValidator(_image_url)]
Email = Annotated[
    str,
    StringConstraints(max_length=MAX_EMAIL_CHARS),
    AfterValidator(_email),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": MAX_EMAIL_CHARS}),
]
#: Where a buyer may be sent is the checkout's decision; that it is text of a sane length is ours.
RedirectUrl = Annotated[str, StringConstraints(max_length=MAX_URL_CHARS, min_length=1), AfterValidator(_without_nul)]
