"""Everything one sandbox knows, and the context in which a request changes it.

Nothing here reads a clock, a random source or the network: a `Context` brings the time and the ids. Each collection
is bounded; a sandbox that runs for weeks forgets its oldest objects rather than growing without end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from attrs import Factory, define, evolve, frozen

from .errors import JsonObject, no_such
from .ids import IdSource
from .records import (
    NOBODY,
    Charge,
    Delivery,
    Endpoint,
    Event,
    Origin,
    PaymentIntent,
    PaymentMethod,
    Price,
    Product,
    Refund,
    Session,
)

#: The only API version the sandbox speaks: the one stripe-python 16.1 pins.
API_VERSION = "2026-10-28.endive"
MAX_OBJECTS = 10_000
DAY_S = 86_400
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

    def put(self, record: T) -> T:
        """Add a record, or replace the one of the same id in its place. Returns it."""
        self._records[record.id] = record
        if len(self._records) > self._limit:
            del self._records[next(iter(self._records))]
        return record

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
        self._records.pop(record_id, None)

    def newest(self) -> list[T]:
        """All records, the latest made first, as Stripe lists them."""
        return list(reversed(self._records.values()))

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._records.values()))

    def __len__(self) -> int:
        return len(self._records)


@define
class State:
    """One account's objects."""

    account: str
    opened: int
    products: Collection[Product] = Factory(lambda: Collection[Product]("product"))
    prices: Collection[Price] = Factory(lambda: Collection[Price]("price"))
    sessions: Collection[Session] = Factory(lambda: Collection[Session]("checkout.session"))
    intents: Collection[PaymentIntent] = Factory(lambda: Collection[PaymentIntent]("payment_intent"))
    charges: Collection[Charge] = Factory(lambda: Collection[Charge]("charge"))
    refunds: Collection[Refund] = Factory(lambda: Collection[Refund]("refund"))
    methods: Collection[PaymentMethod] = Factory(lambda: Collection[PaymentMethod]("PaymentMethod"))
    events: Collection[Event] = Factory(lambda: Collection[Event]("event"))
    endpoints: Collection[Endpoint] = Factory(lambda: Collection[Endpoint]("webhook endpoint"))
    deliveries: Collection[Delivery] = Factory(lambda: Collection[Delivery]("delivery", 2 * MAX_OBJECTS))

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

    def emit(self, kind: str, snapshot: JsonObject, previous: JsonObject | None = None) -> Event:
        """Record an event with the object as it is now, and line it up for every endpoint that wants it."""
        deliveries = [
            Delivery(id=self.ids.new("dlv_", 24), event="", endpoint=endpoint.id, next_at=self.now)
            for endpoint in self.state.endpoints
            if not endpoint.disabled and wants(endpoint, kind)
        ]
        event = Event(
            id=self.ids.new("evt_1", 23),
            created=self.now,
            type=kind,
            object=snapshot,
            previous=previous,
            origin=self.origin,
            deliveries=tuple(delivery.id for delivery in deliveries),
        )
        self.state.events.put(event)
        for delivery in deliveries:
            self.state.deliveries.put(evolve(delivery, event=event.id))
        return event


def wants(endpoint: Endpoint, kind: str) -> bool:
    """Whether an endpoint asked for events of this type."""
    return "*" in endpoint.enabled_events or kind in endpoint.enabled_events
