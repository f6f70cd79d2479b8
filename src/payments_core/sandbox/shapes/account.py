"""Event, WebhookEndpoint, Account, Balance and lists on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import JsonObject
from ..records.events import Endpoint, Event
from ..state import API_VERSION, State


def event(record: Event, pending_webhooks: int) -> JsonObject:
    """A snapshot Event: https://docs.stripe.com/api/events/object."""
    data: JsonObject = {"object": record.object}
    if record.previous is not None:
        data["previous_attributes"] = record.previous
    return {
        "id": record.id,
        "object": "event",
        "api_version": API_VERSION,
        "created": record.created,
        "data": data,
        "livemode": False,
        "pending_webhooks": pending_webhooks,
        "request": {"id": record.origin.request_id, "idempotency_key": record.origin.idempotency_key},
        "type": record.type,
    }


def webhook_endpoint(record: Endpoint, *, with_secret: bool = False) -> JsonObject:
    """A WebhookEndpoint; its secret is shown once, in the reply to its creation."""
    shape: JsonObject = {
        "id": record.id,
        "object": "webhook_endpoint",
        "api_version": record.api_version,
        "application": None,
        "created": record.created,
        "description": record.description,
        "enabled_events": list(record.enabled_events),
        "livemode": False,
        "metadata": dict(record.metadata),
        "status": "disabled" if record.disabled else "enabled",
        "url": record.url,
    }
    if with_secret:
        shape["secret"] = record.secret
    return shape


def account(state: State) -> JsonObject:
    """The sandbox's own Account, with the fields that a key's owner looks at."""
    return {
        "id": state.account,
        "object": "account",
        "business_profile": {"mcc": None, "name": "Sandbox shop", "support_email": None, "url": None},
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "country": "US",
        "created": state.opened,
        "default_currency": "usd",
        "details_submitted": True,
        "email": None,
        "metadata": {},
        "payouts_enabled": True,
        "settings": {
            "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
            "card_payments": {"statement_descriptor_prefix": None},
            "dashboard": {"display_name": "Sandbox shop", "timezone": "Etc/UTC"},
            "payments": {"statement_descriptor": None},
        },
        "type": "standard",
    }


def balance(pending: Mapping[str, int]) -> JsonObject:
    """The Balance: everything paid is pending, since nothing is ever paid out or charged a fee here."""
    currencies = pending or {"usd": 0}
    return {
        "object": "balance",
        "available": [{"amount": 0, "currency": currency, "source_types": {"card": 0}} for currency in currencies],
        "livemode": False,
        "pending": [
            {"amount": amount, "currency": currency, "source_types": {"card": amount}}
            for currency, amount in currencies.items()
        ],
    }


def listing(data: Sequence[JsonObject], url: str, *, has_more: bool) -> JsonObject:
    """One page of a list."""
    return {"object": "list", "data": list(data), "has_more": has_more, "url": url}
