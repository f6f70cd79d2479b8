"""What the flows need of the world.

Each port's docstring is its list of obligations; the contract suites in
`payments_core.testing.contracts` have a test for each.

Every method is `async def`. An adapter says by `io` which world it serves: `"blocking"` adapters never suspend (they
block the calling thread, as Flask expects), `"async"` ones never block the loop. The composition root refuses the
wrong kind.
"""

from __future__ import annotations

from .account import AccountGateway
from .catalogue import CatalogueGateway
from .gateway import Gateway
from .kinds import Clock, Handler, Io, NewId
from .limiting import Counter, Limiter
from .metering import Meter, Unmetered, WebhookOutcome
from .openings import Openings
from .price_cache import Boarding, Flights, Kept, PriceCache, Remembered
from .reconciling import InboxEntry, Known, Selection, Sweeps, Watch
from .records import (
    DeadCount,
    EventFilter,
    EventPage,
    EventRecord,
    OutgoingRecord,
    PaymentHistory,
    Records,
    TransitionRecord,
)
from .running import Crew, Invoker, Waiter
from .store import Advance, DeclinedBy, OutboxRow, Store, StoreHealth, StoreTransaction, Transaction

__all__ = [
    "AccountGateway",
    "Advance",
    "Boarding",
    "CatalogueGateway",
    "Clock",
    "Counter",
    "Crew",
    "DeadCount",
    "DeclinedBy",
    "EventFilter",
    "EventPage",
    "EventRecord",
    "Flights",
    "Gateway",
    "Handler",
    "InboxEntry",
    "Invoker",
    "Io",
    "Kept",
    "Known",
    "Limiter",
    "Meter",
    "NewId",
    "Openings",
    "OutboxRow",
    "OutgoingRecord",
    "PaymentHistory",
    "PriceCache",
    "Records",
    "Remembered",
    "Selection",
    "Store",
    "StoreHealth",
    "StoreTransaction",
    "Sweeps",
    "Transaction",
    "TransitionRecord",
    "Unmetered",
    "Waiter",
    "Watch",
    "WebhookOutcome",
]
