"""What happens to a session after it was made: it is paid, refused, or runs out.

open ──pay──▶ complete          a declined attempt leaves it open, with the same payment intent
 └──time, expire──▶ expired     its payment intent, if there was an attempt, is canceled
"""

from __future__ import annotations

from attrs import evolve

from . import render
from .cards import Attempt
from .errors import invalid
from .records import Buyer, Charge, PaymentIntent, PaymentMethod, Session
from .state import Context


def settle_free(context: Context, session: Session, buyer: Buyer) -> None:
    """Complete a session of zero total: nothing to charge, so no intent."""
    _must_be_open(session, "completed")
    done = evolve(session, status="complete", payment_status="no_payment_required", buyer=buyer)
    _completed(context, done)


def attempt(context: Context, session: Session, buyer: Buyer, card: Attempt) -> Charge:
    """Charge a card for a session. Returns the charge; a declined one has `decline`, and the session stays open."""
    _must_be_open(session, "paid")
    state = context.state
    intent = state.intents.get(session.payment_intent) if session.payment_intent else None
    if intent is None:
        intent = _begin(context, session)
        session = state.sessions.put(evolve(session, payment_intent=intent.id))
    method = state.methods.put(PaymentMethod(context.ids.new("pm_1", 23), context.now, card.card, buyer))
    charge = state.charges.put(
        Charge(
            id=context.ids.new("ch_3", 23),
            created=context.now,
            amount_minor=intent.amount_minor,
            currency=intent.currency,
            payment_intent=intent.id,
            payment_method=method.id,
            intent_data=intent.intent_data,
            decline=card.decline,
        )
    )
    if card.decline is None:
        _succeed(context, session, intent, charge, buyer)
    else:
        _fail(context, intent, charge)
    return charge


def expire(context: Context, session: Session) -> Session:
    """End an open session and cancel its payment intent. Raises StripeRefusal when it is not open."""
    if session.status != "open":
        raise invalid(
            "session",
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of '
            f"`{session.status}`.",
        )
    ended = context.state.sessions.put(evolve(session, status="expired"))
    intent = context.state.intents.get(ended.payment_intent) if ended.payment_intent else None
    if intent is not None:
        canceled = evolve(intent, status="canceled", canceled_at=context.now)
        context.state.intents.put(canceled)
        context.emit("payment_intent.canceled", render.payment_intent(context, canceled))
    context.emit("checkout.session.expired", render.session(context, ended))
    return ended


def expire_overdue(context: Context) -> None:
    """End every session whose time has come."""
    for session in context.state.sessions:
        if session.status == "open" and session.expires_at <= context.now:
            expire(context, session)


def _begin(context: Context, session: Session) -> PaymentIntent:
    """The payment intent, which Stripe too makes only when somebody tries to pay."""
    intent_id = context.ids.new("pi_3", 23)
    intent = context.state.intents.put(
        PaymentIntent(
            id=intent_id,
            created=context.now,
            amount_minor=session.amount_minor,
            currency=session.currency,
            client_secret=context.ids.new(f"{intent_id}_secret_", 25),
            intent_data=session.intent_data,
        )
    )
    context.emit("payment_intent.created", render.payment_intent(context, intent))
    return intent


def _succeed(context: Context, session: Session, intent: PaymentIntent, charge: Charge, buyer: Buyer) -> None:
    paid = evolve(intent, status="succeeded", latest_charge=charge.id, payment_method=charge.payment_method)
    context.state.intents.put(paid)
    context.emit("charge.succeeded", render.charge(context, charge))
    context.emit("payment_intent.succeeded", render.payment_intent(context, paid))
    _completed(context, evolve(session, status="complete", payment_status="paid", buyer=buyer))


def _fail(context: Context, intent: PaymentIntent, charge: Charge) -> None:
    failed = context.state.intents.put(evolve(intent, latest_charge=charge.id))
    context.emit("charge.failed", render.charge(context, charge))
    context.emit("payment_intent.payment_failed", render.payment_intent(context, failed))


def _completed(context: Context, done: Session) -> None:
    context.state.sessions.put(done)
    context.emit("checkout.session.completed", render.session(context, done))


def _must_be_open(session: Session, verb: str) -> None:
    if session.status != "open":
        raise invalid("session", f"This Checkout Session is {session.status} and cannot be {verb}.")
