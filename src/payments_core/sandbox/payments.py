"""What happens to a session after it was made: it is paid, refused, or runs out.

open ──pay──▶ complete          a declined attempt leaves it open, with the same payment intent
 └──time, expire──▶ expired     its payment intent, if there was an attempt, is canceled
"""

from __future__ import annotations

from attrs import evolve

from . import customers, followers, intents, render
from .cards import Attempt
from .debits import Account
from .errors import invalid
from .records.checkout import Session
from .records.payments import Buyer, Card, Conduct, PaymentIntent, PaymentMethod
from .state import Context


def settle_free(context: Context, session: Session, buyer: Buyer) -> None:
    """Complete a session of zero total: nothing to charge, so no intent; one of an earlier attempt is given up."""
    _must_be_open(session, "completed")
    intent = context.state.intents.get(session.payment_intent or "")
    if intent is not None:
        intents.cancel(context, intent, None)
    followers.complete(context, _with_customer(context, session, buyer), buyer, "no_payment_required")


def reprice(context: Context, session: Session) -> Session:
    """Keep a session whose total has changed; whatever its intent was asked for, it is asked for anew."""
    intent = context.state.intents.get(session.payment_intent or "")
    if intent is not None:
        context.state.intents.put(
            evolve(intent, amount_minor=session.amount_minor, status="requires_payment_method", payment_method=None)
        )
    return context.state.sessions.put(session)


def attempt(context: Context, session: Session, buyer: Buyer, how: Attempt | Account) -> PaymentIntent:
    """Try a card or an account for a session. The intent tells what became of it.

    Unless it was paid or is processing, the session stays open.
    """
    if isinstance(how, Account):
        method_id = context.ids.new("pm_1", 23)
        method = PaymentMethod(method_id, context.now, None, buyer, how.conduct, how.type, how.details)
        return pay_with(context, session, context.state.methods.put(method))
    return pay_with(context, session, new_method(context, buyer, how.card, how.conduct))


def new_method(context: Context, buyer: Buyer, card: Card, conduct: Conduct) -> PaymentMethod:
    """A card that somebody has entered."""
    return context.state.methods.put(PaymentMethod(context.ids.new("pm_1", 23), context.now, card, buyer, conduct))


def pay_with(context: Context, session: Session, method: PaymentMethod) -> PaymentIntent:
    """Try a payment method for an open session; its payment intent is made at the first attempt."""
    _must_be_open(session, "paid")
    session = _with_customer(context, session, method.buyer)
    intent = context.state.intents.get(session.payment_intent) if session.payment_intent else None
    intent = _begin(context, session) if intent is None else evolve(intent, intent_data=session.intent_data)
    return intents.confirm(context, intent, method)


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
        intents.cancel(context, intent, "expired")
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
    context.state.sessions.put(evolve(session, payment_intent=intent_id))
    intent = PaymentIntent(
        id=intent_id,
        created=context.now,
        amount_minor=session.amount_minor,
        currency=session.currency,
        client_secret=context.ids.new(f"{intent_id}_secret_", 25),
        intent_data=session.intent_data,
        customer=session.customer,
        setup_future_usage=session.intent_data.setup_future_usage,
        capture_method=session.intent_data.capture_method,
        payment_method_types=session.method_types,
    )
    return intents.begin(context, intent)


def _with_customer(context: Context, session: Session, buyer: Buyer) -> Session:
    """The session with the customer that it makes of its buyer, once.

    By `customer_creation=always`, or because there must be somebody for whom the payment method is kept
    (`setup_future_usage`) or to whom the invoice is made out (`invoice_creation`).
    """
    needed = session.intent_data.setup_future_usage is not None or session.invoice_wish is not None
    if session.customer is not None or not (needed or session.customer_creation == "always"):
        return session
    customer = customers.of_buyer(context, buyer, session.shipping)
    return context.state.sessions.put(evolve(session, customer=customer.id))


def _must_be_open(session: Session, verb: str) -> None:
    if session.status != "open":
        raise invalid("session", f"This Checkout Session is {session.status} and cannot be {verb}.")
