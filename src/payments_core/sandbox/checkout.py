"""Making and changing Checkout Sessions in payment mode, with the checks Stripe makes."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from . import addresses, checkout_options, lines, pricing
from .errors import invalid, missing, not_implemented
from .intents import CAPTURE_METHODS
from .params import Params
from .records.checkout import Session
from .records.payments import IntentData
from .state import Context

MIN_LIFE_S = 30 * 60
MAX_LIFE_S = 24 * 3600
#: A request takes a moment to arrive: a clock that runs a little differently is forgiven.
LIFE_SLACK_S = 60
#: `auto` and the empty text leave it to the browser.
LOCALES = (
    "auto", "bg", "cs", "da", "de", "el", "en", "en-GB", "es", "es-419", "et", "fi", "fil", "fr", "fr-CA", "hi-IN",
    "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "ms", "mt", "nb", "nl", "pl", "pt", "pt-BR", "ro", "ru", "sk", "sl",
    "sv", "th", "tr", "vi", "zh", "zh-HK", "zh-TW",
)  # fmt: skip

_IMPLEMENTED = (
    "adaptive_pricing", "allow_promotion_codes", "allowed_payment_method_types", "automatic_tax",
    "billing_address_collection", "branding_settings", "cancel_url", "client_reference_id", "currency", "custom_text",
    "customer", "customer_creation", "customer_email", "discounts", "excluded_payment_method_types", "expires_at",
    "integration_identifier", "invoice_creation", "line_items", "locale", "metadata", "mode", "origin_context",
    "payment_intent_data", "payment_method_types", "phone_number_collection", "redirect_on_completion", "return_url",
    "shipping_address_collection", "shipping_options", "submit_type", "success_url", "ui_mode",
)  # fmt: skip
#: Known to Stripe, refused here with words that say so.
_ELSEWHERE = (
    "after_expiration", "consent_collection", "custom_fields", "customer_account", "customer_update",
    "name_collection", "optional_items", "payment_method_collection", "payment_method_configuration",
    "payment_method_data", "payment_method_options", "permissions", "saved_payment_method_options",
    "setup_intent_data", "subscription_data", "wallet_options",
)  # fmt: skip
#: Accepted while they ask for what is the case anyway.
_OFF: Mapping[str, Mapping[str, str]] = {
    "managed_payments": {"enabled": "false"},
    "tax_id_collection": {"enabled": "false"},
}


def create(context: Context, params: Params) -> Session:
    """`POST /v1/checkout/sessions`. Nothing enters the state before every parameter has been checked."""
    params.only(*_IMPLEMENTED, elsewhere=_ELSEWHERE, off=_OFF)
    _check_mode(params)
    ui_mode = _ui_mode(params)
    parsed = lines.read(context, params)
    session_id = context.ids.new("cs_test_a1", 56)
    session = Session(
        id=session_id,
        created=context.now,
        expires_at=_expires_at(context, params),
        currency=parsed[0].item.currency,
        lines=tuple(line.item for line in parsed),
        ui_mode=ui_mode,
        client_secret=context.ids.new(f"{session_id}_secret_", 44) if ui_mode == "embedded_page" else None,
        client_reference_id=params.text("client_reference_id", limit=200),
        customer_email=params.email("customer_email"),
        metadata=params.metadata(),
        intent_data=_intent_data(params),
        allowed_payment_method_types=_types(params, "allowed_payment_method_types"),
        excluded_payment_method_types=_types(params, "excluded_payment_method_types"),
    )
    session = _with_appearance(_with_redirects(session, params), params)
    session, shipping_rates = checkout_options.read(context, session, params)
    pricing.check_total(session)
    lines.keep(context, parsed)
    for rate in shipping_rates:
        context.state.shipping_rates.put(rate)
    # Anew, now that the rates made for it are known.
    session = pricing.priced(context, session)
    return context.state.sessions.put(session)


def update(context: Context, session: Session, params: Params) -> Session:
    """`POST /v1/checkout/sessions/{id}`: metadata, as long as the object exists."""
    params.only(
        "metadata",
        elsewhere=("collected_information", "line_items", "payment_intent_data", "shipping_options"),
    )
    return context.state.sessions.put(evolve(session, metadata=params.metadata(current=session.metadata)))


def _check_mode(params: Params) -> None:
    mode = params.choice("mode", ("payment", "setup", "subscription"))
    if mode is None:
        raise missing("mode")
    if mode != "payment":
        raise not_implemented(f"Checkout Sessions in {mode} mode", "mode")


def _ui_mode(params: Params) -> str:
    mode = params.choice("ui_mode", ("elements", "embedded_page", "form", "hosted_page")) or "hosted_page"
    if mode in ("elements", "form"):
        raise not_implemented(f"ui_mode {mode}", "ui_mode")
    return mode


def _with_redirects(session: Session, params: Params) -> Session:
    success, cancel, back = params.url("success_url"), params.url("cancel_url"), params.url("return_url")
    if session.ui_mode == "hosted_page":
        if success is None:
            raise missing("success_url")
        if back is not None:
            raise invalid("return_url", "`return_url` can only be used with `ui_mode: embedded_page`.")
        if "redirect_on_completion" in params:
            raise invalid("redirect_on_completion", "This is for `ui_mode: embedded_page` only.")
        return evolve(session, success_url=success, cancel_url=cancel)
    for name, value in (("success_url", success), ("cancel_url", cancel)):
        if value is not None:
            raise invalid(name, f"`{name}` cannot be used with `ui_mode: embedded_page`. Use `return_url` instead.")
    redirect = params.choice("redirect_on_completion", ("always", "if_required", "never")) or "always"
    if redirect == "never" and back is not None:
        raise invalid("return_url", "`return_url` cannot be used with `redirect_on_completion: never`.")
    if redirect != "never" and back is None:
        raise missing("return_url")
    return evolve(session, return_url=back, redirect_on_completion=redirect)


def _types(params: Params, name: str) -> tuple[str, ...] | None:
    types = params.texts(name)
    return None if types is None else tuple(types)


def _expires_at(context: Context, params: Params) -> int:
    at = params.integer("expires_at")
    if at is None:
        return context.now + MAX_LIFE_S
    life = at - context.now
    if not MIN_LIFE_S - LIFE_SLACK_S <= life <= MAX_LIFE_S + LIFE_SLACK_S:
        raise invalid(
            "expires_at",
            "The `expires_at` timestamp must be at least 30 minutes and at most 24 hours from Checkout Session "
            "creation.",
        )
    return at


def _intent_data(params: Params) -> IntentData:
    data = params.child("payment_intent_data")
    if data is None:
        return IntentData()
    data.only(
        "capture_method", "metadata", "description", "receipt_email", "setup_future_usage", "statement_descriptor",
        "statement_descriptor_suffix", "shipping",
        elsewhere=("application_fee_amount", "on_behalf_of", "transfer_data", "transfer_group"),
    )  # fmt: skip
    return IntentData(
        metadata=data.metadata(),
        description=data.text("description", limit=1000),
        receipt_email=data.email("receipt_email"),
        statement_descriptor=data.text("statement_descriptor", limit=22),
        statement_descriptor_suffix=data.text("statement_descriptor_suffix", limit=22),
        shipping=addresses.shipping(data.child("shipping")),
        setup_future_usage=data.choice("setup_future_usage", ("off_session", "on_session")),
        capture_method=data.choice("capture_method", CAPTURE_METHODS) or "automatic_async",
    )


def _with_appearance(session: Session, params: Params) -> Session:
    if params.choice("billing_address_collection", ("auto", "required")) == "required":
        raise not_implemented("collecting a billing address", "billing_address_collection")
    pricing, branding = params.child("adaptive_pricing"), params.child("branding_settings")
    if pricing is not None:
        pricing.only("enabled")
    if branding is not None:
        branding.only(
            "display_name",
            elsewhere=("background_color", "border_style", "button_color", "font_family", "icon", "logo"),
        )
    return evolve(
        session,
        adaptive_pricing=bool(pricing and pricing.boolean("enabled")),
        billing_address_collection=params.text("billing_address_collection"),
        display_name=branding.text("display_name", limit=100) if branding else None,
        integration_identifier=params.text("integration_identifier"),
        locale=params.choice("locale", LOCALES, unsettable=True) or None,
        origin_context=params.choice("origin_context", ("mobile_app", "web")),
        submit_type=params.choice("submit_type", ("auto", "book", "donate", "pay", "subscribe")),
    )
