"""What becomes of a finalized invoice when its payment does."""

from __future__ import annotations

from attrs import evolve

from . import render
from .records.checkout import LineItem, Session
from .records.invoices import Invoice, InvoiceItem, InvoicePayment, InvoiceWish
from .records.payments import PaymentIntent
from .state import Context


def follow(context: Context, intent: PaymentIntent) -> None:
    """Move the invoice of an intent that has reached a new status, whoever confirmed it."""
    invoice = context.state.invoices.get(intent.invoice or "")
    if invoice is None or invoice.status not in ("open", "uncollectible"):
        return
    if intent.status == "succeeded":
        payment = context.state.payment_of(invoice.id)
        if payment is not None:
            done = context.state.invoice_payments.put(evolve(payment, status="paid", paid_at=context.now))
            context.emit("invoice_payment.paid", render.invoice_payment(done))
        paid(context, evolve(invoice, attempts=invoice.attempts + 1))
    elif intent.status == "requires_payment_method":
        failed = context.state.invoices.put(evolve(invoice, attempts=invoice.attempts + 1))
        context.emit("invoice.payment_failed", render.invoice(context, failed))


def numbered(context: Context, invoice: Invoice) -> Invoice:
    """A draft as it is once finalized: open, with the customer's next number unless it has one."""
    customer = context.state.customers.need(invoice.customer)
    number = invoice.number or f"{customer.invoice_prefix}-{customer.next_invoice_sequence:04d}"
    context.state.customers.put(evolve(customer, next_invoice_sequence=customer.next_invoice_sequence + 1))
    return context.state.invoices.put(
        evolve(
            invoice,
            status="open",
            number=number,
            effective_at=context.now,
            transitions=evolve(invoice.transitions, finalized_at=context.now),
        )
    )


def of_session(context: Context, session: Session, intent: PaymentIntent) -> Invoice:
    """The paid invoice of a Checkout Session: https://docs.stripe.com/payments/checkout/receipts#paid-invoices."""
    wish = session.invoice_wish or InvoiceWish()
    customer = context.state.customers.need(session.customer or "")
    invoice_id = context.ids.new("in_1", 23)
    items = tuple(_item(context, line, customer.id, invoice_id) for line in session.lines)
    for item in items:
        context.state.invoice_items.put(item)
    invoice = Invoice(
        id=invoice_id,
        created=context.now,
        customer=customer.id,
        currency=session.currency,
        items=items,
        description=wish.description,
        footer=wish.footer,
        metadata=wish.metadata,
        payment_intent=intent.id,
    )
    context.state.invoices.put(invoice)
    context.emit("invoice.created", render.invoice(context, invoice))
    finalized = numbered(context, invoice)
    context.emit("invoice.finalized", render.invoice(context, finalized))
    payment_id = context.ids.new("inpay_1", 23)
    payment = InvoicePayment(
        payment_id, context.now, invoice_id, intent.id, session.currency, invoice.total_minor, "paid", context.now
    )
    context.state.invoice_payments.put(payment)
    context.emit("invoice_payment.paid", render.invoice_payment(payment))
    return paid(context, finalized)


def _item(context: Context, line: LineItem, customer: str, invoice: str) -> InvoiceItem:
    price = context.state.prices.need(line.price)
    return InvoiceItem(
        id=context.ids.new("ii_1", 23),
        created=context.now,
        customer=customer,
        currency=line.currency,
        unit_amount=price.currency_options.get(line.currency, price.unit_amount),
        amount_minor=line.amount_minor,
        quantity=line.quantity,
        period=(context.now, context.now),
        description=line.description,
        price=price.id,
        product=price.product,
        invoice=invoice,
        line=context.ids.new("il_1", 23),
    )


def paid(context: Context, invoice: Invoice) -> Invoice:
    """An invoice of which nothing is owed any more. No payment of it has succeeded where it was paid elsewhere."""
    transitions = evolve(invoice.transitions, paid_at=context.now)
    done = context.state.invoices.put(evolve(invoice, status="paid", transitions=transitions))
    context.emit("invoice.paid", render.invoice(context, done))
    if not done.off_stripe:
        context.emit("invoice.payment_succeeded", render.invoice(context, done))
    return done
