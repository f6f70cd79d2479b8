"""The refusal of a card that was tried: Stripe's `card_error`, with the objects it concerns."""

from __future__ import annotations

from . import render
from .errors import JsonObject, StripeRefusal
from .records.payments import Decline, PaymentIntent, PaymentMethod
from .state import Context


def declined(decline: Decline, method: PaymentMethod) -> StripeRefusal:
    """402 for a payment method that the issuer refused without a payment (on attaching it)."""
    return _refusal(decline, {"payment_method": render.payment_method(method)})


def failed(context: Context, intent: PaymentIntent) -> StripeRefusal:
    """402 for an intent whose latest attempt failed; it keeps the failure in `last_payment_error`, too."""
    failure = intent.failure
    if failure is None:
        raise ValueError(f"{intent.id} has not failed")
    more: JsonObject = {
        "payment_intent": render.payment_intent(context, intent),
        "payment_method": render.payment_method(context.state.methods.need(failure.method)),
    }
    return _refusal(failure.decline, more | ({"charge": failure.charge} if failure.charge else {}))


def _refusal(decline: Decline, more: JsonObject) -> StripeRefusal:
    told = {"advice_code": decline.advice_code, "decline_code": decline.decline_code}
    return StripeRefusal(
        decline.message,
        status=402,
        kind="card_error",
        code=decline.code,
        param="cvc" if decline.code == "incorrect_cvc" else None,
        more={key: value for key, value in told.items() if value is not None} | more,
        executed=True,
    )
