"""The worlds in which the gateway's contract is tried: memory, and Stripe's SDK against a loopback server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from payments_core.adapters.memory.gateway import MemoryGateway
from payments_core.adapters.stripe import StripeGateway, async_gateway, blocking_gateway
from payments_core.adapters.stripe.refusals import Refusal, error_of
from payments_core.ports import Gateway, Io
from payments_core.settings import Settings
from payments_core.testing.contracts import GatewayWorld
from tests.gateway.stripe_server import Answer, StripeServer

KEY = "sk_test_51CanaryOfTheKey"


def settings(url: str, **values: Any) -> Settings:
    return Settings.of(stripe_secret_key=KEY, stripe_api_base=url, **values)


def gateway_of(io: Io, configured: Settings) -> StripeGateway:
    return blocking_gateway(configured) if io == "blocking" else async_gateway(configured)


class MemoryWorld(GatewayWorld):
    """Nothing outside the process."""

    def __init__(self, io: Io) -> None:
        super().__init__(io)
        self._gateway = MemoryGateway(io=io, clock=lambda: datetime.now(UTC))
        self._known: set[str] = set()

    @property
    def gateway(self) -> Gateway:
        return self._gateway

    def put(self, document: Mapping[str, Any]) -> None:
        of_kind = {
            "checkout.session": self._gateway.put_session,
            "payment_intent": self._gateway.put_intent,
            "charge": self._gateway.put_charge,
            "invoice": self._gateway.put_invoice,
            "refund": self._gateway.put_refund,
            "event": self._put_event,
            "v2.core.event": self._gateway.put_notice,
            "webhook_endpoint": self._gateway.put_webhook_endpoint,
            "product": self._gateway.put_product,
            "price": self._gateway.put_price,
        }
        if document["object"] == "invoice_payment":
            payer = document["payment"].get("payment_intent")
            self._gateway.put_invoice({"id": document["invoice"]}, paid_by=[payer] if payer else [])
            return
        for nested in (document.get("default_price"), document.get("product")):
            if isinstance(nested, Mapping) and nested["id"] not in self._known:
                self.put(nested)
        self._known.add(document["id"])
        of_kind[document["object"]](document)
        if "line_items" in document:
            self._gateway.put_line_items(document["id"], document["line_items"]["data"])

    def _put_event(self, document: Mapping[str, Any]) -> None:
        self._gateway.put_event(document, delivered=not document["pending_webhooks"])

    def refuse(self, status: int, error: Mapping[str, str], *, headers: Mapping[str, str] | None = None) -> None:
        said = {name: error.get(name) for name in ("type", "code", "param")}
        after = (headers or {}).get("Retry-After")
        self._gateway.fail_next(error_of(Refusal(status=status, retry_after=after, **said)), times=10)


class SdkWorld(GatewayWorld):
    """The official SDK, over HTTP."""

    def __init__(self, io: Io, server: StripeServer) -> None:
        super().__init__(io)
        self.server = server
        self._gateway = gateway_of(io, settings(server.url))

    @property
    def gateway(self) -> Gateway:
        return self._gateway

    def put(self, document: Mapping[str, Any]) -> None:
        self.server.put(document)

    def refuse(self, status: int, error: Mapping[str, str], *, headers: Mapping[str, str] | None = None) -> None:
        self.server.always = Answer(status, json.dumps({"error": error}).encode(), dict(headers or {}))
