"""Any object of the state as Stripe would show it, and `expand`, which replaces ids by the objects themselves."""

from __future__ import annotations

from .deliveries import pending_webhooks
from .errors import JsonObject, invalid
from .records import Charge, Event, LineItem, PaymentIntent, Refund, Session
from .shapes import account as account_shapes
from .shapes import catalogue as catalogue_shapes
from .shapes import checkout as checkout_shapes
from .shapes import payments as payment_shapes
from .state import Context

MAX_EXPAND_DEPTH = 4
LINES_EXPANDED = 10

#: Fields that hold ids and may be expanded, per object.
_REFERENCES = {
    "checkout.session": {
        "customer",
        "invoice",
        "payment_intent",
        "payment_link",
        "setup_intent",
        "subscription",
    },
    "payment_intent": {"customer", "latest_charge", "payment_method", "review"},
    "charge": {"balance_transaction", "customer", "payment_intent", "review"},
    "refund": {
        "balance_transaction",
        "charge",
        "failure_balance_transaction",
        "payment_intent",
        "source_transfer_reversal",
        "transfer_reversal",
    },
    "price": {"product"},
    "product": {"default_price", "tax_code"},
}
#: Fields that hold objects anyway, or get them by `expand`, and may be walked through.
_INCLUDED = {"checkout.session": {"line_items"}, "item": {"price"}, "price": {"currency_options", "tiers"}}


def session(context: Context, record: Session) -> JsonObject:
    """A session on the wire."""
    return checkout_shapes.session(record, context.base_url)


def line_item(context: Context, record: LineItem) -> JsonObject:
    """A session's line on the wire."""
    return checkout_shapes.line_item(record, context.state.prices.need(record.price))


def line_items(context: Context, record: Session) -> JsonObject:
    """The first lines of a session, as `expand` shows them."""
    shown = [line_item(context, line) for line in record.lines[:LINES_EXPANDED]]
    return account_shapes.listing(shown, lines_url(record), has_more=len(record.lines) > LINES_EXPANDED)


def lines_url(record: Session) -> str:
    """The list's own address."""
    return f"/v1/checkout/sessions/{record.id}/line_items"


def payment_intent(context: Context, record: PaymentIntent) -> JsonObject:
    """A payment intent on the wire, with the error of its latest charge."""
    latest = context.state.charges.get(record.latest_charge) if record.latest_charge else None
    attempted = context.state.methods.get(latest.payment_method) if latest else None
    return payment_shapes.payment_intent(record, latest, attempted)


def charge(context: Context, record: Charge) -> JsonObject:
    """A charge on the wire."""
    return payment_shapes.charge(record, context.state.methods.need(record.payment_method))


def refund(record: Refund) -> JsonObject:
    """A refund on the wire."""
    return payment_shapes.refund(record)


def event(context: Context, record: Event) -> JsonObject:
    """An event on the wire, with the number of endpoints still to be told."""
    return account_shapes.event(record, pending_webhooks(context.state, record.id))


def by_id(context: Context, object_id: str) -> JsonObject | None:
    """The object behind an id found in another object, or None for one the sandbox does not keep."""
    state = context.state
    if (intent := state.intents.get(object_id)) is not None:
        return payment_intent(context, intent)
    if (paid := state.charges.get(object_id)) is not None:
        return charge(context, paid)
    if (method := state.methods.get(object_id)) is not None:
        return payment_shapes.payment_method(method)
    if (price := state.prices.get(object_id)) is not None:
        return catalogue_shapes.price(price)
    if (product := state.products.get(object_id)) is not None:
        return catalogue_shapes.product(product)
    return None


def expand(context: Context, shape: JsonObject, paths: list[str]) -> JsonObject:
    """`shape` with each path (`data.product`, `payment_intent.latest_charge`) expanded in place.

    Raises StripeRefusal for a path that leads nowhere or deeper than Stripe's four levels.
    """
    for path in paths:
        steps = path.split(".")
        if len(steps) > MAX_EXPAND_DEPTH + (1 if steps[0] == "data" else 0):
            raise invalid("expand", f"You cannot expand more than {MAX_EXPAND_DEPTH} levels of a property.")
        _expand_step(context, shape, steps, path)
    return shape


def _expand_step(context: Context, shape: JsonObject, steps: list[str], path: str) -> None:
    head, rest = steps[0], steps[1:]
    if shape.get("object") == "list" and head == "data":
        for item in shape["data"]:
            if rest:
                _expand_step(context, item, rest, path)
        return
    kind = str(shape.get("object"))
    if head in _INCLUDED.get(kind, ()):
        _include(context, shape, head)
    elif head not in _REFERENCES.get(kind, ()):
        raise invalid("expand", f"This property cannot be expanded ({path}).")
    value: object = shape.get(head)
    if isinstance(value, str):
        shape[head] = by_id(context, value) or value
    if rest and isinstance(shape.get(head), dict):
        nested: JsonObject = shape[head]
        _expand_step(context, nested, rest, path)


def _include(context: Context, shape: JsonObject, field: str) -> None:
    """Fields that a reply leaves out unless they are expanded."""
    if field in shape:
        return
    if field == "line_items":
        shape[field] = line_items(context, context.state.sessions.need(shape["id"]))
    elif field == "currency_options":
        shape[field] = catalogue_shapes.currency_options(context.state.prices.need(shape["id"]))
    else:
        shape[field] = None
