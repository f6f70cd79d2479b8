"""Customer on the wire."""

from __future__ import annotations

from ..errors import JsonObject
from ..records.customers import Customer


def customer(record: Customer) -> JsonObject:
    """A Customer: https://docs.stripe.com/api/customers/object. Of a deleted one, only that it is."""
    if record.deleted:
        return {"id": record.id, "object": "customer", "deleted": True}
    shape: JsonObject = {
        "id": record.id,
        "object": "customer",
        "address": record.address,
        "balance": record.balance_minor,
        "created": record.created,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": record.description,
        "discount": None,
        "email": record.email,
        "invoice_prefix": record.invoice_prefix,
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": record.default_payment_method,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": dict(record.metadata),
        "name": record.name,
        "next_invoice_sequence": record.next_invoice_sequence,
        "phone": record.phone,
        "preferred_locales": list(record.preferred_locales),
        "shipping": record.shipping,
        "tax_exempt": record.tax_exempt,
        "test_clock": None,
    }
    names = {"business_name": record.business_name, "individual_name": record.individual_name}
    return shape | {field: value for field, value in names.items() if value is not None}
