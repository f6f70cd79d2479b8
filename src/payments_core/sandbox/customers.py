"""Customers: made, changed, deleted."""

from __future__ import annotations

from attrs import evolve

from . import addresses, payment_methods
from .catalogue import difference
from .errors import JsonObject, invalid
from .params import Params
from .records.customers import Customer
from .records.payments import Buyer, PaymentMethod
from .shapes.customers import customer as shape
from .state import Context

_FIELDS = (
    "address", "balance", "business_name", "description", "email", "individual_name", "invoice_prefix",
    "invoice_settings", "metadata", "name", "next_invoice_sequence", "phone", "preferred_locales", "shipping",
    "tax_exempt",
)  # fmt: skip
_ELSEWHERE = ("cash_balance", "source", "tax", "validate")


def create(context: Context, params: Params) -> Customer:
    """`POST /v1/customers`, with a payment method attached to it if wished."""
    params.only(*_FIELDS, "payment_method", elsewhere=(*_ELSEWHERE, "tax_id_data", "test_clock"))
    blank = Customer(id=context.ids.new("cus_", 14), created=context.now, invoice_prefix=context.ids.new("", 8).upper())
    method_id = params.text("payment_method")
    method = payment_methods.named(context, method_id, "payment_method", status=400) if method_id else None
    customer = _with_fields(context, blank, params, method)
    if method is not None:
        payment_methods.check_attachable(context, method, customer.id)
    context.state.customers.put(customer)
    context.emit("customer.created", shape(customer))
    if method is not None:
        payment_methods.attach_to(context, method, customer.id)
    return customer


def of_buyer(context: Context, buyer: Buyer, shipping: JsonObject | None) -> Customer:
    """The customer that a Checkout Session makes of whoever pays it."""
    customer = context.state.customers.put(
        Customer(
            id=context.ids.new("cus_", 14),
            created=context.now,
            invoice_prefix=context.ids.new("", 8).upper(),
            email=buyer.email,
            name=buyer.name,
            phone=buyer.phone,
            address=buyer.address,
            shipping={**shipping, "phone": buyer.phone} if shipping is not None else None,
        )
    )
    context.emit("customer.created", shape(customer))
    return customer


def update(context: Context, customer: Customer, params: Params) -> Customer:
    """`POST /v1/customers/{id}`."""
    params.only(*_FIELDS, elsewhere=(*_ELSEWHERE, "default_source"))
    changed = _with_fields(context, customer, params)
    if changed != customer:
        context.state.customers.put(changed)
        before, after = shape(customer), shape(changed)
        context.emit("customer.updated", after, difference(before, after))
    return changed


def delete(context: Context, customer: Customer) -> JsonObject:
    """`DELETE /v1/customers/{id}`; its payment methods are detached, and payments keep its id."""
    for method in context.state.methods:
        if method.customer == customer.id:
            context.state.methods.put(evolve(method, customer=None, detached=True))
    context.emit("customer.deleted", shape(customer))
    return shape(context.state.customers.put(evolve(customer, deleted=True)))


def _with_fields(
    context: Context, customer: Customer, params: Params, attaching: PaymentMethod | None = None
) -> Customer:
    email = params.email("email", unsettable=True)
    exempt = params.choice("tax_exempt", ("exempt", "none", "reverse"), unsettable=True)
    return evolve(
        customer,
        email=customer.email if email is None else email or None,
        name=_text(params, "name", customer.name),
        description=_text(params, "description", customer.description),
        phone=_text(params, "phone", customer.phone),
        business_name=_text(params, "business_name", customer.business_name),
        individual_name=_text(params, "individual_name", customer.individual_name),
        address=customer.address
        if "address" not in params
        else addresses.address(params.child("address", unsettable=True)),
        shipping=customer.shipping
        if "shipping" not in params
        else addresses.recipient(params.child("shipping", unsettable=True)),
        preferred_locales=_locales(params, customer),
        tax_exempt=customer.tax_exempt if exempt is None else exempt or "none",
        balance_minor=_balance(params, customer),
        invoice_prefix=params.text("invoice_prefix", limit=12) or customer.invoice_prefix,
        next_invoice_sequence=params.integer("next_invoice_sequence", minimum=1) or customer.next_invoice_sequence,
        default_payment_method=_default_method(context, customer, params, attaching),
        metadata=params.metadata(current=customer.metadata),
    )


def _text(params: Params, name: str, current: str | None) -> str | None:
    given = params.text(name, unsettable=True)
    return current if given is None else given or None


def _locales(params: Params, customer: Customer) -> tuple[str, ...]:
    given = params.texts("preferred_locales")
    return customer.preferred_locales if given is None else tuple(given)


def _balance(params: Params, customer: Customer) -> int:
    given = params.integer("balance", minimum=-99_999_999_999)
    return customer.balance_minor if given is None else given


def _default_method(
    context: Context, customer: Customer, params: Params, attaching: PaymentMethod | None
) -> str | None:
    settings = params.child("invoice_settings")
    if settings is None:
        return customer.default_payment_method
    settings.only("default_payment_method", elsewhere=("custom_fields", "footer", "rendering_options"))
    method_id = settings.text("default_payment_method", unsettable=True)
    if not method_id:
        return customer.default_payment_method if method_id is None else None
    if attaching is not None and method_id in (attaching.id, params.text("payment_method")):
        return attaching.id
    label = settings.name("default_payment_method")
    method = context.state.methods.need(method_id, label, status=400)
    if method.customer != customer.id:
        raise invalid(
            label,
            f"The customer does not have a payment method with the ID {method_id}. The payment method must be attached "
            "to the customer.",
            "resource_missing",
        )
    return method_id
