"""A world to try a guarantee in: a store, a facade's world, a Stripe told by hand, and deployments over them.

Everything goes through the public facade or over HTTP; what became of it is read from the database. Stripe is the
library's memory gateway: `world.gateway.put_…` says what is true there, `world.deliver` sends Stripe's signed webhook.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import text

from payments_core import Cart, CheckoutRequest, CheckoutSession, Line, Money, Settings
from payments_core.adapters.memory import MemoryGateway
from payments_core.domain.payment import PaymentState
from payments_core.domain.signature import sign
from payments_core.domain.stripe_objects import Intent, Session
from payments_core.ports import Io
from tests.flows.shop import DROPPED, SECRET, Document
from tests.guarantees.databases import Database, Row, SqlDatabase
from tests.guarantees.deployment import Answer, Deployment

DONE = "checkout.session.completed"
Handler = Callable[..., Any]


class Stripe(MemoryGateway):
    """The memory gateway, with a moment for the test inside each look at a session or an intent.

    `meanwhile` is called there, once: whatever it does happens while a worker waits for Stripe.
    """

    meanwhile: Callable[[], object] | None = None

    async def session(self, session_id: str) -> Session:
        await self._wait()
        return await super().session(session_id)

    async def intent(self, payment_intent_id: str) -> Intent:
        await self._wait()
        return await super().intent(payment_intent_id)

    async def _wait(self) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is None:
            return
        if self.io == "blocking":
            meanwhile()
        else:
            import asyncio

            await asyncio.to_thread(meanwhile)


class World:
    """One store and one facade's world. `shop` is the first deployment; `deploy` adds others over the same rows."""

    def __init__(self, name: str, database: Database, **settings: object) -> None:
        self.name = name
        self.io: Io = "blocking" if name.endswith("-sync") else "async"
        self.database = database
        self.settings = settings
        self._deployments: list[Deployment] = []
        self._begin()

    def _begin(self) -> None:
        self.gateway = Stripe(io=self.io)
        self.told: list[tuple[str, str]] = []
        self._events = 0
        self.shop = self.deploy()

    def again(self) -> None:
        """Begin anew, with nothing stored, nothing known at Stripe and no handlers."""
        self.close()
        self.database.empty()
        self._begin()

    def deploy(self, **settings: object) -> Deployment:
        """A further process: facade, web application, worker."""
        given = {**self.settings, **settings}
        values = {
            "stripe_secret_key": "sk_test_123",
            "stripe_webhook_secret": SECRET,
            **self.database.settings(),
            **given,
        }
        store = self.database.store(self.io, owes_broker=bool(given.get("kafka_brokers")))
        clock = self.database.clock
        made = Deployment(self.io, Settings.of(**values), store=store, gateway=self.gateway, clock=clock)
        self._deployments.append(made)
        return made

    def close(self) -> None:
        """Stop every deployment."""
        while self._deployments:
            self._deployments.pop().close()

    # --- what the shop does

    def on(self, event: Any, handler: Handler, deployment: Deployment | None = None) -> None:
        """Register a handler of `(event, tx)`; in the asynchronous world what it returns is awaited if it can be."""
        register = (deployment or self.shop).payments.on(event)
        if self.io == "blocking":
            register(lambda event, tx: handler(event, tx))
            return

        async def handle(event: Any, tx: Any) -> None:
            await awaited(handler(event, tx))

        register(handle)

    def note_effects(self, *events: Any, deployment: Deployment | None = None) -> None:
        """A handler that writes each fact into the shop's own table, in the payment's transaction.

        Without SQL it keeps them in `told`. Register it last: memory cannot take a list's entry back.
        """

        def handle(event: Any, tx: Any) -> Any:
            if not self.database.is_sql:
                self.told.append((event.event_id, event.type))
                return None
            values = {"fact": event.event_id, "kind": event.type}
            return tx.session.execute(text("INSERT INTO shop_effect (fact, kind) VALUES (:fact, :kind)"), values)

        for event in events:
            self.on(event, handle, deployment)

    def checkout(self, *, price_minor: int = 2999, quantity: int = 2, currency: str = "usd", **given: Any) -> Any:
        """Open the checkout of two shirts at 29.99, unless told otherwise."""
        user_id = given.pop("user_id", None)
        cart = Cart([Line("Premium T-Shirt", Money(price_minor, currency), quantity)])
        links = {"success_url": "https://shop.test/ok", "cancel_url": "https://shop.test/cart"}
        request = CheckoutRequest(**{"cart": cart, **links, **given})
        opened = self.shop.wait(self.shop.payments.create_checkout_session(request, user_id=user_id))
        assert isinstance(opened, CheckoutSession)
        return opened

    # --- what Stripe does

    def event(self, event_type: str, subject: Document, **envelope: Any) -> tuple[bytes, str]:
        """An event's body and id, as Stripe writes it."""
        self._events += 1
        document = {
            "id": f"evt_{self._events}",
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": self.now_s,
            "livemode": False,
            "type": event_type,
            "data": {"object": subject},
            **envelope,
        }
        document = {key: value for key, value in document.items() if value is not DROPPED}
        return json.dumps(document).encode(), str(document["id"])

    @property
    def now_s(self) -> int:
        """Unix time, as the deployments see it."""
        return int(self.database.clock().timestamp())

    def signed(self, body: bytes, secret: str = SECRET) -> dict[str, str]:
        """The headers of a webhook with this body, signed now."""
        signature = sign(body, secret, timestamp_s=self.now_s)
        return {"Stripe-Signature": signature, "Content-Type": "application/json"}

    def post(self, body: bytes, headers: dict[str, str] | None = None, *, by: Deployment | None = None) -> Answer:
        """A webhook over HTTP; signed unless its headers are given."""
        sent = self.signed(body) if headers is None else headers
        return (by or self.shop).request("POST", "/webhooks/stripe", body, sent)

    def deliver(self, event_type: str, subject: Document, *, by: Deployment | None = None, **envelope: Any) -> str:
        """An event over HTTP, acknowledged; its id."""
        body, event_id = self.event(event_type, subject, **envelope)
        answer = self.post(body, by=by)
        assert (answer.status, answer.text) == (200, '{"received": true}')
        return event_id

    def hear(self, event_type: str, subject: Document, **envelope: Any) -> str:
        """Deliver an event and handle what is due; its id."""
        event_id = self.deliver(event_type, subject, **envelope)
        self.shop.work()
        return event_id

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.database.advance(seconds)

    def drain(self) -> None:
        """Let time pass and the worker work, until nothing is waiting any more."""
        for _ in range(40):
            self.shop.work()
            if self.shop.wait(self.shop.payments.core.store.next_due_s()) is None:
                return
            self.advance(13 * 3600)
        raise AssertionError("events wait for ever")

    # --- what can be seen afterwards

    @property
    def sql(self) -> SqlDatabase:
        """The database, where there is one."""
        assert isinstance(self.database, SqlDatabase)
        return self.database

    def inbox(self, event_id: str) -> Row:
        """What became of an event."""
        return self.database.inbox()[event_id]

    def effects(self) -> list[tuple[str, str]]:
        """What the shop's own table holds, in the order of writing: event id and type."""
        if not self.database.is_sql:
            return list(self.told)
        return self.sql.query("SELECT fact, kind FROM shop_effect ORDER BY id")  # type: ignore[return-value]

    def published(self) -> list[Document]:
        """The outgoing events, oldest first."""
        return list(self.shop.wait(self.shop.payments.recent_events(1000)))[::-1]

    def kinds(self) -> list[str]:
        """The types of the outgoing events, oldest first."""
        return [event["eventType"] for event in self.published()]

    def state(self) -> PaymentState:
        """The state of the only payment."""
        (state,) = self.database.payments().values()
        return state

    def ready(self) -> Document:
        """What /ready says."""
        answer = self.shop.request("GET", "/ready")
        assert answer.status == 200
        return dict(json.loads(answer.text)["checks"])


async def awaited(outcome: Any | Awaitable[Any]) -> Any:
    """The outcome of something that may be a coroutine."""
    return await outcome if inspect.isawaitable(outcome) else outcome
