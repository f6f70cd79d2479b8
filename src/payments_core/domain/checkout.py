"""What is sent to Stripe to open a checkout, and where the buyer may be sent afterwards.

Parameters follow API version 2026-10-28.endive (https://docs.stripe.com/api/checkout/sessions/create). Our own id
of the payment goes on the session *and* into `payment_intent_data.metadata`: Stripe makes the payment intent late
and copies that one, so the intent's news finds its payment even when it overtakes the session's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from ..errors import FieldProblem, InvalidRequest, RedirectNotAllowed
from ..settings import is_loopback
from .cart import CheckoutRequest, Line
from .payment import Adjustment, Payment

PAYMENT_ID_KEY: Final = "payments_core_id"
APP_KEY: Final = "payments_core_app"
RESERVED_PREFIX: Final = "payments_core_"
USER_ID_KEY: Final = "userId"

MAX_CLIENT_REFERENCE_CHARS: Final = 200
MAX_URL_CHARS: Final = 5000
#: Stripe allows 50 keys; two are ours.
MAX_METADATA_KEYS: Final = 48
MAX_METADATA_KEY_CHARS: Final = 40
MAX_METADATA_VALUE_CHARS: Final = 500


def session_params(request: CheckoutRequest, payment: Payment, *, app: str | None) -> dict[str, Any]:
    """The parameters of `checkout.sessions.create` for `payment`, whose cart has been verified."""
    cart = payment.cart or request.cart
    marks = {PAYMENT_ID_KEY: payment.payment_id, **({APP_KEY: app} if app else {})}
    stamped = {**request.metadata, **marks}
    params: dict[str, Any] = {
        "mode": "payment",
        "ui_mode": request.ui_mode,
        "line_items": [_line_item(line) for line in cart.lines],
        "metadata": stamped,
        "payment_intent_data": {"metadata": stamped},
        **_return_urls(request),
    }
    if any(line.price_id is not None for line in cart.lines):
        # A price with currency options is else charged in its own currency, or in the one of the buyer's country.
        params["currency"] = cart.currency
    if request.customer_email is not None:
        params["customer_email"] = request.customer_email
    if payment.user_id is not None and len(payment.user_id) <= MAX_CLIENT_REFERENCE_CHARS:
        params["client_reference_id"] = payment.user_id
    return params


def enabled_adjustments(params: Mapping[str, Any]) -> frozenset[Adjustment]:
    """What these parameters let Stripe take off or put on the lines; settlement is proved with nothing else.

    Nothing that a Dashboard sets adds a kind by itself: promotion codes, shipping rates and taxes are each a parameter
    of the session, off where it is not sent (https://docs.stripe.com/api/checkout/sessions/create). Adaptive pricing,
    which the Dashboard does switch on, leaves the amounts that Stripe reports alone.
    """
    enabled = {
        Adjustment.DISCOUNT: params.get("allow_promotion_codes") or params.get("discounts"),
        Adjustment.SHIPPING: params.get("shipping_options"),
        Adjustment.TAX: params.get("automatic_tax", {}).get("enabled")
        or params.get("managed_payments", {}).get("enabled")
        or any(line.get("tax_rates") for line in params.get("line_items", ())),
    }
    return frozenset(kind for kind, sent in enabled.items() if sent)


def check_metadata(metadata: Mapping[str, str], *, has_user: bool) -> None:
    """Raise InvalidRequest for metadata over Stripe's limits (docs.stripe.com/metadata) or with keys of ours."""
    problems = [
        FieldProblem(f"metadata.{key[:MAX_METADATA_KEY_CHARS]}", problem)
        for key, value in metadata.items()
        if (problem := _metadata_problem(key, value, has_user=has_user))
    ]
    if len(metadata) > MAX_METADATA_KEYS:
        problems.append(FieldProblem("metadata", f"has more than {MAX_METADATA_KEYS} keys"))
    if problems:
        raise InvalidRequest("The metadata cannot be used.", problems)


def check_redirects(request: CheckoutRequest, hosts: Sequence[str]) -> None:
    """Raise RedirectNotAllowed for a URL that leads off the allow-list, naming the field.

    `hosts` empty (a test key only): any https host, and http on loopback. An entry is a host name, `host:port` or
    `*.example.com`; https is required except on loopback.
    """
    problems = [
        FieldProblem(path, problem)
        for path, url in (("successUrl", request.success_url), ("cancelUrl", request.cancel_url))
        if url is not None and (problem := redirect_problem(url, hosts))
    ]
    if problems:
        raise RedirectNotAllowed("The buyer may not be sent there.", problems)


def redirect_problem(url: str, hosts: Sequence[str]) -> str | None:
    """Why a browser must not be sent to `url`, or None when it may."""
    if len(url) > MAX_URL_CHARS:
        return f"is longer than {MAX_URL_CHARS} characters"
    # Browsers drop tabs and newlines and read a backslash as a slash: what is checked must be what is followed.
    if not url.isascii() or any(c <= " " or c in '\\"<>^`|\x7f' for c in url):
        return "holds a character that does not belong in a URL (encode it)"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme.lower() not in ("http", "https") or not parts.netloc or not parts.hostname:
        return "must be an absolute http(s) URL"
    if "@" in parts.netloc:
        return "must not hold a user name"
    return _host_problem(parts, port, hosts)


def _host_problem(parts: SplitResult, port: int | None, hosts: Sequence[str]) -> str | None:
    host = (parts.hostname or "").rstrip(".")
    loopback = is_loopback(host)
    if not loopback and (looks_numeric(host) or parts.scheme.lower() != "https"):
        return "must be https with a host name (http only on this machine)"
    if not hosts:
        return None
    shown = f"[{host}]" if ":" in host else host
    wanted = {shown, f"{shown}:{port}"} if port else {shown}
    if any(entry in wanted or (entry.startswith("*.") and shown.endswith(entry[1:])) for entry in hosts):
        return None
    return "leads to a host that is not on the allow-list (PAYMENTS_REDIRECT_HOSTS)"


def looks_numeric(host: str) -> bool:
    """Whether a browser could read `host` as an address (0x7f.1, 2130706433): such hosts are never on a list."""
    last = host.rpartition(".")[2]
    if last.isdigit() or last.startswith("0x"):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _return_urls(request: CheckoutRequest) -> dict[str, str]:
    if request.ui_mode == "embedded_page":
        return {"return_url": request.success_url}
    urls = {"success_url": request.success_url}
    if request.cancel_url is not None:
        urls["cancel_url"] = request.cancel_url
    return urls


def _line_item(line: Line) -> dict[str, Any]:
    if line.price_id is not None:
        return {"price": line.price_id, "quantity": line.quantity}
    product: dict[str, Any] = {"name": line.name}
    if line.image is not None:
        product["images"] = [line.image]
    return {
        "price_data": {
            "currency": line.unit.currency,
            "product_data": product,
            "unit_amount": line.unit.minor,
        },
        "quantity": line.quantity,
    }


def _metadata_problem(key: str, value: str, *, has_user: bool) -> str | None:
    if key.lower().startswith(RESERVED_PREFIX):
        return f"keys that start with {RESERVED_PREFIX} are reserved"
    if key == USER_ID_KEY and has_user:
        return "the signed-in user's id is set by the server"
    if not key or len(key) > MAX_METADATA_KEY_CHARS or "[" in key or "]" in key:
        return f"a key has 1 to {MAX_METADATA_KEY_CHARS} characters and no square brackets"
    if len(value) > MAX_METADATA_VALUE_CHARS:
        return f"a value has at most {MAX_METADATA_VALUE_CHARS} characters"
    return "holds a NUL character" if "\x00" in key or "\x00" in value else None
