"""Where the shop is, and what is the same for both frameworks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
STATIC: Final = HERE / "static"
TEMPLATES: Final = HERE / "templates"
API: Final = "/api/payments"

#: No script or style but the shop's own; pictures from anywhere the catalogue names.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; img-src 'self' https: http: data:; form-action *; frame-ancestors 'none'; base-uri 'none'"
)


def shop_url() -> str:
    """The shop's own address, as buyers reach it. Configured, because a request's Host header can be forged."""
    return os.environ.get("SHOP_URL", f"http://127.0.0.1:{os.environ.get('PORT', '3006')}").rstrip("/")


def has_broker() -> bool:
    """Whether Kafka is there. Then this process also publishes; a larger installation runs `payments relay` instead."""
    return bool(os.environ.get("KAFKA_BROKERS", "").strip())


def is_own_origin(origin: str | None) -> bool:
    """Whether a form was sent from the shop's own pages; browsers name the origin with every POST."""
    return origin is None or origin == "null" or origin.rstrip("/") in (shop_url(), _localhost(shop_url()))


def _localhost(url: str) -> str:
    return url.replace("127.0.0.1", "localhost", 1)
