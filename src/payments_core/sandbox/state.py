"""Everything one sandbox knows, and the context in which a request changes it.

Nothing here reads a clock, a random source or the network: a `Context` brings the time and the ids. Each collection
is bounded; a sandbox that runs for weeks forgets its oldest objects rather than growing without end.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Generic, Protocol, TypeVar

from attrs import Factory, define, evolve, field, fields, frozen

from .chaos import CALM, Chaos
from .errors import JsonObject, StripeRefusal, no_such
from .idempotency import KeyEntry
from .ids import IdSource
from .records.catalogue import Price, Product
from .records.checkout import Session
from .records.customers import Customer
from .records.disputes import Dispute, FraudWarning
from .records.events import NOBODY, Delivery, Endpoint, Event, Origin
from .records.invoices import Invoice, InvoiceItem, InvoicePayment
from .records.payments import Charge, PaymentIntent, PaymentMethod, Refund
from .records.pricing import Coupon, PromotionCode, ShippingRate, TaxRate

#: The only API version the sandbox speaks: the one stripe-python 16.1 pins.
API_VERSION = "2026-10-28.endive"
MAX_OBJECTS = 10_000
DAY_S = 86_400
DEFAULT_TAX_PERCENT = Decimal(10)
EVENT_LIFE_S = 30 * DAY_S


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Identified)


class Collection(Generic[T]):
    """Records of one kind in the order of their making, at most `limit` of them."""

    def __init__(self, kind: str, limit: int = MAX_OBJECTS) -> None:
        self._kind = kind
        self._limit = limit
        self._records: dict[str, T] = {}
        self._noted: dict[str, None] | None = None
        self._remembers = False
        self._before: dict[str, T] | None = None

    def put(self, record: T) -> T:
        """Add a record, or replace the one of the same id in its place. Returns it."""
        self._keep_for_undoing()
        self._records[record.id] = record
        self._note(record.id)
        if len(self._records) > self._limit:
            self.drop(next(iter(self._records)))
        return record

    def note_changes(self) -> None:
        """From now on, keep the ids of what is put or dropped."""
        self._noted = {}

    @property
    def changed(self) -> dict[str, None]:
        """The ids of what was put or dropped, in their order; whoever has dealt with them clears it."""
        return {} if self._noted is None else self._noted

    def _note(self, record_id: str) -> None:
        if self._noted is not None:
            self._noted[record_id] = None

    def get(self, record_id: str) -> T | None:
        """The record, or None."""
        return self._records.get(record_id)

    def need(self, record_id: str, param: str = "id", *, status: int = 404) -> T:
        """The record; raises StripeRefusal `resource_missing` naming `param` where there is none."""
        record = self._records.get(record_id)
        if record is None:
            raise no_such(self._kind, record_id, param, status=status)
        return record

    def drop(self, record_id: str) -> None:
        """Forget a record, if it is there."""
        if record_id in self._records:
            self._keep_for_undoing()
            del self._records[record_id]
            self._note(record_id)

    def remember(self) -> None:
        """From now on, know what is there at this moment, for `undo`."""
        self._remembers, self._before = True, None

    def undo(self) -> None:
        """Be again as at `remember`. What was put or dropped since then stays noted."""
        if self._before is not None:
            self._records = self._before
        self.forget()

    def forget(self) -> None:
        """There is nothing to undo any more."""
        self._remembers, self._before = False, None

    def _keep_for_undoing(self) -> None:
        """Only what is changed is copied, and whole: records come back in their places."""
        if self._remembers and self._before is None:
            self._before = dict(self._records)

    def newest(self) -> list[T]:
        """All records, the latest made first, as Stripe lists them."""
        return list(reversed(self._records.values()))

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._records.values()))

    def __len__(self) -> int:
        return len(self._records)


@define
class State:
    """One account's objects.

    `tax_percent` is what automatic tax takes, `webhook_secret` signs for receivers that were not made by the API.
    """

    account: str
    opened: int
    webhook_secret: str = field(default="", repr=False)
    tax_percent: Decimal = DEFAULT_TAX_PERCENT
    products: Collection[Product] = Factory(lambda: Collection[Product]("product"))
    prices: Collection[Price] = Factory(lambda: Collection[Price]("price"))
    sessions: Collection[Session] = Factory(lambda: Collection[Session]("checkout.session"))
    intents: Collection[PaymentIntent] = Factory(lambda: Collection[PaymentIntent]("payment_intent"))
    charges: Collection[Charge] = Factory(lambda: Collection[Charge]("charge"))
    refunds: Collection[Refund] = Factory(lambda: Collection[Refund]("refund"))
    coupons: Collection[Coupon] = Factory(lambda: Collection[Coupon]("coupon"))
    codes: Collection[PromotionCode] = Factory(lambda: Collection[PromotionCode]("promotion code"))
    tax_rates: Collection[TaxRate] = Factory(lambda: Collection[TaxRate]("tax rate"))
    shipping_rates: Collection[ShippingRate] = Factory(lambda: Collection[ShippingRate]("shipping rate"))
    customers: Collection[Customer] = Factory(lambda: Collection[Customer]("customer"))
    disputes: Collection[Dispute] = Factory(lambda: Collection[Dispute]("dispute"))
    warnings: Collection[FraudWarning] = Factory(lambda: Collection[FraudWarning]("issuer fraud record"))
    invoices: Collection[Invoice] = Factory(lambda: Collection[Invoice]("invoice"))
    invoice_items: Collection[InvoiceItem] = Factory(lambda: Collection[InvoiceItem]("invoiceitem"))
    invoice_payments: Collection[InvoicePayment] = Factory(lambda: Collection[InvoicePayment]("invoice_payment"))
    methods: Collection[PaymentMethod] = Factory(lambda: Collection[PaymentMethod]("PaymentMethod"))
    events: Collection[Event] = Factory(lambda: Collection[Event]("event"))
    endpoints: Collection[Endpoint] = Factory(lambda: Collection[Endpoint]("webhook endpoint"))
    deliveries: Collection[Delivery] = Factory(lambda: Collection[Delivery]("delivery", 2 * MAX_OBJECTS))
    keys: Collection[KeyEntry] = Factory(lambda: Collection[KeyEntry]("idempotency key", 2 * MAX_OBJECTS))

    @contextmanager
    def whole_or_not(self) -> Generator[None]:
        """What is done inside is undone where it ends in an error, but for a refusal after something was done."""
        collections = self._collections()
        for collection in collections:
            collection.remember()
        try:
            yield
        except BaseException as error:
            if not (isinstance(error, StripeRefusal) and error.executed):
                for collection in collections:
                    collection.undo()
            raise
        finally:
            for collection in collections:
                collection.forget()

    def _collections(self) -> list[Collection[Any]]:
        values = (getattr(self, one.name) for one in fields(State))
        return [value for value in values if isinstance(value, Collection)]

    def payment_of(self, invoice_id: str) -> InvoicePayment | None:
        """The payment of a finalized invoice."""
        return next((p for p in self.invoice_payments.newest() if p.invoice == invoice_id), None)

    def session_of(self, intent_id: str) -> Session | None:
        """The session that a payment intent belongs to."""
        return next((s for s in self.sessions.newest() if s.payment_intent == intent_id), None)


@frozen
class Context:
    """One moment of work on the state: the time (epoch seconds), fresh ids, and who asked.

    `lenient` is true for a caller whose API version is older than endive: it may still send
    `payment_method_types`.
    """

    state: State
    now: int
    ids: IdSource
    base_url: str
    origin: Origin = NOBODY
    lenient: bool = False
    chaos: Chaos = CALM

    def emit(self, kind: str, snapshot: JsonObject, previous: JsonObject | None = None) -> Event:
        """Record an event with the object as it is now, and line it up for every endpoint that wants it."""
        event = self._record(kind, snapshot, previous)
        if self.chaos.has_twin(event.id):
            self._record(kind, snapshot, previous)
        return event

    def _record(self, kind: str, snapshot: JsonObject, previous: JsonObject | None) -> Event:
        event_id = self.ids.new("evt_1", 23)
        deliveries = [
            delivery
            for endpoint in self.state.endpoints
            if not endpoint.disabled and wants(endpoint, kind)
            for delivery in self._line_up(event_id, endpoint)
        ]
        for delivery in deliveries:
            self.state.deliveries.put(delivery)
        return self.state.events.put(
            Event(
                id=event_id,
                created=self.now,
                type=kind,
                object=snapshot,
                previous=previous,
                origin=self.origin,
                deliveries=tuple(delivery.id for delivery in deliveries),
            )
        )

    def _line_up(self, event_id: str, endpoint: Endpoint) -> list[Delivery]:
        fate = self.chaos.fate(event_id, endpoint.id)
        first = Delivery(self.ids.new("dlv_", 24), event_id, endpoint.id, self.now + fate.after_s)
        if fate.lost:
            return [evolve(first, next_at=None, last_error="lost by the chaos profile")]
        if fate.again_s is None:
            return [first]
        at = self.now + fate.after_s + fate.again_s
        return [first, Delivery(self.ids.new("dlv_", 24), event_id, endpoint.id, at, extra=True)]


def wants(endpoint: Endpoint, kind: str) -> bool:
    """Whether an endpoint asked for events of this type; thin ones have `v1.` before it."""
    name = f"v1.{kind}" if endpoint.payload == "thin" else kind
    return "*" in endpoint.enabled_events or name in endpoint.enabled_events
