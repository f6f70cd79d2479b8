"""What hangs on a payment intent and moves with it: a Checkout Session, an invoice."""

from __future__ import annotations

from attrs import evolve

from . import discounts, invoice_outcomes, render
from .records.checkout import PaymentStatus, Session
from .records.payments import Buyer, PaymentIntent
from .state import Context


def follow(context: Context, intent: PaymentIntent) -> None:
    """Move what hangs on an intent that has reached a new status; keep its payment method where that was asked."""
    if intent.status in ("succeeded", "processing", "requires_capture"):
        _keep_method(context, intent)
    session = context.state.session_of(intent.id)
    if session is not None:
        _session(context, session, intent)
    elif intent.invoice is not None:
        invoice_outcomes.follow(context, intent)


def complete(context: Context, session: Session, buyer: Buyer | None, payment_status: PaymentStatus) -> Session:
    """End an open session well, paid or not yet."""
    done = context.state.sessions.put(
        evolve(session, status="complete", payment_status=payment_status, buyer=buyer or session.buyer)
    )
    discounts.redeem(context, done)
    context.emit("checkout.session.completed", render.session(context, done))
    return done


def _keep_method(context: Context, intent: PaymentIntent) -> None:
    method = context.state.methods.get(intent.payment_method or "")
    if method is None or method.customer is not None or intent.customer is None or not intent.setup_future_usage:
        return
    attached = context.state.methods.put(evolve(method, customer=intent.customer))
    context.emit("payment_method.attached", render.payment_method(attached))


def _session(context: Context, session: Session, intent: PaymentIntent) -> None:
    if session.status == "open" and intent.status in ("succeeded", "processing", "requires_capture"):
        method = context.state.methods.get(intent.payment_method or "")
        paid = intent.status == "succeeded"
        session = _billed(context, session, intent) if paid else session
        complete(context, session, method.buyer if method else None, "paid" if paid else "unpaid")
    elif session.status == "complete" and session.payment_status == "unpaid":
        _delayed(context, session, intent)


def _billed(context: Context, session: Session, intent: PaymentIntent) -> Session:
    """The session with the invoice that it makes once it is paid, if it was to make one."""
    if session.invoice_wish is None:
        return session
    return context.state.sessions.put(evolve(session, invoice=invoice_outcomes.of_session(context, session, intent).id))


def _delayed(context: Context, session: Session, intent: PaymentIntent) -> None:
    """The end of a payment that was under way when the session completed."""
    if intent.status == "succeeded":
        billed = _billed(context, session, intent)
        paid = context.state.sessions.put(evolve(billed, payment_status="paid"))
        if intent.capture_method != "manual":
            context.emit("checkout.session.async_payment_succeeded", render.session(context, paid))
    elif intent.status == "requires_payment_method":
        context.emit("checkout.session.async_payment_failed", render.session(context, session))
