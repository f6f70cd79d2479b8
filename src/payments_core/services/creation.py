"""Making the session of an opening at Stripe, or finding the one that an earlier attempt made."""

from __future__ import annotations

import json

from attrs import frozen

from ..domain.cart import Cart
from ..domain.checkout import PAYMENT_ID_KEY
from ..domain.listing import Page, Span
from ..domain.opening import Claim, has_outlived_its_key, when_tried
from ..domain.payment import Payment, PaymentState
from ..domain.stripe_objects import Session
from ..errors import IdempotencyInProgress, StripeError, StripeUnavailable
from ..ports import Gateway, NewId, Store


@frozen
class Begun:
    """A claim whose parameters are written down, and its payment, None where somebody has deleted it."""

    claim: Claim
    payment: Payment | None

    @property
    def cart(self) -> Cart | None:
        """What was agreed."""
        return None if self.payment is None else self.payment.cart


@frozen
class Creation:
    """Sends what is written down, and nothing else."""

    store: Store
    gateway: Gateway
    new_id: NewId

    async def of(self, begun: Begun) -> Session | None:
        """The session; None where an earlier attempt's has expired unseen, and its payment with it.

        A key that Stripe may have forgotten, or for which it keeps an answer 500, is given up only once Stripe has been
        asked for a session of this payment. Raises StripeError, IdempotencyInProgress, StoreUnavailable.
        """
        claim, payment = begun.claim, begun.payment
        if payment is None or payment.state is PaymentState.EXPIRED:
            return None
        params = json.loads(claim.opening.params or "{}")
        if not has_outlived_its_key(claim):
            try:
                return await self.gateway.create_session(params, idempotency_key=str(payment.idempotency_key))
            except StripeUnavailable as failed:
                if not failed.replayed:
                    raise
        found = await self._made(claim)
        if found is not None:
            return None if found.status == "expired" else found
        another = self.new_id()
        if not await self.store.openings.rekey(claim.opening, another):
            raise IdempotencyInProgress
        return await self.gateway.create_session(params, idempotency_key=another)

    async def _made(self, claim: Claim) -> Session | None:
        """The session that bears the payment's mark, among those of the time in which it can have been made."""
        span, after = when_tried(claim), None
        while True:
            page = await self._page(span, after)
            for session in page.items:
                if session.metadata.get(PAYMENT_ID_KEY) == claim.opening.payment_id:
                    return session
            if not page.has_more:
                return None
            after = page.last_id

    async def _page(self, span: Span, after: str | None) -> Page[Session]:
        try:
            return await self.gateway.sessions(span, after=after)
        except StripeUnavailable:
            raise
        except StripeError as refused:
            # Not to be taken for Stripe's answer to the creation, of which nothing is known yet.
            raise StripeUnavailable(
                "Stripe does not say whether a first attempt has opened a checkout session; the API key needs "
                "permission to read Checkout Sessions.",
                refused.code,
                request_id=refused.request_id,
            ) from None
