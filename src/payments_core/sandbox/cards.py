"""The test cards, and what is wrong with a card that cannot even be tried.

Numbers and outcomes are those of https://docs.stripe.com/testing. A number lives only as long as the attempt: what
is kept afterwards is brand, last four digits and expiry.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from attrs import frozen

from .records import Card, Decline

_DECLINED = "Your card was declined."

#: What each test card does: its brand, the words for a person, and the refusal (None pays).
TEST_CARDS: Mapping[str, tuple[str, str, Decline | None]] = {
    "4242424242424242": ("visa", "Pays", None),
    "5555555555554444": ("mastercard", "Pays (Mastercard)", None),
    "4000000000000002": ("visa", "Declined", Decline("card_declined", _DECLINED, "generic_decline")),
    "4000000000009995": (
        "visa",
        "Insufficient funds",
        Decline("card_declined", "Your card has insufficient funds.", "insufficient_funds", "try_again_later"),
    ),
    "4000000000009987": (
        "visa",
        "Lost card",
        Decline("card_declined", _DECLINED, "lost_card", "do_not_try_again"),
    ),
    "4000000000000069": ("visa", "Expired card", Decline("expired_card", "Your card has expired.")),
    "4000000000000127": (
        "visa",
        "Wrong security code",
        Decline("incorrect_cvc", "Your card's security code is incorrect."),
    ),
}


@frozen
class Attempt:
    """A card ready to be tried: what may be remembered of it, and how the issuer will answer."""

    card: Card
    decline: Decline | None


@frozen
class CardFields:
    """A card as a form or a test gives it. Never kept, logged or shown: the repr is empty."""

    number: str
    expiry: str
    security_code: str

    def __repr__(self) -> str:
        return "CardFields(…)"


def read(fields: CardFields, now: int) -> Attempt | dict[str, str]:
    """The attempt, or one message per field (`cc-number`, `cc-exp`, `cc-csc`) that cannot be used."""
    number = re.sub(r"[\s-]", "", fields.number)
    expiry = _expiry(fields.expiry)
    problems = {
        "cc-number": _number_problem(number),
        "cc-exp": _expiry_problem(expiry, now),
        "cc-csc": _code_problem(fields.security_code.strip()),
    }
    found = {name: message for name, message in problems.items() if message is not None}
    if found or expiry is None:
        return found
    brand, _, decline = TEST_CARDS[number]
    cvc_check = "fail" if decline is not None and decline.code == "incorrect_cvc" else "pass"
    return Attempt(Card(brand, number[-4:], expiry[0], expiry[1], cvc_check), decline)


def luhn(number: str) -> bool:
    """Whether the check digit fits (ISO/IEC 7812-1)."""
    total = 0
    for position, digit in enumerate(reversed(number)):
        value = int(digit) * (2 if position % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def grouped(number: str) -> str:
    """A number in groups of four, as cards show it."""
    return " ".join(number[i : i + 4] for i in range(0, len(number), 4))


def _number_problem(number: str) -> str | None:
    if not number:
        return "Enter a card number."
    if not (number.isascii() and number.isdigit() and 12 <= len(number) <= 19):
        return "Your card number is incomplete."
    if not luhn(number):
        return "Your card number is invalid."
    if number not in TEST_CARDS:
        listing = ", ".join(grouped(card) for card in TEST_CARDS)
        return f"This is a sandbox and takes test cards only, never a real one: {listing}."
    return None


def _expiry(text: str) -> tuple[int, int] | None:
    """Month and four-digit year of `12/34`, `12 / 2034` or `1234`."""
    found = re.fullmatch(r"\s*([0-9]{1,2})\s*/\s*([0-9]{4}|[0-9]{2})\s*", text) or re.fullmatch(
        r"\s*([0-9]{2})([0-9]{2})\s*", text
    )
    if found is None:
        return None
    year = int(found[2])
    return int(found[1]), year + 2000 if year < 100 else year


def _expiry_problem(expiry: tuple[int, int] | None, now: int) -> str | None:
    if expiry is None or not 1 <= expiry[0] <= 12:
        return "Your card's expiration date is incomplete: write it as MM / YY."
    today = time.gmtime(now)
    if (expiry[1], expiry[0]) < (today.tm_year, today.tm_mon):
        return "Your card's expiration date is in the past."
    if expiry[1] > today.tm_year + 50:
        return "Your card's expiration year is invalid."
    return None


def _code_problem(code: str) -> str | None:
    if not (code.isascii() and code.isdigit() and len(code) == 3):
        return "Enter the 3 digits of the security code."
    return None
