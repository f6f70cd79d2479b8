"""Invoices, their items, lines and payments."""

from __future__ import annotations

from collections.abc import Callable

from .. import invoice_items, invoices, render
from ..errors import JsonObject
from ..listing import PAGING, created_filter, page
from ..params import Params
from ..records.invoices import Invoice, InvoicePayment
from ..shapes.invoices import line
from ..state import Context
from .table import Handler, Routes


def create(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/invoices`."""
    return render.invoice(context, invoices.create(context, params))


def retrieve(context: Context, params: Params, invoice_id: str) -> JsonObject:
    """`GET /v1/invoices/{id}`."""
    params.only()
    return render.invoice(context, _need(context, invoice_id))


def update(context: Context, params: Params, invoice_id: str) -> JsonObject:
    """`POST /v1/invoices/{id}`."""
    return render.invoice(context, invoices.update(context, _need(context, invoice_id), params))


def delete(context: Context, params: Params, invoice_id: str) -> JsonObject:
    """`DELETE /v1/invoices/{id}`."""
    params.only()
    return invoices.delete(context, _need(context, invoice_id))


def pay(context: Context, params: Params, invoice_id: str) -> JsonObject:
    """`POST /v1/invoices/{id}/pay`."""
    return render.invoice(context, invoices.pay(context, _need(context, invoice_id), params))


def finalize(context: Context, params: Params, invoice_id: str) -> JsonObject:
    """`POST /v1/invoices/{id}/finalize`."""
    params.only(off={"auto_advance": {"": "false"}})
    return render.invoice(context, invoices.finalize(context, _need(context, invoice_id)))


def _step(work: Callable[[Context, Invoice], Invoice]) -> Handler:
    def handle(context: Context, params: Params, invoice_id: str) -> JsonObject:
        params.only()
        return render.invoice(context, work(context, _need(context, invoice_id)))

    return handle


def index(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/invoices`. None belongs to a subscription."""
    params.only(
        *PAGING, "collection_method", "created", "customer", "status", "subscription",
        elsewhere=("customer_account", "due_date"),
    )  # fmt: skip
    status = params.choice("status", ("draft", "open", "paid", "uncollectible", "void"))
    method = params.choice("collection_method", ("charge_automatically", "send_invoice"))
    customer, inside = params.text("customer"), created_filter(params)
    found = [
        invoice
        for invoice in context.state.invoices.newest()
        if "subscription" not in params
        and inside(invoice)
        and (status is None or invoice.status == status)
        and (method is None or invoice.collection_method == method)
        and (customer is None or invoice.customer == customer)
    ]
    return page(
        found, params, "/v1/invoices", lambda invoice: render.invoice(context, invoice), among=context.state.invoices
    )


def list_lines(context: Context, params: Params, invoice_id: str) -> JsonObject:
    """`GET /v1/invoices/{id}/lines`."""
    params.only(*PAGING)
    invoice = _need(context, invoice_id)
    return page(invoice.items, params, f"/v1/invoices/{invoice.id}/lines", lambda item: line(invoice, item))


def create_item(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/invoiceitems`."""
    return render.invoice_item(invoice_items.create(context, params))


def retrieve_item(context: Context, params: Params, item_id: str) -> JsonObject:
    """`GET /v1/invoiceitems/{id}`."""
    params.only()
    return render.invoice_item(context.state.invoice_items.need(item_id, "invoiceitem"))


def update_item(context: Context, params: Params, item_id: str) -> JsonObject:
    """`POST /v1/invoiceitems/{id}`."""
    item = context.state.invoice_items.need(item_id, "invoiceitem")
    return render.invoice_item(invoice_items.update(context, item, params))


def delete_item(context: Context, params: Params, item_id: str) -> JsonObject:
    """`DELETE /v1/invoiceitems/{id}`."""
    params.only()
    return invoice_items.delete(context, context.state.invoice_items.need(item_id, "invoiceitem"))


def list_items(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/invoiceitems`."""
    params.only(*PAGING, "created", "customer", "invoice", "pending", elsewhere=("customer_account",))
    customer, invoice, pending = params.text("customer"), params.text("invoice"), params.boolean("pending")
    inside = created_filter(params)
    found = [
        item
        for item in context.state.invoice_items.newest()
        if inside(item)
        and (customer is None or item.customer == customer)
        and (invoice is None or item.invoice == invoice)
        and (pending is None or (item.invoice is None) == pending)
    ]
    return page(found, params, "/v1/invoiceitems", render.invoice_item, among=context.state.invoice_items)


def retrieve_payment(context: Context, params: Params, payment_id: str) -> JsonObject:
    """`GET /v1/invoice_payments/{id}`."""
    params.only()
    return render.invoice_payment(context.state.invoice_payments.need(payment_id, "invoice_payment"))


def list_payments(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/invoice_payments`."""
    params.only(*PAGING, "created", "invoice", "payment", "status")
    matches, inside = _payment_filter(params), created_filter(params)
    found = [payment for payment in context.state.invoice_payments.newest() if inside(payment) and matches(payment)]
    return page(found, params, "/v1/invoice_payments", render.invoice_payment, among=context.state.invoice_payments)


def _payment_filter(params: Params) -> Callable[[InvoicePayment], bool]:
    payment = params.child("payment")
    status = params.choice("status", ("canceled", "open", "paid"))
    invoice, intent, kind = params.text("invoice"), None, None
    if payment is not None:
        payment.only("type", "payment_intent", "charge", "payment_record")
        kind = payment.choice("type", ("charge", "payment_intent", "payment_record"))
        intent = payment.text("payment_intent")
    return lambda record: (
        kind in (None, "payment_intent")
        and (intent is None or record.payment_intent == intent)
        and (invoice is None or record.invoice == invoice)
        and (status is None or record.status == status)
    )


def _need(context: Context, invoice_id: str) -> Invoice:
    return context.state.invoices.need(invoice_id, "invoice")


ROUTES: Routes = {
    ("POST", "/v1/invoices"): create,
    ("GET", "/v1/invoices"): index,
    ("GET", "/v1/invoices/{}"): retrieve,
    ("POST", "/v1/invoices/{}"): update,
    ("DELETE", "/v1/invoices/{}"): delete,
    ("POST", "/v1/invoices/{}/finalize"): finalize,
    ("POST", "/v1/invoices/{}/pay"): pay,
    ("POST", "/v1/invoices/{}/send"): _step(invoices.send),
    ("POST", "/v1/invoices/{}/void"): _step(invoices.void),
    ("POST", "/v1/invoices/{}/mark_uncollectible"): _step(invoices.mark_uncollectible),
    ("GET", "/v1/invoices/{}/lines"): list_lines,
    ("POST", "/v1/invoiceitems"): create_item,
    ("GET", "/v1/invoiceitems"): list_items,
    ("GET", "/v1/invoiceitems/{}"): retrieve_item,
    ("POST", "/v1/invoiceitems/{}"): update_item,
    ("DELETE", "/v1/invoiceitems/{}"): delete_item,
    ("GET", "/v1/invoice_payments"): list_payments,
    ("GET", "/v1/invoice_payments/{}"): retrieve_payment,
}
