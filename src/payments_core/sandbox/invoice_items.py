"""Invoice items: what a customer owes, by amount or by price, on a draft or waiting for the next invoice."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from attrs import evolve

from . import buyers, catalogue, render
from .errors import JsonObject, StripeRefusal, invalid, missing
from .params import Params
from .records.catalogue import Price
from .records.invoices import InvoiceItem
from .state import Context

_ELSEWHERE = ("discounts", "quantity_decimal", "tax_behavior", "tax_code", "tax_rates")


def create(context: Context, params: Params) -> InvoiceItem:
    """`POST /v1/invoiceitems`."""
    params.only(
        "amount", "currency", "customer", "description", "discountable", "invoice", "metadata", "period", "price_data",
        "pricing", "quantity", "unit_amount_decimal", elsewhere=(*_ELSEWHERE, "customer_account", "subscription"),
    )  # fmt: skip
    customer = buyers.known(context, params)
    if customer is None:
        raise missing("customer")
    discountable = params.boolean("discountable")
    item = _priced(
        context,
        params,
        InvoiceItem(
            id=context.ids.new("ii_1", 23),
            created=context.now,
            customer=customer,
            currency="",
            unit_amount=Decimal(0),
            amount_minor=0,
            quantity=params.integer("quantity") or 1,
            period=_period(context, params),
            description=params.text("description"),
            line=context.ids.new("il_1", 23),
            discountable=discountable is not False,
            metadata=params.metadata(),
        ),
    )
    invoice_id = params.text("invoice")
    if invoice_id is not None:
        item = _put_on(context, item, invoice_id)
    context.state.invoice_items.put(item)
    context.emit("invoiceitem.created", render.invoice_item(item))
    return item


def update(context: Context, item: InvoiceItem, params: Params) -> InvoiceItem:
    """`POST /v1/invoiceitems/{id}`, as long as it stands on no finalized invoice."""
    params.only(
        "amount", "description", "discountable", "metadata", "period", "price_data", "pricing", "quantity",
        "unit_amount_decimal", elsewhere=(*_ELSEWHERE, "invoicing_rules"),
    )  # fmt: skip
    _must_be_free(context, item)
    description, discountable = params.text("description", unsettable=True), params.boolean("discountable")
    changed = evolve(
        item,
        description=item.description if description is None else description or None,
        discountable=item.discountable if discountable is None else discountable,
        metadata=params.metadata(current=item.metadata),
        period=_period(context, params) if "period" in params else item.period,
        quantity=params.integer("quantity") or item.quantity,
    )
    if any(name in params for name in ("amount", "price_data", "pricing", "unit_amount_decimal")):
        changed = _priced(context, params, changed)
    elif changed.quantity != item.quantity:
        changed = _amounting(changed, changed.unit_amount)
    _replace(context, changed)
    return changed


def delete(context: Context, item: InvoiceItem) -> JsonObject:
    """`DELETE /v1/invoiceitems/{id}`, as long as it stands on no finalized invoice."""
    _must_be_free(context, item)
    context.state.invoice_items.drop(item.id)
    invoice = context.state.invoices.get(item.invoice or "")
    if invoice is not None:
        context.state.invoices.put(evolve(invoice, items=tuple(i for i in invoice.items if i.id != item.id)))
    context.emit("invoiceitem.deleted", render.invoice_item(item))
    return {"id": item.id, "object": "invoiceitem", "deleted": True}


def _put_on(context: Context, item: InvoiceItem, invoice_id: str) -> InvoiceItem:
    invoice = context.state.invoices.need(invoice_id, "invoice", status=400)
    if invoice.status != "draft":
        raise invalid("invoice", "Invoice is no longer editable.", "invoice_not_editable")
    if invoice.customer != item.customer:
        raise invalid("invoice", f"The invoice {invoice.id} belongs to another customer.")
    if invoice.currency != item.currency:
        raise invalid("currency", f"The currency of the invoice is {invoice.currency}, not {item.currency}.")
    placed = evolve(item, invoice=invoice.id)
    context.state.invoices.put(evolve(invoice, items=(*invoice.items, placed)))
    return placed


def _replace(context: Context, item: InvoiceItem) -> None:
    context.state.invoice_items.put(item)
    invoice = context.state.invoices.get(item.invoice or "")
    if invoice is not None:
        items = tuple(item if each.id == item.id else each for each in invoice.items)
        context.state.invoices.put(evolve(invoice, items=items))


def _must_be_free(context: Context, item: InvoiceItem) -> None:
    invoice = context.state.invoices.get(item.invoice or "")
    if invoice is not None and invoice.status != "draft":
        raise StripeRefusal("Invoice item is on a finalized invoice and can't be edited.", code="invoice_not_editable")


def _priced(context: Context, params: Params, item: InvoiceItem) -> InvoiceItem:
    """An item with the money that the request names: an amount, a price, or a price described inline."""
    pricing, data = params.child("pricing"), params.child("price_data")
    named = [name for name in ("amount", "pricing", "price_data", "unit_amount_decimal") if name in params]
    if len(named) != 1:
        if not named:
            raise missing("amount")
        raise invalid(named[1], f"You may only specify one of these parameters: {', '.join(named)}.")
    if pricing is not None:
        pricing.only("price")
        label = pricing.name("price")
        price = context.state.prices.need(pricing.required("price"), label, status=400)
        return _of_price(context, item, price)
    if data is not None:
        data.only("currency", "product", "tax_behavior", "unit_amount", "unit_amount_decimal")
        product = context.state.products.need(data.required("product"), data.name("product"), status=400)
        price = evolve(catalogue.read_price(context, data, product.id), active=False, inline=True)
        return _of_price(context, item, context.state.prices.put(price))
    currency = params.currency("currency") if "currency" in params else item.currency or None
    if currency is None:
        raise missing("currency")
    amount = params.integer("amount", minimum=-99_999_999)
    if amount is not None:
        return evolve(item, currency=currency, unit_amount=Decimal(amount), amount_minor=amount, quantity=1)
    return _amounting(evolve(item, currency=currency), params.decimal("unit_amount_decimal") or Decimal(0))


def _of_price(context: Context, item: InvoiceItem, price: Price) -> InvoiceItem:
    product = context.state.products.get(price.product)
    named = evolve(
        item,
        currency=price.currency,
        price=price.id,
        product=price.product,
        description=item.description or (product.name if product else None),
    )
    return _amounting(named, price.unit_amount)


def _amounting(item: InvoiceItem, unit_amount: Decimal) -> InvoiceItem:
    amount = int((unit_amount * item.quantity).quantize(Decimal(1), ROUND_HALF_UP))
    return evolve(item, unit_amount=unit_amount, amount_minor=amount)


def _period(context: Context, params: Params) -> tuple[int, int]:
    period = params.child("period")
    if period is None:
        return context.now, context.now
    period.only("start", "end")
    start, end = period.integer("start"), period.integer("end")
    for name, value in (("start", start), ("end", end)):
        if value is None:
            raise missing(period.name(name))
    return start or 0, end or 0
