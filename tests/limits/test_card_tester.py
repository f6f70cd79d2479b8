"""A card tester against a whole shop: routes, webhooks, the runner behind them, and Stripe's stand-in with its page."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx2

from payments_core.domain.signature import sign
from payments_core.sandbox import running
from tests.adapters.test_both import HOSTS, Ask, Host, made
from tests.examples.demo import card, until
from tests.http.targets import WEBHOOK_SECRET
from tests.http.wrong_bodies import REFERENCE, text

CART = text(REFERENCE)
LIMITS = {
    "payments_limit_declines_per_session": "3/day",
    "payments_limit_declines_per_user": "4/hour",
    "payments_limit_checkouts_per_user": "off",
}


@HOSTS
def test_a_card_tester_is_stopped_by_his_declines(host: Host, tmp_path: Path) -> None:
    """Three stolen cards on a page end the session; a fourth on another one ends his welcome, and nobody else's."""
    with running() as stripe:

        def tell(ask: Ask, heard: set[str]) -> None:
            """Deliver the declines that were not delivered yet."""
            for event in stripe.events("payment_intent.payment_failed"):
                if event["id"] not in heard:
                    heard.add(event["id"])
                    body = json.dumps(event).encode()
                    signature = sign(body, WEBHOOK_SECRET, timestamp_s=int(time.time()))
                    assert ask("POST", "/pay/webhooks/stripe", body, **{"Stripe-Signature": signature}).status == 200

        heard: set[str] = set()
        settings = made(stripe, tmp_path, **LIMITS)
        with host(settings, user_id=lambda request: request.headers.get("x-user")) as ask:
            opened = ask("POST", "/pay/create-checkout-session", CART, **{"X-User": "mallory"}).json
            for _ in range(3):
                assert httpx2.post(opened["url"], data=card("4000000000000002"), timeout=30).status_code == 402
            tell(ask, heard)
            until(lambda: stripe.session(opened["sessionId"])["status"] == "expired")
            gone = httpx2.post(opened["url"], data=card("4242424242424242"), timeout=30)
            assert gone.status_code not in (200, 303)
            assert stripe.session(opened["sessionId"])["payment_status"] == "unpaid"

            again = ask("POST", "/pay/create-checkout-session", CART, **{"X-User": "mallory", "Idempotency-Key": "2"})
            assert again.json["sessionId"] != opened["sessionId"]
            assert httpx2.post(again.json["url"], data=card("4000000000000002"), timeout=30).status_code == 402
            tell(ask, heard)

            def refused() -> bool:
                answer = ask("POST", "/pay/create-checkout-session", CART, **{"X-User": "mallory"})
                return answer.status == 429 and 3500 < int(answer.headers["retry-after"]) <= 3600

            until(refused)
            assert ask("POST", "/pay/create-checkout-session", CART, **{"X-User": "alice"}).status == 200
