"""The payment page, decided purely: what looking at it and sending it off lead to, and so for the issuer's page."""

from __future__ import annotations

import hmac
from typing import Literal, TypeAlias
from urllib.parse import urlencode, urlsplit, urlunsplit

from attrs import evolve, frozen

from . import discounts, intents, page_form, payments, pricing
from .amounts import amount_text
from .errors import StripeRefusal, no_such
from .page_form import Checked, PayForm, fields_of
from .page_view import Promotion, View, path_of, refused, seller_of, view
from .records.checkout import Session
from .records.payments import PaymentIntent
from .shapes.payment_intents import challenge_url
from .state import Context


@frozen
class Show:
    """Answer with the payment page."""

    status: Literal[200, 402, 422]
    view: View


@frozen
class Redirect:
    """Send the buyer on, once endpoints have heard of it."""

    url: str


@frozen
class Gone:
    """The session has run out."""

    seller: str
    cancel_url: str | None
    framed: bool


@frozen
class Ask:
    """Show the page of the card's issuer. `attempt` names what is asked about, so that an old page answers nothing."""

    intent_id: str
    seller: str
    amount: str
    last4: str
    attempt: str
    framed: bool


@frozen
class Done:
    """A frame's last page: it tells the shop's page, which goes to `return_url`, or stays (None)."""

    return_url: str | None
    text: str


Outcome: TypeAlias = Show | Redirect | Gone | Ask | Done


def hosted(context: Context, session_id: str) -> Session:
    """The session of a page that stands by itself. Raises StripeRefusal 404, for an embedded one as well."""
    session = context.state.sessions.need(session_id, "session")
    if session.ui_mode == "embedded_page":
        raise no_such("checkout.session", session_id, "session")
    return session


def embedded(context: Context, client_secret: str) -> Session:
    """The session of a page in a frame, by its whole client secret. Raises StripeRefusal 404."""
    session = context.state.sessions.get(client_secret.partition("_secret_")[0])
    known = session.client_secret if session is not None else None
    if session is None or known is None or not hmac.compare_digest(known.encode(), client_secret.encode()):
        raise no_such("checkout.session", "…", "client_secret")
    return session


def show(context: Context, session: Session) -> Outcome:
    """`GET` of the page."""
    return _over(session) or Show(200, view(context, session))


def submit(context: Context, session: Session, body: bytes) -> Outcome:
    """`POST` of the page: an attempt to pay.

    The same form twice (a reload) is one attempt, and a session that is paid already leads on as before: there is no
    second charge. A form that was made for another total is shown anew with the right one.
    """
    over = _over(session)
    form = page_form.parse(body)
    if over is not None:
        return over
    if form.attempt and form.digest == session.last_form:
        return _as_it_is(context, session, form)
    if form.expected and form.expected != str(session.amount_minor):
        total = amount_text(session.amount_minor, session.currency)
        return Show(422, view(context, session, form, alert=f"The total is {total} now. Nothing was charged yet."))
    checked = page_form.check(context, session, form)
    if not isinstance(checked, Checked):
        return Show(422, view(context, session, form, errors=checked))
    return _pay(context, session, form, checked)


def choose_shipping(context: Context, session: Session, body: bytes) -> Outcome:
    """`POST` of another way of shipping."""
    rate = fields_of(body)("shipping-rate")
    if (over := _over(session)) is not None:
        return over
    if rate != session.shipping_rate and any(option.rate == rate for option in session.shipping_options):
        changed = pricing.priced(context, evolve(session, shipping_rate=rate))
        pricing.check_total(changed)
        payments.reprice(context, changed)
    return Redirect(path_of(session))


def promote(context: Context, session: Session, body: bytes) -> Outcome:
    """`POST` of a promotion code, or of its removal."""
    one = fields_of(body)
    typed = one("promotion-code", 500)
    if (over := _over(session)) is not None:
        return over
    if not session.allow_promotion_codes:
        return Redirect(path_of(session))
    if one("remove"):
        payments.reprice(context, pricing.with_discount(context, session, None, None))
        return Redirect(path_of(session))
    try:
        if not typed:
            raise discounts.NotApplicable("Enter a promotion code.")
        code = discounts.usable_code(context, session, typed)
        changed = pricing.with_discount(context, session, discounts.check(context, session, code), code.id)
    except discounts.NotApplicable as refusal:
        return _not_promoted(context, session, typed, str(refusal))
    except StripeRefusal:
        return _not_promoted(context, session, typed, "With this code too little is left to be charged.")
    payments.reprice(context, changed)
    return Redirect(path_of(session))


def challenge(context: Context, intent_id: str) -> Outcome:
    """`GET` of the issuer's page: a 3-D Secure card waits for its holder. Where none waits, on to what is next."""
    intent = context.state.intents.need(intent_id, "intent")
    if intent.status != "requires_action":
        return _after_challenge(context, intent)
    session = context.state.session_of(intent_id)
    card = context.state.methods.need(intent.payment_method or "").card
    return Ask(
        intent_id=intent_id,
        seller=seller_of(session),
        amount=amount_text(intent.amount_minor, intent.currency),
        last4=card.last4 if card else "",
        attempt=intent.payment_method or "",
        framed=session is not None and session.ui_mode == "embedded_page",
    )


def answer_challenge(context: Context, intent_id: str, body: bytes) -> Outcome:
    """`POST` of the issuer's page. An answer to an attempt that is over changes nothing and leads to what is next."""
    one = fields_of(body)
    intent = context.state.intents.need(intent_id, "intent")
    if intent.status != "requires_action" or one("attempt") != intent.payment_method:
        return _after_challenge(context, intent)
    intent = intents.authenticate(context, intent, passed=one("answer") == "complete")
    return _after_challenge(context, intent)


def landing_url(session: Session) -> str:
    """Where the buyer goes after paying, the session's id filled in."""
    target = session.success_url or session.return_url or "/"
    return target.replace("{CHECKOUT_SESSION_ID}", session.id)


def _over(session: Session) -> Outcome | None:
    """What is left to say of a session that is not open."""
    framed = session.ui_mode == "embedded_page"
    if session.status == "expired":
        return Gone(seller_of(session), session.cancel_url, framed)
    if session.status == "open":
        return None
    if not framed:
        return Redirect(landing_url(session))
    # Cards and debits need no redirect of their own, so `if_required` stays on the page.
    redirects = session.redirect_on_completion == "always"
    text = session.custom_text.get("after_submit") or "Thank you for your order."
    return Done(landing_url(session) if redirects else None, text)


def _pay(context: Context, session: Session, form: PayForm, checked: Checked) -> Outcome:
    shipping = checked.shipping
    data = session.intent_data
    if shipping is not None:
        data = evolve(
            data, shipping={**shipping, "carrier": None, "phone": checked.buyer.phone, "tracking_number": None}
        )
    session = evolve(session, attempts=session.attempts + 1, last_form=form.digest, shipping=shipping, intent_data=data)
    session = context.state.sessions.put(session)
    if checked.how is None:
        payments.settle_free(context, session, checked.buyer)
    else:
        payments.attempt(context, session, checked.buyer, checked.how)
    return _as_it_is(context, context.state.sessions.need(session.id), form)


def _as_it_is(context: Context, session: Session, form: PayForm | None = None) -> Outcome:
    """Where an attempt has led."""
    over = _over(session)
    if over is not None:
        return over
    intent = context.state.intents.get(session.payment_intent or "")
    if intent is not None and intent.status == "requires_action":
        return Redirect(challenge_url(intent, ""))
    if intent is None or intent.failure is None:
        return Show(200, view(context, session, form))
    return Show(402, view(context, session, form, alert=refused(intent.failure.decline)))


def _after_challenge(context: Context, intent: PaymentIntent) -> Outcome:
    """To the shop once it is paid, else back to the payment page; an intent of the API goes to its return URL."""
    session = context.state.session_of(intent.id)
    return Redirect(_with_result(intent)) if session is None else _as_it_is(context, session)


def _not_promoted(context: Context, session: Session, typed: str, why: str) -> Outcome:
    promotion = Promotion(open=True, typed=typed, error=why)
    code = context.state.codes.get(session.promotion_code or "")
    if code is not None:
        promotion = evolve(promotion, applied=code.code)
    return Show(422, view(context, session, promotion=promotion))


def _with_result(intent: PaymentIntent) -> str:
    """https://docs.stripe.com/api/payment_intents/confirm: the return URL is told the intent and how it went."""
    parts = urlsplit(intent.return_url or "/")
    result = urlencode(
        {
            "payment_intent": intent.id,
            "payment_intent_client_secret": intent.client_secret,
            "redirect_status": "failed" if intent.failure else "succeeded",
        }
    )
    return urlunsplit(parts._replace(query="&".join(part for part in (parts.query, result) if part)))
