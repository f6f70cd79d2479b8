"""The little shop that is made to crash: one payment, one event about it, and handlers that leave traces to count.

Each process builds its own `World` over the same database. What it does is what a worker does, driven by hand: take
the event in, handle what is due. `Traces` is read past the library, by plain SQL.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
from sqlalchemy import text
from sqlalchemy.engine import make_url

from chaos.crashstore import Steps, stepped
from payments_core import AsyncPayments, Cart, Line, Money, Payments, Settings, Transaction
from payments_core.adapters.memory import MemoryGateway
from payments_core.adapters.sql import Limits, async_store, blocking_store
from payments_core.domain.delivery import DeliveryPolicy, InboxState
from payments_core.domain.payment import Payment
from payments_core.domain.signature import sign
from payments_core.drive import run_blocking
from payments_core.ports import Io

T = TypeVar("T")
Document = dict[str, Any]

SECRET: Final = "whsec_chaos_secret"  # noqa: S105 - made up
PAYMENT_ID: Final = "payment-1"
EVENT_ID: Final = "evt_chaos_1"
#: As short as the port can say it: the sweeps wait for it at every point.
LEASE_S: Final = 1
_LIMITS: Final = Limits(pool_size=2, overflow=4, lock_s=5.0)
_TABLES: Final = (
    "payments_inbox",
    "payments_outbox",
    "payments_transition",
    "payments_ref",
    "payments_payment",
    "chaos_effect",
)
_NEW_EFFECTS: Final = "CREATE TABLE IF NOT EXISTS chaos_effect (kind VARCHAR(100), event_id VARCHAR(100))"
_ADD_EFFECT: Final = text("INSERT INTO chaos_effect (kind, event_id) VALUES (:kind, :event_id)")


@attrs.frozen
class Story:
    """An event and what must have come of it once it is handled: effects by kind, and outgoing events."""

    type: str
    object: Document
    effects: Mapping[str, int]
    outgoing: int


def _intent(intent_id: str, **fields: Any) -> Document:
    return {
        "id": intent_id,
        "object": "payment_intent",
        "status": "succeeded",
        "amount": 5998,
        "amount_received": 5998,
        "currency": "usd",
        "latest_charge": "ch_1",
        "receipt_email": "buyer@example.test",
        "metadata": {},
        **fields,
    }


_MARK: Final = {"payments_core_id": PAYMENT_ID}
_ERROR: Final = {"type": "card_error", "code": "card_declined", "decline_code": "generic_decline", "charge": "ch_1"}

STORIES: Final[Mapping[str, Story]] = {
    "settled": Story(
        "checkout.session.completed",
        {
            "id": "cs_test_1",
            "object": "checkout.session",
            "mode": "payment",
            "status": "complete",
            "payment_status": "paid",
            "currency": "usd",
            "amount_subtotal": 5998,
            "amount_total": 5998,
            "payment_intent": "pi_1",
            "customer_details": {"email": "buyer@example.test"},
            "metadata": _MARK,
        },
        {"payment.successful": 1, "checkout.session.completed": 1},
        1,
    ),
    "declined": Story(
        "payment_intent.payment_failed",
        _intent("pi_1", status="requires_payment_method", last_payment_error=_ERROR, metadata=_MARK),
        {"payment.failed": 1, "payment_intent.payment_failed": 1},
        1,
    ),
    "foreign": Story(
        "payment_intent.succeeded",
        _intent("pi_elsewhere"),
        {"payment.successful": 1, "payment_intent.succeeded": 1},
        1,
    ),
    "noted": Story("charge.updated", {"id": "ch_1", "object": "charge"}, {"charge.updated": 1}, 0),
}


class World:
    """One worker process over the database at `url`. Nothing is connected before the first use."""

    def __init__(self, io: Io, url: str, story: Story, steps: Steps | None = None) -> None:
        self.steps = steps or Steps()
        self.story = story
        self._loop = asyncio.Runner() if io == "async" else None
        build = blocking_store if io == "blocking" else async_store
        self._plain = build(url, limits=_LIMITS)
        gateway = MemoryGateway(io=io)
        gateway.put_intent(STORIES["foreign"].object)
        settings = Settings.of(stripe_secret_key="sk_test_chaos", stripe_webhook_secret=SECRET)  # noqa: S106
        facade = Payments if io == "blocking" else AsyncPayments
        self._payments = facade(
            settings,
            store=stepped(self._plain, self.steps),
            gateway=gateway,
            delivery=DeliveryPolicy(lease_s=LEASE_S),
        )
        self.core = self._payments.core
        for kind in story.effects:
            self._payments.on(kind)(self._handler(kind, io))

    def run(self, flow: Coroutine[Any, Any, T]) -> T:
        """Drive a flow in this world."""
        return run_blocking(flow) if self._loop is None else self._loop.run(flow)

    def open_payment(self) -> None:
        """Add the payment that the stories are about, uncounted."""
        payment = Payment(
            payment_id=PAYMENT_ID,
            created_at=datetime.now(UTC),
            livemode=False,
            currency="usd",
            cart=Cart([Line("Premium T-Shirt", Money(2999, "usd"), 2)]),
        )
        self.run(self._plain.add_payment(payment))

    def deliver(self) -> None:
        """Take the story's event in, signed now; on return it counts as answered with 200."""
        body = json.dumps(
            {
                "id": EVENT_ID,
                "object": "event",
                "created": 1_790_000_000,
                "livemode": False,
                "type": self.story.type,
                "data": {"object": self.story.object},
            }
        ).encode()
        self.run(self.core.receive_webhook(body, sign(body, SECRET, timestamp_s=int(time.time()))))

    def work(self) -> None:
        """Handle what is due until nothing is."""
        while self.run(self.core.run_due()):
            pass

    def work_until(self, is_done: Callable[[], bool], *, limit_s: float) -> bool:
        """Do as the background runner does until `is_done`; False when that took longer than `limit_s`."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            worked = self.run(self.core.run_due())
            if is_done():
                return True
            if not worked:
                due_s = self.run(self._plain.next_due_s())
                time.sleep(0.02 if due_s is None else min(max(due_s, 0.01), 0.2))
        return False

    def close(self) -> None:
        """Give every connection back."""
        self.run(self._plain.close())
        if self._loop is not None:
            self._loop.close()

    def _handler(self, kind: str, io: Io) -> Callable[..., Any]:
        def handled(event: Any, tx: Transaction) -> None:
            self.steps.at(f"before {kind} handler")
            tx.session.execute(_ADD_EFFECT, {"kind": kind, "event_id": event.event_id})
            self.steps.at(f"after {kind} handler")

        async def handled_async(event: Any, tx: Transaction) -> None:
            self.steps.at(f"before {kind} handler")
            await tx.session.execute(_ADD_EFFECT, {"kind": kind, "event_id": event.event_id})
            self.steps.at(f"after {kind} handler")

        return handled if io == "blocking" else handled_async


@attrs.frozen
class Traces:
    """What is in the database: effects by kind, outgoing events, and the event's own row (None without one)."""

    effects: Mapping[str, int]
    outgoing: int
    state: InboxState | None
    is_stamped: bool = False
    attempts: int = 0
    claims: int = 0
    error: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether the event bears its done-stamp."""
        return self.state is InboxState.DONE


class Database:
    """The database past the library: made ready, emptied and read by plain SQL."""

    def __init__(self, url: str) -> None:
        self._url = url

    def prepare(self) -> None:
        """Add the handlers' table to the library's own."""
        self._query(_NEW_EFFECTS)

    def empty(self) -> None:
        """Delete every row."""
        for table in _TABLES:
            self._query(f"DELETE FROM {table}")

    def traces(self) -> Traces:
        """What is there of the one event."""
        effects = {
            str(kind): int(count)
            for kind, count in self._query("SELECT kind, count(*) FROM chaos_effect GROUP BY kind")
        }
        ((outgoing,),) = self._query("SELECT count(*) FROM payments_outbox")
        found = self._query("SELECT state, done_at, attempts, token, last_error FROM payments_inbox")
        if not found:
            return Traces(effects, int(outgoing), None)
        ((state, done_at, attempts, token, error),) = found
        stamped = done_at is not None
        return Traces(effects, int(outgoing), InboxState(state), stamped, int(attempts), int(token), error)

    def _query(self, statement: str) -> list[tuple[Any, ...]]:
        url = make_url(self._url)
        if url.get_backend_name() == "sqlite":
            with closing(sqlite3.connect(Path(str(url.database)), timeout=60, isolation_level=None)) as connection:
                return connection.execute(statement).fetchall()
        import psycopg

        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain, autocommit=True) as server:
            done = server.execute(statement.encode())
            return done.fetchall() if done.description else []


def quiet() -> None:
    """Crashes are expected here: the library's log of them is not for the terminal."""
    logging.getLogger("payments_core").setLevel(logging.CRITICAL)
