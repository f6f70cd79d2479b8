"""Whether Stripe tells us what happens: the account's webhook endpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

from ..account import API_VERSION, WebhookEndpoint
from ..news import INVOICE_EVENTS, PAYMENT_EVENTS
from .findings import Check, Finding, listed

ENDPOINTS: Final = Check("stripe", "webhook endpoint")
_VERSIONS: Final = Check("stripe", "event version")
_ONCE: Final = Check("stripe", "one endpoint")
#: By these a change of the catalogue ends what is remembered of its prices.
PRICE_EVENTS: Final = frozenset(
    f"{what}.{change}" for what in ("product", "price") for change in ("created", "updated", "deleted")
)


@frozen(kw_only=True)
class Expected:
    """What this deployment needs of an endpoint.

    `route` ends the path of the webhook route wherever it is mounted. `has_account`: payments are those of a connected
    account, of which a platform's Connect endpoint may tell. `remembers_prices`: prices of the catalogue are kept.
    """

    route: str
    livemode: bool
    has_account: bool
    remembers_prices: bool


def examine_endpoints(endpoints: Sequence[WebhookEndpoint], expected: Expected) -> list[Finding]:
    """All that can be said of them.

    Endpoints whose address ends as our route does are taken for ours; without one, all of them, since the dispatcher
    alone may be mounted anywhere.
    """
    ours = [one for one in endpoints if _path(one.url).endswith(expected.route)] or list(endpoints)
    enabled = [one for one in ours if one.is_enabled]
    if not enabled:
        return [_none(ours, expected)]
    return [_events(ours, enabled, expected), _version(enabled), _once(enabled, expected)]


def _none(ours: Sequence[WebhookEndpoint], expected: Expected) -> Finding:
    mode = "live" if expected.livemode else "test"
    where = f"an endpoint https://YOUR-HOST/…{expected.route} in the Dashboard under Webhooks, {mode} mode"
    if ours:
        return ENDPOINTS.failed(
            f"Disabled: {_named(ours, expected)}. Stripe sends nothing there, and gives up what it has tried for three "
            "days.",
            "Enable it in the Dashboard under Webhooks, then run `payments reconcile` for what was missed.",
        )
    if expected.has_account:
        return ENDPOINTS.warning(
            "The account of PAYMENTS_ACCOUNT has no endpoint of its own.",
            f"See that the platform has a Connect endpoint, which is not seen from here; else make {where}.",
        )
    if not expected.livemode:
        return ENDPOINTS.warning(
            "There is none in test mode. Events come by `stripe listen` alone, or not at all.", f"Make {where}."
        )
    return ENDPOINTS.failed("There is none: Stripe tells nobody of payments.", f"Make {where}.")


def _events(ours: Sequence[WebhookEndpoint], enabled: Sequence[WebhookEndpoint], expected: Expected) -> Finding:
    names = _named(enabled, expected)
    missing = _unsent(enabled, PAYMENT_EVENTS)
    if missing:
        return ENDPOINTS.failed(
            f"Not sent to {names}: {listed(missing)}. What they tell is noticed late, by a success page or `payments "
            "reconcile`, or never.",
            "Add these types to the endpoint, in the Dashboard under Webhooks.",
        )
    disabled = [one for one in ours if not one.is_enabled]
    if disabled:
        return ENDPOINTS.warning(
            f"All that is needed is sent to {names}. Disabled: {_named(disabled, expected)}.",
            "Enable what was disabled, or delete it, in the Dashboard under Webhooks.",
        )
    return ENDPOINTS.ok(f"All that is needed is sent to {names}.{_left_out(enabled, expected)}")


def _left_out(enabled: Sequence[WebhookEndpoint], expected: Expected) -> str:
    """Types that only some deployments need, and that nobody is sent."""
    notes: list[str] = []
    if len(_unsent(enabled, INVOICE_EVENTS)) == len(INVOICE_EVENTS):
        notes.append("invoice.paid (needed where there are invoices)")
    if expected.remembers_prices and (unsent := _unsent(enabled, PRICE_EVENTS)):
        notes.append(f"{listed(unsent)} (a changed price counts a little later)")
    return f" Not sent: {'; '.join(notes)}." if notes else ""


def _version(enabled: Sequence[WebhookEndpoint]) -> Finding:
    others = sorted({one.api_version or "" for one in enabled} - {"", API_VERSION})
    if others:
        return _VERSIONS.warning(
            f"Events come in API version {listed([one[:40] for one in others])}; this library was written for "
            f"{API_VERSION}.",
            f"An endpoint's version cannot be changed: make a second one with {API_VERSION}, put its secret beside the "
            "other into STRIPE_WEBHOOK_SECRET, and delete the first.",
        )
    if any(one.api_version is None for one in enabled):
        return _VERSIONS.ok("Events come in the account's default API version, which Stripe does not tell here.")
    return _VERSIONS.ok(f"Events come in API version {API_VERSION}, for which this library was written.")


def _once(enabled: Sequence[WebhookEndpoint], expected: Expected) -> Finding:
    several = [url for url, number in Counter(one.url for one in enabled).items() if number > 1]
    if several:
        return _ONCE.warning(
            f"More than one endpoint leads to {listed([shown(url, expected.route) for url in several])}: each event "
            "comes that often, and each endpoint signs with a secret of its own.",
            "Delete all but one in the Dashboard, and take their secrets out of STRIPE_WEBHOOK_SECRET. Until then it "
            "must hold every one of them.",
        )
    return _ONCE.ok("No two endpoints lead to the same address.")


def _unsent(enabled: Sequence[WebhookEndpoint], types: frozenset[str]) -> list[str]:
    return sorted(kind for kind in types if not any(one.sends(kind) for one in enabled))


def _named(endpoints: Sequence[WebhookEndpoint], expected: Expected) -> str:
    return listed(list(dict.fromkeys(shown(one.url, expected.route) for one in endpoints)), most=3)


def shown(url: str, route: str) -> str:
    """An address as it may be printed.

    Of one that is not our route's the host alone: other services put tokens into theirs. User names and queries never.
    """
    parts = urlsplit(url) if _is_readable(url) else urlsplit("")
    if not parts.hostname:
        return "an address that cannot be read"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}" + (parts.path if parts.path.endswith(route) else "/…")


def _path(url: str) -> str:
    return urlsplit(url).path.rstrip("/") if _is_readable(url) else ""


def _is_readable(url: str) -> bool:
    try:
        return urlsplit(url).port is None or bool(urlsplit(url).hostname)
    except ValueError:
        return False
