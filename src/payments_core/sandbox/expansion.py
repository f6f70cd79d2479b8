"""`expand`: ids in a reply replaced by the objects themselves, and fields that are left out until asked for."""

from __future__ import annotations

from typing import cast

from . import render
from .errors import JsonObject, invalid, not_implemented
from .shapes import catalogue as catalogue_shapes
from .state import Context

MAX_EXPAND_DEPTH = 4

#: Fields that hold ids and may be expanded, per object; some are always null here.
_REFERENCES = {
    "checkout.session": {
        "customer",
        "invoice",
        "payment_intent",
        "payment_link",
        "setup_intent",
        "subscription",
    },
    "checkout.session.discounts": {"coupon", "promotion_code"},
    "checkout.session.shipping_cost": {"shipping_rate"},
    "checkout.session.shipping_options": {"shipping_rate"},
    "promotion_code": {"customer"},
    "promotion_code.promotion": {"coupon"},
    "shipping_rate": {"tax_code"},
    "payment_intent": {
        "application",
        "customer",
        "latest_charge",
        "on_behalf_of",
        "payment_method",
        "payment_record",
        "review",
        "source",
    },
    "charge": {
        "application",
        "application_fee",
        "balance_transaction",
        "customer",
        "failure_balance_transaction",
        "on_behalf_of",
        "payment_intent",
        "review",
        "source_transfer",
        "transfer",
    },
    "refund": {
        "balance_transaction",
        "charge",
        "customer",
        "failure_balance_transaction",
        "payment_intent",
        "payment_method",
        "source_transfer_reversal",
        "transfer_reversal",
    },
    "customer": {"default_source", "test_clock"},
    "customer.invoice_settings": {"default_payment_method"},
    "invoice": {
        "account_tax_ids",
        "application",
        "customer",
        "default_payment_method",
        "default_source",
        "discounts",
        "latest_revision",
        "on_behalf_of",
        "test_clock",
    },
    "invoiceitem": {"customer", "invoice"},
    "invoice_payment": {"invoice"},
    "invoice_payment.payment": {"charge", "payment_intent", "payment_record"},
    "line_item.pricing.price_details": {"price"},
    "payment_method": {"customer"},
    "dispute": {"charge", "payment_intent"},
    "balance_transaction": {"source"},
    "radar.early_fraud_warning": {"charge", "payment_intent"},
    "price": {"product"},
    "product": {"default_price", "tax_code"},
}
#: Fields that Stripe brings on expansion, of things that are not here.
_ELSEWHERE = {
    "customer": {"cash_balance", "invoice_credit_balance", "sources", "subscriptions", "tax", "tax_ids"},
}
#: Fields that hold objects anyway, or get them by `expand`, and may be walked through.
_INCLUDED = {
    "charge": {"refunds"},
    "checkout.session": {"discounts", "line_items", "shipping_cost", "shipping_options", "total_details"},
    "checkout.session.total_details": {"breakdown"},
    "coupon": {"applies_to", "currency_options"},
    "customer": {"invoice_settings"},
    "dispute": {"balance_transactions"},
    "item": {"discounts", "price", "taxes"},
    "invoice": {"confirmation_secret", "lines", "payments"},
    "invoice_payment": {"payment"},
    "line_item": {"pricing"},
    "line_item.pricing": {"price_details"},
    "price": {"currency_options", "tiers"},
    "promotion_code": {"promotion"},
}


def expand(context: Context, shape: JsonObject, paths: list[str]) -> JsonObject:
    """`shape` with each path (`data.product`, `payment_intent.latest_charge`) expanded in place.

    Raises StripeRefusal for a path that leads nowhere or deeper than Stripe's four levels, a list's `data` included.
    """
    for path in paths:
        steps = path.split(".")
        if len(steps) > MAX_EXPAND_DEPTH:
            raise invalid("expand", f"You cannot expand more than {MAX_EXPAND_DEPTH} levels of a property.")
        _expand_step(context, shape, steps, path)
    return shape


def _expand_step(context: Context, shape: JsonObject, steps: list[str], path: str, within: str = "") -> None:
    """`within` is the place of an object that has no kind of its own (`customer.invoice_settings`)."""
    head, rest = steps[0], steps[1:]
    kind = str(shape.get("object", within))
    if kind in ("list", "search_result") and head == "data":
        for item in shape["data"]:
            if rest:
                _expand_step(context, item, rest, path)
        return
    if kind == "checkout.session" and steps[:2] == ["total_details", "breakdown"]:
        shape["total_details"].setdefault(
            "breakdown", render.breakdown(context, context.state.sessions.need(shape["id"]))
        )
    if head in _INCLUDED.get(kind, ()):
        _include(context, shape, head)
    elif head in _ELSEWHERE.get(kind, ()):
        raise not_implemented(f"the expansion of '{path}'", "expand")
    elif head not in _REFERENCES.get(kind, ()):
        raise invalid("expand", f"This property cannot be expanded ({path}).")
    value: object = shape.get(head)
    if isinstance(value, str):
        shape[head] = render.by_id(context, value) or value
    if rest:
        _walk(context, shape.get(head), rest, path, f"{kind}.{head}")


def _walk(context: Context, value: object, rest: list[str], path: str, within: str) -> None:
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    for item in items:
        if isinstance(item, dict):
            _expand_step(context, cast("JsonObject", item), rest, path, within)


def _include(context: Context, shape: JsonObject, field: str) -> None:
    """Fields that a reply leaves out unless they are expanded."""
    if field in shape:
        return
    if field in ("applies_to", "currency_options") and shape.get("object") == "coupon":
        shape |= render.coupon_extras(context, shape["id"], field)
    elif field in ("discounts", "taxes"):
        shape[field] = render.line_extras(context, shape["id"])[field]
    elif field == "line_items":
        shape[field] = render.line_items(context, context.state.sessions.need(shape["id"]))
    elif field == "payments":
        shape[field] = render.payments_of(context, shape["id"])
    elif field == "confirmation_secret":
        shape[field] = render.confirmation_secret(context, context.state.invoices.need(shape["id"]))
    elif field == "refunds":
        shape[field] = render.refunds_of(context, shape["id"])
    elif field == "currency_options":
        shape[field] = catalogue_shapes.currency_options(context.state.prices.need(shape["id"]))
    else:
        shape[field] = None
