"""`Gateway` over Stripe's API, written once for both worlds: what is asked, and how the answer is read.

Routes follow API version 2026-10-28.endive (https://docs.stripe.com/api). Which objects exist is Stripe's word; an id
that cannot be one is answered here, without a request: in a URL it would name something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from payments_core.adapters.stripe.calls import Calls, all_pages, identified, is_id, one_page, page_of, rest_of
from payments_core.adapters.stripe.catalogue import look_up
from payments_core.adapters.stripe.keeping import CatalogueKeeping
from payments_core.domain.account import Greeting, WebhookEndpoint, read_greeting, read_webhook_endpoint
from payments_core.domain.listing import Page, Span
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

SESSIONS: Final = "/v1/checkout/sessions"
INTENTS: Final = "/v1/payment_intents"
CHARGES: Final = "/v1/charges"
INVOICES: Final = "/v1/invoices"
INVOICE_PAYMENTS: Final = "/v1/invoice_payments"
EVENTS: Final = "/v1/events"
REFUNDS: Final = "/v1/refunds"
THIN_EVENTS: Final = "/v2/core/events"
BALANCE: Final = "/v1/balance"
WEBHOOK_ENDPOINTS: Final = "/v1/webhook_endpoints"


class StripeGateway(CatalogueKeeping):
    """Stripe; see `Gateway`, `CatalogueGateway` and `AccountGateway` in `payments_core.ports` for its promises."""

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls)

    @property
    def io(self) -> Io:
        """The world its calls serve."""
        return self._calls.io

    async def create_session(self, params: Mapping[str, Any], *, idempotency_key: str) -> Session:
        """`POST /v1/checkout/sessions`."""
        document = await self._calls.send("post", SESSIONS, params, idempotency_key=idempotency_key)
        return read_session(identified(document, SESSIONS))

    async def expire_session(self, session_id: str) -> Session:
        """`POST /v1/checkout/sessions/{id}/expire`."""
        _require_id(session_id)
        path = f"{SESSIONS}/{session_id}/expire"
        return read_session(identified(await self._calls.send("post", path, {}), path))

    async def session(self, session_id: str) -> Session:
        """`GET /v1/checkout/sessions/{id}`."""
        return read_session(await self._object(SESSIONS, session_id))

    async def session_of_intent(self, payment_intent_id: str) -> Session | None:
        """`GET /v1/checkout/sessions?payment_intent=`."""
        found = await self._first(SESSIONS, payment_intent_id, {"payment_intent": payment_intent_id})
        return read_session(found) if found is not None else None

    async def line_items(self, session_id: str) -> Sequence[LineItem]:
        """`GET /v1/checkout/sessions/{id}/line_items`, all pages."""
        _require_id(session_id)
        lines = await all_pages(self._calls, f"{SESSIONS}/{session_id}/line_items")
        return [read_line_item(line) for line in lines]

    async def intent(self, payment_intent_id: str) -> Intent:
        """`GET /v1/payment_intents/{id}`."""
        return read_intent(await self._object(INTENTS, payment_intent_id))

    async def charge(self, charge_id: str) -> Charge:
        """`GET /v1/charges/{id}`."""
        return read_charge(await self._object(CHARGES, charge_id))

    async def invoice(self, invoice_id: str) -> Invoice:
        """`GET /v1/invoices/{id}`, which holds the first lines, and `/lines` for those behind them."""
        document = await self._object(INVOICES, invoice_id)
        lines = await rest_of(self._calls, f"{INVOICES}/{invoice_id}/lines", {}, child(document, "lines"))
        return read_invoice({**document, "lines": {"data": lines}})

    async def invoice_of_intent(self, payment_intent_id: str) -> str | None:
        """`GET /v1/invoice_payments?payment[payment_intent]=`."""
        filters = {"payment": {"type": "payment_intent", "payment_intent": payment_intent_id}}
        found = await self._first(INVOICE_PAYMENTS, payment_intent_id, filters)
        return reference(found, "invoice") if found is not None else None

    async def intents_of_invoice(self, invoice_id: str) -> Sequence[str]:
        """`GET /v1/invoice_payments?invoice=`, all pages; payments made outside Stripe have no intent."""
        if not is_id(invoice_id):
            return ()
        try:
            payments = await all_pages(self._calls, INVOICE_PAYMENTS, {"invoice": invoice_id})
        except StripeObjectMissing:
            return ()
        intents = (reference(child(payment, "payment"), "payment_intent") for payment in payments)
        return list(dict.fromkeys(intent for intent in intents if intent is not None))

    async def events(self, span: Span, *, after: str | None = None, undelivered: bool = False) -> Page[Document]:
        """`GET /v1/events?created=`."""
        filters = {"delivery_success": False} if undelivered else {}
        return await page_of(self._calls, EVENTS, span, _as_it_is, after=after, exact=True, **filters)

    async def sessions(self, span: Span, *, after: str | None = None) -> Page[Session]:
        """`GET /v1/checkout/sessions?created=`."""
        return await page_of(self._calls, SESSIONS, span, read_session, after=after)

    async def intents(self, span: Span, *, after: str | None = None) -> Page[Intent]:
        """`GET /v1/payment_intents?created=`."""
        return await page_of(self._calls, INTENTS, span, read_intent, after=after)

    async def invoices(self, span: Span, *, after: str | None = None) -> Page[Invoice]:
        """`GET /v1/invoices?status=paid&created=`."""
        return await page_of(self._calls, INVOICES, span, read_invoice, after=after, status="paid")

    async def refunds(self, span: Span, *, after: str | None = None) -> Page[Document]:
        """`GET /v1/refunds?created=`."""
        return await page_of(self._calls, REFUNDS, span, _as_it_is, after=after, exact=True)

    async def refund(self, refund_id: str) -> Document:
        """`GET /v1/refunds/{id}`."""
        _require_id(refund_id)
        path = f"{REFUNDS}/{refund_id}"
        return identified(await self._calls.exact(path, {}), path)

    async def failure_notice(self, event_id: str) -> Document:
        """`GET /v2/core/events/{id}`."""
        return await self._object(THIN_EVENTS, event_id)

    async def catalogue(self, references: Sequence[str]) -> Mapping[str, CatalogPrice]:
        """Prices, products and lookup keys; see `catalogue.look_up`."""
        return await look_up(self._calls, references)

    async def greeting(self) -> Greeting:
        """`GET /v1/balance`, the smallest object that every account has and that states its mode."""
        answered = await self._calls.answered(BALANCE)
        return read_greeting(answered.document, answered.headers, answered.refusal)

    async def webhook_endpoints(self) -> Sequence[WebhookEndpoint]:
        """`GET /v1/webhook_endpoints`, all pages."""
        found = await all_pages(self._calls, WEBHOOK_ENDPOINTS)
        return [read_webhook_endpoint(identified(one, WEBHOOK_ENDPOINTS)) for one in found]

    async def close(self) -> None:
        """Give back the connections."""
        await self._calls.close()

    async def _object(self, collection: str, object_id: str) -> Document:
        _require_id(object_id)
        path = f"{collection}/{object_id}"
        return identified(await self._calls.send("get", path, {}), path)

    async def _first(self, path: str, object_id: str, filters: Mapping[str, Any]) -> Document | None:
        """The first of a list that is filtered by an object.

        An unknown object gives an empty list or `resource_missing`: both mean that there is nothing.
        """
        if not is_id(object_id):
            return None
        try:
            page = await one_page(self._calls, path, {**filters, "limit": 1})
        except StripeObjectMissing:
            return None
        return identified(items(page)[0], path) if items(page) else None


def _as_it_is(document: Document) -> Document:
    return document


def _require_id(object_id: str) -> None:
    if not is_id(object_id):
        raise StripeObjectMissing(
            "There is no such object: the id is empty or has characters that no id of Stripe's has. Check its source.",
            "resource_missing",
        )
