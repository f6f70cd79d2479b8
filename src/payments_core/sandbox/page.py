"""The hosted payment page, decided purely: what it shows, what a form says, what a submission leads to."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, TypeAlias
from urllib.parse import parse_qs

from attrs import frozen

from payments_core.money import Money, exponent

from . import payments
from .cards import TEST_CARDS, Attempt, CardFields, grouped, read
from .params import EMAIL
from .records import Buyer, Decline, LineItem, Session
from .state import Context

_SYMBOLS = {
    "usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "cad": "CA$", "aud": "A$", "nzd": "NZ$", "inr": "₹",
    "krw": "₩", "brl": "R$", "mxn": "MX$", "ils": "₪", "php": "₱",
}  # fmt: skip
_VERBS = {"book": "Book", "donate": "Donate", "subscribe": "Subscribe"}


@frozen
class PayForm:
    """A submitted page. The card's fields live only until the attempt is made and appear in no repr."""

    email: str
    name: str
    card: CardFields


@frozen
class ShownLine:
    """One line as the page shows it."""

    name: str
    description: str | None
    image: str | None
    initial: str
    quantity: int
    each: str | None
    total: str


@frozen
class View:
    """Everything the payment page's template needs; nothing of it is a card's number or code."""

    session_id: str
    seller: str
    lines: tuple[ShownLine, ...]
    total: str
    currency: str
    button: str
    free: bool
    email: str
    name: str
    expiry: str
    cancel_url: str | None
    errors: Mapping[str, str]
    declined: str | None
    test_cards: tuple[tuple[str, str], ...]


@frozen
class Show:
    """Answer with the payment page."""

    status: Literal[200, 402, 422]
    view: View


@frozen
class Redirect:
    """Send the buyer on, once endpoints have heard of it."""

    url: str


@frozen
class Gone:
    """The session has run out."""

    seller: str
    cancel_url: str | None


Outcome: TypeAlias = Show | Redirect | Gone


def parse_form(body: bytes) -> PayForm:
    """Read a submitted page. Fields that are missing are empty; the body is decoded leniently, never logged."""
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=50)

    def one(name: str, limit: int = 200) -> str:
        return fields.get(name, [""])[-1].strip()[:limit]

    return PayForm(
        email=one("email", 512),
        name=one("cc-name"),
        card=CardFields(one("cc-number", 40), one("cc-exp", 20), one("cc-csc", 10)),
    )


def show(context: Context, session_id: str) -> Outcome:
    """`GET` of the page. Raises StripeRefusal 404 for a session that is not known."""
    session = context.state.sessions.need(session_id, "session")
    if session.status == "complete":
        return Redirect(landing_url(session))
    if session.status == "expired":
        return _gone(session)
    return Show(200, _view(context, session))


def submit(context: Context, session_id: str, form: PayForm) -> Outcome:
    """`POST` of the page. A session that is paid already leads on as before: there is no second charge."""
    session = context.state.sessions.need(session_id, "session")
    if session.status == "complete":
        return Redirect(landing_url(session))
    if session.status == "expired":
        return _gone(session)
    problems: dict[str, str] = {}
    email = form.email or session.customer_email or ""
    if not EMAIL.fullmatch(email):
        problems["email"] = "Enter an e-mail address, like name@example.com." if email else "Enter your e-mail address."
    card = None if session.amount_minor == 0 else _card(form, context.now, problems)
    if problems:
        return Show(422, _view(context, session, form, problems))
    return _pay(context, session, Buyer(email, form.name or None), card, form)


def landing_url(session: Session) -> str:
    """Where the buyer goes after paying, the session's id filled in."""
    target = session.success_url or session.return_url or "/"
    return target.replace("{CHECKOUT_SESSION_ID}", session.id)


def amount_text(minor: int, currency: str) -> str:
    """An amount for people: `$59.98`, `¥500`, `12.00 CHF`, exact and with thousands separators."""
    return _amount(Money(minor, currency).decimal, currency)


def _pay(context: Context, session: Session, buyer: Buyer, card: Attempt | None, form: PayForm) -> Outcome:
    if card is None:
        payments.settle_free(context, session, buyer)
        return Redirect(landing_url(session))
    charge = payments.attempt(context, session, buyer, card)
    if charge.decline is None:
        return Redirect(landing_url(session))
    return Show(402, _view(context, session, form, {}, charge.decline))


def _card(form: PayForm, now: int, problems: dict[str, str]) -> Attempt | None:
    found = read(form.card, now)
    if isinstance(found, Attempt):
        return found
    problems.update(found)
    return None


def _gone(session: Session) -> Gone:
    return Gone(session.display_name or "Sandbox shop", session.cancel_url)


def _view(
    context: Context,
    session: Session,
    form: PayForm | None = None,
    errors: Mapping[str, str] | None = None,
    decline: Decline | None = None,
) -> View:
    total = amount_text(session.amount_minor, session.currency)
    free = session.amount_minor == 0
    verb = _VERBS.get(session.submit_type or "", "Pay")
    return View(
        session_id=session.id,
        seller=session.display_name or "Sandbox shop",
        lines=tuple(_shown(context, line) for line in session.lines),
        total=total,
        currency=session.currency.upper(),
        button="Complete order" if free else f"{verb} {total}",
        free=free,
        email=(form.email if form else "") or session.customer_email or "",
        name=form.name if form else "",
        expiry=form.card.expiry if form else "",
        cancel_url=session.cancel_url,
        errors=errors or {},
        declined=_declined(decline),
        test_cards=tuple((grouped(number), words) for number, (_, words, _) in TEST_CARDS.items()),
    )


def _declined(decline: Decline | None) -> str | None:
    return f"{decline.message} Nothing was charged. Try a different card." if decline else None


def _shown(context: Context, line: LineItem) -> ShownLine:
    price = context.state.prices.get(line.price)
    product = context.state.products.get(price.product) if price else None
    unit = price.currency_options.get(line.currency, price.unit_amount) if price else None
    each = None
    if unit is not None and line.quantity > 1:
        each = _amount(unit.scaleb(-exponent(line.currency)), line.currency)
    return ShownLine(
        name=line.description,
        description=product.description if product else None,
        image=product.images[0] if product and product.images else None,
        initial=line.description.strip()[:1].upper() or "•",
        quantity=line.quantity,
        each=each,
        total=amount_text(line.amount_minor, line.currency),
    )


def _amount(major: Decimal, currency: str) -> str:
    number = f"{major:,f}"
    symbol = _SYMBOLS.get(currency)
    return f"{symbol}{number}" if symbol else f"{number} {currency.upper()}"
