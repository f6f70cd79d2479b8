"""PaymentMethod on the wire."""

from __future__ import annotations

from ..errors import JsonObject
from ..records.payments import Buyer, Card, PaymentMethod

_NO_ADDRESS = {
    "city": None,
    "country": None,
    "line1": None,
    "line2": None,
    "postal_code": None,
    "state": None,
}


def payment_method(record: PaymentMethod) -> JsonObject:
    """A PaymentMethod: https://docs.stripe.com/api/payment_methods/object."""
    return {
        "id": record.id,
        "object": "payment_method",
        "allow_redisplay": record.allow_redisplay,
        "billing_details": billing(record.buyer),
        record.type: _card(record.card) if record.card else record.details or {},
        "created": record.created,
        "customer": record.customer,
        "customer_account": None,
        "livemode": False,
        "metadata": dict(record.metadata),
        "type": record.type,
    }


def _card(card: Card) -> JsonObject:
    return {
        "brand": card.brand,
        "checks": checks(card),
        "country": "US",
        "display_brand": card.brand,
        "exp_month": card.exp_month,
        "exp_year": card.exp_year,
        "fingerprint": fingerprint(card),
        "funding": card.funding,
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def billing(buyer: Buyer) -> JsonObject:
    """Who pays, as the card was given with it."""
    return {
        "address": buyer.address or dict(_NO_ADDRESS),
        "email": buyer.email,
        "name": buyer.name,
        "phone": buyer.phone,
        "tax_id": None,
    }


def checks(card: Card) -> JsonObject:
    """What the issuer said about the security code."""
    return {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": card.cvc_check}


def fingerprint(card: Card) -> str:
    """The same for the same card."""
    return f"sandbox{card.brand.title()}{card.last4}"
