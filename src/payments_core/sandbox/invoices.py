"""Invoices that are sent once, without a subscription: https://docs.stripe.com/invoicing/overview.

draft ──finalize──▶ open ──pay──▶ paid
                     ├──void──▶ void
                     └──mark_uncollectible──▶ uncollectible ──pay, void──▶ paid, void
"""

from __future__ import annotations

from attrs import evolve

from . import buyers, intents, invoice_outcomes, payment_methods, refusals, render
from .catalogue import difference
from .errors import JsonObject, StripeRefusal, invalid, missing, not_implemented
from .params import Params
from .records.invoices import Invoice, InvoicePayment
from .records.payments import IntentData, PaymentIntent, PaymentMethod
from .state import DAY_S, Context

_WORDS = (
    "auto_advance", "days_until_due", "default_payment_method", "description", "due_date", "footer", "metadata",
    "number", "statement_descriptor",
)  # fmt: skip
_ELSEWHERE = (
    "account_tax_ids", "application_fee_amount", "automatic_tax", "automatically_finalizes_at", "custom_fields",
    "default_source", "default_tax_rates", "discounts", "effective_at", "issuer", "on_behalf_of", "payment_settings",
    "rendering", "shipping_cost", "shipping_details", "transfer_data",
)  # fmt: skip
_AFTER_DRAFT = ("auto_advance", "default_payment_method", "description", "metadata")


def create(context: Context, params: Params) -> Invoice:
    """`POST /v1/invoices`: a draft, empty or with the items that wait (`pending_invoice_items_behavior`)."""
    params.only(
        "collection_method", "currency", "customer", "pending_invoice_items_behavior", *_WORDS,
        elsewhere=(*_ELSEWHERE, "customer_account", "from_invoice", "subscription"),
    )  # fmt: skip
    _refuse_auto_advance(params)
    customer = buyers.known(context, params)
    if customer is None:
        raise missing("customer")
    include = params.choice("pending_invoice_items_behavior", ("exclude", "include")) == "include"
    pending = [
        item for item in context.state.invoice_items if include and item.customer == customer and item.invoice is None
    ]
    currency = params.currency("currency") or (pending[0].currency if pending else "usd")
    blank = Invoice(
        id=context.ids.new("in_1", 23),
        created=context.now,
        customer=customer,
        currency=currency,
        collection_method=params.choice("collection_method", ("charge_automatically", "send_invoice"))
        or "charge_automatically",
    )
    invoice = _with_words(context, blank, params)
    placed = tuple(evolve(item, invoice=invoice.id) for item in pending if item.currency == currency)
    for item in placed:
        context.state.invoice_items.put(item)
    invoice = context.state.invoices.put(evolve(invoice, items=placed))
    context.emit("invoice.created", render.invoice(context, invoice))
    return invoice


def update(context: Context, invoice: Invoice, params: Params) -> Invoice:
    """`POST /v1/invoices/{id}`; once it is finalized, few words can change."""
    params.only("collection_method", *_WORDS, elsewhere=_ELSEWHERE)
    _refuse_auto_advance(params)
    for name in params.names():
        if invoice.status != "draft" and name not in _AFTER_DRAFT:
            raise invalid(name, f"Finalized invoices can't be updated in this way: {name}.", "invoice_not_editable")
    changed = _with_words(context, invoice, params)
    method = params.choice("collection_method", ("charge_automatically", "send_invoice"))
    return _save(context, invoice, evolve(changed, collection_method=method or invoice.collection_method))


def delete(context: Context, invoice: Invoice) -> JsonObject:
    """`DELETE /v1/invoices/{id}`: drafts only; what stood on it is gone with it."""
    _require(invoice, ("draft",), "deleted")
    for item in invoice.items:
        context.state.invoice_items.drop(item.id)
    context.state.invoices.drop(invoice.id)
    context.emit("invoice.deleted", render.invoice(context, invoice))
    return {"id": invoice.id, "object": "invoice", "deleted": True}


def finalize(context: Context, invoice: Invoice) -> Invoice:
    """`POST /v1/invoices/{id}/finalize`: numbered, unchangeable, with a payment intent; one of nothing is paid."""
    _require(invoice, ("draft",), "finalized")
    if invoice.total_minor < 0:
        raise not_implemented("invoices below zero, which become a customer's balance")
    days = invoice.days_until_due
    due = invoice.due_date if days is None else context.now + days * DAY_S
    finalized = invoice_outcomes.numbered(context, evolve(invoice, due_date=due))
    if finalized.total_minor > 0:
        finalized = _with_intent(context, finalized)
    context.emit("invoice.finalized", render.invoice(context, finalized))
    return invoice_outcomes.paid(context, finalized) if finalized.total_minor == 0 else finalized


def pay(context: Context, invoice: Invoice, params: Params) -> Invoice:
    """`POST /v1/invoices/{id}/pay`. Raises the card's refusal as StripeRefusal 402."""
    params.only("off_session", "paid_out_of_band", "payment_method", elsewhere=("forgive", "mandate", "source"))
    if invoice.status == "paid":
        raise StripeRefusal("Invoice is already paid")
    params.boolean("off_session")
    _require(invoice, ("draft", "open", "uncollectible"), "paid")
    elsewhere = params.boolean("paid_out_of_band")
    method = None if elsewhere else _method(context, invoice, params)
    if invoice.status == "draft":
        invoice = finalize(context, invoice)
    if invoice.status == "paid":
        return invoice
    intent = context.state.intents.need(invoice.payment_intent or "")
    if method is None:
        _end_payment(context, intent, None)
        return invoice_outcomes.paid(context, evolve(invoice, off_stripe=True))
    intent = intents.confirm(context, intent, method)
    if intent.failure is not None:
        raise refusals.failed(context, intent)
    if intent.status == "requires_action":
        raise _requires_action(context, invoice, intent)
    return context.state.invoices.need(invoice.id)


def send(context: Context, invoice: Invoice) -> Invoice:
    """`POST /v1/invoices/{id}/send`: finalized if it was a draft. Nothing is mailed, here as in Stripe's test mode."""
    if invoice.collection_method != "send_invoice":
        raise StripeRefusal("You can only manually send an invoice if its collection method is 'send_invoice'.")
    _require(invoice, ("draft", "open", "uncollectible"), "sent")
    if invoice.status == "draft":
        invoice = finalize(context, invoice)
    context.emit("invoice.sent", render.invoice(context, invoice))
    return invoice


def void(context: Context, invoice: Invoice) -> Invoice:
    """`POST /v1/invoices/{id}/void`: as if it had never been, but kept."""
    _require(invoice, ("open", "uncollectible"), "voided")
    transitions = evolve(invoice.transitions, voided_at=context.now)
    voided = context.state.invoices.put(evolve(invoice, status="void", transitions=transitions))
    intent = context.state.intents.get(invoice.payment_intent or "")
    if intent is not None:
        _end_payment(context, intent, "void_invoice")
    context.emit("invoice.voided", render.invoice(context, voided))
    return voided


def mark_uncollectible(context: Context, invoice: Invoice) -> Invoice:
    """`POST /v1/invoices/{id}/mark_uncollectible`: bad debt, still payable."""
    _require(invoice, ("open",), "marked uncollectible")
    transitions = evolve(invoice.transitions, marked_uncollectible_at=context.now)
    marked = context.state.invoices.put(evolve(invoice, status="uncollectible", transitions=transitions))
    context.emit("invoice.marked_uncollectible", render.invoice(context, marked))
    return marked


def _with_intent(context: Context, invoice: Invoice) -> Invoice:
    intent_id = context.ids.new("pi_3", 23)
    intents.begin(
        context,
        PaymentIntent(
            id=intent_id,
            created=context.now,
            amount_minor=invoice.total_minor,
            currency=invoice.currency,
            client_secret=context.ids.new(f"{intent_id}_secret_", 25),
            intent_data=IntentData(
                description=invoice.description or "Payment for Invoice",
                statement_descriptor=invoice.statement_descriptor,
            ),
            customer=invoice.customer,
            capture_method="automatic",
            invoice=invoice.id,
        ),
    )
    payment_id = context.ids.new("inpay_1", 23)
    context.state.invoice_payments.put(
        InvoicePayment(payment_id, context.now, invoice.id, intent_id, invoice.currency, invoice.total_minor)
    )
    return context.state.invoices.put(evolve(invoice, payment_intent=intent_id))


def _end_payment(context: Context, intent: PaymentIntent, reason: str | None) -> None:
    if intent.status in intents.CANCELABLE:
        intents.cancel(context, intent, reason)
    payment = context.state.payment_of(intent.invoice or "")
    if payment is not None:
        context.state.invoice_payments.put(evolve(payment, status="canceled", canceled_at=context.now))


def _method(context: Context, invoice: Invoice, params: Params) -> PaymentMethod:
    customer = context.state.customers.need(invoice.customer)
    chosen = params.text("payment_method")
    method_id = chosen or invoice.default_payment_method or customer.default_payment_method
    if method_id is None:
        raise StripeRefusal(
            "There is no `default_payment_method` set on this Customer or Invoice. Please set the appropriate "
            "`default_payment_method` on the Customer or Invoice, or pass `payment_method`.",
            code="missing",
            param="payment_method",
        )
    method = payment_methods.named(context, method_id, "payment_method", status=400)
    if chosen is not None and method.customer not in (None, invoice.customer):
        raise invalid("payment_method", f"The payment method {method.id} belongs to another customer.")
    payment_methods.check_usable(context, method)
    return method


def _requires_action(context: Context, invoice: Invoice, intent: PaymentIntent) -> StripeRefusal:
    context.emit("invoice.payment_action_required", render.invoice(context, invoice))
    return StripeRefusal(
        "This payment requires additional user action before it can be completed successfully. Payment can be "
        "completed using the PaymentIntent associated with the invoice.",
        status=402,
        kind="card_error",
        code="invoice_payment_intent_requires_action",
        more={"payment_intent": render.payment_intent(context, intent)},
        executed=True,
    )


def _with_words(context: Context, invoice: Invoice, params: Params) -> Invoice:
    method_id = params.text("default_payment_method")
    if method_id is not None:
        method = context.state.methods.need(method_id, "default_payment_method", status=400)
        if method.customer != invoice.customer:
            raise invalid("default_payment_method", f"The payment method {method_id} is not the customer's.")
    days = params.integer("days_until_due")
    return evolve(
        invoice,
        default_payment_method=method_id or invoice.default_payment_method,
        description=_text(params, "description", invoice.description),
        footer=_text(params, "footer", invoice.footer),
        number=params.text("number", limit=26) or invoice.number,
        statement_descriptor=params.text("statement_descriptor", limit=22) or invoice.statement_descriptor,
        due_date=params.integer("due_date") or invoice.due_date,
        days_until_due=invoice.days_until_due if days is None else days,
        metadata=params.metadata(current=invoice.metadata),
    )


def _text(params: Params, name: str, current: str | None) -> str | None:
    given = params.text(name, limit=1500, unsettable=True)
    return current if given is None else given or None


def _refuse_auto_advance(params: Params) -> None:
    """An invoice that finalizes and collects by itself, an hour later, is not there."""
    if params.boolean("auto_advance"):
        raise not_implemented("invoices that advance by themselves", "auto_advance")


def _save(context: Context, before: Invoice, after: Invoice) -> Invoice:
    if after != before:
        context.state.invoices.put(after)
        old, new = render.invoice(context, before), render.invoice(context, after)
        context.emit("invoice.updated", new, difference(old, new))
    return after


def _require(invoice: Invoice, statuses: tuple[str, ...], done: str) -> None:
    if invoice.status not in statuses:
        raise StripeRefusal(
            f"This invoice has a status of {invoice.status} and cannot be {done}; only invoices with one of these "
            f"statuses can: {', '.join(statuses)}.",
            code="invoice_not_editable" if invoice.status in ("paid", "void") else None,
        )
