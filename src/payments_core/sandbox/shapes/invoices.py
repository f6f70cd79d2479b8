"""Invoice, its lines, invoice item and invoice payment on the wire."""

from __future__ import annotations

from attrs import asdict

from ..errors import JsonObject
from ..records.customers import Customer
from ..records.invoices import Invoice, InvoiceItem, InvoicePayment
from .account import listing

LINES_SHOWN = 10


def invoice(record: Invoice, customer: Customer, *, account_name: str) -> JsonObject:
    """An Invoice: https://docs.stripe.com/api/invoices/object. There is no hosted page and no PDF of it here."""
    total, paid = record.total_minor, record.status == "paid"
    lines = [line(record, item) for item in record.items[:LINES_SHOWN]]
    shape: JsonObject = {
        "id": record.id,
        "object": "invoice",
        "account_country": "US",
        "account_name": account_name,
        "account_tax_ids": None,
        "amount_due": total,
        "amount_overpaid": 0,
        "amount_paid": total if paid else 0,
        "amount_remaining": 0 if paid else total,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": record.attempts,
        "attempted": record.attempts > 0 or paid,
        "auto_advance": False,
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": False,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "automatically_finalizes_at": None,
        "billing_reason": "manual",
        "collection_method": record.collection_method,
        "created": record.created,
        "currency": record.currency,
        "custom_fields": None,
        **_customer(customer),
        "default_payment_method": record.default_payment_method,
        "default_source": None,
        "default_tax_rates": [],
        "description": record.description,
        "discounts": [],
        "due_date": record.due_date,
        "effective_at": record.effective_at,
        "ending_balance": None if record.status == "draft" else 0,
        "footer": record.footer,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": listing(lines, f"/v1/invoices/{record.id}/lines", has_more=len(record.items) > LINES_SHOWN),
        "livemode": False,
        "metadata": dict(record.metadata),
        "next_payment_attempt": None,
        "number": record.number,
        "on_behalf_of": None,
        "parent": None,
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": None,
        },
        "period_end": record.created,
        "period_start": record.created,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": 0,
        "statement_descriptor": record.statement_descriptor,
        "status": record.status,
        "status_transitions": asdict(record.transitions),
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "test_clock": None,
        "total": total,
        "total_discount_amounts": [],
        "total_excluding_tax": total,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": None,
    }
    return shape | ({"amount_paid_off_stripe": total} if record.off_stripe else {})


def line(record: Invoice, item: InvoiceItem) -> JsonObject:
    """One line of an invoice: https://docs.stripe.com/api/invoice-line-item/object."""
    return {
        "id": item.line or item.id,
        "object": "line_item",
        "amount": item.amount_minor,
        "currency": item.currency,
        "description": item.description,
        "discount_amounts": [],
        "discountable": item.discountable,
        "discounts": [],
        "invoice": record.id,
        "livemode": False,
        "metadata": dict(item.metadata),
        "parent": {
            "invoice_item_details": {
                "invoice_item": item.id,
                "proration": False,
                "proration_details": {"credited_items": None},
                "subscription": None,
            },
            "subscription_item_details": None,
            "type": "invoice_item_details",
        },
        "period": _period(item),
        "pretax_credit_amounts": [],
        "pricing": _pricing(item),
        "quantity": item.quantity,
        "quantity_decimal": str(item.quantity),
        "subscription": None,
        "subtotal": item.amount_minor,
        "taxes": [],
    }


def invoice_item(record: InvoiceItem) -> JsonObject:
    """An invoice item: https://docs.stripe.com/api/invoiceitems/object."""
    return {
        "id": record.id,
        "object": "invoiceitem",
        "amount": record.amount_minor,
        "currency": record.currency,
        "customer": record.customer,
        "customer_account": None,
        "date": record.created,
        "description": record.description,
        "discountable": record.discountable,
        "discounts": [],
        "invoice": record.invoice,
        "livemode": False,
        "metadata": dict(record.metadata),
        "net_amount": record.amount_minor,
        "parent": None,
        "period": _period(record),
        "pricing": _pricing(record),
        "proration": False,
        "quantity": record.quantity,
        "quantity_decimal": str(record.quantity),
        "tax_rates": [],
        "test_clock": None,
    }


def invoice_payment(record: InvoicePayment) -> JsonObject:
    """An invoice payment: https://docs.stripe.com/api/invoice-payment/object."""
    return {
        "id": record.id,
        "object": "invoice_payment",
        "amount_paid": record.requested_minor if record.status == "paid" else None,
        "amount_requested": record.requested_minor,
        "created": record.created,
        "currency": record.currency,
        "invoice": record.invoice,
        "is_default": True,
        "livemode": False,
        "payment": {"payment_intent": record.payment_intent, "type": "payment_intent"},
        "status": record.status,
        "status_transitions": {"canceled_at": record.canceled_at, "paid_at": record.paid_at},
    }


def _customer(record: Customer) -> JsonObject:
    return {
        "customer": record.id,
        "customer_account": None,
        "customer_address": record.address,
        "customer_email": record.email,
        "customer_name": record.name,
        "customer_phone": record.phone,
        "customer_shipping": record.shipping,
        "customer_tax_exempt": record.tax_exempt,
        "customer_tax_ids": [],
    }


def _period(item: InvoiceItem) -> JsonObject:
    start, end = item.period
    return {"end": end, "start": start}


def _pricing(item: InvoiceItem) -> JsonObject:
    shape: JsonObject = {"type": "price_details", "unit_amount_decimal": f"{item.unit_amount.normalize():f}"}
    if item.price is not None:
        shape["price_details"] = {"price": item.price, "product": item.product}
    return shape
