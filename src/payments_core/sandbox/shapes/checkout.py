"""Checkout Session and its line items on the wire."""

from __future__ import annotations

from ..errors import JsonObject
from ..records.catalogue import Price
from ..records.checkout import LineItem, Session
from ..totals import Priced
from . import catalogue

CUSTOM_TEXTS = ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
PAYMENT_METHOD_CONFIGURATION = "pmc_1SandboxDefaultConfig0001"


def session(record: Session, base_url: str) -> JsonObject:
    """A Checkout Session without its line items: https://docs.stripe.com/api/checkout/sessions/object."""
    embedded, totals = record.ui_mode == "embedded_page", record.totals
    shape: JsonObject = {
        "id": record.id,
        "object": "checkout.session",
        **_who(record),
        **_unused(),
        **_shipping(record),
        "custom_text": {name: _message(record.custom_text.get(name)) for name in CUSTOM_TEXTS},
        "discounts": _discounts(record),
        "phone_number_collection": {"enabled": record.phone_number_collection},
        "adaptive_pricing": {"enabled": record.adaptive_pricing},
        "allow_promotion_codes": record.allow_promotion_codes,
        "allowed_payment_method_types": _listed(record.allowed_payment_method_types),
        "amount_subtotal": totals.subtotal_minor,
        "amount_total": totals.total_minor,
        "automatic_tax": _automatic_tax(record),
        "billing_address_collection": record.billing_address_collection,
        "branding_settings": _branding(record),
        "cancel_url": record.cancel_url,
        "client_secret": record.client_secret,
        "created": record.created,
        "currency": record.currency,
        "excluded_payment_method_types": _listed(record.excluded_payment_method_types),
        "expires_at": record.expires_at,
        "integration_identifier": record.integration_identifier,
        "invoice": record.invoice,
        "invoice_creation": _invoice_creation(record),
        "livemode": False,
        "locale": record.locale,
        "metadata": dict(record.metadata),
        "mode": "payment",
        "origin_context": record.origin_context,
        "payment_intent": record.payment_intent,
        "payment_method_types": list(record.method_types),
        "payment_status": record.payment_status,
        "status": record.status,
        "submit_type": record.submit_type,
        "success_url": record.success_url,
        "total_details": {
            "amount_discount": totals.discount_minor,
            "amount_shipping": totals.shipping_minor,
            "amount_tax": totals.tax_minor,
        },
        "ui_mode": record.ui_mode,
        "url": None if embedded or record.status != "open" else page_url(record, base_url),
    }
    if embedded:
        shape |= {"redirect_on_completion": record.redirect_on_completion}
        if record.return_url is not None:
            shape["return_url"] = record.return_url
    return shape


def page_url(record: Session, base_url: str) -> str:
    """Where a buyer pays for this session."""
    return f"{base_url}/c/pay/{record.id}"


def line_item(record: LineItem, priced: Priced, price: Price) -> JsonObject:
    """One line of a session: https://docs.stripe.com/api/checkout/sessions/line_items."""
    return {
        "id": record.id,
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": priced.discount_minor,
        "amount_subtotal": priced.subtotal_minor,
        "amount_tax": priced.tax_minor,
        "amount_total": priced.total_minor,
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
            "address": (buyer.address or _address()) if buyer else None,
            "business_name": None,
            "email": email,
            "individual_name": None,
            "name": name,
            "phone": buyer.phone if buyer else None,
            "tax_exempt": "none",
            "tax_ids": [] if buyer else None,
        }
    return {
        "client_reference_id": record.client_reference_id,
        "customer": record.customer,
        "customer_account": None,
        "customer_creation": None
        if record.customer and record.customer_creation == "if_required"
        else (record.customer_creation),
        "customer_details": details,
        "customer_email": record.customer_email,
    }


def _unused() -> JsonObject:
    """Fields of features the sandbox does not have, as they look when a session does not use them."""
    return {
        "after_expiration": None,
        "consent": None,
        "consent_collection": None,
        "currency_conversion": None,
        "custom_fields": [],
        "managed_payments": {"enabled": False},
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": {"id": PAYMENT_METHOD_CONFIGURATION, "parent": None},
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "permissions": None,
        "presentment_details": None,
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "subscription": None,
        "wallet_options": None,
    }


def _automatic_tax(record: Session) -> JsonObject:
    on = record.automatic_tax
    return {
        "enabled": on,
        "liability": {"type": "self"} if on else None,
        "provider": "stripe" if on else None,
        "status": "complete" if on else None,
    }


def _discounts(record: Session) -> list[JsonObject]:
    """As at Stripe: a promotion code is named alone, its coupon is found through it."""
    if record.promotion_code is not None:
        return [{"coupon": None, "promotion_code": record.promotion_code}]
    return [{"coupon": record.coupon.id, "promotion_code": None}] if record.coupon is not None else []


def _shipping(record: Session) -> JsonObject:
    countries, cost = record.shipping_countries, record.totals.shipping
    return {
        "collected_information": {
            "business_name": None,
            "individual_name": None,
            "shipping_details": record.shipping,
        },
        "shipping_address_collection": None if countries is None else {"allowed_countries": list(countries)},
        "shipping_cost": {
            "amount_subtotal": cost.subtotal_minor,
            "amount_tax": cost.tax_minor,
            "amount_total": cost.total_minor,
            "shipping_rate": record.shipping_rate,
        }
        if record.shipping_options
        else None,
        "shipping_options": [
            {"shipping_amount": option.amount_minor, "shipping_rate": option.rate} for option in record.shipping_options
        ],
    }


def _message(text: str | None) -> JsonObject | None:
    return None if text is None else {"message": text}


def _invoice_creation(record: Session) -> JsonObject:
    wish = record.invoice_wish
    return {
        "enabled": wish is not None,
        "invoice_data": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": wish.description if wish else None,
            "footer": wish.footer if wish else None,
            "issuer": None,
            "metadata": dict(wish.metadata) if wish else {},
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
