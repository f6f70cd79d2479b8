"""The cart lives in a cookie: product ids and quantities, nothing else. `tshirt:2.mug:1`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID, uuid4

from examples.shop.catalogue import PRODUCTS, Product
from payments_core import Cart, CheckoutRequest, Line, Money, SessionStatus

COOKIE: Final = "cart"
MOST: Final = 20


def read_cart(cookie: str | None) -> dict[str, int]:
    """Quantities by product id; whatever is not ours is left out."""
    found: dict[str, int] = {}
    for entry in (cookie or "").split("."):
        product_id, _, digits = entry.partition(":")
        if product_id in PRODUCTS and digits.isascii() and digits.isdigit() and 0 < int(digits) <= MOST:
            found[product_id] = int(digits)
    return found


def write_cart(cart: Mapping[str, int]) -> str:
    """The cookie for a cart."""
    return ".".join(f"{product_id}:{quantity}" for product_id, quantity in cart.items())


def changed(cart: Mapping[str, int], product_id: str, quantity: int) -> dict[str, int]:
    """The cart with `quantity` pieces of a product; none removes it."""
    if product_id not in PRODUCTS:
        return dict(cart)
    kept = {**cart, product_id: min(quantity, MOST)}
    return {name: pieces for name, pieces in kept.items() if pieces > 0}


def added(cart: Mapping[str, int], product_id: str) -> dict[str, int]:
    """The cart with one more of a product."""
    return changed(cart, product_id, cart.get(product_id, 0) + 1)


def quantity_of(text: str | None) -> int:
    """The number in a form field; nothing sensible means none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 4 else 0


def new_order() -> str:
    """A name for what a cart becomes when it is paid: one for each time the cart is shown, sent with its form."""
    return uuid4().hex


def order_of(text: str | None) -> str | None:
    """The name in a form field; nothing sensible means none, and then nothing tells one click from another."""
    try:
        return UUID(text or "").hex
    except ValueError:
        return None


def lines(cart: Mapping[str, int]) -> list[tuple[Product, int, Money]]:
    """What is in the cart, with each line's total."""
    return [(PRODUCTS[name], pieces, PRODUCTS[name].price * pieces) for name, pieces in cart.items()]


def total(cart: Mapping[str, int]) -> Money:
    """What the cart costs."""
    summed = Money(0, "usd")
    for _, _, amount in lines(cart):
        summed += amount
    return summed


def checkout_of(cart: Mapping[str, int], *, shop_url: str) -> CheckoutRequest:
    """The checkout for a cart. Its addresses come from the configuration, never from the request's own host."""
    return CheckoutRequest(
        cart=Cart(
            Line(product.name, product.price, pieces, image=f"{shop_url}/static/{product.picture}")
            for product, pieces, _ in lines(cart)
        ),
        success_url=f"{shop_url}/success?session_id={{CHECKOUT_SESSION_ID}}&cart={write_cart(cart)}",
        cancel_url=f"{shop_url}/cart",
    )


def left_by(status: SessionStatus, cart: Mapping[str, int], opened_with: str | None) -> dict[str, int]:
    """What is still to be bought: a paid checkout clears the cart it was opened with, and no later one."""
    is_paid = status.payment_status in ("paid", "no_payment_required")
    return {} if is_paid and read_cart(opened_with) == cart else dict(cart)
