"""Stripe through its own SDK, natively in both worlds."""

from __future__ import annotations

from payments_core.adapters.stripe.gateway import StripeGateway, async_gateway, blocking_gateway

__all__ = ["StripeGateway", "async_gateway", "blocking_gateway"]
