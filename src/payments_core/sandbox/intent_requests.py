"""Payment intents by API: what a request asks for, checked, before the state machine (`intents`) moves."""

from __future__ import annotations

from attrs import evolve

from payments_core.money import MAX_AMOUNT_MINOR, Money, step_minor

from . import addresses, buyers, intents, payment_methods, refusals
from .errors import StripeRefusal, invalid, missing, not_implemented
from .params import Params
from .pricing import MINIMUM_MINOR
from .records.payments import IntentData, PaymentIntent, PaymentMethod
from .state import Context

_SHARED = (
    "allowed_payment_method_types", "capture_method", "excluded_payment_method_types", "payment_method",
    "payment_method_data", "receipt_email", "setup_future_usage", "shipping",
)  # fmt: skip
_DATA = ("customer", "description", "metadata", "statement_descriptor", "statement_descriptor_suffix")
_CONFIRMING = ("error_on_requires_action", "off_session", "return_url", "use_stripe_sdk")
_ELSEWHERE = (
    "amount_details", "application_fee_amount", "confirmation_token", "customer_account", "hooks", "mandate",
    "mandate_data", "on_behalf_of", "payment_details", "payment_method_configuration", "payment_method_options",
    "radar_options", "transfer_data", "transfer_group",
)  # fmt: skip
_REASONS = ("abandoned", "duplicate", "fraudulent", "requested_by_customer")
_NEEDS_RETURN_URL = (
    "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these "
    "payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want "
    "to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and "
    "`automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents."
)


def create(context: Context, params: Params) -> PaymentIntent:
    """`POST /v1/payment_intents`, confirmed at once if wished. Raises the card's refusal as StripeRefusal 402."""
    params.only(
        "amount", "currency", "confirm", "confirmation_method", "automatic_payment_methods", "payment_method_types",
        *_SHARED, *_DATA, *_CONFIRMING, elsewhere=_ELSEWHERE,
    )  # fmt: skip
    wants_confirm = params.boolean("confirm") is True
    if not wants_confirm and any(name in params for name in ("return_url", "off_session", "error_on_requires_action")):
        name = next(name for name in _CONFIRMING if name in params)
        raise invalid(name, f"You cannot set `{name}` when `confirm` is not true.")
    currency = params.currency("currency")
    amount = params.integer("amount", minimum=1)
    for name, value in (("amount", amount), ("currency", currency)):
        if value is None:
            raise missing(name)
    intent_id = context.ids.new("pi_3", 23)
    intent = PaymentIntent(
        id=intent_id,
        created=context.now,
        amount_minor=_checked_amount(amount or 0, currency or ""),
        currency=currency or "",
        client_secret=context.ids.new(f"{intent_id}_secret_", 25),
        intent_data=IntentData(),
        automatic=_automatic(context, params),
        confirmation_method=params.choice("confirmation_method", ("automatic", "manual")) or "automatic",
    )
    intent = _with_fields(context, intent, params, unsettable=False)
    method = _method(context, intent, params)
    if wants_confirm and method is None:
        raise _no_method()
    if wants_confirm:
        intent = _confirming(intent, params)
    return _carry_out(context, intents.begin(context, intent), method, params, confirm=wants_confirm)


def update(context: Context, intent: PaymentIntent, params: Params) -> PaymentIntent:
    """`POST /v1/payment_intents/{id}`. A new amount or method, as long as nothing was paid; words at any time."""
    params.only("amount", "currency", *_SHARED, *_DATA, elsewhere=_ELSEWHERE)
    for name in ("amount", "currency", "payment_method", "payment_method_data", "capture_method", "customer"):
        if name in params:
            _require_unpaid(context, intent, name)
    changed = _with_fields(context, intent, params)
    currency = params.currency("currency") or intent.currency
    amount = params.integer("amount", minimum=1) or intent.amount_minor
    changed = evolve(changed, amount_minor=_checked_amount(amount, currency), currency=currency)
    if params.text("payment_method", unsettable=True) == "":
        changed = evolve(changed, payment_method=None, failure=None, status="requires_payment_method")
        method = None
    else:
        method = _method(context, changed, params)
    if method is not None:
        changed = _with_method(context, changed, method)
    elif changed != intent:
        changed = evolve(changed, failure=None)
    return context.state.intents.put(changed)


def confirm(context: Context, intent: PaymentIntent, params: Params) -> PaymentIntent:
    """`POST /v1/payment_intents/{id}/confirm`. Raises the card's refusal as StripeRefusal 402."""
    params.only(*_SHARED, *_CONFIRMING, elsewhere=(*_ELSEWHERE, "amount_to_confirm"))
    _refuse_checkouts(context, intent)
    intents.require(intent, intents.CONFIRMABLE, "confirm")
    changed = _confirming(_with_fields(context, intent, params), params)
    method = _method(context, changed, params)
    if method is None and changed.payment_method is not None:
        method = context.state.methods.need(changed.payment_method)
        payment_methods.check_usable(context, method)
    if method is None:
        raise _no_method()
    return _carry_out(context, changed, method, params, confirm=True)


def capture(context: Context, intent: PaymentIntent, params: Params) -> PaymentIntent:
    """`POST /v1/payment_intents/{id}/capture`, whole or in part."""
    params.only(
        "amount_to_capture", "metadata", "statement_descriptor", "statement_descriptor_suffix",
        elsewhere=("amount_details", "application_fee_amount", "hooks", "payment_details", "transfer_data"),
        off={"final_capture": {"": "true"}},
    )  # fmt: skip
    intents.require(intent, ("requires_capture",), "capture")
    amount = params.integer("amount_to_capture", minimum=1) or intent.amount_minor
    if amount > intent.amount_minor:
        raise invalid(
            "amount_to_capture",
            f"The amount to capture ({amount}) is greater than the capturable amount ({intent.amount_minor}).",
            "amount_too_large",
        )
    described = _with_data(intent, params)
    if "statement_descriptor" in params:
        _check_descriptor(described, context.state.methods.need(intent.payment_method or ""))
    return intents.capture(context, described, amount)


def cancel(context: Context, intent: PaymentIntent, params: Params) -> PaymentIntent:
    """`POST /v1/payment_intents/{id}/cancel`."""
    params.only("cancellation_reason")
    reason = params.choice("cancellation_reason", _REASONS)
    session = context.state.session_of(intent.id)
    if session is not None and session.status == "open":
        raise StripeRefusal(
            "You cannot cancel a PaymentIntent that a Checkout Session made. Expire the Checkout Session instead.",
            code="payment_intent_unexpected_state",
        )
    if intent.invoice is not None:
        raise StripeRefusal(
            "You cannot cancel a PaymentIntent that an invoice made. Void the invoice instead.",
            code="payment_intent_unexpected_state",
        )
    return intents.cancel(context, intent, reason)


def _carry_out(
    context: Context, intent: PaymentIntent, method: PaymentMethod | None, params: Params, *, confirm: bool
) -> PaymentIntent:
    if method is None:
        return intent
    context.state.methods.put(method)
    if not confirm:
        return context.state.intents.put(_with_method(context, intent, method))
    _check_descriptor(intent, method)
    absent = params.boolean("error_on_requires_action") or params.text("off_session") in (
        "true",
        "one_off",
        "recurring",
    )
    intent = intents.confirm(context, context.state.intents.put(intent), method, buyer_present=not absent)
    if intent.failure is not None:
        raise refusals.failed(context, intent)
    return intent


def _check_descriptor(intent: PaymentIntent, method: PaymentMethod) -> None:
    if method.card is not None and intent.intent_data.statement_descriptor is not None:
        raise invalid(
            "statement_descriptor",
            "The statement_descriptor parameter is not supported for the payment_method_type `card`. To continue "
            "supporting payment_method_type `card`, please pass in `statement_descriptor_suffix` or remove the "
            "`statement_descriptor` parameter altogether.",
        )


def _with_method(context: Context, intent: PaymentIntent, method: PaymentMethod) -> PaymentIntent:
    context.state.methods.put(method)
    return evolve(intent, payment_method=method.id, failure=None, status="requires_confirmation")


def _with_fields(context: Context, intent: PaymentIntent, params: Params, *, unsettable: bool = True) -> PaymentIntent:
    """The intent with what a request says of it; a new one has nothing to unset."""
    customer = buyers.known(context, params) if "customer" in params else intent.customer
    allowed, excluded = params.texts("allowed_payment_method_types"), params.texts("excluded_payment_method_types")
    if (allowed is not None and "card" not in allowed) or "card" in (excluded or ()):
        name = "excluded_payment_method_types" if "card" in (excluded or ()) else "allowed_payment_method_types"
        raise not_implemented("payment intents by API without cards", name)
    usage = params.choice("setup_future_usage", ("off_session", "on_session"), unsettable=unsettable)
    return evolve(
        _with_data(intent, params, unsettable=unsettable),
        customer=customer,
        capture_method=params.choice("capture_method", intents.CAPTURE_METHODS) or intent.capture_method,
        setup_future_usage=intent.setup_future_usage if usage is None else usage or None,
        allowed_payment_method_types=intent.allowed_payment_method_types if allowed is None else tuple(allowed),
        excluded_payment_method_types=intent.excluded_payment_method_types if excluded is None else tuple(excluded),
    )


def _with_data(intent: PaymentIntent, params: Params, *, unsettable: bool = True) -> PaymentIntent:
    data = intent.intent_data
    receipt = params.email("receipt_email", unsettable=unsettable)
    shipping = params.child("shipping", unsettable=True)
    changed = evolve(
        data,
        metadata=params.metadata(current=data.metadata),
        description=_text(params, "description", data.description, 1000),
        receipt_email=data.receipt_email if receipt is None else receipt or None,
        statement_descriptor=_text(params, "statement_descriptor", data.statement_descriptor, 22),
        statement_descriptor_suffix=_text(params, "statement_descriptor_suffix", data.statement_descriptor_suffix, 22),
        shipping=data.shipping if "shipping" not in params else addresses.shipping(shipping),
    )
    return evolve(intent, intent_data=changed)


def _text(params: Params, name: str, current: str | None, limit: int) -> str | None:
    given = params.text(name, limit=limit, unsettable=True)
    return current if given is None else given or None


def _automatic(context: Context, params: Params) -> str | None:
    """How far redirects are allowed; None for a request of old that names its payment methods itself."""
    chosen = params.child("automatic_payment_methods")
    if "payment_method_types" in params:
        if not context.lenient:
            raise invalid(
                "payment_method_types",
                "`payment_method_types` is no longer supported as of API version 2026-09-30.endive. Use "
                "`allowed_payment_method_types`, `excluded_payment_method_types` or the Dashboard.",
                "payment_method_types_no_longer_supported",
            )
        if "card" not in (params.texts("payment_method_types") or []):
            raise not_implemented("payment intents by API without cards", "payment_method_types")
        return None
    if chosen is None:
        return "always"
    chosen.only("enabled", "allow_redirects")
    redirects = chosen.choice("allow_redirects", ("always", "never"))
    enabled = chosen.boolean("enabled")
    if enabled is None:
        raise missing(chosen.name("enabled"))
    return (redirects or "always") if enabled else None


def _confirming(intent: PaymentIntent, params: Params) -> PaymentIntent:
    params.boolean("use_stripe_sdk")
    back = params.url("return_url")
    only_cards = intent.allowed_payment_method_types == ("card",)
    if intent.automatic == "always" and back is None and intent.return_url is None and not only_cards:
        raise StripeRefusal(_NEEDS_RETURN_URL)
    return evolve(intent, return_url=back or intent.return_url)


def _method(context: Context, intent: PaymentIntent, params: Params) -> PaymentMethod | None:
    """The payment method of this request, None where it names none. Refused where it is not this intent's to use."""
    data, method_id = params.child("payment_method_data"), params.text("payment_method", unsettable=True)
    if data is not None and method_id is not None:
        raise invalid(
            "payment_method_data",
            "You may only specify one of these parameters: payment_method, payment_method_data.",
            "parameters_exclusive",
        )
    if data is not None:
        data.only(
            "allow_redisplay", "billing_details", "card", "metadata", "type",
            elsewhere=(*payment_methods.OTHER_TYPES, "radar_options"),
        )  # fmt: skip
        return payment_methods.read(context, data)
    if not method_id:
        return None
    method = payment_methods.named(context, method_id, "payment_method", status=400)
    if method.customer is not None and method.customer != intent.customer:
        raise invalid(
            "payment_method",
            f"The customer does not have a payment method with the ID {method.id}. The payment method must be attached "
            "to the customer.",
            "resource_missing",
        )
    payment_methods.check_usable(context, method)
    return method


def _checked_amount(amount: int, currency: str) -> int:
    smallest, step = MINIMUM_MINOR.get(currency, 1), step_minor(currency)
    if amount < smallest:
        least = Money(smallest, currency).decimal
        raise invalid("amount", f"Amount must be at least {least} {currency}", "amount_too_small")
    if amount > MAX_AMOUNT_MINOR:
        raise invalid("amount", "Amount must be no more than twelve digits.", "amount_too_large")
    if amount % step:
        raise invalid("amount", f"Invalid amount: amounts in {currency} must be a multiple of {step}.")
    return amount


def _require_unpaid(context: Context, intent: PaymentIntent, name: str) -> None:
    _refuse_checkouts(context, intent)
    if intent.status not in intents.CONFIRMABLE:
        raise StripeRefusal(
            f"This PaymentIntent's {name} could not be updated because it has a status of {intent.status}. You may "
            f"only update the {name} of a PaymentIntent with one of the following statuses: "
            f"{', '.join(intents.CONFIRMABLE)}.",
            code="payment_intent_unexpected_state",
            param=name,
        )


def _refuse_checkouts(context: Context, intent: PaymentIntent) -> None:
    if context.state.session_of(intent.id) is not None:
        raise StripeRefusal(
            "You cannot perform this action on PaymentIntents created by Checkout.",
            code="payment_intent_unexpected_state",
        )


def _no_method() -> StripeRefusal:
    return StripeRefusal(
        "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
        "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment "
        "method or ConfirmationToken.",
        code="payment_intent_unexpected_state",
    )
