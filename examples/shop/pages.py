"""The shop's pages as text: what a framework has to do is send it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from babel.numbers import format_currency
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from examples.shop import cart as carts
from examples.shop.catalogue import PRODUCTS
from examples.shop.config import TEMPLATES
from payments_core import Money, PaymentsError, SessionStatus

_LOCALE: Final = "en_US"


def money(amount: Money) -> str:
    """An amount for people: $59.98. Nothing is computed with it, and no digit that is charged is left out."""
    return format_currency(amount.decimal, amount.currency.upper(), locale=_LOCALE, decimal_quantization=False)


def _minor(amount: int, currency: str) -> str:
    return money(Money(amount, currency))


_environment = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters["money"] = money
_environment.globals["minor"] = _minor
_environment.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)


def catalogue(cart: Mapping[str, int], activity: Mapping[str, Any]) -> str:
    """The front page."""
    return _render("catalogue.html", cart, products=list(PRODUCTS.values()), activity=activity)


def cart_page(cart: Mapping[str, int]) -> str:
    """The cart, to be changed or paid."""
    return _render(
        "cart.html", cart, lines=carts.lines(cart), total=carts.total(cart), most=carts.MOST, order=carts.new_order()
    )


def opening(cart: Mapping[str, int], order: str | None) -> str:
    """A second click came before the first was answered: the payment page is being opened, once."""
    return _render("opening.html", cart, order=order)


def success(cart: Mapping[str, int], status: SessionStatus, activity: Mapping[str, Any]) -> str:
    """What became of a checkout: the truth, not a promise."""
    return _render("success.html", cart, status=status, activity=activity)


def activity_page(cart: Mapping[str, int], activity: Mapping[str, Any]) -> str:
    """Everything that happened lately."""
    return _render("activity.html", cart, activity=activity)


def problem(cart: Mapping[str, int], error: PaymentsError) -> str:
    """Something did not work, in words."""
    heading = "There is no such checkout" if error.status == 404 else "That did not work"
    return _render("problem.html", cart, heading=heading, title=error.title, detail=error.detail, status=error.status)


def unseen(cart: Mapping[str, int]) -> str:
    """A buyer is back who may have paid, and nobody can be asked: nothing is said that would make him pay again."""
    return _render("unseen.html", cart)


def missing(cart: Mapping[str, int]) -> str:
    """No page of the shop has this address."""
    return _render("problem.html", cart, heading="There is no such page", title="Not found", detail="", status=404)


def _render(template: str, cart: Mapping[str, int], **values: object) -> str:
    return _environment.get_template(template).render(pieces=sum(cart.values()), **values)
