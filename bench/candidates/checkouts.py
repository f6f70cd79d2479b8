"""Checkouts opened one after another, through the library and by the bare SDK in turn, against one local Stripe.

The SDK sends what the library sends, and keeps nothing. Prints the median milliseconds of both.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable
from statistics import median
from typing import Any

import stripe

from bench.candidates.place import database_url, secret
from payments_core import Cart, CheckoutRequest, Line, Money, Payments, Settings
from payments_core.adapters.memory import MemoryGateway, MemoryStore

_KEY = "sk_test_bench"


def main() -> None:
    """Entry point."""
    base, calls = os.environ["BENCH_STRIPE"], int(os.environ["BENCH_CALLS"])
    settings = Settings.of(
        stripe_secret_key=_KEY,
        stripe_webhook_secret=secret(),
        stripe_api_base=base,
        payments_database_url=database_url(),
    )
    ours = Payments(settings, runner=False)
    sdk = stripe.StripeClient(_KEY, base_addresses={"api": base}).v1.checkout.sessions
    sent = _sent(settings)

    def by_library() -> None:
        ours.create_checkout_session(_request())

    def by_sdk() -> None:
        sdk.create(sent, {"idempotency_key": str(uuid.uuid4())})

    took: dict[str, list[float]] = {"library": [], "sdk": []}
    for _ in range(calls):
        took["library"].append(_ms(by_library))
        took["sdk"].append(_ms(by_sdk))
    ours.close()
    print(json.dumps({name: median(each) for name, each in took.items()}))


def _request() -> CheckoutRequest:
    cart = Cart([Line("Premium T-Shirt", Money(2999, "usd"), 2)])
    return CheckoutRequest(cart, success_url="https://shop.test/ok", cancel_url="https://shop.test/cart")


def _sent(settings: Settings) -> Any:
    gateway = MemoryGateway()
    Payments(settings, store=MemoryStore(), gateway=gateway, runner=False).create_checkout_session(_request())
    return dict(gateway.sent[-1].params)


def _ms(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
