"""A submitted payment page: what it says, and what is wrong with it, field by field."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

from attrs import frozen

from .cards import Attempt, CardFields
from .cards import read as read_card
from .debits import Account, DebitFields, read_sepa, read_us
from .errors import JsonObject
from .params import EMAIL
from .records.checkout import Session
from .records.payments import Buyer
from .state import Context

MAX_FIELDS = 50
_PHONE = re.compile(r"\+?[0-9][0-9 ()./-]{4,24}")


@frozen
class Recipient:
    """Where things are sent, as the fields say."""

    name: str
    line1: str
    line2: str
    city: str
    state: str
    postal_code: str
    country: str

    def shape(self) -> JsonObject:
        """As Stripe keeps it."""
        parts = ("city", "country", "line1", "line2", "postal_code", "state")
        return {"address": {part: getattr(self, part) or None for part in parts}, "name": self.name}


@frozen
class PayForm:
    """A submitted page. Card and account live only until the attempt is made and appear in no repr.

    `attempt` and `expected` are what the page was made with: how many attempts there had been, and the total in minor
    units; empty in a form that was not made by the page. `digest` is the same for the same form only.
    """

    method: str
    email: str
    phone: str
    name: str
    card: CardFields
    debit: DebitFields
    recipient: Recipient
    attempt: str
    expected: str
    digest: str


@frozen
class Checked:
    """A form that can be used: who pays, where things go, and with what (None where nothing is to be paid)."""

    buyer: Buyer
    shipping: JsonObject | None
    how: Attempt | Account | None


def fields_of(body: bytes) -> Callable[..., str]:
    """The fields by name, missing ones empty; decoded leniently, never logged. Raises ValueError for too many."""
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)

    def one(name: str, limit: int = 200) -> str:
        return fields.get(name, [""])[-1].strip()[:limit]

    return one


def parse(body: bytes) -> PayForm:
    """Read a submitted page."""
    one = fields_of(body)
    return PayForm(
        method=one("method") or "card",
        email=one("email", 512),
        phone=one("phone", 40),
        name=one("cc-name"),
        card=CardFields(one("cc-number", 40), one("cc-exp", 20), one("cc-csc", 10)),
        debit=DebitFields(one("debit-name"), one("iban", 60), one("routing-number", 20), one("account-number", 30)),
        recipient=Recipient(
            one("ship-name"), one("ship-line1"), one("ship-line2"), one("ship-city"), one("ship-state"),
            one("ship-postal-code", 20), one("ship-country", 2),
        ),
        attempt=one("attempt", 10),
        expected=one("expected", 20),
        digest=hashlib.sha256(body).hexdigest(),
    )  # fmt: skip


def check(context: Context, session: Session, form: PayForm) -> Checked | dict[str, str]:
    """The form as it can be used, or one message per field that cannot."""
    problems: dict[str, str] = {}
    email = form.email or known_email(context, session)
    if not EMAIL.fullmatch(email):
        problems["email"] = "Enter an e-mail address, like name@example.com." if email else "Enter your e-mail address."
    if session.phone_number_collection and not _PHONE.fullmatch(form.phone):
        problems["phone"] = "Enter a phone number, like +49 30 901820." if form.phone else "Enter your phone number."
    shipping = _shipping(session, form.recipient, problems)
    how = None if session.amount_minor == 0 else _instrument(context, session, form, problems)
    if problems:
        return problems
    name = form.name if form.method == "card" else form.debit.name
    phone = form.phone if session.phone_number_collection else None
    return Checked(Buyer(email, name or (shipping or {}).get("name"), phone), shipping, how)


def known_email(context: Context, session: Session) -> str:
    """The buyer's address as the shop gave it, with the session or with its customer."""
    customer = context.state.customers.get(session.customer or "")
    return session.customer_email or (customer.email if customer is not None else None) or ""


def _instrument(
    context: Context, session: Session, form: PayForm, problems: dict[str, str]
) -> Attempt | Account | None:
    if form.method not in session.method_types:
        problems["method"] = "Choose how to pay."
        return None
    found = _read(context, form)
    if isinstance(found, Mapping):
        problems.update(found)
        return None
    return found


def _read(context: Context, form: PayForm) -> Attempt | Account | dict[str, str]:
    if form.method == "sepa_debit":
        return read_sepa(form.debit)
    return read_us(form.debit) if form.method == "us_bank_account" else read_card(form.card, context.now)


def _shipping(session: Session, recipient: Recipient, problems: dict[str, str]) -> JsonObject | None:
    if session.shipping_countries is None:
        return None
    needed = (
        ("ship-name", recipient.name, "Enter the recipient's name."),
        ("ship-line1", recipient.line1, "Enter a street and number."),
        ("ship-city", recipient.city, "Enter a city."),
        ("ship-postal-code", recipient.postal_code, "Enter a postal code."),
    )
    problems |= {name: words for name, value, words in needed if not value}
    if recipient.country not in session.shipping_countries:
        problems["ship-country"] = "Choose a country that the shop sends to."
    return recipient.shape()
