"""The gateway: which calls answer which question, written once for both worlds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from payments_core.adapters.stripe.catalogue import Catalogue
from payments_core.adapters.stripe.sdk import AsyncCaller, BlockingCaller, Caller
from payments_core.domain.pricing import CatalogPrice
from payments_core.domain.stripe_objects import (
    Charge,
    Document,
    Intent,
    Invoice,
    LineItem,
    Session,
    child,
    items,
    read_charge,
    read_intent,
    read_invoice,
    read_line_item,
    read_session,
    reference,
)
from payments_core.errors import StripeObjectMissing
from payments_core.ports import Io
from payments_core.settings import Settings

PAGE = 100
#: An id outside this never reaches a URL: an empty one would ask for the whole collection.
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


def blocking_gateway(settings: Settings, *, http_client: object | None = None) -> StripeGateway:
    """Stripe for the synchronous world. `http_client` is one of the SDK's, ours (requests) if None."""
    return StripeGateway(BlockingCaller(settings, http_client))


def async_gateway(settings: Settings, *, http_client: object | None = None) -> StripeGateway:
    """Stripe for the event loop. `http_client` is one of the SDK's async ones, ours (aiohttp) if None, one per loop.

    Raises ConfigurationError without aiohttp.
    """
    return StripeGateway(AsyncCaller(settings, http_client))


class StripeGateway:
    """`payments_core.ports.Gateway` over the SDK."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._catalogue = Catalogue(caller)

    @property
    def io(self) -> Io:
        """See Gateway."""
        return self._caller.io

    async def create_session(self, params: Mapping[str, Any], *, idempotency_key: str) -> Session:
        """See Gateway."""
        options = {"idempotency_key": idempotency_key}
        return read_session(await self._caller.call("checkout.sessions.create", dict(params), options))

    async def session(self, session_id: str) -> Session:
        """See Gateway."""
        return read_session(await self._retrieve("checkout.sessions", session_id))

    async def session_of_intent(self, payment_intent_id: str) -> Session | None:
        """See Gateway."""
        params = {"payment_intent": _checked(payment_intent_id), "limit": 1}
        found = items(await self._caller.call("checkout.sessions.list", params))
        return read_session(found[0]) if found else None

    async def line_items(self, session_id: str) -> Sequence[LineItem]:
        """See Gateway."""
        found = await self._pages("checkout.sessions.line_items.list", _checked(session_id), params={})
        return tuple(read_line_item(line) for line in found)

    async def intent(self, payment_intent_id: str) -> Intent:
        """See Gateway."""
        return read_intent(await self._retrieve("payment_intents", payment_intent_id))

    async def charge(self, charge_id: str) -> Charge:
        """See Gateway."""
        return read_charge(await self._retrieve("charges", charge_id))

    async def invoice(self, invoice_id: str) -> Invoice:
        """See Gateway."""
        document = await self._retrieve("invoices", invoice_id)
        if not child(document, "lines").get("has_more"):
            return read_invoice(document)
        lines = await self._pages("invoices.line_items.list", invoice_id, params={})
        return read_invoice({**document, "lines": {"data": lines}})

    async def invoice_of_intent(self, payment_intent_id: str) -> str | None:
        """See Gateway."""
        payment = {"type": "payment_intent", "payment_intent": _checked(payment_intent_id)}
        found = items(await self._caller.call("invoice_payments.list", {"payment": payment, "limit": 1}))
        return reference(found[0], "invoice") if found else None

    async def intents_of_invoice(self, invoice_id: str) -> Sequence[str]:
        """See Gateway."""
        found = await self._pages("invoice_payments.list", params={"invoice": _checked(invoice_id)})
        named = (reference(child(payment, "payment"), "payment_intent") for payment in found)
        return tuple(name for name in named if name is not None)

    async def catalogue(self, references: Sequence[str]) -> Mapping[str, CatalogPrice]:
        """See Gateway."""
        return await self._catalogue.prices_of(references)

    async def close(self) -> None:
        """See Gateway."""
        await self._caller.close()

    async def _retrieve(self, service: str, object_id: str) -> Document:
        return await self._caller.call(f"{service}.retrieve", _checked(object_id))

    async def _pages(self, method: str, *path: str, params: Mapping[str, Any]) -> list[Document]:
        """Every object of a list, page after page."""
        found: list[Document] = []
        cursor: dict[str, str] = {}
        while True:
            page = await self._caller.call(method, *path, {**params, "limit": PAGE, **cursor})
            found += items(page)
            if not page.get("has_more") or not items(page):
                return found
            cursor = {"starting_after": str(found[-1]["id"])}


def _checked(object_id: str) -> str:
    if not _ID.fullmatch(object_id):
        raise StripeObjectMissing("Stripe has no object of such an id.", "resource_missing")
    return object_id
