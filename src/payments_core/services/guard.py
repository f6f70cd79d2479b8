"""Who may ask now: requests and declined attempts, counted by user and by address.

A card tester tries stolen cards, most of which are declined. He may open sessions from many machines, or stay on one
session's page. So declined attempts count against the user and the address that opened the session, whoever makes
them: over the limit neither is given another session. What is declined in one session counts too: over
that limit the session itself is ended at Stripe.

Of an address nothing is kept but a keyed digest, in the row of the payment that was opened from it.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Literal, TypeAlias

from attrs import field, frozen

from ..domain.payment import Payment, PaymentState
from ..errors import RateLimited, StoreUnavailable, StripeError
from ..ports import Clock, Counter, Gateway, Limiter, Store
from ..settings import Rate

_log = logging.getLogger("payments_core.guard")

CountedRoute: TypeAlias = Literal["checkouts", "prices"]
_KEY_CHARS: Final = 32


@frozen
class Guard:
    """Limits on callers. `limit` gives the rate in force by its name, `secret` keys the digests of addresses."""

    limiter: Limiter
    store: Store
    gateway: Gateway
    clock: Clock
    limit: Callable[[str], Rate | None]
    secret: bytes = field(repr=False)

    def digest(self, caller: str) -> str:
        """What is kept of an address."""
        return hmac.new(self.secret, f"address {caller}".encode(), hashlib.sha256).hexdigest()[:_KEY_CHARS]

    async def admit(self, route: CountedRoute, *, user_id: str | None, caller: str) -> str:
        """Let a request through, or raise RateLimited. `caller` stands for its address, whose digest is returned."""
        address = self.digest(caller)
        who = {"address": address}
        if user_id is not None:
            who = {"user": self.digest(f"user {user_id}"), **who}
        rates = {kind: self.limit(f"{route}_per_{kind}") for kind in who}
        counters = [Counter(f"{route}:{kind}:{who[kind]}", rate) for kind, rate in rates.items() if rate is not None]
        wait_s = await self.limiter.take(counters) if counters else None
        if wait_s is not None:
            raise limited("Too many requests; send fewer, and this one again later.", wait_s)
        if route == "checkouts":
            await self._check_declines("address", address)
            if user_id is not None:
                await self._check_declines("user", user_id)
        return address

    async def _check_declines(self, kind: Literal["address", "user"], value: str) -> None:
        rate = self.limit(f"declines_per_{kind}")
        if rate is None:
            return
        since = self.clock() - timedelta(seconds=rate.per_s)
        declined = await self.store.declines(kind, value, since=since, limit=rate.most)
        if len(declined) >= rate.most:
            wait_s = (declined[-1] - since).total_seconds()
            raise limited("Too many payments were declined; try again later.", wait_s)

    async def after_decline(self, payment: Payment) -> None:
        """End the session of a payment in which too many attempts were declined. Never raises."""
        rate = self.limit("declines_per_session")
        is_ours = payment.origin == "here" and payment.state is PaymentState.OPEN
        if rate is None or payment.session_id is None or not is_ours:
            return
        facts = {"paymentId": payment.payment_id}
        try:
            since = self.clock() - timedelta(seconds=rate.per_s)
            declined = await self.store.declines("payment", payment.payment_id, since=since, limit=rate.most)
            if len(declined) < rate.most:
                return
            await self.gateway.expire_session(payment.session_id)
        except (StripeError, StoreUnavailable) as failure:
            # The next decline tries again.
            _log.error("A session with too many declined attempts could not be ended: %s", failure, extra=facts)
        else:
            _log.warning("A session with too many declined attempts was ended", extra=facts)


def limited(message: str, wait_s: float) -> RateLimited:
    """The refusal, with whole seconds after which it makes sense to try again."""
    refusal = RateLimited(message)
    refusal.retry_after_s = max(1, math.ceil(wait_s))
    return refusal
