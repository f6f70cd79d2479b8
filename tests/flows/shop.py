"""A shop under test: a facade over a real store and the memory gateway, with the test in charge of the clock.

Stripe's side is told by hand: `stripe.*` puts objects into the gateway, `deliver` sends a signed webhook through the
intake, `work` handles what is due. The background runner never starts.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import attrs

from payments_core import AsyncPayments, Cart, CheckoutRequest, CheckoutSession, Line, Money, Payments, Settings
from payments_core.adapters.memory import MemoryGateway, MemoryStore
from payments_core.adapters.sql import SqlStore, async_store, blocking_store
from payments_core.domain.delivery import InboxState
from payments_core.domain.payment import Payment
from payments_core.domain.signature import sign
from payments_core.drive import run_blocking
from payments_core.ports import Io, Meter

T = TypeVar("T")
Document = dict[str, Any]
SECRET = "whsec_test_secret"
BUYER = "buyer@example.test"
DROPPED = object()


class Clock:
    """Stands still until the test moves it; every look costs a microsecond, so that rows have an order."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@attrs.frozen
class Row:
    """What became of an event in the inbox."""

    state: InboxState
    attempts: int
    error: str | None


class Shop:
    """One deployment in one world over one kind of store."""

    def __init__(self, io: Io, database: Path | None, *, meter: Meter | None = None, **settings: object) -> None:
        self.io: Io = io
        self.database = database
        self.clock = Clock()
        self.gateway = MemoryGateway(io=io, clock=self.clock)
        self.store = self._new_store()
        self.loop = asyncio.Runner() if io == "async" else None
        values = {"stripe_secret_key": "sk_test_123", "stripe_webhook_secret": SECRET, **settings}
        build = Payments if io == "blocking" else AsyncPayments
        self.payments = build(
            Settings.of(**values), store=self.store, gateway=self.gateway, clock=self.clock, meter=meter
        )
        core = self.payments.core
        # The jitter is always half of its ceiling.
        self.payments.core = attrs.evolve(core, processing=attrs.evolve(core.processing, random=lambda: 0.5))
        self.run(self.store.prepare())
        self._events = 0

    def _new_store(self) -> MemoryStore | SqlStore:
        if self.database is None:
            return MemoryStore(io=self.io, clock=self.clock)
        build = blocking_store if self.io == "blocking" else async_store
        return build(f"sqlite:///{self.database}", clock=self.clock)

    def run(self, flow: Coroutine[Any, Any, T]) -> T:
        """Drive a flow in this shop's world."""
        return run_blocking(flow) if self.loop is None else self.loop.run(flow)

    def close(self) -> None:
        self.run(self.store.close())
        if self.loop is not None:
            self.loop.close()

    # --- what the shop does

    def on(self, event: Any, handler: Callable[..., object] | None = None) -> list[Any]:
        """Register a handler of this world; the list it returns fills with the events it was called with."""
        seen: list[Any] = []

        def tell(event: Any) -> None:
            seen.append(event)
            if handler is not None:
                handler(event)

        async def tell_async(event: Any) -> None:
            tell(event)

        self.payments.on(event)(tell if self.io == "blocking" else tell_async)
        return seen

    def checkout(self, *, user_id: str | None = None, key: str | None = None, **changes: object) -> CheckoutSession:
        """Open the checkout of two shirts at 29.99."""
        cart = Cart([Line("Premium T-Shirt", Money(2999, "usd"), 2)])
        given = {"cart": cart, "success_url": "https://shop.test/ok", "cancel_url": "https://shop.test/cart"}
        request = CheckoutRequest(**{**given, **changes})  # type: ignore[arg-type]
        return self.run(self.payments.core.create_checkout_session(request, user_id, key))

    def status(self, session_id: str) -> Any:
        """What the success page sees, with the runner at work behind it."""
        self.payments.core = attrs.evolve(
            self.payments.core, status=attrs.evolve(self.payments.core.status, waiter=Working(self))
        )
        return self.run(self.payments.core.session_status(session_id))

    def deliver(self, body: bytes) -> None:
        """Send a webhook, signed now."""
        signature = sign(body, SECRET, timestamp_s=int(self.clock.now.timestamp()))
        self.run(self.payments.core.receive_webhook(body, signature))

    def work(self) -> None:
        """Handle what is due until nothing is."""
        while self.run(self.payments.core.run_due()):
            pass

    def hear(self, event_type: str, subject: Document, **envelope: Any) -> str:
        """Deliver an event and handle it; its id."""
        body, event_id = self.event(event_type, subject, **envelope)
        self.deliver(body)
        self.work()
        return event_id

    def event(self, event_type: str, subject: Document, **envelope: Any) -> tuple[bytes, str]:
        """An event's body and id, as Stripe writes it."""
        self._events += 1
        document = {
            "id": f"evt_{self._events}",
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": int(self.clock.now.timestamp()),
            "livemode": False,
            "type": event_type,
            "data": {"object": subject},
            **envelope,
        }
        document = {key: value for key, value in document.items() if value is not DROPPED}
        return json.dumps(document).encode(), str(document["id"])

    # --- what can be seen afterwards

    def published(self, event_type: str | None = None) -> list[Document]:
        """The outgoing events, oldest first."""
        found = [json.loads(text) for text in self.run(self.store.recent_events(1000))][::-1]
        return [event for event in found if event_type in (None, event["eventType"])]

    def payment_of(self, session_id: str) -> Payment:
        """The row of a session made here, by the mark that was sent with it."""
        sent = next(one for one in self.gateway.sent if one.session_id == session_id)
        return self.payment(sent.params["metadata"]["payments_core_id"])

    def payment(self, payment_id: str) -> Payment:
        found = self.run(self.store.payment(payment_id))
        assert found is not None
        return found

    def all_payments(self) -> list[Payment]:
        """Every payment's row."""
        if isinstance(self.store, MemoryStore):
            return list(self.store._data.payments.values())
        return [self.payment(str(row[0])) for row in self._query("SELECT payment_id FROM payments_payment")]

    def only_payment(self) -> Payment:
        (payment,) = self.all_payments()
        return payment

    def transitions(self) -> list[tuple[str, str]]:
        """Every recorded transition with its discriminator, sorted."""
        if isinstance(self.store, MemoryStore):
            return sorted((name, which) for _, name, which in self.store._data.transitions)
        rows = self._query("SELECT transition, discriminator FROM payments_transition")
        return sorted((str(name), str(which)) for name, which in rows)

    def inbox(self, event_id: str) -> Row:
        """What became of an event."""
        if isinstance(self.store, MemoryStore):
            (event,) = (one for one in self.store._data.inbox.values() if one.received.event_id == event_id)
            return Row(event.state, event.attempts, event.last_error)
        statement = "SELECT state, attempts, last_error FROM payments_inbox WHERE event_id = ?"
        ((state, attempts, error),) = self._query(statement, event_id)
        return Row(InboxState(int(str(state))), int(str(attempts)), None if error is None else str(error))

    def keys(self) -> list[str]:
        """The Kafka keys of the outgoing events, oldest first."""
        if isinstance(self.store, MemoryStore):
            return [outgoing.row.key for outgoing in self.store._data.outbox]
        return [str(row[0]) for row in self._query("SELECT key FROM payments_outbox ORDER BY id")]

    def _query(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        assert self.database is not None
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(statement, parameters).fetchall()


class Working:
    """A Waiter for which the runner is always at work; waiting costs no time but the clock's own."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._waited_s = 0.0

    def nudge(self) -> None:
        pass

    async def pause(self, seconds: float) -> None:
        self._waited_s += seconds
        await self._shop.payments.core.run_due()

    def monotonic_s(self) -> float:
        return self._waited_s


def template(folder: Path) -> Path:
    """An SQLite file with the schema, to be copied: making it anew for each test would cost most of the time."""
    file = folder / "template.db"
    store = blocking_store(f"sqlite:///{file}")
    run_blocking(store.prepare())
    run_blocking(store.close())
    return file


def copied(source: Path, folder: Path) -> Path:
    """A fresh database."""
    return Path(shutil.copy(source, folder / "payments.db"))


# --- Stripe's objects


def session(session_id: str, **fields: Any) -> Document:
    """A paid Checkout Session as an event carries it."""
    return {
        "id": session_id,
        "object": "checkout.session",
        "mode": "payment",
        "status": "complete",
        "payment_status": "paid",
        "currency": "usd",
        "amount_subtotal": 5998,
        "amount_total": 5998,
        "payment_intent": "pi_1",
        "customer_details": {"email": BUYER},
        "customer_email": None,
        "metadata": {},
        **fields,
    }


def intent(intent_id: str = "pi_1", **fields: Any) -> Document:
    """A PaymentIntent that succeeded."""
    return {
        "id": intent_id,
        "object": "payment_intent",
        "status": "succeeded",
        "amount": 5998,
        "amount_received": 5998,
        "currency": "usd",
        "latest_charge": "ch_1",
        "last_payment_error": None,
        "metadata": {},
        **fields,
    }


def declined(charge_id: str = "ch_declined", intent_id: str = "pi_1", **error: Any) -> Document:
    """A PaymentIntent after a declined attempt, as `payment_intent.payment_failed` carries it."""
    return intent(
        intent_id,
        status="requires_payment_method",
        amount_received=0,
        latest_charge=charge_id,
        last_payment_error={
            "type": "card_error",
            "code": "card_declined",
            "decline_code": "generic_decline",
            "charge": charge_id,
            "payment_method": {"billing_details": {"email": BUYER}},
            **error,
        },
    )


def invoice(invoice_id: str = "in_1", **fields: Any) -> Document:
    """A paid invoice of a subscription."""
    lines = [{"id": "il_1", "description": "Plan", "quantity": 1, "currency": "usd", "price": {"unit_amount": 900}}]
    return {
        "id": invoice_id,
        "object": "invoice",
        "status": "paid",
        "currency": "usd",
        "total": 900,
        "billing_reason": "subscription_create",
        "customer_email": BUYER,
        "metadata": {},
        "lines": {"object": "list", "data": lines},
        **fields,
    }


def own_session(shop: Shop, opened: CheckoutSession, **fields: Any) -> Document:
    """The session that the shop opened, as Stripe has it now: paid, unless `fields` say otherwise."""
    document = session(opened.session_id, **{"metadata": _sent(shop, opened)["metadata"], **fields})
    shop.gateway.put_session(document)
    return document


def own_intent(shop: Shop, opened: CheckoutSession, document: Document) -> Document:
    """An intent of a session that the shop opened: Stripe has copied our mark onto it."""
    marked = {**document, "metadata": _sent(shop, opened)["payment_intent_data"]["metadata"]}
    shop.gateway.put_intent(marked)
    return marked


def _sent(shop: Shop, opened: CheckoutSession) -> Document:
    return dict(next(one.params for one in shop.gateway.sent if one.session_id == opened.session_id))
