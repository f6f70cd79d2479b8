"""Tax rates and shipping rates: made, changed, and the rate that stands for automatic tax.

Automatic tax is one stated rule, set by whoever starts the sandbox: the same percentage everywhere, known from the
start, inside a price with `tax_behavior: inclusive` and on top of every other one; nothing on the tax code
`txcd_00000000` (Nontaxable).
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from .errors import JsonObject, StripeRefusal, invalid, missing
from .params import Params
from .records.pricing import ShippingRate, TaxRate
from .shapes import pricing as shapes
from .state import Context

NONTAXABLE = "txcd_00000000"
TAX_BEHAVIORS = ("exclusive", "inclusive", "unspecified")
_UNITS = ("business_day", "day", "hour", "month", "week")


def create_tax(context: Context, params: Params) -> TaxRate:
    """`POST /v1/tax_rates`."""
    params.only(
        "active", "country", "description", "display_name", "inclusive", "jurisdiction", "metadata", "percentage",
        "state", "tax_type",
    )  # fmt: skip
    percentage, inclusive = params.decimal("percentage", digits=4), params.boolean("inclusive")
    if percentage is None or inclusive is None:
        raise missing("percentage" if percentage is None else "inclusive")
    if percentage > 100:
        raise invalid("percentage", "Invalid percentage: must be between 0 and 100.")
    blank = TaxRate(context.ids.new("txr_1", 23), context.now, params.required("display_name"), percentage, inclusive)
    rate = context.state.tax_rates.put(_with_texts(blank, params))
    context.emit("tax_rate.created", shapes.tax_rate(rate))
    return rate


def update_tax(context: Context, rate: TaxRate, params: Params) -> TaxRate:
    """`POST /v1/tax_rates/{id}`: everything but how much it is."""
    params.only("active", "country", "description", "display_name", "jurisdiction", "metadata", "state", "tax_type")
    changed = evolve(_with_texts(rate, params), display_name=params.text("display_name") or rate.display_name)
    context.state.tax_rates.put(changed)
    context.emit("tax_rate.updated", shapes.tax_rate(changed))
    return changed


def automatic(context: Context, *, inclusive: bool) -> TaxRate:
    """The rate that automatic tax applies, made at its first use."""
    percentage = context.state.tax_percent
    for rate in context.state.tax_rates:
        if rate.automatic and (rate.inclusive, rate.percentage) == (inclusive, percentage):
            return rate
    rate_id = context.ids.new("txr_1", 23)
    rate = TaxRate(rate_id, context.now, "Sandbox tax", percentage, inclusive, active=False, automatic=True)
    return context.state.tax_rates.put(rate)


def create_shipping(context: Context, params: Params, *, inline: bool = False) -> ShippingRate:
    """`POST /v1/shipping_rates`, or one made for a session alone by `shipping_rate_data`; not put into the state."""
    params.only("delivery_estimate", "display_name", "fixed_amount", "metadata", "tax_behavior", "tax_code", "type")
    params.choice("type", ("fixed_amount",))
    fixed = params.child("fixed_amount")
    if fixed is None:
        raise missing(params.name("fixed_amount"))
    fixed.only("amount", "currency", "currency_options")
    amount, currency = fixed.integer("amount"), fixed.currency("currency")
    if amount is None or currency is None:
        raise missing(fixed.name("amount" if amount is None else "currency"))
    return ShippingRate(
        id=context.ids.new("shr_1", 23),
        created=context.now,
        display_name=params.required("display_name", limit=100),
        currency=currency,
        amounts={**_amounts(fixed), currency: amount},
        tax_behavior=params.choice("tax_behavior", TAX_BEHAVIORS) or "unspecified",
        tax_code=params.text("tax_code"),
        delivery_estimate=_estimate(params.child("delivery_estimate")),
        metadata=params.metadata(),
        inline=inline,
    )


def update_shipping(context: Context, rate: ShippingRate, params: Params) -> ShippingRate:
    """`POST /v1/shipping_rates/{id}`: switched on or off, metadata, amounts in further currencies."""
    params.only("active", "fixed_amount", "metadata", "tax_behavior")
    active, fixed, behavior = params.boolean("active"), params.child("fixed_amount"), rate.tax_behavior
    if fixed is not None:
        fixed.only("currency_options")
        rate = evolve(rate, amounts={**rate.amounts, **_amounts(fixed)})
    wanted = params.choice("tax_behavior", TAX_BEHAVIORS) or behavior
    if behavior not in ("unspecified", wanted):
        raise StripeRefusal("You cannot change the tax behavior of a shipping rate once it is set.")
    active = rate.active if active is None else active
    metadata = params.metadata(current=rate.metadata)
    return context.state.shipping_rates.put(evolve(rate, active=active, tax_behavior=wanted, metadata=metadata))


def _with_texts(rate: TaxRate, params: Params) -> TaxRate:
    active = params.boolean("active")
    return evolve(
        rate,
        active=rate.active if active is None else active,
        country=params.text("country", limit=2) or rate.country,
        state=params.text("state", limit=20) or rate.state,
        jurisdiction=params.text("jurisdiction", limit=50) or rate.jurisdiction,
        description=params.text("description") or rate.description,
        tax_type=params.text("tax_type", limit=40) or rate.tax_type,
        metadata=params.metadata(current=rate.metadata),
    )


def _amounts(fixed: Params) -> Mapping[str, int]:
    amounts: dict[str, int] = {}
    for key, entry in fixed.mapping("currency_options"):
        entry.only("amount", elsewhere=("tax_behavior",))
        amount = entry.integer("amount")
        if amount is None:
            raise missing(entry.name("amount"))
        amounts[fixed.known_currency(key, entry.name("amount"))] = amount
    return amounts


def _estimate(params: Params | None) -> JsonObject | None:
    if params is None:
        return None
    params.only("minimum", "maximum")
    return {name: _bound(params.child(name)) for name in ("maximum", "minimum")}


def _bound(params: Params | None) -> JsonObject | None:
    if params is None:
        return None
    params.only("unit", "value")
    unit, value = params.choice("unit", _UNITS), params.integer("value", minimum=1)
    if unit is None or value is None:
        raise missing(params.name("unit" if unit is None else "value"))
    return {"unit": unit, "value": value}
