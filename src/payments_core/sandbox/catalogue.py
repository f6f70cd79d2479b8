"""Products and prices: made, changed, retired. A price's money never changes; a product's price is moved instead."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import evolve

from payments_core.money import step_minor

from .errors import JsonObject, StripeRefusal, invalid, missing
from .params import Params, absolute_url
from .records.catalogue import Price, Product
from .shapes import catalogue as shapes
from .state import Context

MAX_IMAGES = 8
TAX_BEHAVIORS = ("exclusive", "inclusive", "unspecified")
_RECURRING = ("recurring", "tiers", "tiers_mode", "custom_unit_amount", "transform_quantity")
_PRODUCT_ELSEWHERE = ("package_dimensions", "tax_details", "type")
_FIXED_PRICE_FIELDS = ("unit_amount", "unit_amount_decimal", "currency", "product", "recurring", "type")


def create_product(context: Context, params: Params) -> Product:
    """`POST /v1/products`, with an id of the caller's choice and a default price if wished."""
    params.only(
        "id", "name", "active", "default_price_data", "description", "images", "marketing_features", "metadata",
        "shippable", "statement_descriptor", "tax_code", "unit_label", "url",
        elsewhere=_PRODUCT_ELSEWHERE,
    )  # fmt: skip
    product_id = params.text("id", limit=255) or context.ids.new("prod_", 14)
    if context.state.products.get(product_id) is not None:
        raise invalid("id", f"Product already exists: {product_id}", "resource_already_exists")
    blank = Product(id=product_id, created=context.now, updated=context.now, name=params.required("name"))
    product = _with_texts(blank, params)
    price_data = params.child("default_price_data")
    price = _default_price(context, product, price_data) if price_data is not None else None
    context.state.products.put(product)
    context.emit("product.created", shapes.product(product))
    if price is None:
        return product
    _announce(context, price)
    product = context.state.products.put(evolve(product, default_price=price.id))
    context.emit("product.updated", shapes.product(product), {"default_price": None})
    return product


def update_product(context: Context, product: Product, params: Params) -> Product:
    """`POST /v1/products/{id}`."""
    params.only(
        "name", "active", "default_price", "description", "images", "marketing_features", "metadata", "shippable",
        "statement_descriptor", "tax_code", "unit_label", "url",
        elsewhere=_PRODUCT_ELSEWHERE,
    )  # fmt: skip
    changed = evolve(_with_texts(product, params), name=params.text("name") or product.name)
    default = params.text("default_price", unsettable=True)
    if default is not None:
        changed = evolve(changed, default_price=_own_price(context, product, default).id if default else None)
    return _save_product(context, product, changed)


def delete_product(context: Context, product: Product) -> JsonObject:
    """`DELETE /v1/products/{id}`; a product that has prices can only be archived."""
    if any(price.product == product.id for price in context.state.prices):
        raise StripeRefusal("This product cannot be deleted because it has one or more user-created prices.")
    context.state.products.drop(product.id)
    context.emit("product.deleted", shapes.product(product))
    return {"id": product.id, "object": "product", "deleted": True}


def create_price(context: Context, params: Params) -> Price:
    """`POST /v1/prices`, for a product that exists or one described by `product_data`."""
    params.only(
        "active", "billing_scheme", "currency", "currency_options", "lookup_key", "metadata", "nickname", "product",
        "product_data", "tax_behavior", "transfer_lookup_key", "unit_amount", "unit_amount_decimal",
        elsewhere=_RECURRING,
    )  # fmt: skip
    params.choice("billing_scheme", ["per_unit"])
    product, is_new = _product_of(context, params)
    price = read_price(context, params, product.id)
    price = evolve(
        price,
        active=params.boolean("active") is not False,
        nickname=params.text("nickname"),
        currency_options=_currency_options(params),
        lookup_key=_lookup_key(context, params, None),
    )
    if is_new:
        context.state.products.put(product)
        context.emit("product.created", shapes.product(product))
    return _announce(context, price)


def update_price(context: Context, price: Price, params: Params) -> Price:
    """`POST /v1/prices/{id}`: everything but the money itself."""
    for name in _FIXED_PRICE_FIELDS:
        if name in params:
            raise invalid(
                name,
                f"Received unknown parameter: {name}. A price's {name} cannot be changed: create a new price and "
                "make it the product's default.",
                "parameter_unknown",
            )
    params.only(
        "active",
        "currency_options",
        "lookup_key",
        "metadata",
        "nickname",
        "tax_behavior",
        "transfer_lookup_key",
    )
    active = params.boolean("active")
    if active is False and price.active:
        _refuse_to_retire_a_default(context, price)
    changed = evolve(
        price,
        active=price.active if active is None else active,
        metadata=params.metadata(current=price.metadata),
        nickname=_unset(params.text("nickname", unsettable=True), price.nickname),
        tax_behavior=_changed_tax_behavior(price, params),
        currency_options=_changed_currencies(price, params),
    )
    # Last, since it may take the key from another price: nothing may change before everything holds.
    changed = evolve(
        changed,
        lookup_key=_lookup_key(context, params, price),
    )
    if changed == price:
        return price
    before, after = shapes.price(price), shapes.price(changed)
    context.state.prices.put(changed)
    context.emit("price.updated", after, difference(before, after))
    return changed


def read_price(context: Context, params: Params, product_id: str) -> Price:
    """A price from `currency` and `unit_amount` or `unit_amount_decimal`, not put into the state yet."""
    currency = params.currency("currency")
    if currency is None:
        raise missing(params.name("currency"))
    return Price(
        id=context.ids.new("price_1", 23),
        created=context.now,
        product=product_id,
        currency=currency,
        unit_amount=_amount(params, currency),
        metadata=params.metadata(),
        tax_behavior=params.choice("tax_behavior", TAX_BEHAVIORS) or "unspecified",
    )


def read_images(params: Params) -> tuple[str, ...] | None:
    """Up to eight http(s) URLs, or None where absent."""
    images = params.texts("images")
    if images is None:
        return None
    if len(images) > MAX_IMAGES:
        raise invalid(params.name("images"), f"A product can have at most {MAX_IMAGES} images.")
    return tuple(absolute_url(url, f"{params.name('images')}[{i}]") for i, url in enumerate(images))


def difference(before: JsonObject, after: JsonObject) -> JsonObject:
    """`previous_attributes`: what the changed fields were, null for one that was not shown."""
    return {key: before.get(key) for key in before | after if before.get(key) != after.get(key)}


def _amount(params: Params, currency: str) -> Decimal:
    whole, exact = params.integer("unit_amount"), params.decimal("unit_amount_decimal")
    if whole is not None and exact is not None:
        raise invalid(
            params.name("unit_amount_decimal"),
            "You may only specify one of these parameters: unit_amount, unit_amount_decimal.",
            "parameters_exclusive",
        )
    amount = exact if whole is None else Decimal(whole)
    if amount is None:
        raise missing(params.name("unit_amount"))
    step = step_minor(currency)
    if step > 1 and amount % step:
        raise invalid(
            params.name("unit_amount"), f"Invalid amount: amounts in {currency} must be a multiple of {step}."
        )
    return amount


def _currency_options(params: Params) -> Mapping[str, Decimal]:
    options: dict[str, Decimal] = {}
    for key, entry in params.mapping("currency_options"):
        entry.only("unit_amount", "unit_amount_decimal", "tax_behavior", elsewhere=("tiers", "custom_unit_amount"))
        entry.choice("tax_behavior", TAX_BEHAVIORS)
        options[key.lower()] = _amount(entry, params.known_currency(key, entry.name("unit_amount")))
    return options


def _changed_currencies(price: Price, params: Params) -> Mapping[str, Decimal]:
    if params.unsets("currency_options"):
        return {}
    return {**price.currency_options, **_currency_options(params)}


def _lookup_key(context: Context, params: Params, price: Price | None) -> str | None:
    """The key this price has afterwards; `transfer_lookup_key` takes it from another price in the same step."""
    current = price.lookup_key if price else None
    key = _unset(params.text("lookup_key", limit=200, unsettable=True), current)
    if key is None or key == current:
        return key
    holder = next((other for other in context.state.prices if other.lookup_key == key), None)
    if holder is not None:
        if not params.boolean("transfer_lookup_key"):
            raise invalid(
                "lookup_key",
                f"A price (`{holder.id}`) already uses that lookup key. Pass `transfer_lookup_key=true` to move it.",
            )
        moved = context.state.prices.put(evolve(holder, lookup_key=None))
        context.emit("price.updated", shapes.price(moved), {"lookup_key": key})
    return key


def _changed_tax_behavior(price: Price, params: Params) -> str:
    wanted = params.choice("tax_behavior", TAX_BEHAVIORS) or price.tax_behavior
    if price.tax_behavior not in ("unspecified", wanted):
        raise invalid("tax_behavior", "You cannot change the tax behavior of a price once it is set.")
    return wanted


def _product_of(context: Context, params: Params) -> tuple[Product, bool]:
    data, product_id = params.child("product_data"), params.text("product")
    if data is not None and product_id is not None:
        raise invalid("product", "Pass product or product_data, not both.", "parameters_exclusive")
    if product_id is not None:
        return context.state.products.need(product_id, "product", status=400), False
    if data is None:
        raise missing("product")
    data.only(
        "id",
        "name",
        "active",
        "metadata",
        "statement_descriptor",
        "tax_code",
        "unit_label",
        elsewhere=("tax_details",),
    )
    product_id = data.text("id") or context.ids.new("prod_", 14)
    blank = Product(id=product_id, created=context.now, updated=context.now, name=data.required("name"))
    return _with_texts(blank, data), True


def _default_price(context: Context, product: Product, data: Params) -> Price:
    data.only(
        "currency", "currency_options", "metadata", "tax_behavior", "unit_amount", "unit_amount_decimal",
        elsewhere=_RECURRING,
    )  # fmt: skip
    return evolve(read_price(context, data, product.id), currency_options=_currency_options(data))


def _announce(context: Context, price: Price) -> Price:
    context.state.prices.put(price)
    context.emit("price.created", shapes.price(price))
    return price


def _own_price(context: Context, product: Product, price_id: str) -> Price:
    price = context.state.prices.need(price_id, "default_price", status=400)
    if price.product != product.id:
        raise invalid("default_price", f"The price {price_id} belongs to another product.")
    if not price.active:
        raise invalid("default_price", "The default price of a product must be active.")
    return price


def _refuse_to_retire_a_default(context: Context, price: Price) -> None:
    product = context.state.products.get(price.product)
    if product is not None and product.default_price == price.id:
        raise StripeRefusal(
            "This price cannot be archived because it is the default price of its product. Make another price the "
            "product's default first."
        )


def _save_product(context: Context, product: Product, changed: Product) -> Product:
    if changed == product:
        return product
    changed = context.state.products.put(evolve(changed, updated=context.now))
    before, after = shapes.product(product), shapes.product(changed)
    context.emit("product.updated", after, difference(before, after))
    return changed


def _with_texts(product: Product, params: Params) -> Product:
    """The fields that creation and update treat alike."""
    active, shippable = params.boolean("active"), params.boolean("shippable")
    images, features = read_images(params), params.children("marketing_features")
    return evolve(
        product,
        active=product.active if active is None else active,
        shippable=product.shippable if shippable is None else shippable,
        images=product.images if images is None else images,
        features=product.features if features is None else tuple(f.required("name", limit=80) for f in features),
        metadata=params.metadata(current=product.metadata),
        description=_unset(params.text("description", limit=40_000, unsettable=True), product.description),
        statement_descriptor=params.text("statement_descriptor", limit=22) or product.statement_descriptor,
        tax_code=_unset(params.text("tax_code", unsettable=True), product.tax_code),
        unit_label=_unset(params.text("unit_label", limit=12, unsettable=True), product.unit_label),
        url=_unset(params.url("url", unsettable=True), product.url),
    )


def _unset(given: str | None, current: str | None) -> str | None:
    """What a text is afterwards: unchanged where not given, None where given empty."""
    return current if given is None else given or None
