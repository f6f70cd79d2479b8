"""The API's routes, one module per resource, each with a table of its own; here they are put together and found."""

from __future__ import annotations

from . import (
    account,
    charges,
    coupons,
    customers,
    disputes,
    event_destinations,
    events,
    invoices,
    payment_intents,
    payment_methods,
    payment_pages,
    prices,
    products,
    promotion_codes,
    refunds,
    sessions,
    shipping_rates,
    stripe_cli,
    tax_rates,
    thin_events,
    webhook_endpoints,
)
from .table import Handler, Routes

ROUTES: Routes = {
    **account.ROUTES,
    **charges.ROUTES,
    **coupons.ROUTES,
    **event_destinations.ROUTES,
    **customers.ROUTES,
    **disputes.ROUTES,
    **events.ROUTES,
    **invoices.ROUTES,
    **payment_intents.ROUTES,
    **payment_methods.ROUTES,
    **payment_pages.ROUTES,
    **prices.ROUTES,
    **products.ROUTES,
    **promotion_codes.ROUTES,
    **refunds.ROUTES,
    **sessions.ROUTES,
    **shipping_rates.ROUTES,
    **tax_rates.ROUTES,
    **stripe_cli.ROUTES,
    **thin_events.ROUTES,
    **webhook_endpoints.ROUTES,
}

#: What Stripe has in the place of an id: routes of their own, most of which are not here.
NO_IDS = frozenset({"create_preview", "search"})

__all__ = ["ROUTES", "Handler", "find"]


def find(method: str, segments: list[str]) -> tuple[str, Handler, str] | None:
    """The route of a path's segments: its pattern, its handler and the id in the path (empty where it has none)."""
    exact = "/" + "/".join(segments)
    if "{}" not in exact and (handler := ROUTES.get((method, exact))) is not None:
        return exact, handler, ""
    for position in range(2, len(segments)):
        pattern = "/" + "/".join([*segments[:position], "{}", *segments[position + 1 :]])
        handler = ROUTES.get((method, pattern))
        if handler is not None and segments[position] and segments[position] not in NO_IDS:
            return pattern, handler, segments[position]
    return None
