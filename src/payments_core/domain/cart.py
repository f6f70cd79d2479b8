"""What a buyer wants to pay for, as this library understands it after the edge has checked types.

A cart here is already exact (`Money`, whole quantities). It is what is agreed before Stripe is called, kept in the
payment's row, and what settlement is later compared with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen

from ..money import Money

UiMode: TypeAlias = Literal["hosted_page", "embedded_page"]

MAX_LINES: Final = 100  # Checkout's own limit in payment mode


@frozen
class Line:
    """One line: `unit` is the price of a single piece. `price_id` is set once the catalogue has confirmed it."""

    name: str
    unit: Money
    quantity: int
    image: str | None = None
    product_id: str | None = None
    price_id: str | None = None

    @property
    def total(self) -> Money:
        """Price times quantity."""
        return self.unit * self.quantity


def _lines(lines: Iterable[Line]) -> tuple[Line, ...]:
    return tuple(lines)


@frozen
class Cart:
    """The lines of one purchase, all in one currency."""

    lines: tuple[Line, ...] = field(converter=_lines)

    @property
    def currency(self) -> str:
        """The currency of every line, in lower case."""
        return self.lines[0].unit.currency

    @property
    def subtotal(self) -> Money:
        """The sum of the lines, before any discount, shipping or tax that Stripe adds."""
        total = Money(0, self.currency)
        for line in self.lines:
            total += line.total
        return total


@frozen
class CheckoutRequest:
    """A checkout as asked for: exact, but not yet compared with the catalogue or the allow-list.

    `caller_digest` stands for the address that asked, where declined attempts are to count against it; never the
    address itself.
    """

    cart: Cart
    success_url: str
    cancel_url: str | None = None
    customer_email: str | None = field(default=None, repr=False)
    metadata: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    ui_mode: UiMode = "hosted_page"
    caller_digest: str | None = field(default=None, repr=False)


@frozen
class CheckoutSession:
    """A session made at Stripe: `url` for the hosted page, `client_secret` for the embedded one."""

    session_id: str
    url: str | None
    client_secret: str | None = field(default=None, repr=False)


def cart_to_json(cart: Cart) -> dict[str, Any]:
    """The cart as it is kept in the payment's row: minor units, no decimals."""
    return {
        "currency": cart.currency,
        "lines": [
            {
                "name": line.name,
                "unit_minor": line.unit.minor,
                "quantity": line.quantity,
                "image": line.image,
                "product_id": line.product_id,
                "price_id": line.price_id,
            }
            for line in cart.lines
        ],
    }


def cart_from_json(document: Mapping[str, Any]) -> Cart:
    """The cart that `cart_to_json` wrote."""
    currency = document["currency"]
    return Cart(
        Line(
            name=line["name"],
            unit=Money(line["unit_minor"], currency),
            quantity=line["quantity"],
            image=line["image"],
            product_id=line["product_id"],
            price_id=line["price_id"],
        )
        for line in document["lines"]
    )


@frozen
class SessionStatus:
    """What a success page needs to know.

    `status` is Stripe's (`open`, `complete`, `expired`), `payment_status` too (`paid`, `unpaid`,
    `no_payment_required`); `amount_total` is None where Stripe states none yet.
    """

    session_id: str
    status: str
    payment_status: str
    amount_total: Money | None
