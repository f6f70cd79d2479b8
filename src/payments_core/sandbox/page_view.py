"""What the payment page shows of a session, decided purely. Nothing of it is a card's or an account's number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from .amounts import amount_text, unit_text
from .cards import grouped
from .countries import NAMES
from .debits import ROUTING_NUMBER, TEST_ACCOUNTS, TEST_IBANS
from .intents import UNAUTHENTICATED
from .known_cards import TEST_CARDS
from .page_form import PayForm, known_email
from .records.checkout import LineItem, Session
from .records.payments import Decline
from .records.pricing import ShippingRate
from .shapes.checkout import CUSTOM_TEXTS
from .state import Context

_VERBS = {"book": "Book", "donate": "Donate", "subscribe": "Subscribe"}
METHODS = {"card": "Card", "sepa_debit": "SEPA Direct Debit", "us_bank_account": "US bank account"}


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
class Sum:
    """One line of the totals. `off` takes something off; `note` is told, and adds nothing."""

    label: str
    amount: str
    kind: Literal["plain", "off", "note"] = "plain"


@frozen
class Way:
    """A way of shipping, or of paying, that can be chosen."""

    value: str
    label: str
    chosen: bool
    amount: str = ""
    about: str = ""


@frozen
class Promotion:
    """The promotion code: whether one may be typed, which is in use, and what is wrong with the one typed."""

    open: bool
    applied: str | None = None
    typed: str = ""
    error: str | None = None


@frozen
class View:
    """Everything the payment page's template needs. `path` is where the page itself is."""

    path: str
    framed: bool
    seller: str
    lines: tuple[ShownLine, ...]
    sums: tuple[Sum, ...]
    total: str
    currency: str
    button: str
    free: bool
    fields: Mapping[str, str]
    email_fixed: bool
    phone: bool
    countries: tuple[tuple[str, str], ...]
    shipping: tuple[Way, ...]
    methods: tuple[Way, ...]
    promotion: Promotion
    texts: Mapping[str, str | None]
    cancel_url: str | None
    errors: Mapping[str, str]
    alert: str | None
    attempt: int
    expected: int
    test_cards: tuple[tuple[str, str], ...]
    test_accounts: Mapping[str, tuple[tuple[str, str], ...]]
    routing_number: str = ROUTING_NUMBER

    @property
    def first_error(self) -> str | None:
        """The field that has the focus: the first that is wrong, in the page's order."""
        return next((name for name in _ORDER if name in self.errors), None)


_ORDER = (
    "email", "phone", "ship-name", "ship-country", "ship-line1", "ship-city", "ship-postal-code", "method",
    "cc-number", "cc-exp", "cc-csc", "debit-name", "iban", "routing-number", "account-number",
)  # fmt: skip


def path_of(session: Session) -> str:
    """Where a session's page is: in a frame of the shop's, or by itself."""
    if session.ui_mode == "embedded_page":
        return f"/c/embed/{session.client_secret}"
    return f"/c/pay/{session.id}"


def seller_of(session: Session | None) -> str:
    """The shop's name."""
    return (session.display_name if session else None) or "Sandbox shop"


def view(
    context: Context,
    session: Session,
    form: PayForm | None = None,
    *,
    errors: Mapping[str, str] | None = None,
    alert: str | None = None,
    promotion: Promotion | None = None,
) -> View:
    """The page as it is now, with what a form that was sent already says, numbers left out."""
    total, free = amount_text(session.amount_minor, session.currency), session.amount_minor == 0
    known = known_email(context, session)
    return View(
        path=path_of(session),
        framed=session.ui_mode == "embedded_page",
        seller=seller_of(session),
        lines=tuple(_shown(context, line) for line in session.lines),
        sums=_sums(context, session),
        total=total,
        currency=session.currency.upper(),
        button="Complete order" if free else f"{_VERBS.get(session.submit_type or '', 'Pay')} {total}",
        free=free,
        fields={"email": known} if form is None else _fields(form, known),
        email_fixed=session.customer is not None and bool(known),
        phone=session.phone_number_collection,
        countries=tuple(sorted(((c, NAMES.get(c, c)) for c in session.shipping_countries or ()), key=lambda c: c[1])),
        shipping=_ways(context, session),
        methods=_methods(session, form),
        promotion=promotion or _promotion(context, session),
        texts={name: session.custom_text.get(name) for name in CUSTOM_TEXTS},
        cancel_url=session.cancel_url,
        errors=errors or {},
        alert=alert,
        attempt=session.attempts,
        expected=session.amount_minor,
        test_cards=tuple((grouped(number), card.words) for number, card in TEST_CARDS.items() if card.usual),
        test_accounts={
            "sepa_debit": tuple((grouped(number), account.words) for number, account in TEST_IBANS.items()),
            "us_bank_account": tuple((number, account.words) for number, account in TEST_ACCOUNTS.items()),
        },
    )


def refused(decline: Decline) -> str:
    """A refusal in words for the buyer."""
    if decline == UNAUTHENTICATED:
        return "We are unable to authenticate your card. Nothing was charged. Try again, or try a different card."
    return f"{decline.message} Nothing was charged. Try a different card."


def _fields(form: PayForm, known: str) -> Mapping[str, str]:
    to = form.recipient
    return {
        "email": form.email or known,
        "phone": form.phone,
        "cc-name": form.name,
        "cc-exp": form.card.expiry,
        "debit-name": form.debit.name,
        "ship-name": to.name,
        "ship-line1": to.line1,
        "ship-line2": to.line2,
        "ship-city": to.city,
        "ship-state": to.state,
        "ship-postal-code": to.postal_code,
        "ship-country": to.country,
    }


def _sums(context: Context, session: Session) -> tuple[Sum, ...]:
    totals, currency = session.totals, session.currency
    sums = [Sum("Subtotal", amount_text(totals.subtotal_minor, currency))]
    if session.coupon is not None:
        sums.append(Sum(_discount_label(context, session), amount_text(-totals.discount_minor, currency), "off"))
    rate = context.state.shipping_rates.get(session.shipping_rate or "")
    if rate is not None:
        shown = amount_text(totals.shipping_minor, currency) if totals.shipping_minor else "Free"
        sums.append(Sum(f"Shipping ({rate.display_name})", shown))
    by_rate: dict[str, int] = {}
    for tax in totals.taxes:
        by_rate[tax.rate] = by_rate.get(tax.rate, 0) + tax.amount_minor
    for rate_id, amount in by_rate.items():
        tax_rate = context.state.tax_rates.need(rate_id)
        percent = f"{tax_rate.percentage.normalize():f} %"
        inside = ", included" if tax_rate.inclusive else ""
        kind: Literal["plain", "note"] = "note" if tax_rate.inclusive else "plain"
        sums.append(Sum(f"{tax_rate.display_name} ({percent}{inside})", amount_text(amount, currency), kind))
    return tuple(sums)


def _discount_label(context: Context, session: Session) -> str:
    coupon, code = session.coupon, context.state.codes.get(session.promotion_code or "")
    if code is not None:
        return f"Promotion code {code.code}"
    if coupon is not None and coupon.name:
        return coupon.name
    return "Discount"


def _promotion(context: Context, session: Session) -> Promotion:
    code = context.state.codes.get(session.promotion_code or "")
    return Promotion(bool(session.allow_promotion_codes), code.code if code is not None else None)


def _ways(context: Context, session: Session) -> tuple[Way, ...]:
    """The ways of shipping, where there is a choice."""
    if len(session.shipping_options) < 2:
        return ()
    found = [(option, context.state.shipping_rates.get(option.rate)) for option in session.shipping_options]
    return tuple(
        Way(
            value=option.rate,
            label=rate.display_name if rate else "Shipping",
            chosen=option.rate == session.shipping_rate,
            amount=amount_text(option.amount_minor, session.currency) if option.amount_minor else "Free",
            about=_estimate(rate),
        )
        for option, rate in found
    )


def _estimate(rate: ShippingRate | None) -> str:
    bounds = (rate.delivery_estimate if rate else None) or {}
    known = [bound for name in ("minimum", "maximum") if (bound := bounds.get(name)) is not None]
    if not known:
        return ""
    unit = str(known[-1]["unit"]).replace("_", " ") + ("s" if known[-1]["value"] > 1 else "")
    values = list(dict.fromkeys(str(bound["value"]) for bound in known))
    if bounds.get("minimum") is None:
        return f"Up to {values[0]} {unit}"
    return f"{'–'.join(values)} {unit}" if bounds.get("maximum") else f"At least {values[0]} {unit}"


def _methods(session: Session, form: PayForm | None) -> tuple[Way, ...]:
    chosen = form.method if form is not None and form.method in session.method_types else session.method_types[0]
    return tuple(Way(kind, METHODS[kind], kind == chosen) for kind in session.method_types)


def _shown(context: Context, line: LineItem) -> ShownLine:
    price = context.state.prices.get(line.price)
    product = context.state.products.get(line.product)
    unit = price.currency_options.get(line.currency, price.unit_amount) if price else None
    return ShownLine(
        name=line.description,
        description=product.description if product else None,
        image=product.images[0] if product and product.images else None,
        initial=line.description.strip()[:1].upper() or "•",
        quantity=line.quantity,
        each=unit_text(unit, line.currency) if unit is not None and line.quantity > 1 else None,
        total=amount_text(line.amount_minor, line.currency),
    )
