"""Card numbers have no place here: what looks like one is refused before it is stored, logged or sent anywhere.

A buyer types the card on Stripe's page, and a shop that never sees a number stays out of most of PCI DSS (requirement
3; SAQ A). One that came in a name, a note or a URL would be in the database, in its backups and in Stripe's metadata.
So a request with one is refused (422), and neither the reply nor a log repeats it.

Digits are a card's number when an issuer's prefix and length fit (ISO/IEC 7812-1; the ranges are the schemes' own), the
check digit is right (Luhn), and they stand as people write them: together, or in the groups printed on cards, with
blanks or hyphens between. Of sixteen-digit numbers taken at random about one in forty looks like that. An order number
which does is told apart by a letter before it: digits that touch a letter are part of a name (`ORD4242…`). Thirteen
digits never count: no card of that length is issued any more, and German article numbers (EAN 4…) have it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ..errors import FieldProblem, InvalidRequest
from .cart import CheckoutRequest
from .pricing import PriceClaim

_REFUSAL: Final = (
    "Something in the request looks like a card number. Never send one: the buyer types it on Stripe's page. Put a "
    "letter before it if it is an order number."
)
_PROBLEM: Final = "looks like a card number, which must not be sent here"

_TOGETHER: Final = r"[0-9]{14,19}"
_FOURS: Final = r"[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?"
_FOUR_SIX: Final = r"[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5}"
#: Whole runs of digits only: neither a part of a longer one, nor of a name, nor of a decimal fraction.
_RUN: Final = re.compile(rf"(?<![\w+])(?<!\w[.-])(?:{_FOURS}|{_FOUR_SIX}|{_TOGETHER})(?!\w)(?![.-][0-9])")

#: First digits as a range, and the lengths that are issued with them.
_ISSUERS: Final = (
    ("4", "4", (16, 19)),  # Visa
    ("51", "55", (16,)),  # Mastercard
    ("2221", "2720", (16,)),
    ("34", "34", (15,)),  # American Express
    ("37", "37", (15,)),
    ("300", "305", (14, 16, 19)),  # Diners Club
    ("36", "36", (14, 16, 19)),
    ("38", "39", (14, 16, 19)),
    ("6011", "6011", (16, 19)),  # Discover
    ("644", "649", (16, 19)),
    ("65", "65", (16, 19)),
    ("3528", "3589", (16, 19)),  # JCB
    ("62", "62", (16, 17, 18, 19)),  # UnionPay
    ("5018", "5018", (16, 19)),  # Maestro
    ("5020", "5020", (16, 19)),
    ("5038", "5038", (16, 19)),
    ("6304", "6304", (16, 19)),
    ("6759", "6759", (16, 19)),
    ("6761", "6763", (16, 19)),
)


def holds_card_number(text: str) -> bool:
    """Whether digits in `text` look like a card's number, in whatever script they are written."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return any(_is_card(re.sub("[ -]", "", found[0])) for found in _RUN.finditer(text))


def check_request(request: CheckoutRequest) -> None:
    """Raise InvalidRequest, naming the fields, for a checkout that holds what looks like a card number."""
    _refuse(_texts_of(request))


def check_claims(claims: Sequence[PriceClaim]) -> None:
    """The same for prices to be verified, whose product ids are asked for at Stripe."""
    _refuse((f"products[{index}].productId", claim.product_id) for index, claim in enumerate(claims))


def _refuse(texts: Iterable[tuple[str, str | None]]) -> None:
    problems = tuple(FieldProblem(path, _PROBLEM) for path, text in texts if text and holds_card_number(text))
    if problems:
        raise InvalidRequest(_REFUSAL, problems)


def _texts_of(request: CheckoutRequest) -> Iterator[tuple[str, str | None]]:
    for index, line in enumerate(request.cart.lines):
        yield f"products[{index}].name", line.name
        yield f"products[{index}].image", line.image
        yield f"products[{index}].productId", line.product_id
    yield "successUrl", request.success_url
    yield "cancelUrl", request.cancel_url
    yield "customerEmail", request.customer_email
    for key, value in request.metadata.items():
        if holds_card_number(key):
            # The path would repeat it.
            yield "metadata", key
        else:
            yield f"metadata.{key}", value


def _is_card(digits: str) -> bool:
    return _is_issued(digits) and _has_check_digit(digits)


def _is_issued(digits: str) -> bool:
    return any(len(digits) in lengths and first <= digits[: len(first)] <= last for first, last, lengths in _ISSUERS)


def _has_check_digit(digits: str) -> bool:
    """Luhn's check (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
