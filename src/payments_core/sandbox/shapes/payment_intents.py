"""PaymentIntent on the wire."""

from __future__ import annotations

from ..errors import JsonObject
from ..records.payments import Failure, PaymentIntent, PaymentMethod
from .payment_methods import payment_method


def payment_intent(record: PaymentIntent, attempted: PaymentMethod | None, base_url: str) -> JsonObject:
    """A PaymentIntent: https://docs.stripe.com/api/payment_intents/object.

    `attempted` is the method of its `failure`.
    """
    return {
        "id": record.id,
        "object": "payment_intent",
        "allowed_payment_method_types": _listed(record.allowed_payment_method_types),
        "amount": record.amount_minor,
        "amount_capturable": record.amount_minor if record.status == "requires_capture" else 0,
        "amount_details": {"tip": {}},
        "amount_received": record.received_minor,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": _automatic(record),
        "canceled_at": record.canceled_at,
        "cancellation_reason": record.cancellation_reason,
        "capture_method": record.capture_method,
        "client_secret": record.client_secret,
        "confirmation_method": record.confirmation_method,
        "created": record.created,
        "currency": record.currency,
        "customer": record.customer,
        "customer_account": None,
        "description": record.intent_data.description,
        "excluded_payment_method_types": _listed(record.excluded_payment_method_types),
        "last_payment_error": _last_error(record.failure, attempted),
        "latest_charge": record.latest_charge,
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": dict(record.intent_data.metadata),
        "next_action": _next_action(record, base_url),
        "on_behalf_of": None,
        "payment_details": None,
        "payment_method": record.payment_method,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": list(record.payment_method_types),
        "presentment_details": None,
        "processing": None,
        "receipt_email": record.intent_data.receipt_email,
        "review": None,
        "setup_future_usage": record.setup_future_usage,
        "shipping": record.intent_data.shipping,
        "source": None,
        "statement_descriptor": record.intent_data.statement_descriptor,
        "statement_descriptor_suffix": record.intent_data.statement_descriptor_suffix,
        "status": record.status,
        "transfer_data": None,
        "transfer_group": None,
    }


def challenge_url(record: PaymentIntent, base_url: str) -> str:
    """Where a buyer answers the 3-D Secure challenge of an intent."""
    return f"{base_url}/c/challenge/{record.id}"


def _next_action(record: PaymentIntent, base_url: str) -> JsonObject | None:
    if record.status != "requires_action":
        return None
    if record.return_url is None:
        return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
    where = {"return_url": record.return_url, "url": challenge_url(record, base_url)}
    return {"type": "redirect_to_url", "redirect_to_url": where}


def _automatic(record: PaymentIntent) -> JsonObject | None:
    return None if record.automatic is None else {"allow_redirects": record.automatic, "enabled": True}


def _last_error(failure: Failure | None, attempted: PaymentMethod | None) -> JsonObject | None:
    if failure is None or attempted is None:
        return None
    decline = failure.decline
    error: JsonObject = {
        "advice_code": decline.advice_code,
        "charge": failure.charge,
        "code": decline.code,
        "decline_code": decline.decline_code,
        "doc_url": f"https://docs.stripe.com/error-codes/{decline.code.replace('_', '-')}",
        "message": decline.message,
        "payment_method": payment_method(attempted),
        "type": "card_error" if failure.charge else "invalid_request_error",
    }
    if decline.code == "incorrect_cvc":
        error["param"] = "cvc"
    return {key: value for key, value in error.items() if value is not None}


def _listed(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else list(values)
