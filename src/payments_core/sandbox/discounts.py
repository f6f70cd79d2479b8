"""Coupons and promotion codes: made, changed, looked up for a session, and counted when they are redeemed."""

from __future__ import annotations

import re
from decimal import Decimal

from attrs import evolve

from .errors import JsonObject, invalid, missing, not_implemented
from .params import Params
from .records.checkout import Session
from .records.pricing import Coupon, PromotionCode
from .shapes import pricing as shapes
from .state import Context
from .totals import Discount

DURATIONS = ("forever", "once", "repeating")


class NotApplicable(Exception):
    """A code or coupon cannot be used for a session; the text says why, in words for the buyer."""


def create_coupon(context: Context, params: Params) -> Coupon:
    """`POST /v1/coupons`: `percent_off`, or `amount_off` with `currency`."""
    params.only(
        "amount_off", "applies_to", "currency", "currency_options", "duration", "duration_in_months", "id",
        "max_redemptions", "metadata", "name", "percent_off", "redeem_by",
    )  # fmt: skip
    coupon_id = params.text("id", limit=200) or context.ids.new("", 8)
    if context.state.coupons.get(coupon_id) is not None:
        raise invalid("id", f"Coupon already exists: {coupon_id}", "resource_already_exists")
    duration = params.choice("duration", DURATIONS) or "once"
    months = params.integer("duration_in_months", minimum=1)
    if (months is not None) != (duration == "repeating"):
        raise invalid("duration_in_months", "`duration_in_months` is for `duration: repeating`, and needed there.")
    redeem_by = params.integer("redeem_by")
    if redeem_by is not None and redeem_by <= context.now:
        raise invalid("redeem_by", "`redeem_by` must be in the future.")
    applies = params.child("applies_to")
    if applies is not None:
        applies.only("products")
    products = applies.texts("products") if applies is not None else None
    coupon = Coupon(
        id=coupon_id,
        created=context.now,
        duration=duration,
        duration_in_months=months,
        percent_off=_percent(params),
        products=None if products is None else tuple(products),
        name=params.text("name", limit=40),
        max_redemptions=params.integer("max_redemptions", minimum=1),
        redeem_by=redeem_by,
        metadata=params.metadata(),
    )
    coupon = context.state.coupons.put(_with_amounts(coupon, params))
    context.emit("coupon.created", shapes.coupon(coupon, context.now))
    return coupon


def update_coupon(context: Context, coupon: Coupon, params: Params) -> Coupon:
    """`POST /v1/coupons/{id}`: its name, metadata and amounts in further currencies; nothing else ever changes."""
    params.only("currency_options", "metadata", "name")
    name = params.text("name", limit=40, unsettable=True)
    changed = evolve(
        coupon,
        name=coupon.name if name is None else name or None,
        metadata=params.metadata(current=coupon.metadata),
        amounts_off={**_amounts(params, "amount_off"), **coupon.amounts_off},
    )
    context.state.coupons.put(changed)
    context.emit("coupon.updated", shapes.coupon(changed, context.now))
    return changed


def delete_coupon(context: Context, coupon: Coupon) -> JsonObject:
    """`DELETE /v1/coupons/{id}`: it cannot be redeemed any more; what it took off stays off."""
    context.state.coupons.drop(coupon.id)
    context.emit("coupon.deleted", shapes.coupon(coupon, context.now))
    return {"id": coupon.id, "object": "coupon", "deleted": True}


def create_code(context: Context, params: Params) -> PromotionCode:
    """`POST /v1/promotion_codes`, for a coupon; a code is made up where none is given."""
    params.only(
        "active", "code", "expires_at", "max_redemptions", "metadata", "promotion", "restrictions",
        elsewhere=("customer", "customer_account"),
    )  # fmt: skip
    promotion = params.child("promotion")
    if promotion is None:
        raise missing("promotion")
    promotion.only("type", "coupon")
    if promotion.choice("type", ("coupon",)) is None:
        raise missing("promotion[type]")
    coupon = context.state.coupons.need(promotion.required("coupon"), "promotion[coupon]", status=400)
    text = params.text("code", limit=500) or context.ids.new("", 8).upper()
    if not re.fullmatch(r"[A-Za-z0-9-]+", text):
        raise invalid("code", "A promotion code may only contain letters, digits and dashes.")
    if any(other.code.lower() == text.lower() and other.usable_at(context.now) for other in context.state.codes):
        raise invalid(
            "code", f"An active promotion code with `code: {text}` already exists.", "resource_already_exists"
        )
    restrictions = params.child("restrictions")
    code = PromotionCode(
        id=context.ids.new("promo_1", 23),
        created=context.now,
        code=text,
        coupon=coupon.id,
        active=params.boolean("active") is not False,
        expires_at=params.integer("expires_at"),
        max_redemptions=params.integer("max_redemptions", minimum=1),
        metadata=params.metadata(),
    )
    code = context.state.codes.put(_restricted(code, restrictions) if restrictions is not None else code)
    context.emit("promotion_code.created", shapes.promotion_code(code))
    return code


def update_code(context: Context, code: PromotionCode, params: Params) -> PromotionCode:
    """`POST /v1/promotion_codes/{id}`: switched on or off, metadata, minimums in further currencies."""
    params.only("active", "metadata", "restrictions")
    active, restrictions = params.boolean("active"), params.child("restrictions")
    if active and not context.state.coupons.get(code.coupon):
        raise invalid("active", "The coupon of this promotion code was deleted: it cannot be activated.")
    if restrictions is not None:
        restrictions.only("currency_options")
        code = evolve(code, minimums={**code.minimums, **_amounts(restrictions, "minimum_amount")})
    active = code.active if active is None else active
    changed = context.state.codes.put(evolve(code, active=active, metadata=params.metadata(current=code.metadata)))
    context.emit("promotion_code.updated", shapes.promotion_code(changed))
    return changed


def usable_code(context: Context, session: Session, text: str) -> PromotionCode:
    """The code a buyer typed, in any case of letters. Raises NotApplicable with words for the buyer."""
    typed = text.strip().lower()
    for code in context.state.codes.newest():
        if code.code.lower() == typed and code.usable_at(context.now):
            check(context, session, code)
            return code
    raise NotApplicable("This code is invalid.")


def check(context: Context, session: Session, code: PromotionCode) -> Coupon:
    """The coupon behind a code. Raises NotApplicable where the session cannot have it."""
    least = code.minimums.get(session.currency)
    if code.minimum_currency is not None and least is None:
        raise NotApplicable("This code is not for this currency.")
    if least is not None and session.totals.subtotal_minor < least:
        raise NotApplicable("Your order is too small for this code.")
    coupon = context.state.coupons.get(code.coupon)
    if coupon is None or not code.usable_at(context.now):
        raise NotApplicable("This code is invalid.")
    return check_coupon(context, session, coupon)


def check_coupon(context: Context, session: Session, coupon: Coupon) -> Coupon:
    """The coupon again. Raises NotApplicable where the session cannot have it."""
    if not coupon.valid_at(context.now):
        raise NotApplicable("This code has expired.")
    if coupon.percent_off is None and session.currency not in coupon.amounts_off:
        raise NotApplicable("This code is not for this currency.")
    if coupon.products is not None and not any(line.product in coupon.products for line in session.lines):
        raise NotApplicable("This code is for none of these items.")
    return coupon


def discount_of(coupon: Coupon, currency: str) -> Discount:
    """What a coupon takes off in a currency."""
    return Discount(coupon.percent_off, None if coupon.percent_off is not None else coupon.amounts_off[currency])


def redeem(context: Context, session: Session) -> None:
    """Count the coupon and the code of a session that has completed."""
    coupon = context.state.coupons.get(session.coupon.id) if session.coupon is not None else None
    if coupon is not None:
        context.state.coupons.put(evolve(coupon, times_redeemed=coupon.times_redeemed + 1))
    code = context.state.codes.get(session.promotion_code or "")
    if code is not None:
        context.state.codes.put(evolve(code, times_redeemed=code.times_redeemed + 1))


def _percent(params: Params) -> Decimal | None:
    percent = params.decimal("percent_off", digits=4)
    if percent is not None and not 0 < percent <= 100:
        raise invalid("percent_off", "Invalid percent_off: must be greater than 0 and at most 100.")
    return percent


def _with_amounts(coupon: Coupon, params: Params) -> Coupon:
    amount, currency = params.integer("amount_off", minimum=1), params.currency("currency")
    if (amount is None) == (coupon.percent_off is None):
        raise invalid("percent_off", "Pass exactly one of percent_off and amount_off.", "parameters_exclusive")
    if amount is None:
        return coupon
    if currency is None:
        raise missing("currency")
    return evolve(coupon, currency=currency, amounts_off={**_amounts(params, "amount_off"), currency: amount})


def _amounts(params: Params, name: str) -> dict[str, int]:
    amounts: dict[str, int] = {}
    for key, entry in params.mapping("currency_options"):
        entry.only(name)
        amount = entry.integer(name, minimum=1)
        if amount is None:
            raise missing(entry.name(name))
        amounts[params.known_currency(key, entry.name(name))] = amount
    return amounts


def _restricted(code: PromotionCode, params: Params) -> PromotionCode:
    params.only("currency_options", "first_time_transaction", "minimum_amount", "minimum_amount_currency")
    if params.boolean("first_time_transaction"):
        name = params.name("first_time_transaction")
        raise not_implemented("promotion codes for first purchases only", name)
    least, currency = params.integer("minimum_amount", minimum=1), params.currency("minimum_amount_currency")
    if (least is None) != (currency is None):
        raise missing(params.name("minimum_amount" if least is None else "minimum_amount_currency"))
    own = {} if least is None or currency is None else {currency: least}
    return evolve(code, minimum_currency=currency, minimums={**_amounts(params, "minimum_amount"), **own})
