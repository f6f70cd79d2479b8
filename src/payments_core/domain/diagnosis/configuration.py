"""What the settings mean for real money: what nobody would want with a live key, and what would not start with one."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Final
from urllib.parse import urlsplit

from ...errors import ConfigurationError
from ...settings import Settings, is_loopback
from .findings import Check, Finding, counted, listed

SETTINGS: Final = Check("settings", "variables")
_KEY: Final = Check("settings", "secret key")
_SECRETS: Final = Check("settings", "webhook secrets")
_PRICES: Final = Check("settings", "price policy")
_HOSTS: Final = Check("settings", "redirect hosts")
_PROXIES: Final = Check("settings", "trusted proxies")
_STRIPE: Final = Check("settings", "stripe address")
_BY_ADDRESS: Final = ("checkouts_per_address", "prices_per_address", "declines_per_address")


def examine_settings(settings: Settings) -> list[Finding]:
    """All that can be said of settings that could be read."""
    return [
        _key(settings),
        _webhook_secrets(settings),
        _price_policy(settings),
        _redirect_hosts(settings),
        _trusted_proxies(settings),
        _stripe_address(settings),
    ]


def is_restricted(settings: Settings) -> bool:
    """Whether the key may do only what it was given permission for."""
    return settings.stripe_secret_key.get_secret_value().startswith("rk_")


def _key(settings: Settings) -> Finding:
    mode = "live" if settings.livemode else "test"
    kind = "A restricted" if is_restricted(settings) else "An unrestricted"
    return _KEY.ok(f"{kind} key of {mode} mode.")


def _webhook_secrets(settings: Settings) -> Finding:
    """S07: that two endpoints share a secret is not seen from here, since Stripe never shows one again."""
    try:
        secrets = settings.webhook_secrets()
    except ConfigurationError as wrong:
        return _SECRETS.broken(str(wrong), "Put the endpoint's signing secret there.")
    twice = len(secrets) - len(set(secrets))
    if twice:
        return _SECRETS.warning(
            f"STRIPE_WEBHOOK_SECRET has {counted(len(secrets), 'entry', 'entries')}, and one of them is there twice.",
            "Leave it there once. If the other was meant to be the new or the old secret, put that there; two "
            "endpoints, or test and live mode, must never have one secret in common.",
        )
    if len(secrets) > 1:
        return _SECRETS.ok(f"{len(secrets)} signing secrets, all of which are accepted: right while one is rolled.")
    return _SECRETS.ok("One signing secret.")


def _price_policy(settings: Settings) -> Finding:
    if settings.price_policy == "catalog":
        return _PRICES.ok("catalog: every line is compared with Stripe's catalogue.")
    if settings.payments_price_policy is None:
        return _PRICES.warning(
            "PAYMENTS_PRICE_POLICY is not set: with a test key the caller's price is the price. A live key has no "
            "default, and does not start.",
            "Set it to catalog where browsers reach the checkout route; to declared only behind a guard.",
        )
    found = "declared: whoever reaches the checkout route names the price."
    if settings.livemode:
        return _PRICES.warning(found, "See that only your own servers reach it, or set PAYMENTS_PRICE_POLICY=catalog.")
    return _PRICES.ok(found)


def _redirect_hosts(settings: Settings) -> Finding:
    hosts = settings.payments_redirect_hosts
    if not hosts:
        return _HOSTS.warning(
            "PAYMENTS_REDIRECT_HOSTS is not set: with a test key buyers may be sent to any https host. A live key has "
            "no default, and does not start.",
            "Name the hosts that buyers may be sent back to, as shop.example.com.",
        )
    local = [host for host in hosts if is_loopback(urlsplit(f"//{host}").hostname)]
    if settings.livemode and local:
        return _HOSTS.warning(
            f"A live key, and buyers may be sent to {listed(local)}, which is their own machine.",
            "Take it off PAYMENTS_REDIRECT_HOSTS.",
        )
    return _HOSTS.ok(f"Buyers may be sent to {listed(hosts)}.")


def _trusted_proxies(settings: Settings) -> Finding:
    """X-Forwarded-For is believed from these alone; see `payments_core.http.addresses`."""
    proxies = settings.payments_trusted_proxies
    everybody = [one for one in proxies if one != "unix" and ip_network(one, strict=False).prefixlen == 0]
    if everybody:
        return _PROXIES.warning(
            f"PAYMENTS_TRUSTED_PROXIES has {everybody[0]}: whoever calls may say which address he has, and the limits "
            "by address stop nobody.",
            "Name the addresses of your own proxies.",
        )
    if proxies:
        return _PROXIES.ok(f"X-Forwarded-For is believed from {listed(proxies)}.")
    if settings.livemode and any(settings.limit(name) for name in _BY_ADDRESS):
        return _PROXIES.warning(
            "PAYMENTS_TRUSTED_PROXIES is not set. Behind a proxy all buyers are one caller then, and are refused "
            "together.",
            "Name what stands in front of the application, as 10.0.0.0/8 or unix; nothing is to be done where buyers "
            "reach it directly.",
        )
    return _PROXIES.ok("None: a caller's address is the one that he connects from.")


def _stripe_address(settings: Settings) -> Finding:
    if settings.stripe_api_base is None:
        return _STRIPE.ok("Stripe itself.")
    return _STRIPE.ok("STRIPE_API_BASE: a server on this machine stands in for Stripe. A live key refuses that.")
