"""The routes: one table that both adapters register and that the documents are made from."""

from __future__ import annotations

from typing import Final

from attrs import frozen

JSON_LIMIT_BYTES: Final = 256 * 1024
#: Stripe's events stay far below; a checkout with a hundred lines is some 100 KB.
WEBHOOK_LIMIT_BYTES: Final = 1024 * 1024
#: What nginx takes by default: beyond any browser's cookies and any proxy's additions.
HEADERS_LIMIT_BYTES: Final = 32 * 1024


@frozen(eq=False)
class Route:
    """One path and the method it answers. There is one of each: routes are compared by identity.

    `path` has its parameters in braces; `body_limit` is in bytes. `guarded` routes are behind the host's own
    authentication, where it has any; the others never are. `names_user` routes ask the host who is signed in.
    """

    name: str
    method: str
    path: str
    body_limit: int = 0
    guarded: bool = False
    names_user: bool = False

    @property
    def methods(self) -> tuple[str, ...]:
        """What it answers: its method, and HEAD beside GET."""
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)

    @property
    def allowed(self) -> tuple[str, ...]:
        """The methods of an Allow header."""
        return (*self.methods, "OPTIONS")


CREATE_CHECKOUT_SESSION: Final = Route(
    "create_checkout_session", "POST", "/create-checkout-session", JSON_LIMIT_BYTES, guarded=True, names_user=True
)
VERIFY_PRICES: Final = Route("verify_prices", "POST", "/verify-prices", JSON_LIMIT_BYTES, guarded=True, names_user=True)
STRIPE_WEBHOOK: Final = Route("stripe_webhook", "POST", "/webhooks/stripe", WEBHOOK_LIMIT_BYTES)
CHECKOUT_SESSION: Final = Route("checkout_session", "GET", "/checkout-sessions/{session_id}", guarded=True)
HEALTH: Final = Route("health", "GET", "/health")
READY: Final = Route("ready", "GET", "/ready")

ROUTES: Final = (CREATE_CHECKOUT_SESSION, VERIFY_PRICES, STRIPE_WEBHOOK, CHECKOUT_SESSION, HEALTH, READY)


def routes(*, webhooks: bool) -> tuple[Route, ...]:
    """The routes to register: all, or all but the webhook."""
    return ROUTES if webhooks else tuple(route for route in ROUTES if route is not STRIPE_WEBHOOK)
