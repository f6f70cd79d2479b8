"""What a key that Stripe accepts may see of its account, tried by reading."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias, TypeVar

from attrs import frozen

from ..domain.account import WebhookEndpoint
from ..domain.diagnosis.endpoints import ENDPOINTS, Expected, examine_endpoints
from ..domain.diagnosis.findings import Finding
from ..domain.diagnosis.stripe_account import Permission, examine_permissions
from ..domain.listing import Span
from ..errors import StripeError, StripeObjectMissing
from ..http.routes import STRIPE_WEBHOOK
from ..ports import AccountGateway, Clock, Gateway
from ..settings import Settings

T = TypeVar("T")
#: Reads something, once.
Look: TypeAlias = Callable[[], Awaitable[T]]


class Stripe(Gateway, AccountGateway, Protocol):
    """Stripe, for payments and about the account."""


@frozen
class Account:
    """What a key that Stripe accepts may see."""

    stripe: Stripe
    settings: Settings
    clock: Clock

    async def permissions(self) -> list[Finding]:
        """A restricted key is tried on each kind of object that the library reads."""
        now_s = int(self.clock().timestamp())
        span = Span(now_s - 1, now_s)
        is_vital = self.settings.price_policy == "catalog"
        reads: list[tuple[Permission, Look[object]]] = [
            (Permission("Checkout Sessions", "every payment", is_vital=True), lambda: self.stripe.sessions(span)),
            (Permission("PaymentIntents", "every payment", is_vital=True), lambda: self.stripe.intents(span)),
            (Permission("Charges", "addresses, verify", is_vital=False), lambda: self.stripe.charge("ch_none")),
            (Permission("Products and Prices", "prices", is_vital), lambda: self.stripe.catalogue(["none"])),
            (Permission("Invoices", "their payments", is_vital=False), lambda: self.stripe.invoices(span)),
            (Permission("Refunds", "reconcile and verify", is_vital=False), lambda: self.stripe.refunds(span)),
            (Permission("Events", "reconcile", is_vital=False), lambda: self.stripe.events(span)),
        ]
        refused = [permission for permission, read in reads if not await _may(read)]
        return [examine_permissions([permission for permission, _ in reads], refused)]

    async def endpoints(self) -> list[Finding]:
        """A key that may not read them says nothing against them."""
        endpoints: Sequence[WebhookEndpoint]
        try:
            endpoints = await self.stripe.webhook_endpoints()
        except StripeError as refused:
            if refused.answered != 403:
                raise
            return [
                ENDPOINTS.skipped(
                    "The restricted key may not read webhook endpoints.",
                    "To have them looked at, give it Read on Webhook Endpoints; payments do not need that.",
                )
            ]
        expected = Expected(
            route=STRIPE_WEBHOOK.path,
            livemode=self.settings.livemode,
            has_account=self.settings.payments_account is not None,
            remembers_prices=self.settings.price_policy == "catalog" and self.settings.payments_price_cache_s > 0,
        )
        return examine_endpoints(endpoints, expected)


async def _may(read: Look[object]) -> bool:
    """Whether the key has leave to read; an object that is not there was looked for. Raises any other StripeError."""
    try:
        await read()
    except StripeObjectMissing:
        return True
    except StripeError as refused:
        if refused.answered != 403:
            raise
        return False
    return True
