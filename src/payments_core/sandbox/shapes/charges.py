"""Charge on the wire."""

from __future__ import annotations

from ..errors import JsonObject
from ..records.payments import Card, Charge, Decline, PaymentMethod
from .payment_methods import billing, checks, fingerprint

_DEBITS = ("sepa_debit", "us_bank_account")
#: Fields of a payment method that its charges do not have.
_METHODS_OWN = ("financial_connections_account", "generated_from", "networks", "status_details")
_AUTHENTICATED: JsonObject = {
    "authentication_flow": "challenge",
    "electronic_commerce_indicator": "05",
    "exemption_indicator": None,
    "result": "authenticated",
    "result_reason": None,
    "transaction_id": None,
    "version": "2.2.0",
}


def charge(record: Charge, method: PaymentMethod) -> JsonObject:
    """A Charge: https://docs.stripe.com/api/charges/object."""
    paid, captured = record.status != "failed", record.captured_minor is not None
    return {
        "id": record.id,
        "object": "charge",
        "amount": record.amount_minor,
        "amount_captured": record.captured_minor or 0,
        "amount_refunded": record.refunded_minor,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": billing(method.buyer),
        "calculated_statement_descriptor": (
            record.intent_data.statement_descriptor or "SANDBOX SHOP" if paid else None
        ),
        "captured": captured,
        "created": record.created,
        "currency": record.currency,
        "customer": record.customer,
        "description": record.intent_data.description,
        "disputed": record.disputed,
        "failure_balance_transaction": None,
        "failure_code": record.decline.code if record.decline else None,
        "failure_message": record.decline.message if record.decline else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(record.intent_data.metadata),
        "on_behalf_of": None,
        "outcome": _outcome(record.decline) if record.status != "pending" else None,
        "paid": record.status == "succeeded",
        "payment_intent": record.payment_intent,
        "payment_method": record.payment_method,
        "payment_method_details": {method.type: _details(record, method), "type": method.type},
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
        "status": record.status,
        "transfer_data": None,
        "transfer_group": None,
    }


def _details(record: Charge, method: PaymentMethod) -> JsonObject:
    if method.card:
        return _card_details(record, method.card)
    only = {key: value for key, value in (method.details or {}).items() if key not in _METHODS_OWN}
    return {**only, "expected_debit_date": None, "mandate": None} if method.type in _DEBITS else only


def _card_details(record: Charge, card: Card) -> JsonObject:
    return {
        "amount_authorized": None if record.decline else record.amount_minor,
        "authorization_code": None,
        "brand": card.brand,
        "checks": checks(card),
        "country": "US",
        "exp_month": card.exp_month,
        "exp_year": card.exp_year,
        "extended_authorization": {"status": "disabled"},
        "fingerprint": fingerprint(card),
        "funding": card.funding,
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
        "three_d_secure": _AUTHENTICATED if record.authenticated else None,
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
    if decline.blocked:
        return {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "not_sent_to_network",
            "reason": "highest_risk_level",
            "risk_level": "highest",
            "risk_score": 80,
            "seller_message": "Stripe blocked this payment as too risky.",
            "type": "blocked",
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
