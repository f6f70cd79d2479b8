"""What a session asks for beside its lines: discounts, tax, shipping, who buys, ways to pay, words on the page."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from . import buyers, discounts, pricing, rates
from .countries import NAMES
from .errors import invalid, missing, not_implemented
from .params import Params
from .payment_methods import KNOWN_TYPES
from .records.checkout import Session, ShippingOption
from .records.invoices import InvoiceWish
from .records.pricing import ShippingRate
from .shapes.checkout import CUSTOM_TEXTS
from .state import Context

MAX_SHIPPING_OPTIONS = 5
MAX_CUSTOM_TEXT = 1200
#: What a session offers by itself; the Dashboard decides at Stripe.
OFFERED: Mapping[str, tuple[str, ...]] = {"eur": ("card", "sepa_debit"), "usd": ("card", "us_bank_account")}
#: Where nothing is sent to: https://docs.stripe.com/api/checkout/sessions/create (allowed_countries).
UNSUPPORTED_COUNTRIES = frozenset(
    {"AS", "CX", "CC", "CU", "HM", "IR", "KP", "MH", "FM", "NF", "MP", "PW", "SD", "SY", "UM", "VI"}
)
#: `ZZ` is Stripe's word for a region that is not known.
COUNTRIES = sorted({*NAMES, "ZZ"} - UNSUPPORTED_COUNTRIES)


def read(context: Context, session: Session, params: Params) -> tuple[Session, list[ShippingRate]]:
    """The session with all of it and its totals, and shipping rates made for it alone; the state is not touched."""
    automatic_tax, phone = params.child("automatic_tax"), params.child("phone_number_collection")
    if automatic_tax is not None:
        automatic_tax.only("enabled", elsewhere=("liability",))
    if phone is not None:
        phone.only("enabled")
    options, made = _shipping_options(context, session, params)
    session = evolve(
        session,
        automatic_tax=bool(automatic_tax and automatic_tax.boolean("enabled")),
        phone_number_collection=bool(phone and phone.boolean("enabled")),
        shipping_options=options,
        shipping_rate=options[0].rate if options else None,
        shipping_countries=_countries(params),
        custom_text=_custom_text(params),
        method_types=_method_types(context, session.currency, params),
    )
    if session.automatic_tax and any(line.tax_rates for line in session.lines):
        raise invalid("automatic_tax[enabled]", "You cannot use `tax_rates` together with automatic tax.")
    session = _with_invoice(_with_customer(context, session, params), params)
    return _with_discounts(context, session, params), made


def _with_invoice(session: Session, params: Params) -> Session:
    """The wish for an invoice after the payment; only of lines at their plain price."""
    wish = params.child("invoice_creation")
    if wish is None:
        return session
    wish.only("enabled", "invoice_data")
    enabled, data = wish.boolean("enabled"), wish.child("invoice_data")
    if enabled is None:
        raise missing(wish.name("enabled"))
    if data is not None:
        data.only(
            "description", "footer", "metadata",
            elsewhere=("account_tax_ids", "custom_fields", "issuer", "rendering_options"),
        )  # fmt: skip
    if not enabled:
        return session
    taxed = session.automatic_tax or any(line.tax_rates for line in session.lines)
    if taxed or session.shipping_options or "discounts" in params or params.boolean("allow_promotion_codes"):
        raise not_implemented("invoice_creation together with discounts, tax or shipping", "invoice_creation")
    return evolve(
        session,
        invoice_wish=InvoiceWish(
            description=data.text("description", limit=1500) if data else None,
            footer=data.text("footer", limit=5000) if data else None,
            metadata=data.metadata() if data else {},
        ),
    )


def _with_customer(context: Context, session: Session, params: Params) -> Session:
    customer, creation = buyers.known(context, params), params.choice("customer_creation", ("always", "if_required"))
    if customer is not None and (creation is not None or session.customer_email is not None):
        name = "customer_creation" if creation is not None else "customer_email"
        raise invalid(name, f"You may only specify one of these parameters: customer, {name}.", "parameters_exclusive")
    return evolve(session, customer=customer, customer_creation=creation or "if_required")


def _with_discounts(context: Context, session: Session, params: Params) -> Session:
    given, promotions = params.children("discounts") or [], params.boolean("allow_promotion_codes")
    if given and promotions is not None:
        raise invalid(
            "allow_promotion_codes",
            "You may only specify one of these parameters: allow_promotion_codes, discounts.",
            "parameters_exclusive",
        )
    session = pricing.priced(context, evolve(session, allow_promotion_codes=promotions))
    if len(given) > 1:
        raise invalid("discounts", "You may only specify one coupon or promotion code.")
    if not given:
        return session
    entry = given[0]
    entry.only("coupon", "promotion_code")
    coupon_id, code_id = entry.text("coupon"), entry.text("promotion_code")
    if (coupon_id is None) == (code_id is None):
        raise invalid(entry.name("coupon"), "Pass exactly one of coupon and promotion_code.", "parameters_exclusive")
    label = entry.name("coupon" if code_id is None else "promotion_code")
    try:
        if code_id is not None:
            coupon = discounts.check(context, session, context.state.codes.need(code_id, label, status=400))
        else:
            coupon = context.state.coupons.need(coupon_id or "", label, status=400)
            discounts.check_coupon(context, session, coupon)
    except discounts.NotApplicable as refusal:
        raise invalid(label, str(refusal).replace("This code", "This discount")) from None
    return pricing.priced(context, evolve(session, coupon=coupon, promotion_code=code_id))


def _shipping_options(
    context: Context, session: Session, params: Params
) -> tuple[tuple[ShippingOption, ...], list[ShippingRate]]:
    given = params.children("shipping_options") or []
    if len(given) > MAX_SHIPPING_OPTIONS:
        raise invalid("shipping_options", f"You may only specify up to {MAX_SHIPPING_OPTIONS} shipping options.")
    options: list[ShippingOption] = []
    made: list[ShippingRate] = []
    for entry in given:
        entry.only("shipping_rate", "shipping_rate_data")
        data, rate_id = entry.child("shipping_rate_data"), entry.text("shipping_rate")
        if (data is None) == (rate_id is None):
            raise missing(entry.name("shipping_rate"))
        label = entry.name("shipping_rate" if data is None else "shipping_rate_data")
        if data is not None:
            rate = rates.create_shipping(context, data, inline=True)
            made.append(rate)
        else:
            rate = context.state.shipping_rates.need(rate_id or "", label, status=400)
        amount = rate.amounts.get(session.currency)
        if not rate.active or amount is None:
            why = "is inactive" if not rate.active else f"has no amount in {session.currency}"
            raise invalid(label, f"The shipping rate {rate.display_name} {why}.")
        options.append(ShippingOption(rate.id, amount))
    return tuple(options), made


def _countries(params: Params) -> tuple[str, ...] | None:
    collection = params.child("shipping_address_collection")
    if collection is None:
        return None
    collection.only("allowed_countries")
    countries = collection.choices("allowed_countries", COUNTRIES)
    if not countries:
        raise missing(collection.name("allowed_countries"))
    return tuple(dict.fromkeys(countries))


def _custom_text(params: Params) -> dict[str, str]:
    texts = params.child("custom_text")
    if texts is None:
        return {}
    texts.only(*CUSTOM_TEXTS)
    found: dict[str, str] = {}
    for name in CUSTOM_TEXTS:
        entry = texts.child(name) if texts.is_object(name) else None
        if entry is not None:
            entry.only("message")
            found[name] = entry.required("message", limit=MAX_CUSTOM_TEXT)
    return found


def _method_types(context: Context, currency: str, params: Params) -> tuple[str, ...]:
    """The ways to pay: what the sandbox offers in this currency, filtered; or a list as before endive."""
    listed = params.choices("payment_method_types", KNOWN_TYPES)
    excluded = params.choices("excluded_payment_method_types", KNOWN_TYPES) or []
    if listed is not None and not context.lenient:
        raise invalid(
            "payment_method_types",
            "`payment_method_types` is no longer supported as of API version 2026-09-30.endive. Use "
            "`allowed_payment_method_types`, `excluded_payment_method_types` or the Dashboard.",
            "payment_method_types_no_longer_supported",
        )
    allowed = listed if listed is not None else params.choices("allowed_payment_method_types", KNOWN_TYPES)
    offered = OFFERED.get(currency, ("card",))
    types = tuple(kind for kind in offered if (allowed is None or kind in allowed) and kind not in excluded)
    if not types:
        name = "payment_method_types" if listed is not None else "allowed_payment_method_types"
        raise not_implemented(
            f"payment methods other than {', '.join(offered)} in {currency}",
            name if allowed is not None else "excluded_payment_method_types",
        )
    return types
