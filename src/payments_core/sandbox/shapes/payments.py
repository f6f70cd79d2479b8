"""PaymentIntent, Charge and PaymentMethod on the wire."""

from __future__ import annotations

from ..errors import JsonObject
from ..records import Buyer, Card, Charge, Decline, PaymentIntent, PaymentMethod, Refund

_NO_ADDRESS = {
    "city": None,
    "country": None,
    "line1": None,
    "line2": None,
    "postal_code": None,
    "state": None,
}


def payment_intent(record: PaymentIntent, latest: Charge | None, attempted: PaymentMethod | None) -> JsonObject:
    """A PaymentIntent: https://docs.stripe.com/api/payment_intents/object.

    `latest` is its latest charge, `attempted` the card of that charge; a failed one is told in `last_payment_error`.
    """
    paid = record.status == "succeeded"
    return {
        "id": record.id,
        "object": "payment_intent",
        "allowed_payment_method_types": None,
        "amount": record.amount_minor,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": record.amount_minor if paid else 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": record.canceled_at,
        "cancellation_reason": "expired" if record.status == "canceled" else None,
        "capture_method": "automatic_async",
        "client_secret": record.client_secret,
        "confirmation_method": "automatic",
        "created": record.created,
        "currency": record.currency,
        "customer": None,
        "customer_account": None,
        "description": record.intent_data.description,
        "excluded_payment_method_types": None,
        "last_payment_error": _last_error(latest, attempted),
        "latest_charge": record.latest_charge,
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": dict(record.intent_data.metadata),
        "next_action": None,
        "on_behalf_of": None,
        "payment_details": None,
        "payment_method": record.payment_method,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "presentment_details": None,
        "processing": None,
        "receipt_email": record.intent_data.receipt_email,
        "review": None,
        "setup_future_usage": None,
        "shipping": record.intent_data.shipping,
        "source": None,
        "statement_descriptor": record.intent_data.statement_descriptor,
        "statement_descriptor_suffix": record.intent_data.statement_descriptor_suffix,
        "status": record.status,
        "transfer_data": None,
        "transfer_group": None,
    }


def _last_error(latest: Charge | None, attempted: PaymentMethod | None) -> JsonObject | None:
    if latest is None or latest.decline is None or attempted is None:
        return None
    decline = latest.decline
    error: JsonObject = {
        "advice_code": decline.advice_code,
        "charge": latest.id,
        "code": decline.code,
        "decline_code": decline.decline_code,
        "doc_url": f"https://docs.stripe.com/error-codes/{decline.code.replace('_', '-')}",
        "message": decline.message,
        "payment_method": payment_method(attempted),
        "type": "card_error",
    }
    if decline.code == "incorrect_cvc":
        error["param"] = "cvc"
    return {key: value for key, value in error.items() if value is not None}


def payment_method(record: PaymentMethod) -> JsonObject:
    """A PaymentMethod of type card: https://docs.stripe.com/api/payment_methods/object."""
    card = record.card
    return {
        "id": record.id,
        "object": "payment_method",
        "allow_redisplay": "limited",
        "billing_details": _billing(record.buyer),
        "card": {
            "brand": card.brand,
            "checks": _checks(card),
            "country": "US",
            "display_brand": card.brand,
            "exp_month": card.exp_month,
            "exp_year": card.exp_year,
            "fingerprint": _fingerprint(card),
            "funding": "credit",
            "generated_from": None,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": record.created,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }


def charge(record: Charge, method: PaymentMethod) -> JsonObject:
    """A Charge: https://docs.stripe.com/api/charges/object."""
    paid = record.decline is None
    return {
        "id": record.id,
        "object": "charge",
        "amount": record.amount_minor,
        "amount_captured": record.amount_minor if paid else 0,
        "amount_refunded": record.refunded_minor,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": _billing(method.buyer),
        "calculated_statement_descriptor": (
            record.intent_data.statement_descriptor or "SANDBOX SHOP" if paid else None
        ),
        "captured": paid,
        "created": record.created,
        "currency": record.currency,
        "customer": None,
        "description": record.intent_data.description,
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": record.decline.code if record.decline else None,
        "failure_message": record.decline.message if record.decline else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(record.intent_data.metadata),
        "on_behalf_of": None,
        "outcome": _outcome(record.decline),
        "paid": paid,
        "payment_intent": record.payment_intent,
        "payment_method": record.payment_method,
        "payment_method_details": {"card": _card_details(record, method.card), "type": "card"},
        "presentment_details": None,
        "radar_options": {},
        "receipt_email": record.intent_data.receipt_email,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": paid and record.refunded_minor == record.amount_minor,
        "review": None,
        "shipping": record.intent_data.shipping,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": record.intent_data.statement_descriptor,
        "statement_descriptor_suffix": record.intent_data.statement_descriptor_suffix,
        "status": "succeeded" if paid else "failed",
        "transfer_data": None,
        "transfer_group": None,
    }


def refund(record: Refund) -> JsonObject:
    """A Refund: https://docs.stripe.com/api/refunds/object."""
    return {
        "id": record.id,
        "object": "refund",
        "amount": record.amount_minor,
        "balance_transaction": None,
        "charge": record.charge,
        "created": record.created,
        "currency": record.currency,
        "destination_details": {
            "card": {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"},
            "type": "card",
        },
        "metadata": dict(record.metadata),
        "payment_intent": record.payment_intent,
        "reason": record.reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


def _card_details(record: Charge, card: Card) -> JsonObject:
    return {
        "amount_authorized": None if record.decline else record.amount_minor,
        "authorization_code": None,
        "brand": card.brand,
        "checks": _checks(card),
        "country": "US",
        "exp_month": card.exp_month,
        "exp_year": card.exp_year,
        "extended_authorization": {"status": "disabled"},
        "fingerprint": _fingerprint(card),
        "funding": "credit",
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "last4": card.last4,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": card.brand,
        "network_token": {"used": False},
        "network_transaction_id": None,
        "overcapture": {
            "maximum_amount_capturable": 0 if record.decline else record.amount_minor,
            "status": "unavailable",
        },
        "regulated_status": "unregulated",
        "three_d_secure": None,
        "transaction_link_id": None,
        "wallet": None,
    }


def _outcome(decline: Decline | None) -> JsonObject:
    if decline is None:
        return {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "risk_score": 20,
            "seller_message": "Payment complete.",
            "type": "authorized",
        }
    return {
        "advice_code": decline.advice_code,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "declined_by_network",
        "reason": decline.decline_code or decline.code,
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": "The bank did not approve the payment.",
        "type": "issuer_declined",
    }


def _billing(buyer: Buyer) -> JsonObject:
    return {
        "address": dict(_NO_ADDRESS),
        "email": buyer.email,
        "name": buyer.name,
        "phone": None,
        "tax_id": None,
    }


def _checks(card: Card) -> JsonObject:
    return {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": card.cvc_check}


def _fingerprint(card: Card) -> str:
    return f"sandbox{card.brand.title()}{card.last4}"
