"""Opening a checkout: the payment's row first, Stripe second.

The row is committed with its idempotency key and the agreed cart before Stripe hears of it. Whatever news comes later,
however early, finds a payment to belong to. What is opened once, under a caller's key or as a user's cart, has a name
besides; the rules are those of `domain.opening`.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Final

from attrs import evolve, frozen

from ..domain import card_numbers
from ..domain.cart import CheckoutRequest, CheckoutSession
from ..domain.checkout import USER_ID_KEY, check_metadata, check_redirects, enabled_adjustments, session_params
from ..domain.opening import LEASE_S, Ask, Claim, Opening, Standing, by_cart, by_key, can_be_paid, is_over
from ..domain.payment import Payment
from ..errors import IdempotencyConflict, IdempotencyInProgress, PaymentsError, StoreUnavailable, StripeError
from ..ports import Clock, Gateway, NewId, Store, Waiter
from .creation import Begun, Creation
from .prices import Prices

#: How long a second click waits for the first, at most.
WAIT_S: Final = 5.0
_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 0.25
_ROUTE: Final = "create-checkout-session"


@frozen
class Checkout:
    """Opens checkout sessions. `lease_s`: how long an opening may be silent before another request takes it over."""

    store: Store
    gateway: Gateway
    prices: Prices
    waiter: Waiter
    clock: Clock
    new_id: NewId
    livemode: bool
    account: str | None
    app: str | None
    redirect_hosts: tuple[str, ...]
    lease_s: float = LEASE_S

    async def open(
        self, request: CheckoutRequest, *, user_id: str | None, idempotency_key: str | None = None
    ) -> CheckoutSession:
        """A Stripe session for the request.

        The same key and request give the same session for a day; without a key, the same verified request of the same
        user the one that is still open, for half an hour. An empty `user_id` is nobody's, as None.

        Raises InvalidRequest (and its kinds), PriceVerificationError, IdempotencyConflict, IdempotencyInProgress,
        StripeError, StoreUnavailable.
        """
        # An empty name would make one user of all guests, and give them each other's sessions.
        user_id = user_id or None
        check_redirects(request, self.redirect_hosts)
        check_metadata(request.metadata, has_user=user_id is not None)
        card_numbers.check_request(request)
        scope = (self.account, self.livemode, _ROUTE, user_id)
        if idempotency_key is not None:
            return await self._once(by_key(idempotency_key, request, scope), request, user_id)
        verified = await self._verified(request)
        if user_id is not None:
            return await self._once(by_cart(verified, scope), verified, user_id)
        payment, params = self._agreed(verified, user_id)
        await self.store.add_payment(payment)
        try:
            session = await self.gateway.create_session(params, idempotency_key=str(payment.idempotency_key))
            await self.prices.check_opened(verified.cart, session)
        except StripeError as refusal:
            await self.prices.doubt(verified.cart, refusal)
            raise
        await self.store.opened(payment.payment_id, session)
        return CheckoutSession(session.id, session.url, session.client_secret)

    async def _once(self, ask: Ask, request: CheckoutRequest, user_id: str | None) -> CheckoutSession:
        claim = await self._claimed(ask)
        if claim.standing is Standing.OPENED:
            return _given(claim.opening)
        begun: Begun | None = None
        try:
            begun = await self._begun(claim, ask, request, user_id)
            session = await Creation(self.store, self.gateway, self.new_id).of(begun)
            if session is not None and begun.cart is not None:
                await self.prices.check_opened(begun.cart, session)
        except PaymentsError as error:
            await self._let_go(claim, error, has_begun=begun is not None)
            if begun is not None and begun.cart is not None and isinstance(error, StripeError):
                await self.prices.doubt(begun.cart, error)
            raise
        if session is None:
            # What an earlier attempt opened has expired unseen: nobody can pay it any more, so the name begins anew.
            await self.store.openings.free(claim.opening)
            return await self._once(ask, request, user_id)
        saved = await self.store.openings.finish(begun.claim.opening, session, kept_s=ask.opened_s)
        return CheckoutSession(session.id, session.url, session.client_secret) if saved is None else _given(saved)

    async def _claimed(self, ask: Ask) -> Claim:
        """The name, or the session that it has. Without a key, a second click waits for the first."""
        stale: str | None = None
        pause_s, deadline_s = _FIRST_PAUSE_S, self.waiter.monotonic_s() + WAIT_S
        while True:
            claim = await self.store.openings.claim(ask, holder=self.new_id(), lease_s=self.lease_s, stale=stale)
            if claim.standing is Standing.CONFLICT:
                raise IdempotencyConflict("The Idempotency-Key was used before with another request; use a new one.")
            if claim.standing is Standing.RUNNING:
                if ask.keyed or self.waiter.monotonic_s() >= deadline_s:
                    raise IdempotencyInProgress
                await self.waiter.pause(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            elif claim.standing is Standing.OPENED and not (ask.keyed or await self._is_open(claim)):
                stale = claim.opening.session_id
            else:
                return claim

    async def _is_open(self, claim: Claim) -> bool:
        payment = await self.store.payment(str(claim.opening.payment_id))
        if not can_be_paid(claim, payment):
            return False
        session_id = claim.opening.session_id
        # A delayed method that failed leaves an open payment whose session is complete; a declined card does not.
        if payment is None or payment.payment_intent_id is None or session_id is None:
            return True
        return (await self.gateway.session(session_id)).status == "open"

    async def _begun(self, claim: Claim, ask: Ask, request: CheckoutRequest, user_id: str | None) -> Begun:
        """What is sent to Stripe: as an earlier attempt wrote it down, else written down now."""
        if claim.standing is Standing.TAKEN_OVER:
            return Begun(claim, await self.store.payment(str(claim.opening.payment_id)))
        # Under a key the prices are verified here and not before: a session that the key has is given without asking.
        verified = await self._verified(request) if ask.keyed else request
        payment, sent = self._agreed(verified, user_id)
        params = json.dumps(sent)
        if not await self.store.openings.begin(claim.opening, payment, params):
            raise IdempotencyInProgress
        return Begun(
            evolve(claim, opening=evolve(claim.opening, payment_id=payment.payment_id, params=params)), payment
        )

    async def _let_go(self, claim: Claim, error: PaymentsError, *, has_begun: bool) -> None:
        """Leave the name so that the next attempt need not wait; where that fails, the lease runs out by itself."""
        with suppress(StoreUnavailable):
            if is_over(claim, error, has_begun=has_begun):
                await self.store.openings.free(claim.opening)
            else:
                await self.store.openings.release(claim.opening)

    async def _verified(self, request: CheckoutRequest) -> CheckoutRequest:
        return evolve(request, cart=await self.prices.confirm(request.cart))

    def _agreed(self, request: CheckoutRequest, user_id: str | None) -> tuple[Payment, dict[str, Any]]:
        """The payment as it is agreed, what these parameters enable included, and the parameters."""
        payment = Payment(
            payment_id=self.new_id(),
            created_at=self.clock(),
            livemode=self.livemode,
            account=self.account,
            currency=request.cart.currency,
            cart=request.cart,
            user_id=user_id or request.metadata.get(USER_ID_KEY),
            customer_email=request.customer_email,
            idempotency_key=self.new_id(),
            caller_digest=request.caller_digest,
        )
        params = session_params(request, payment, app=self.app)
        return evolve(payment, adjustments=enabled_adjustments(params)), params


def _given(opening: Opening) -> CheckoutSession:
    return CheckoutSession(str(opening.session_id), opening.url, opening.client_secret)
