"""A test card as somebody gives it, and what is wrong with one that cannot even be tried.

A number lives only as long as the attempt: what
is kept afterwards is brand, last four digits and expiry.
"""

from __future__ import annotations

import re
import time

from attrs import frozen

from .known_cards import TEST_CARDS
from .records.payments import Card, Conduct, Decline

_BY_NAME = {name: number for number, card in TEST_CARDS.items() for name in card.names}


@frozen
class Attempt:
    """A card ready to be tried: what may be remembered of it, and how the issuer will answer."""

    card: Card
    conduct: Conduct

    @property
    def decline(self) -> Decline | None:
        """The refusal that awaits it."""
        return self.conduct.decline


def number_of(name: str, prefix: str) -> str | None:
    """The test number behind `tok_visa` (prefix `tok_`) or `pm_card_visa` (prefix `pm_card_`), or None."""
    return _BY_NAME.get(name[len(prefix) :]) if name.startswith(prefix) else None


def ready(number: str, month: int, year: int) -> Attempt:
    """A test card of an expiry that is already checked. Raises KeyError for another number."""
    known = TEST_CARDS[number]
    decline = known.conduct.decline
    cvc_check = "fail" if decline is not None and decline.code == "incorrect_cvc" else "pass"
    return Attempt(Card(known.brand, number[-4:], month, year, cvc_check, known.funding), known.conduct)


def two_years_on(now: int) -> tuple[int, int]:
    """Month and year of the expiry of cards that nobody typed."""
    return 12, time.gmtime(now).tm_year + 2


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
        "cc-csc": _code_problem(fields.security_code.strip(), code_length(number)),
    }
    found = {name: message for name, message in problems.items() if message is not None}
    if found or expiry is None:
        return found
    return ready(number, *expiry)


def code_length(number: str) -> int:
    """How many digits the security code has: four on an American Express card."""
    return 4 if number.startswith(("34", "37")) else 3


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
        listing = ", ".join(grouped(card) for card, known in TEST_CARDS.items() if known.usual)
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


def _code_problem(code: str, length: int) -> str | None:
    if not (code.isascii() and code.isdigit() and len(code) == length):
        return f"Enter the {length} digits of the security code."
    return None
