"""Payment methods by API: of a test token, a test IBAN or a test id; attached to customers and detached."""

from __future__ import annotations

import re

from attrs import evolve

from . import addresses, buyers, cards, debits, refusals, render
from .catalogue import difference
from .errors import StripeRefusal, invalid, missing, not_implemented
from .params import Params
from .records.payments import Buyer, Card, PaymentMethod
from .state import Context

#: Payment method types that Stripe knows and that cannot be made here.
OTHER_TYPES = (
    "acss_debit", "affirm", "afterpay_clearpay", "alipay", "alma", "amazon_pay", "au_becs_debit", "bacs_debit",
    "bancontact", "billie", "bizum", "blik", "boleto", "cashapp", "crypto", "custom", "customer_balance", "eps", "fpx",
    "giropay", "grabpay", "ideal", "interac_present", "kakao_pay", "klarna", "konbini", "kr_card", "link", "mb_way",
    "mobilepay", "multibanco", "naver_pay", "nz_bank_account", "oxxo", "p24", "pay_by_bank", "payco", "paynow",
    "paypal", "paypay", "payto", "pix", "promptpay", "revolut_pay", "samsung_pay", "satispay", "scalapay",
    "sequra", "sofort", "sunbit", "swish", "twint", "upi", "us_bank_account", "wechat_pay", "zip",
)  # fmt: skip
KNOWN_TYPES = ("card", "sepa_debit", *OTHER_TYPES)
REDISPLAY = ("always", "limited", "unspecified")
_NUMBERS = (
    "Sending credit card numbers directly to the Stripe API is generally unsafe. To continue processing use Stripe.js, "
    "the Stripe mobile bindings, or Stripe Elements; in tests use a token like tok_visa or a payment method like "
    "pm_card_visa."
)


def create(context: Context, params: Params) -> PaymentMethod:
    """`POST /v1/payment_methods`: a card from a token, or an account from a test IBAN."""
    params.only(
        "allow_redisplay", "billing_details", "card", "metadata", "sepa_debit", "type",
        elsewhere=(*OTHER_TYPES, "customer", "payment_method", "radar_options"),
    )  # fmt: skip
    return context.state.methods.put(read(context, params))


def read(context: Context, params: Params) -> PaymentMethod:
    """A payment method as `payment_method_data` or the whole request describes it, not put into the state yet."""
    kind = params.text("type")
    if kind is None:
        raise missing(params.name("type"))
    if kind in OTHER_TYPES:
        raise not_implemented(f"payment methods of type {kind}", params.name("type"))
    kind = params.choice("type", ("card", "sepa_debit")) or ""
    described = params.child(kind)
    if described is None:
        raise missing(params.name(kind))
    buyer = _buyer(params.child("billing_details"), Buyer(None))
    return evolve(
        _from_token(context, described) if kind == "card" else _from_iban(context, described, buyer),
        buyer=buyer,
        metadata=params.metadata(),
        allow_redisplay=params.choice("allow_redisplay", REDISPLAY) or "unspecified",
    )


def named(context: Context, method_id: str, param: str, *, status: int = 404) -> PaymentMethod:
    """The payment method of an id. A test id (`pm_card_visa`) gives a new one each time, as at Stripe."""
    if context.state.methods.get(method_id) is None:
        number = cards.number_of(method_id, "pm_card_")
        if number is not None:
            return context.state.methods.put(_from_number(context, number))
        if method_id.startswith(("pm_card_", "pm_usBankAccount", "pm_sepa")):
            raise not_implemented(f"the test payment method {method_id[:60]}", param)
    return context.state.methods.need(method_id, param, status=status)


def attach(context: Context, method: PaymentMethod, params: Params) -> PaymentMethod:
    """`POST /v1/payment_methods/{id}/attach`. The issuer is asked: a card that is declined is not attached."""
    params.only("customer", elsewhere=("customer_account",))
    customer_id = buyers.known(context, params)
    if customer_id is None:
        raise missing("customer")
    return attach_to(context, method, customer_id)


def attach_to(context: Context, method: PaymentMethod, customer_id: str) -> PaymentMethod:
    """Save a payment method for a customer. Raises StripeRefusal where it belongs to another, or is declined."""
    if method.customer == customer_id:
        return method
    check_attachable(context, method, customer_id)
    attached = context.state.methods.put(evolve(method, customer=customer_id))
    context.emit("payment_method.attached", render.payment_method(attached))
    return attached


def check_attachable(context: Context, method: PaymentMethod, customer_id: str) -> None:
    """Raise StripeRefusal where a payment method is another customer's, can be used no more, or its issuer says no."""
    if method.customer not in (None, customer_id):
        raise StripeRefusal(
            "The payment method you provided has already been attached to a customer.", param="payment_method"
        )
    if _is_spent(context, method):
        raise StripeRefusal(
            "This PaymentMethod was previously used without being attached to a Customer or was detached from a "
            "Customer, and may not be used again.",
            param="payment_method",
        )
    decline = method.conduct.decline
    if decline is not None and not method.conduct.attachable and not method.conduct.challenge:
        raise refusals.declined(decline, method)


def check_usable(context: Context, method: PaymentMethod) -> None:
    """Raise StripeRefusal where a payment method of no customer has paid already, or was detached from its customer."""
    if _is_spent(context, method):
        raise StripeRefusal(
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared "
            "with a connected account without Customer attachment, or was detached from a Customer. It may not be used "
            "again. To use a PaymentMethod multiple times, you must attach it to a Customer first.",
            param="payment_method",
        )


def _is_spent(context: Context, method: PaymentMethod) -> bool:
    if method.customer is not None:
        return False
    paid = (charge for charge in context.state.charges if charge.status != "failed")
    return method.detached or any(charge.payment_method == method.id for charge in paid)


def detach(context: Context, method: PaymentMethod) -> PaymentMethod:
    """`POST /v1/payment_methods/{id}/detach`."""
    if method.customer is None:
        raise StripeRefusal(
            "The payment method you provided is not attached to a customer so detachment is impossible."
        )
    detached = context.state.methods.put(evolve(method, customer=None, detached=True))
    customer = context.state.customers.get(method.customer)
    if customer is not None and customer.default_payment_method == method.id:
        context.state.customers.put(evolve(customer, default_payment_method=None))
    context.emit("payment_method.detached", render.payment_method(detached), {"customer": method.customer})
    return detached


def update(context: Context, method: PaymentMethod, params: Params) -> PaymentMethod:
    """`POST /v1/payment_methods/{id}`: what was said about it, and a card's expiry."""
    params.only("allow_redisplay", "billing_details", "card", "metadata", elsewhere=("us_bank_account",))
    changed = evolve(
        method,
        buyer=_buyer(params.child("billing_details"), method.buyer),
        metadata=params.metadata(current=method.metadata),
        allow_redisplay=params.choice("allow_redisplay", REDISPLAY) or method.allow_redisplay,
    )
    card = params.child("card")
    if card is not None:
        changed = evolve(changed, card=_with_expiry(method, card))
    if changed != method:
        context.state.methods.put(changed)
        before, after = render.payment_method(method), render.payment_method(changed)
        context.emit("payment_method.updated", after, difference(before, after))
    return changed


def _with_expiry(method: PaymentMethod, params: Params) -> Card:
    params.only("exp_month", "exp_year", elsewhere=("networks",))
    if method.card is None:
        raise invalid("card", f"You cannot update `card` on a payment method of type {method.type}.")
    month = params.integer("exp_month", minimum=1, maximum=12) or method.card.exp_month
    year = params.integer("exp_year", minimum=2000, maximum=2100) or method.card.exp_year
    return evolve(method.card, exp_month=month, exp_year=year)


def _from_token(context: Context, card: Params) -> PaymentMethod:
    if "number" in card:
        raise StripeRefusal(_NUMBERS, param=card.name("number"))
    card.only("token", elsewhere=("networks",))
    token = card.required("token")
    number = cards.number_of(token, "tok_")
    if number is None:
        if token.startswith("tok_") and len(token) < 60:
            raise not_implemented(f"the test token {token}", card.name("token"))
        raise invalid(card.name("token"), f"No such token: '{token[:60]}'", "resource_missing")
    return _from_number(context, number)


def _from_iban(context: Context, account: Params, buyer: Buyer) -> PaymentMethod:
    account.only("iban")
    iban = re.sub(r"\s", "", account.required("iban", limit=50)).upper()
    label = account.name("iban")
    if not debits.iban_is_valid(iban):
        raise invalid(label, "The IBAN you provided is invalid.", "invalid_iban")
    if iban not in debits.TEST_IBANS:
        raise not_implemented("other IBANs than Stripe's test IBANs", label)
    for name, value in (("name", buyer.name), ("email", buyer.email)):
        if value is None:
            raise missing(f"billing_details[{name}]")
    found = debits.sepa(iban)
    return PaymentMethod(
        context.ids.new("pm_1", 23), context.now, None, buyer, found.conduct, found.type, found.details,
        allow_redisplay="unspecified",
    )  # fmt: skip


def _from_number(context: Context, number: str) -> PaymentMethod:
    ready = cards.ready(number, *cards.two_years_on(context.now))
    return PaymentMethod(
        id=context.ids.new("pm_1", 23),
        created=context.now,
        card=ready.card,
        buyer=Buyer(None),
        conduct=ready.conduct,
        allow_redisplay="unspecified",
    )


def _buyer(params: Params | None, current: Buyer) -> Buyer:
    if params is None:
        return current
    params.only("address", "email", "name", "phone", elsewhere=("tax_id",))
    return Buyer(
        email=params.email("email") or current.email,
        name=params.text("name") or current.name,
        phone=params.text("phone") or current.phone,
        address=addresses.address(params.child("address")) or current.address,
    )
