"""Any object of the state as Stripe would show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .deliveries import pending_webhooks
from .errors import JsonObject
from .records.checkout import LineItem, Session
from .records.disputes import Dispute, FraudWarning
from .records.events import Event
from .records.invoices import Invoice, InvoiceItem, InvoicePayment
from .records.payments import Charge, PaymentIntent, PaymentMethod, Refund
from .shapes import account as account_shapes
from .shapes import catalogue as catalogue_shapes
from .shapes import charges as charge_shapes
from .shapes import checkout as checkout_shapes
from .shapes import customers as customer_shapes
from .shapes import disputes as dispute_shapes
from .shapes import invoices as invoice_shapes
from .shapes import payment_intents as intent_shapes
from .shapes import payment_methods as method_shapes
from .shapes import pricing as pricing_shapes
from .shapes import refunds as refund_shapes
from .state import Collection, Context, T
from .totals import Priced, Tax

LINES_EXPANDED = 10
ACCOUNT_NAME = "Sandbox shop"


def session(context: Context, record: Session) -> JsonObject:
    """A session on the wire."""
    return checkout_shapes.session(record, context.base_url)


def line_item(context: Context, record: LineItem, priced: Priced) -> JsonObject:
    """A session's line on the wire."""
    return checkout_shapes.line_item(record, priced, context.state.prices.need(record.price))


def line_items(context: Context, record: Session) -> JsonObject:
    """The first lines of a session, as `expand` shows them."""
    shown = [line_item(context, *pair) for pair in _lines(record)[:LINES_EXPANDED]]
    return account_shapes.listing(shown, lines_url(record), has_more=len(record.lines) > LINES_EXPANDED)


def _lines(record: Session) -> list[tuple[LineItem, Priced]]:
    return list(zip(record.lines, record.totals.lines, strict=True))


def line_extras(context: Context, line_id: str) -> JsonObject:
    """What a line shows of its discounts and taxes on expansion."""
    for record in context.state.sessions.newest():
        for line, priced in _lines(record):
            if line.id == line_id:
                off = [{"amount": priced.discount_minor, "discount": _discount(record)}] if record.coupon else []
                return {"discounts": off, "taxes": _taxes(context, priced.taxes)}
    return {"discounts": [], "taxes": []}


def breakdown(context: Context, record: Session) -> JsonObject:
    """`total_details.breakdown`: the discount and each tax with its sum."""
    sums: dict[str, Tax] = {}
    for tax in record.totals.taxes:
        before = sums.get(tax.rate)
        sums[tax.rate] = tax if before is None else tax.plus(before)
    off = record.totals.discount_minor
    discounts = [{"amount": off, "discount": _discount(record)}] if record.coupon is not None else []
    return {"discounts": discounts, "taxes": _taxes(context, sums.values())}


def _taxes(context: Context, taxes: Iterable[Tax]) -> list[JsonObject]:
    return [
        {
            "amount": tax.amount_minor,
            "rate": pricing_shapes.tax_rate(context.state.tax_rates.need(tax.rate)),
            "taxability_reason": "standard_rated",
            "taxable_amount": tax.taxable_minor,
        }
        for tax in taxes
    ]


def _discount(record: Session) -> JsonObject:
    coupon_id = record.coupon.id if record.coupon is not None else ""
    return pricing_shapes.discount(record.id, coupon_id, record.promotion_code, record.created)


def coupon_extras(context: Context, coupon_id: str, field: str) -> JsonObject:
    """What a coupon shows on expansion, where it has it."""
    coupon = context.state.coupons.need(coupon_id)
    if field == "applies_to":
        return {} if coupon.products is None else {field: {"products": list(coupon.products)}}
    return {field: pricing_shapes.coupon_currencies(coupon)} if coupon.amounts_off else {}


def lines_url(record: Session) -> str:
    """The list's own address."""
    return f"/v1/checkout/sessions/{record.id}/line_items"


def payment_intent(context: Context, record: PaymentIntent) -> JsonObject:
    """A payment intent on the wire, with the error of its latest attempt."""
    attempted = context.state.methods.get(record.failure.method) if record.failure else None
    return intent_shapes.payment_intent(record, attempted, context.base_url)


def charge(context: Context, record: Charge) -> JsonObject:
    """A charge on the wire."""
    return charge_shapes.charge(record, context.state.methods.need(record.payment_method))


def payment_method(record: PaymentMethod) -> JsonObject:
    """A payment method on the wire."""
    return method_shapes.payment_method(record)


def dispute(context: Context, record: Dispute) -> JsonObject:
    """A dispute on the wire."""
    return dispute_shapes.dispute(record, context.now)


def fraud_warning(context: Context, record: FraudWarning) -> JsonObject:
    """An early fraud warning on the wire; there is something to do until the charge is refunded or disputed."""
    charge = context.state.charges.get(record.charge)
    actionable = charge is not None and not charge.disputed and charge.refunded_minor < charge.amount_minor
    return dispute_shapes.fraud_warning(record, actionable=actionable)


def refund(record: Refund) -> JsonObject:
    """A refund on the wire."""
    return refund_shapes.refund(record)


def invoice(context: Context, record: Invoice) -> JsonObject:
    """An invoice on the wire."""
    customer = context.state.customers.need(record.customer)
    return invoice_shapes.invoice(record, customer, account_name=ACCOUNT_NAME)


def invoice_item(record: InvoiceItem) -> JsonObject:
    """An invoice item on the wire."""
    return invoice_shapes.invoice_item(record)


def invoice_payment(record: InvoicePayment) -> JsonObject:
    """An invoice payment on the wire."""
    return invoice_shapes.invoice_payment(record)


def confirmation_secret(context: Context, record: Invoice) -> JsonObject | None:
    """What a browser needs to confirm the payment of a finalized invoice."""
    intent = context.state.intents.get(record.payment_intent or "")
    return None if intent is None else {"client_secret": intent.client_secret, "type": "payment_intent"}


def payments_of(context: Context, invoice_id: str) -> JsonObject:
    """The payments of an invoice, as `expand` shows them."""
    payment = context.state.payment_of(invoice_id)
    found = [] if payment is None else [invoice_payment(payment)]
    return account_shapes.listing(found, "/v1/invoice_payments", has_more=False)


def refunds_of(context: Context, charge_id: str) -> JsonObject:
    """The latest refunds of a charge, as `expand` shows them."""
    found = [refund(record) for record in context.state.refunds.newest() if record.charge == charge_id]
    url = f"/v1/charges/{charge_id}/refunds"
    return account_shapes.listing(found[:LINES_EXPANDED], url, has_more=len(found) > LINES_EXPANDED)


def event(context: Context, record: Event) -> JsonObject:
    """An event on the wire, with the number of endpoints still to be told."""
    return account_shapes.event(record, pending_webhooks(context.state, record.id))


def by_id(context: Context, object_id: str) -> JsonObject | None:
    """The object behind an id found in another object, or None for one the sandbox does not keep."""
    state = context.state
    looks: tuple[Callable[[], JsonObject | None], ...] = (
        lambda: _found(state.intents, object_id, lambda record: payment_intent(context, record)),
        lambda: _found(state.charges, object_id, lambda record: charge(context, record)),
        lambda: _found(state.sessions, object_id, lambda record: session(context, record)),
        lambda: _found(state.methods, object_id, method_shapes.payment_method),
        lambda: _found(state.refunds, object_id, refund),
        lambda: _found(state.disputes, object_id, lambda record: dispute(context, record)),
        lambda: _found(state.warnings, object_id, lambda record: fraud_warning(context, record)),
        lambda: _found(state.invoices, object_id, lambda record: invoice(context, record)),
        lambda: _found(state.customers, object_id, customer_shapes.customer),
        lambda: _found(state.coupons, object_id, lambda record: pricing_shapes.coupon(record, context.now)),
        lambda: _found(state.codes, object_id, pricing_shapes.promotion_code),
        lambda: _found(state.shipping_rates, object_id, pricing_shapes.shipping_rate),
        lambda: _found(state.tax_rates, object_id, pricing_shapes.tax_rate),
        lambda: _found(state.prices, object_id, catalogue_shapes.price),
        lambda: _found(state.products, object_id, catalogue_shapes.product),
    )
    return next((shape for look in looks if (shape := look()) is not None), None)


def _found(collection: Collection[T], object_id: str, shape: Callable[[T], JsonObject]) -> JsonObject | None:
    record = collection.get(object_id)
    return None if record is None else shape(record)
