"""Opening a checkout: the payment's row first, Stripe second.

The row is committed with its idempotency key and the agreed cart before Stripe hears of it. Whatever news comes later,
however early, finds a payment to belong to.
"""

from __future__ import annotations

from attrs import frozen

from ..domain.cart import CheckoutRequest, CheckoutSession
from ..domain.checkout import USER_ID_KEY, check_metadata, check_redirects, session_params
from ..domain.payment import Payment
from ..ports import Clock, Gateway, NewId, Store
from .prices import Prices


@frozen
class Checkout:
    """Opens checkout sessions."""

    store: Store
    gateway: Gateway
    prices: Prices
    clock: Clock
    new_id: NewId
    livemode: bool
    account: str | None
    app: str | None
    redirect_hosts: tuple[str, ...]

    async def open(self, request: CheckoutRequest, *, user_id: str | None) -> CheckoutSession:
        """A Stripe session for the request.

        Raises InvalidRequest (and its kinds), PriceVerificationError, StripeError, StoreUnavailable.
        """
        check_redirects(request, self.redirect_hosts)
        check_metadata(request.metadata, has_user=user_id is not None)
        cart = await self.prices.confirm(request.cart)
        payment = Payment(
            payment_id=self.new_id(),
            created_at=self.clock(),
            livemode=self.livemode,
            account=self.account,
            currency=cart.currency,
            cart=cart,
            user_id=user_id or request.metadata.get(USER_ID_KEY),
            customer_email=request.customer_email,
            idempotency_key=self.new_id(),
        )
        await self.store.add_payment(payment)
        session = await self.gateway.create_session(
            session_params(request, payment, app=self.app), idempotency_key=str(payment.idempotency_key)
        )
        await self.store.opened(payment.payment_id, session)
        return CheckoutSession(session.id, session.url, session.client_secret)
