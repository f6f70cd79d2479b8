"""The life of a payment intent: one state machine for those of sessions, of invoices and of the API.

requires_payment_method ──method──▶ requires_confirmation ──confirm──▶ requires_action ──challenge passed──▶ …
 ▲                                                         └─▶ processing, requires_capture or succeeded
 └──────────── declined, challenge failed, a delayed payment that fails
any of them but processing and succeeded ──cancel──▶ canceled

Every step emits Stripe's events in Stripe's order and then moves what hangs on the intent (`followers`).
"""

from __future__ import annotations

from attrs import evolve

from . import disputes, followers, render
from .errors import StripeRefusal
from .records.payments import Charge, Decline, Failure, PaymentIntent, PaymentMethod
from .state import Context

UNAUTHENTICATED = Decline(
    "payment_intent_authentication_failure",
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod "
    "to attempt to fulfill this PaymentIntent again.",
)
AUTHENTICATION_REQUIRED = Decline(
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
    "authentication_required",
)
CAPTURE_METHODS = ("automatic", "automatic_async", "manual")
CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELABLE = (*CONFIRMABLE, "requires_capture")


def begin(context: Context, intent: PaymentIntent) -> PaymentIntent:
    """Put a new intent into the state."""
    context.state.intents.put(intent)
    context.emit("payment_intent.created", render.payment_intent(context, intent))
    return intent


def confirm(
    context: Context, intent: PaymentIntent, method: PaymentMethod, *, buyer_present: bool = True
) -> PaymentIntent:
    """Try a payment method. The intent that comes back tells what became of it; a decline is in its `failure`.

    Where the buyer is not there to be challenged, the issuer refuses a card that needs it.
    """
    require(intent, CONFIRMABLE, "confirm")
    known = intent.authenticated and intent.payment_method == method.id
    chosen = evolve(intent, payment_method=method.id, failure=None, authenticated=False)
    if known:
        return _authorize(context, chosen, method, authenticated=True)
    if method.conduct.challenge and not buyer_present:
        return _refuse(context, chosen, _charge(context, chosen, method), AUTHENTICATION_REQUIRED)
    if method.conduct.challenge:
        waiting = context.state.intents.put(evolve(chosen, status="requires_action"))
        context.emit("payment_intent.requires_action", render.payment_intent(context, waiting))
        return waiting
    return _authorize(context, chosen, method)


def authenticate(context: Context, intent: PaymentIntent, *, passed: bool) -> PaymentIntent:
    """The buyer has answered the 3-D Secure challenge of an intent that `requires_action`."""
    require(intent, ("requires_action",), "authenticate")
    method = context.state.methods.need(intent.payment_method or "")
    if passed and intent.confirmation_method == "manual":
        return context.state.intents.put(evolve(intent, status="requires_confirmation", authenticated=True))
    if passed:
        return _authorize(context, intent, method, authenticated=True)
    return _fail(context, intent, Failure(UNAUTHENTICATED, method.id))


def settle(context: Context, intent: PaymentIntent, decline: Decline | None) -> PaymentIntent:
    """End a delayed payment: it succeeds, or fails with `decline`."""
    require(intent, ("processing",), "settle")
    charge = context.state.charges.need(intent.latest_charge or "")
    ended = evolve(intent, settles_at=None)
    if decline is None:
        return _succeed(
            context,
            ended,
            context.state.charges.put(evolve(charge, status="succeeded", captured_minor=charge.amount_minor)),
        )
    failed = context.state.charges.put(evolve(charge, status="failed", decline=decline))
    context.emit("charge.failed", render.charge(context, failed))
    return _fail(context, ended, Failure(decline, charge.payment_method, charge.id))


def settle_overdue(context: Context) -> None:
    """End every delayed payment whose time has come, as its method behaves."""
    for intent in context.state.intents:
        if intent.settles_at is not None and intent.settles_at <= context.now:
            charge = context.state.charges.need(intent.latest_charge or "")
            settle(context, intent, context.state.methods.need(charge.payment_method).conduct.decline)


def capture(context: Context, intent: PaymentIntent, amount_minor: int) -> PaymentIntent:
    """Take what is held, or a part of it; the rest is released."""
    require(intent, ("requires_capture",), "capture")
    charge = context.state.charges.need(intent.latest_charge or "")
    taken = context.state.charges.put(
        evolve(charge, captured_minor=amount_minor, refunded_minor=charge.amount_minor - amount_minor)
    )
    context.emit("charge.captured", render.charge(context, taken))
    return _succeed(context, intent, taken)


def cancel(context: Context, intent: PaymentIntent, reason: str | None) -> PaymentIntent:
    """Give an intent up; what is held is released."""
    require(intent, CANCELABLE, "cancel")
    charge = context.state.charges.get(intent.latest_charge or "") if intent.status == "requires_capture" else None
    if charge is not None:
        released = context.state.charges.put(evolve(charge, refunded_minor=charge.amount_minor))
        context.emit("charge.refunded", render.charge(context, released), {"amount_refunded": 0, "refunded": False})
    canceled = context.state.intents.put(
        evolve(intent, status="canceled", canceled_at=context.now, cancellation_reason=reason)
    )
    context.emit("payment_intent.canceled", render.payment_intent(context, canceled))
    return canceled


def require(intent: PaymentIntent, statuses: tuple[str, ...], verb: str) -> None:
    """Raise Stripe's `payment_intent_unexpected_state` unless the intent is in one of `statuses`."""
    if intent.status in statuses:
        return
    wanted = ", ".join(statuses)
    raise StripeRefusal(
        f"You cannot {verb} this PaymentIntent because it has a status of {intent.status}. Only a PaymentIntent "
        f"with one of the following statuses may be {_past(verb)}: {wanted}.",
        code="payment_intent_unexpected_state",
    )


def _past(verb: str) -> str:
    return {"confirm": "confirmed", "cancel": "canceled", "settle": "settled"}.get(verb, f"{verb}d")


def _authorize(
    context: Context, intent: PaymentIntent, method: PaymentMethod, *, authenticated: bool = False
) -> PaymentIntent:
    charge = evolve(_charge(context, intent, method), authenticated=authenticated)
    conduct = method.conduct
    if conduct.settles_in_s is not None:
        until = context.now + conduct.settles_in_s if conduct.settles_in_s >= 0 else None
        return _wait(context, intent, evolve(charge, status="pending"), until)
    if conduct.decline is not None:
        return _refuse(context, intent, charge, conduct.decline)
    if intent.capture_method == "manual":
        return _hold(context, intent, charge)
    paid = context.state.charges.put(evolve(charge, captured_minor=charge.amount_minor))
    return _succeed(context, intent, paid)


def _charge(context: Context, intent: PaymentIntent, method: PaymentMethod) -> Charge:
    return Charge(
        id=context.ids.new("ch_3", 23),
        created=context.now,
        amount_minor=intent.amount_minor,
        currency=intent.currency,
        payment_intent=intent.id,
        payment_method=method.id,
        intent_data=intent.intent_data,
        customer=intent.customer,
    )


def _refuse(context: Context, intent: PaymentIntent, charge: Charge, decline: Decline) -> PaymentIntent:
    failed = context.state.charges.put(evolve(charge, status="failed", decline=decline))
    context.emit("charge.failed", render.charge(context, failed))
    return _fail(context, intent, Failure(decline, charge.payment_method, failed.id))


def _wait(context: Context, intent: PaymentIntent, charge: Charge, until: int | None) -> PaymentIntent:
    context.state.charges.put(charge)
    waiting = context.state.intents.put(evolve(intent, status="processing", latest_charge=charge.id, settles_at=until))
    context.emit("charge.pending", render.charge(context, charge))
    context.emit("payment_intent.processing", render.payment_intent(context, waiting))
    followers.follow(context, waiting)
    return waiting


def _hold(context: Context, intent: PaymentIntent, charge: Charge) -> PaymentIntent:
    context.state.charges.put(charge)
    held = context.state.intents.put(evolve(intent, status="requires_capture", latest_charge=charge.id))
    context.emit("charge.succeeded", render.charge(context, charge))
    context.emit("payment_intent.amount_capturable_updated", render.payment_intent(context, held))
    followers.follow(context, held)
    return held


def _succeed(context: Context, intent: PaymentIntent, charge: Charge) -> PaymentIntent:
    was_held = intent.status == "requires_capture"
    paid = context.state.intents.put(
        evolve(intent, status="succeeded", latest_charge=charge.id, received_minor=charge.captured_minor or 0)
    )
    if not was_held:
        context.emit("charge.succeeded", render.charge(context, charge))
    context.emit("payment_intent.succeeded", render.payment_intent(context, paid))
    followers.follow(context, paid)
    disputes.follow(context, charge)
    return paid


def _fail(context: Context, intent: PaymentIntent, failure: Failure) -> PaymentIntent:
    failed = context.state.intents.put(
        evolve(
            intent,
            status="requires_payment_method",
            payment_method=None,
            latest_charge=failure.charge or intent.latest_charge,
            failure=failure,
        )
    )
    context.emit("payment_intent.payment_failed", render.payment_intent(context, failed))
    followers.follow(context, failed)
    return failed
