"""A Stripe without a server, for tests: what the test puts in is what the gateway answers.

Objects are Stripe-shaped dictionaries, read by the same readers as Stripe's own answers. Nothing here decides anything:
a session is paid when the test says so (`change_session`). A Stripe that behaves by itself is `payments_core.sandbox`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final, TypeVar

from attrs import field, frozen

from payments_core.adapters.memory.keeping import MemoryCatalogue
from payments_core.domain.account import API_VERSION, Greeting, WebhookEndpoint, read_webhook_endpoint
from payments_core.domain.listing import Page, Span
from payments_core.domain.price_objects import catalog_price, is_recurring, price_of_product
from payments_core.domain.pricing import CatalogPrice
from payments_core.domain.stripe_objects import (
    Charge,
    Document,
    Intent,
    Invoice,
    LineItem,
    Session,
    child,
    number,
    read_charge,
    read_intent,
    read_invoice,
    read_line_item,
    read_session,
    reference,
    text,
)
from payments_core.errors import StripeError, StripeObjectMissing, StripeUnavailable
from payments_core.ports import Clock, Io

T = TypeVar("T")

_KINDS: Final = ("session", "intent", "charge", "invoice", "refund", "event", "notice", "price", "product", "endpoint")
_PAGE: Final = 100


@frozen
class GatewayCall:
    """A call that was made: the method of the port, and the ids or references it asked for."""

    method: str
    arguments: tuple[str, ...] = ()


@frozen
class SentSession:
    """What `create_session` was given, and the session that came of it."""

    params: Mapping[str, Any] = field(repr=False)
    idempotency_key: str
    session_id: str


class MemoryGateway(MemoryCatalogue):
    """`Gateway`, `CatalogueGateway` and `AccountGateway` of `payments_core.ports` in memory. Never suspends.

    `calls` records every call, `sent` every session that was created. `fail_next(error)` makes the next call raise.
    With `clock` a session says when it was created, and is found by that; a greeting says its time.
    """

    def __init__(self, *, io: Io = "blocking", clock: Clock | None = None) -> None:
        super().__init__()
        self._io: Io = io
        self._clock = clock
        self.calls: list[GatewayCall] = []
        self.sent: list[SentSession] = []
        self.closed = False
        self._objects.update({kind: {} for kind in _KINDS})
        self._lines: dict[str, list[Document]] = {}
        self._payers: list[tuple[str, str]] = []
        self._undelivered: set[str] = set()
        self._faults: list[tuple[str | None, Exception]] = []

    @property
    def io(self) -> Io:
        """See Gateway."""
        return self._io

    def put_session(self, document: Document) -> None:
        """A Checkout Session; `payment_intent` in it is what `session_of_intent` finds it by."""
        self._put("session", document)

    def change_session(self, session_id: str, **fields: object) -> None:
        """Set fields of a session that is there: `change_session(id, status="complete", payment_status="paid")`."""
        self._put("session", {**self._need("session", session_id), **fields})

    def put_line_items(self, session_id: str, lines: Sequence[Document]) -> None:
        """The lines of a session, whole."""
        self._lines[session_id] = list(lines)

    def put_intent(self, document: Document) -> None:
        """A PaymentIntent."""
        self._put("intent", document)

    def put_charge(self, document: Document) -> None:
        """A Charge."""
        self._put("charge", document)

    def put_invoice(self, document: Document, *, paid_by: Sequence[str] = ()) -> None:
        """An Invoice with its lines in `lines.data`; `paid_by` are the payment intents of its invoice payments."""
        invoice_id = self._put("invoice", document)
        self._payers += [(invoice_id, intent) for intent in paid_by if (invoice_id, intent) not in self._payers]

    def put_refund(self, document: Document) -> None:
        """A Refund."""
        self._put("refund", document)

    def put_event(self, document: Document, *, delivered: bool = True) -> None:
        """An Event that Stripe lists; `delivered` says whether every endpoint has taken it."""
        self._undelivered.discard(str(document["id"]))
        if not delivered:
            self._undelivered.add(str(document["id"]))
        self._put("event", document)

    def put_notice(self, document: Document) -> None:
        """A thin event which tells that an event could not be made."""
        self._put("notice", document)

    def put_product(self, document: Document) -> None:
        """A Product; `default_price` names a price that was put in as well."""
        self._put("product", document)

    def put_price(self, document: Document) -> None:
        """A Price; `product` names its product, `lookup_key` is a further name for it."""
        self._put("price", document)

    def put_webhook_endpoint(self, document: Document) -> None:
        """A webhook endpoint."""
        self._put("endpoint", document)

    def fail_next(self, error: Exception, *, method: str | None = None, times: int = 1) -> None:
        """Raise `error` from the next `times` calls, or from the next ones of one method of the port."""
        self._faults += [(method, error)] * times

    def asked(self, method: str) -> list[tuple[str, ...]]:
        """The arguments of every call of one method so far."""
        return [call.arguments for call in self.calls if call.method == method]

    async def create_session(self, params: Mapping[str, Any], *, idempotency_key: str) -> Session:
        """See Gateway. A key seen before gives the same session; with other parameters Stripe's refusal."""
        self._called("create_session", idempotency_key)
        before = next((one for one in self.sent if one.idempotency_key == idempotency_key), None)
        if before is not None:
            if before.params != params:
                raise StripeError("The idempotency key was used before with other parameters.", "idempotency_error")
            return read_session(self._need("session", before.session_id))
        document = self._opened(params, f"cs_test_memory{len(self.sent) + 1}")
        self.sent.append(SentSession(deepcopy(dict(params)), idempotency_key, self._put("session", document)))
        return read_session(document)

    async def expire_session(self, session_id: str) -> Session:
        """See Gateway."""
        self._called("expire_session", session_id)
        if self._need("session", session_id).get("status") != "open":
            error = StripeError("Only Checkout Sessions with a status of open can be expired.")
            error.answered = 400
            raise error
        self.change_session(session_id, status="expired", url=None)
        return read_session(self._need("session", session_id))

    async def session(self, session_id: str) -> Session:
        """See Gateway."""
        self._called("session", session_id)
        return read_session(self._need("session", session_id))

    async def session_of_intent(self, payment_intent_id: str) -> Session | None:
        """See Gateway."""
        self._called("session_of_intent", payment_intent_id)
        sessions = self._objects["session"].values()
        made = (one for one in sessions if reference(one, "payment_intent") == payment_intent_id)
        found = next(made, None)
        return read_session(found) if found is not None else None

    async def line_items(self, session_id: str) -> Sequence[LineItem]:
        """See Gateway."""
        self._called("line_items", session_id)
        self._need("session", session_id)
        return [read_line_item(line) for line in self._lines.get(session_id, ())]

    async def intent(self, payment_intent_id: str) -> Intent:
        """See Gateway."""
        self._called("intent", payment_intent_id)
        return read_intent(self._need("intent", payment_intent_id))

    async def charge(self, charge_id: str) -> Charge:
        """See Gateway."""
        self._called("charge", charge_id)
        return read_charge(self._need("charge", charge_id))

    async def invoice(self, invoice_id: str) -> Invoice:
        """See Gateway."""
        self._called("invoice", invoice_id)
        return read_invoice(self._need("invoice", invoice_id))

    async def invoice_of_intent(self, payment_intent_id: str) -> str | None:
        """See Gateway."""
        self._called("invoice_of_intent", payment_intent_id)
        return next((invoice for invoice, intent in self._payers if intent == payment_intent_id), None)

    async def intents_of_invoice(self, invoice_id: str) -> Sequence[str]:
        """See Gateway."""
        self._called("intents_of_invoice", invoice_id)
        return [intent for invoice, intent in self._payers if invoice == invoice_id]

    async def events(self, span: Span, *, after: str | None = None, undelivered: bool = False) -> Page[Document]:
        """See Gateway."""
        self._called("events", *((after,) if after else ()))
        found = [one for one in self._made_in("event", span) if not undelivered or one["id"] in self._undelivered]
        return _page(found, after, deepcopy)

    async def sessions(self, span: Span, *, after: str | None = None) -> Page[Session]:
        """See Gateway."""
        self._called("sessions", *((after,) if after else ()))
        return _page(self._made_in("session", span), after, read_session)

    async def intents(self, span: Span, *, after: str | None = None) -> Page[Intent]:
        """See Gateway."""
        self._called("intents", *((after,) if after else ()))
        return _page(self._made_in("intent", span), after, read_intent)

    async def invoices(self, span: Span, *, after: str | None = None) -> Page[Invoice]:
        """See Gateway."""
        self._called("invoices", *((after,) if after else ()))
        paid = [one for one in self._made_in("invoice", span) if text(one, "status") == "paid"]
        return _page(paid, after, read_invoice)

    async def refunds(self, span: Span, *, after: str | None = None) -> Page[Document]:
        """See Gateway."""
        self._called("refunds", *((after,) if after else ()))
        return _page(self._made_in("refund", span), after, deepcopy)

    async def refund(self, refund_id: str) -> Document:
        """See Gateway."""
        self._called("refund", refund_id)
        return deepcopy(self._need("refund", refund_id))

    async def failure_notice(self, event_id: str) -> Document:
        """See Gateway."""
        self._called("failure_notice", event_id)
        return deepcopy(self._need("notice", event_id))

    async def catalogue(self, references: Sequence[str]) -> Mapping[str, CatalogPrice]:
        """See Gateway."""
        self._called("catalogue", *references)
        found = ((one, self._catalog_price(one)) for one in references)
        return {one: price for one, price in found if price is not None}

    async def greeting(self) -> Greeting:
        """See AccountGateway; it speaks of test mode."""
        now = None if self._clock is None else self._clock().replace(microsecond=0)
        try:
            self._called("greeting")
        except StripeUnavailable:
            raise
        except StripeError as refusal:
            return Greeting(said_at=now, version=API_VERSION, refusal=refusal)
        return Greeting(said_at=now, livemode=False, version=API_VERSION)

    async def webhook_endpoints(self) -> Sequence[WebhookEndpoint]:
        """See AccountGateway."""
        self._called("webhook_endpoints")
        return [read_webhook_endpoint(one) for one in reversed(self._objects["endpoint"].values())]

    async def close(self) -> None:
        """Remembered in `closed`; there is nothing to give back."""
        self.closed = True

    def _called(self, method: str, *arguments: str) -> None:
        self.calls.append(GatewayCall(method, arguments))
        for index, (wanted, error) in enumerate(self._faults):
            if wanted in (None, method):
                del self._faults[index]
                raise error

    def _put(self, kind: str, document: Document) -> str:
        object_id = str(document["id"])
        self._objects[kind][object_id] = deepcopy(dict(document))
        return object_id

    def _need(self, kind: str, object_id: str) -> Document:
        found = self._objects[kind].get(object_id)
        if found is None:
            raise StripeObjectMissing("No such object was put into the memory gateway.", "resource_missing")
        return found

    def _made_in(self, kind: str, span: Span) -> list[Document]:
        """The newest first; one that does not say when it was made was made in no span."""
        made = sorted(
            ((number(one, "created"), place) for place, one in enumerate(self._objects[kind].values())),
            key=lambda pair: (pair[0] or 0, pair[1]),
            reverse=True,
        )
        documents = list(self._objects[kind].values())
        return [documents[at] for created, at in made if created and span.since_s <= created < span.until_s]

    def _opened(self, params: Mapping[str, Any], session_id: str) -> Document:
        lines = [self._line(item, params.get("currency")) for item in params.get("line_items", ())]
        total = sum((number(line, "amount_total") or 0) for line in lines)
        embedded = params.get("ui_mode") == "embedded_page"
        self.put_line_items(session_id, lines)
        created = {} if self._clock is None else {"created": int(self._clock().timestamp())}
        return {
            **created,
            "id": session_id,
            "object": "checkout.session",
            "mode": params.get("mode"),
            "status": "open",
            "payment_status": "unpaid" if total else "no_payment_required",
            "currency": text(lines[0], "currency") if lines else None,
            "amount_subtotal": total,
            "amount_total": total,
            "payment_intent": None,
            "client_reference_id": params.get("client_reference_id"),
            "customer_email": params.get("customer_email"),
            "metadata": dict(params.get("metadata", {})),
            "url": None if embedded else f"https://checkout.stripe.com/c/pay/{session_id}",
            "client_secret": f"{session_id}_secret_memory" if embedded else None,
        }

    def _line(self, item: Mapping[str, Any], currency: str | None) -> Document:
        price = self._sold(item["price"]) if "price" in item else item["price_data"]
        product = child(self._objects["product"], text(price, "product") or "") or child(price, "product_data")
        quantity = int(item.get("quantity", 1))
        option = child(child(price, "currency_options"), currency or "")
        unit, spoken = number({**price, **option}, "unit_amount"), currency if option else text(price, "currency")
        return {
            "object": "item",
            "description": text(product, "name"),
            "quantity": quantity,
            "amount_total": (unit or 0) * quantity,
            "currency": spoken,
            "price": {"unit_amount": unit},
        }

    def _sold(self, price_id: str) -> Document:
        price = self._need("price", price_id)
        if price.get("active", True) is not True:
            error = StripeError("The price is not active.", param="line_items[0][price]")
            error.answered = 400
            raise error
        return price

    def _catalog_price(self, name: str) -> CatalogPrice | None:
        prices, products = self._objects["price"], self._objects["product"]
        if name in prices:
            return self._sellable(prices[name])
        if name in products:
            return self._of_product(products[name])
        keyed = (one for one in prices.values() if text(one, "lookup_key") == name and one.get("active", True) is True)
        return next((self._sellable(price) for price in keyed), None)

    def _sellable(self, price: Document) -> CatalogPrice:
        product = child(self._objects["product"], reference(price, "product") or "")
        return catalog_price(_ordinary(price), _ordinary(product))

    def _of_product(self, product: Document) -> CatalogPrice:
        default = reference(product, "default_price")
        if default is not None:
            return catalog_price(_ordinary(child(self._objects["price"], default)), _ordinary(product))
        of_it = (one for one in self._objects["price"].values() if reference(one, "product") == product["id"])
        candidates = [one for one in map(_ordinary, of_it) if one["active"] is True and not is_recurring(one)]
        return price_of_product(_ordinary(product), candidates)


def _page(found: Sequence[Document], after: str | None, read: Callable[[Document], T]) -> Page[T]:
    start = next((at + 1 for at, one in enumerate(found) if one["id"] == after), 0)
    shown = found[start : start + _PAGE]
    last: Document = shown[-1] if shown else {}
    more = len(found) > start + _PAGE
    return Page(tuple(read(one) for one in shown), more, text(last, "id"), number(last, "created"))


def _ordinary(document: Document) -> Document:
    """The price or product with what a test left out: it is for sale."""
    return {"active": True, **document}
