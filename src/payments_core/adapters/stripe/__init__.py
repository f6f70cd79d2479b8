"""Stripe, over its official SDK: the gateway of both worlds.

The SDK is imported when a gateway is made, not before: it costs a tenth of a second, which `import payments_core` must
not pay. Only `sdk` knows it; the methods are written once, in `gateway`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payments_core.adapters.stripe.gateway import StripeGateway
from payments_core.settings import Settings

if TYPE_CHECKING:
    from payments_core.adapters.stripe.sdk import HttpClient

__all__ = ["StripeGateway", "async_gateway", "blocking_gateway"]


def blocking_gateway(settings: Settings, *, http_client: HttpClient | None = None) -> StripeGateway:
    """Stripe for the synchronous world, over the SDK's own synchronous client (requests).

    Connections belong to a thread and to a process: a forked worker makes its own. An `http_client` of the caller's
    (a `stripe.HTTPClient`) is used as it is, by every thread, and is the caller's to close.
    """
    from payments_core.adapters.stripe.sdk import BlockingCalls

    return StripeGateway(BlockingCalls(settings, http_client))


def async_gateway(settings: Settings, *, http_client: HttpClient | None = None) -> StripeGateway:
    """Stripe for the asynchronous world, over the SDK's aiohttp client: one per event loop, made in the loop.

    `close()` gives back the connections of the loop that awaits it. An `http_client` of the caller's serves one loop
    and is the caller's to close. Raises ConfigurationError where aiohttp is not installed and no client is given.
    """
    from payments_core.adapters.stripe.sdk import AsyncCalls

    return StripeGateway(AsyncCalls(settings, http_client))
