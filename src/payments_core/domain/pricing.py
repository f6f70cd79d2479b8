"""Price verification: the caller's cart against the catalogue.

A line that names a `product_id` is always compared, whatever the policy. Confirmed lines carry the Stripe Price they
were compared with, so that the buyer is charged by Stripe's own price and never by a number the caller sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from attrs import evolve, field, frozen

from ..errors import Discrepancy, FieldProblem, ProductIdRequired, UnknownProduct
from ..money import Money
from .cart import Cart, Line

PricePolicy: TypeAlias = Literal["catalog", "declared"]


@frozen
class CatalogPrice:
    """What the catalogue charges for one product id, price id or lookup key.

    `units` maps a currency to the price per unit: the price's own currency and its `currency_options`. `sellable` is
    False for an inactive price or product and for a recurring or variable price, with `reason` saying which. `name` is
    the product's, where the catalogue gives one.
    """

    price_id: str
    units: Mapping[str, int] = field(factory=dict[str, int])
    sellable: bool = True
    reason: str | None = None
    name: str | None = None


#: What a product or a price may change without changing what anything costs, or whether it is sold.
_BESIDE_PRICES: Final = frozenset(
    (
        "description", "features", "images", "marketing_features", "metadata", "nickname", "package_dimensions",
        "shippable", "statement_descriptor", "tax_behavior", "tax_code", "unit_label", "updated", "url",
    )
)  # fmt: skip


def changes_prices(event_type: str, previous: Mapping[str, object]) -> bool:
    """Whether an event of Stripe's may change a price, or what may be sold.

    `previous` are its `previous_attributes`: the fields that changed, in an `….updated` event. One that names none is
    taken to change everything.
    """
    if not event_type.startswith(("product.", "price.")):
        return False
    return not previous or not _BESIDE_PRICES.issuperset(previous)


@frozen
class PriceClaim:
    """One line of a verification request: what the caller believes a piece costs."""

    product_id: str
    unit: Money
    quantity: int


def verify_claims(claims: Sequence[PriceClaim], catalogue: Mapping[str, CatalogPrice]) -> tuple[Discrepancy, ...]:
    """The lines whose price differs, in the caller's order. Raises UnknownProduct for what is not for sale."""
    found = (_compared(claim.product_id, claim.unit, catalogue, index=index) for index, claim in enumerate(claims))
    return tuple(discrepancy for discrepancy in found if discrepancy is not None)


def require_product_ids(cart: Cart, policy: PricePolicy) -> None:
    """Under policy `catalog`, raise ProductIdRequired naming every line without a product id."""
    if policy == "declared":
        return
    missing = tuple(
        FieldProblem(f"products[{index}].productId", "is required under the price policy of this shop")
        for index, line in enumerate(cart.lines)
        if line.product_id is None
    )
    if missing:
        raise ProductIdRequired("Every line must name a product that the catalogue sells (productId).", missing)


def claims_of(cart: Cart) -> tuple[tuple[int, Line], ...]:
    """The lines to be compared, with their place in the cart."""
    return tuple((index, line) for index, line in enumerate(cart.lines) if line.product_id is not None)


def confirm(cart: Cart, catalogue: Mapping[str, CatalogPrice]) -> tuple[Cart, tuple[Discrepancy, ...]]:
    """The cart with the catalogue's price id on every line that names a product, and the lines that differ.

    Such a line also bears the catalogue's name: who fulfils by name must not be sent a dear one with a cheap id.
    """
    lines: list[Line] = list(cart.lines)
    differing: list[Discrepancy] = []
    for index, line in claims_of(cart):
        product_id = str(line.product_id)
        discrepancy = _compared(product_id, line.unit, catalogue, index=index)
        if discrepancy is not None:
            differing.append(discrepancy)
        entry = catalogue[product_id]
        lines[index] = evolve(line, price_id=entry.price_id, name=entry.name or line.name)
    return Cart(lines), tuple(differing)


def expected_unit(product_id: str, currency: str, catalogue: Mapping[str, CatalogPrice], *, path: str) -> Money:
    """The catalogue's price per unit. Raises UnknownProduct, naming the id, where there is none to charge."""
    entry = catalogue.get(product_id)
    if entry is None:
        raise _unknown(product_id, path, "the catalogue does not sell it")
    if not entry.sellable:
        raise _unknown(product_id, path, entry.reason or "it is not for sale")
    if currency not in entry.units:
        raise _unknown(product_id, path, f"it has no price in {currency}")
    return Money(entry.units[currency], currency)


def _compared(
    product_id: str, provided: Money, catalogue: Mapping[str, CatalogPrice], *, index: int
) -> Discrepancy | None:
    """How the price provided for line `index` differs from the catalogue's, if it does."""
    expected = expected_unit(product_id, provided.currency, catalogue, path=f"products[{index}].productId")
    return None if expected == provided else Discrepancy(product_id, expected.decimal, provided.decimal)


def _unknown(product_id: str, path: str, reason: str) -> UnknownProduct:
    return UnknownProduct(f"Product {product_id!r} cannot be sold: {reason}.", (FieldProblem(path, reason),))
