"""What the shop sells. Prices are exact, and they are the shop's word: the browser never names one."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from payments_core import Money


@frozen
class Product:
    """One thing for sale; `picture` is a file among the shop's static files."""

    id: str
    name: str
    description: str
    price: Money
    picture: str


PRODUCTS: Final = {
    product.id: product
    for product in (
        Product("tshirt", "Premium T-Shirt", "Heavy organic cotton, cut to last.", Money(2999, "usd"), "tshirt.svg"),
        Product("mug", "Enamel Mug", "For the desk, the garden and the trail.", Money(1450, "usd"), "mug.svg"),
        Product("tote", "Canvas Tote", "Carries a week of groceries.", Money(1900, "usd"), "tote.svg"),
        Product(
            "notebook", "Dotted Notebook", "160 pages that take a fountain pen.", Money(1275, "usd"), "notebook.svg"
        ),
        Product("cap", "Five-Panel Cap", "Shade, without a logo.", Money(2400, "usd"), "cap.svg"),
        Product("stickers", "Sticker Pack", "Twelve of them, weatherproof.", Money(500, "usd"), "stickers.svg"),
    )
}
