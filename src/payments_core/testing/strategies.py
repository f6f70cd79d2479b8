"""Hypothesis strategies for what a payment is made of: amounts, carts, events, and the orders in which they arrive.

Needs `pip install hypothesis`; nothing else of this package does. Amounts are those that Stripe takes: in the steps of
their currency, and never zero unless asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from hypothesis import strategies as st

from payments_core.domain.cart import MAX_LINES, Cart, CheckoutRequest, Line, UiMode
from payments_core.money import CURRENCIES, Money, step_minor

T = TypeVar("T")
Json = dict[str, Any]
#: The largest single price drawn unless said otherwise; a cart of a hundred such lines stays within Stripe's limit.
MAX_PRICE_MINOR: Final = 99_999_999
_UI_MODES: Final[tuple[UiMode, ...]] = ("hosted_page", "embedded_page")
_DECLINES: Final = ("generic_decline", "insufficient_funds", "lost_card", "expired_card", "incorrect_cvc")
#: Stripe names these by their code; the others are a `card_declined` with a reason.
_CODES_OF_THEIR_OWN: Final = ("expired_card", "incorrect_cvc")
#: Letters of several alphabets, and what is hard to quote.
_LETTERS: Final = "abcXYZ0189 éßñøΩЖשع漢字かな한글🎽'\"\\<>&;%{}$"
_NAMES: Final = st.text(_LETTERS, min_size=1, max_size=60).filter(str.strip)


def currencies() -> st.SearchStrategy[str]:
    """Currencies that Stripe charges in, the everyday ones first."""
    return st.sampled_from(["usd", "eur", "jpy", "kwd", "isk"]) | st.sampled_from(sorted(CURRENCIES))


@st.composite
def money(
    draw: st.DrawFn, currency: str | None = None, *, min_minor: int = 1, max_minor: int = MAX_PRICE_MINOR
) -> Money:
    """An amount in minor units between two bounds, which Stripe would take in its currency."""
    code = draw(currencies()) if currency is None else currency
    step = step_minor(code)
    return Money(draw(st.integers(-(-min_minor // step), max(1, max_minor // step))) * step, code)


@st.composite
def lines(draw: st.DrawFn, currency: str | None = None) -> Line:
    """One line of a cart."""
    return Line(draw(_NAMES), draw(money(currency)), draw(st.integers(1, 100)))


@st.composite
def carts(draw: st.DrawFn, currency: str | None = None, *, max_lines: int = 10) -> Cart:
    """A cart in one currency; `max_lines` up to Checkout's own limit of 100."""
    code = draw(currencies()) if currency is None else currency
    return Cart(draw(st.lists(lines(code), min_size=1, max_size=min(max_lines, MAX_LINES))))


@st.composite
def checkout_requests(draw: st.DrawFn, currency: str | None = None) -> CheckoutRequest:
    """What `create_checkout_session` takes."""
    ui_mode = draw(st.sampled_from(_UI_MODES))
    cancel_url = "https://shop.test/cart" if ui_mode == "hosted_page" else None
    return CheckoutRequest(draw(carts(currency)), "https://shop.test/thanks", cancel_url, ui_mode=ui_mode)


@st.composite
def payment_events(draw: st.DrawFn, currency: str | None = None) -> list[Json]:
    """Stripe's events of one payment without a session, in their order: declined attempts, then perhaps a success.

    Each is a whole event, for `signed_event` or a dispatcher; every id is its own.
    """
    amount = draw(money(currency, min_minor=100))
    number = draw(st.integers(0, 10**12))
    declines = draw(st.lists(st.sampled_from(_DECLINES), max_size=3))
    intent: Json = {
        "id": f"pi_{number}",
        "object": "payment_intent",
        "amount": amount.minor,
        "amount_received": 0,
        "currency": amount.currency,
        "metadata": {},
        "status": "requires_payment_method",
        "last_payment_error": None,
    }
    steps = [
        ("payment_intent.payment_failed", intent | {"last_payment_error": _error(code, number, position)})
        for position, code in enumerate(declines)
    ]
    if draw(st.booleans()):
        steps.append(("payment_intent.succeeded", intent | {"status": "succeeded", "amount_received": amount.minor}))
    return [_event(kind, snapshot, f"evt_{number}_{position}") for position, (kind, snapshot) in enumerate(steps)]


@st.composite
def delivery_orders(draw: st.DrawFn, events: Sequence[T], *, max_copies: int = 3) -> list[T]:
    """These events as they may arrive: every one at least once, up to `max_copies` times, in any order."""
    copies = [event for event in events for _ in range(draw(st.integers(1, max_copies)))]
    return draw(st.permutations(copies))


def _error(code: str, number: int, position: int) -> Json:
    return {
        "type": "card_error",
        "code": code if code in _CODES_OF_THEIR_OWN else "card_declined",
        "decline_code": code,
        "message": "Your card was declined.",
        "charge": f"ch_{number}_{position}",
    }


def _event(kind: str, snapshot: Json, event_id: str) -> Json:
    return {
        "id": event_id,
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1_793_182_400,
        "data": {"object": snapshot},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }
