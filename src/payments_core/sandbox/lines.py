"""The lines of a session as they are asked for: an existing price, or one made for this session alone."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

from attrs import evolve, frozen

from . import catalogue
from .errors import invalid, missing
from .params import Params
from .records.catalogue import Price, Product
from .records.checkout import LineItem
from .state import Context

MAX_LINES = 100
MAX_TAX_RATES = 5
_LINE_OFF: Mapping[str, Mapping[str, str]] = {"adjustable_quantity": {"enabled": "false"}}


@frozen
class Line:
    """A line as it was read, with what it would add to the state once the whole request holds."""

    item: LineItem
    price: Price
    new_product: Product | None = None
    is_new_price: bool = False


def read(context: Context, params: Params) -> list[Line]:
    """The `line_items` of a new session: 1 to 100, of one currency, each by `price` or `price_data`."""
    given = params.children("line_items")
    if given is None or not given:
        raise missing("line_items")
    if len(given) > MAX_LINES:
        raise invalid("line_items", f"Checkout accepts a maximum of {MAX_LINES} line items in payment mode.")
    currency = params.currency("currency")
    lines = [_line(context, entry, currency) for entry in given]
    first = currency or lines[0].item.currency
    for entry, line in zip(given, lines, strict=True):
        if line.item.currency != first:
            raise invalid(
                entry.name("price_data" if line.is_new_price else "price"),
                f"All prices on a Checkout Session must be in the same currency; {line.item.currency} and {first} are "
                "mixed.",
            )
    return lines


def _line(context: Context, params: Params, currency: str | None) -> Line:
    params.only(
        "price", "price_data", "quantity", "metadata", "tax_rates", elsewhere=("dynamic_tax_rates",), off=_LINE_OFF
    )
    data, price_id = params.child("price_data"), params.text("price")
    if data is not None and price_id is not None:
        raise invalid(
            params.name("price_data"),
            "You may only specify one of these parameters: price, price_data.",
            "parameters_exclusive",
        )
    if data is not None:
        price, product = _inline_price(context, data)
        named = product or context.state.products.need(price.product)
        return Line(_item(context, params, price, named, price.currency), price, product, is_new_price=True)
    if price_id is None:
        raise missing(params.name("price"))
    label = params.name("price")
    price = _usable_price(context, price_id, label)
    named = context.state.products.need(price.product, label, status=400)
    if not named.active:
        raise invalid(label, f"The product {named.id} is inactive and cannot be sold.")
    chosen = currency if currency is not None and currency in price.currency_options else price.currency
    return Line(_item(context, params, price, named, chosen), price)


def _item(context: Context, params: Params, price: Price, product: Product, currency: str) -> LineItem:
    quantity = params.integer("quantity", minimum=1, maximum=999_999)
    if quantity is None:
        raise invalid(params.name("quantity"), "Quantity is required. Add `quantity` to each line item.")
    unit = price.currency_options.get(currency, price.unit_amount)
    return LineItem(
        id=context.ids.new("li_1", 23),
        price=price.id,
        quantity=quantity,
        description=product.name,
        currency=currency,
        amount_minor=int((unit * quantity).quantize(Decimal(1), ROUND_HALF_UP)),
        product=product.id,
        tax_behavior=price.tax_behavior,
        tax_code=product.tax_code,
        tax_rates=_tax_rates(context, params),
        metadata=params.metadata(),
    )


def _tax_rates(context: Context, params: Params) -> tuple[str, ...]:
    given = params.texts("tax_rates") or []
    for position, rate_id in enumerate(given):
        label = f"{params.name('tax_rates')}[{position}]"
        if not context.state.tax_rates.need(rate_id, label, status=400).active:
            raise invalid(label, f"The tax rate {rate_id} is inactive.")
    if len(given) > MAX_TAX_RATES:
        raise invalid(params.name("tax_rates"), f"A line can have at most {MAX_TAX_RATES} tax rates.")
    return tuple(given)


def _usable_price(context: Context, price_id: str, label: str) -> Price:
    price = context.state.prices.need(price_id, label, status=400)
    if not price.active:
        raise invalid(label, "The price specified is inactive. This field only accepts active prices.")
    return price


def _inline_price(context: Context, data: Params) -> tuple[Price, Product | None]:
    """A price made for this session alone; it and its product are archived at once, as Stripe does."""
    data.only(
        "currency", "product", "product_data", "tax_behavior", "unit_amount", "unit_amount_decimal",
        elsewhere=("recurring",),
    )  # fmt: skip
    described, product_id = data.child("product_data"), data.text("product")
    if described is not None and product_id is not None:
        raise invalid(data.name("product"), "Pass product or product_data, not both.", "parameters_exclusive")
    product = None
    if described is not None:
        product = _inline_product(context, described)
        product_id = product.id
    elif product_id is None:
        raise missing(data.name("product"))
    else:
        _sold_product(context, product_id, data.name("product"))
    price = catalogue.read_price(context, data, product_id)
    return evolve(price, active=False, inline=True), product


def _sold_product(context: Context, product_id: str, label: str) -> None:
    if not context.state.products.need(product_id, label, status=400).active:
        raise invalid(label, f"The product {product_id} is inactive and cannot be sold.")


def _inline_product(context: Context, data: Params) -> Product:
    data.only("name", "description", "images", "metadata", "tax_code", "unit_label", elsewhere=("tax_details",))
    return Product(
        id=context.ids.new("prod_", 14),
        created=context.now,
        updated=context.now,
        name=data.required("name"),
        active=False,
        description=data.text("description", limit=40_000),
        images=catalogue.read_images(data) or (),
        metadata=data.metadata(),
        tax_code=data.text("tax_code"),
        unit_label=data.text("unit_label", limit=12),
        inline=True,
    )


def keep(context: Context, parsed: list[Line]) -> None:
    """Put prices and products made for these lines into the state."""
    for line in parsed:
        if line.new_product is not None:
            context.state.products.put(line.new_product)
        if line.is_new_price:
            context.state.prices.put(line.price)
