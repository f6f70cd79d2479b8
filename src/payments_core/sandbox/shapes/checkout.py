"""Checkout Session and its line items on the wire."""

from __future__ import annotations

from ..errors import JsonObject
from ..records import LineItem, Price, Session
from . import catalogue

PAYMENT_METHOD_CONFIGURATION = "pmc_1SandboxDefaultConfig0001"


def session(record: Session, base_url: str) -> JsonObject:
    """A Checkout Session without its line items: https://docs.stripe.com/api/checkout/sessions/object."""
    embedded = record.ui_mode == "embedded_page"
    shape: JsonObject = {
        "id": record.id,
        "object": "checkout.session",
        **_who(record),
        **_unused(),
        "adaptive_pricing": {"enabled": record.adaptive_pricing},
        "allow_promotion_codes": record.allow_promotion_codes,
        "allowed_payment_method_types": _listed(record.allowed_payment_method_types),
        "amount_subtotal": record.amount_minor,
        "amount_total": record.amount_minor,
        "billing_address_collection": record.billing_address_collection,
        "branding_settings": _branding(record),
        "cancel_url": record.cancel_url,
        "client_secret": record.client_secret,
        "created": record.created,
        "currency": record.currency,
        "excluded_payment_method_types": _listed(record.excluded_payment_method_types),
        "expires_at": record.expires_at,
        "integration_identifier": record.integration_identifier,
        "livemode": False,
        "locale": record.locale,
        "metadata": dict(record.metadata),
        "mode": "payment",
        "origin_context": record.origin_context,
        "payment_intent": record.payment_intent,
        "payment_method_types": ["card"],
        "payment_status": record.payment_status,
        "status": record.status,
        "submit_type": record.submit_type,
        "success_url": record.success_url,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": record.ui_mode,
        "url": None if embedded or record.status != "open" else page_url(record, base_url),
    }
    if embedded:
        shape |= {"return_url": record.return_url, "redirect_on_completion": "always"}
    return shape


def page_url(record: Session, base_url: str) -> str:
    """Where a buyer pays for this session."""
    return f"{base_url}/c/pay/{record.id}"


def line_item(record: LineItem, price: Price) -> JsonObject:
    """One line of a session: https://docs.stripe.com/api/checkout/sessions/line_items."""
    return {
        "id": record.id,
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": record.amount_minor,
        "amount_tax": 0,
        "amount_total": record.amount_minor,
        "currency": record.currency,
        "description": record.description,
        "metadata": dict(record.metadata),
        "price": catalogue.price(price),
        "quantity": record.quantity,
    }


def _who(record: Session) -> JsonObject:
    buyer = record.buyer
    email = buyer.email if buyer else record.customer_email
    name = buyer.name if buyer else None
    details: JsonObject | None = None
    if email is not None:
        details = {
            "address": _address() if buyer else None,
            "business_name": None,
            "email": email,
            "individual_name": None,
            "name": name,
            "phone": None,
            "tax_exempt": "none",
            "tax_ids": [] if buyer else None,
        }
    return {
        "client_reference_id": record.client_reference_id,
        "customer": None,
        "customer_account": None,
        "customer_creation": "if_required",
        "customer_details": details,
        "customer_email": record.customer_email,
    }


def _unused() -> JsonObject:
    """Fields of features the sandbox does not have, as they look when a session does not use them."""
    return {
        "after_expiration": None,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "collected_information": {"business_name": None, "individual_name": None, "shipping_details": None},
        "consent": None,
        "consent_collection": None,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "discounts": [],
        "invoice": None,
        "invoice_creation": _invoice_creation(),
        "managed_payments": {"enabled": False},
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": {"id": PAYMENT_METHOD_CONFIGURATION, "parent": None},
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "presentment_details": None,
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "subscription": None,
        "wallet_options": None,
    }


def _invoice_creation() -> JsonObject:
    return {
        "enabled": False,
        "invoice_data": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": None,
            "metadata": {},
            "rendering_options": None,
        },
    }


def _branding(record: Session) -> JsonObject:
    return {
        "background_color": "#ffffff",
        "border_style": "rounded",
        "button_color": "#0b5fff",
        "display_name": record.display_name or "Sandbox shop",
        "font_family": "default",
        "icon": None,
        "logo": None,
    }


def _address() -> JsonObject:
    return {
        "city": None,
        "country": None,
        "line1": None,
        "line2": None,
        "postal_code": None,
        "state": None,
    }


def _listed(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else list(values)
