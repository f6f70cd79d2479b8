"""AsyncPayments: the facade for FastAPI and every other event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from payments_core.app.core import CONSTRUCTOR_OPTIONS, Core, announce, answering, compose, runs_here, utc_now
from payments_core.app.flights import LoopFlights
from payments_core.app.invokers import AsyncInvoker
from payments_core.app.metering import installed_meter
from payments_core.app.redis import shared_or_own_cache, shared_or_own_limiter
from payments_core.app.relays import RelayTask, relay_maker
from payments_core.app.runners import GRACE_S, TaskRunner
from payments_core.domain.cart import CheckoutRequest, CheckoutSession, SessionStatus
from payments_core.domain.delivery import DeliveryPolicy
from payments_core.domain.drift import DriftReport
from payments_core.domain.events import DomainEvent
from payments_core.domain.pricing import PriceClaim
from payments_core.domain.reconciliation import Reconciled
from payments_core.errors import Discrepancy
from payments_core.ports import Clock, Gateway, Handler, Limiter, Meter, PriceCache, Store, Watch
from payments_core.settings import Settings

if TYPE_CHECKING:
    from payments_core.adapters.sql.handle import SessionFactory
    from payments_core.adapters.stripe.sdk import HttpClient
    from payments_core.http.messages import HttpReply, HttpRequest
    from payments_core.http.routes import Route

H = TypeVar("H", bound=Handler)


class AsyncPayments:
    """Payments on an event loop. One instance serves one loop at a time; `Payments` is its synchronous twin.

    `store` and `gateway` are the library's own unless given. `http_client` is a stripe HTTP client, `session_factory`
    an AsyncSession class or sessionmaker for handlers' `tx.session`; `clock` gives aware UTC, `meter` counts,
    `delivery` says how events are handled. With `runner=False` nothing is handled in this process: `payments worker`
    does it. With `relay=True` this process also publishes outgoing events to Kafka, else `payments relay` does it.
    Raises ConfigurationError for settings that cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store | None = None,
        gateway: Gateway | None = None,
        price_cache: PriceCache | None = None,
        limiter: Limiter | None = None,
        meter: Meter | None = None,
        http_client: HttpClient | None = None,
        session_factory: SessionFactory | None = None,
        clock: Clock = utc_now,
        delivery: DeliveryPolicy | None = None,
        runner: bool = True,
        relay: bool = False,
    ) -> None:
        self._has_runner = runner
        self._only_opens = False
        meter = meter or installed_meter()
        self._relay = RelayTask(relay_maker(settings, meter, own_store=store is None)) if relay else None
        self._runner = TaskRunner()
        self._starting = asyncio.Lock()
        self._started = False
        self.core: Core = compose(
            settings,
            store=store or _store(settings, session_factory, clock),
            gateway=gateway or _gateway(settings, http_client),
            cache=price_cache or shared_or_own_cache(settings, "async"),
            limiter=limiter or shared_or_own_limiter(settings, "async"),
            meter=meter,
            flights=LoopFlights(),
            invoker=AsyncInvoker(),
            crew=self._runner,
            policy=delivery or DeliveryPolicy(),
            io="async",
            clock=clock,
        )

    @classmethod
    def from_env(cls, **overrides: Any) -> Self:
        """From the environment.

        Keyword arguments are settings by their lower-case names, which win, and whatever else the constructor takes.
        Raises ConfigurationError for a name that is neither.
        """
        options = {name: overrides.pop(name) for name in CONSTRUCTOR_OPTIONS if name in overrides}
        return cls(Settings.from_env(**overrides), **options)

    def on(self, event: type[DomainEvent] | str) -> Callable[[H], H]:
        """Register a handler for a domain event (class or name) or a Stripe event type."""
        return self.core.handlers.on(event)

    def without_webhooks(self) -> None:
        """Said by routes that are built without the webhook: while it has no handlers, this process runs no events.

        Otherwise its runner would settle what the processes with handlers are there for, with nobody told.
        """
        self._only_opens = True

    def require_webhook_secret(self) -> None:
        """Raise ConfigurationError unless there is a webhook secret that can be trusted."""
        self.core.settings.webhook_secrets()

    async def create_checkout_session(
        self, request: CheckoutRequest, *, user_id: str | None = None, idempotency_key: str | None = None
    ) -> CheckoutSession:
        """Open a checkout.

        The same `idempotency_key` (1 to 255 printable ASCII characters) and request give the same session for a day,
        whatever happened in between. Without one, the same verified request of the same user gives the session that is
        still open, for half an hour; None and "" are nobody's. Raises InvalidRequest, PriceVerificationError,
        IdempotencyConflict (the key was used with another request), IdempotencyInProgress (the first one still runs),
        StripeError or StoreUnavailable.
        """
        await self.start()
        return await self.core.create_checkout_session(request, user_id, idempotency_key)

    async def verify_prices(self, claims: Sequence[PriceClaim]) -> Sequence[Discrepancy]:
        """The lines whose price is not the catalogue's. Raises UnknownProduct or StripeError."""
        return await self.core.verify_prices(claims)

    async def receive_webhook(self, body: bytes, signature: str | None) -> None:
        """Take a webhook in: on return it is on disk. Raises InvalidSignature or StoreUnavailable."""
        if self._only_opens:
            # A route of the host's own takes them: what was started to open checkouts alone is started with a runner.
            self._only_opens, self._started = False, False
        await self.start()
        await self.core.receive_webhook(body, signature)

    async def session_status(self, session_id: str) -> SessionStatus:
        """What became of a session made here. Raises SessionNotFound."""
        await self.start()
        return await self.core.session_status(session_id)

    async def recent_events(self, limit: int = 50) -> list[dict[str, Any]]:
        """The newest outgoing events, exactly as published, newest first."""
        await self.start()
        return await self.core.recent_events(limit)

    async def run_due(self) -> int:
        """Handle what is due now, without the background runner; how many events were claimed."""
        claimed = await self.core.run_due()
        if claimed and self._relay is not None:
            self._relay.nudge()
        return claimed

    async def reconcile(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        undelivered: bool = False,
        objects: bool = True,
        watch: Watch | None = None,
    ) -> Reconciled:
        """Find at Stripe what no webhook told, and bring it into the inbox, from where it is handled as usual.

        Without `since` it begins where the last run ended, with an overlap; the first one 30 days ago. `undelivered`
        looks only at events that Stripe could not deliver, `objects=False` only at events. Raises InvalidRequest for
        times without a zone, StripeError or StoreUnavailable; the next run goes on from where this one came to.
        """
        await self.start()
        return await self.core.reconcile(
            since=since, until=until, undelivered=undelivered, objects=objects, watch=watch
        )

    async def verify(
        self, *, since: datetime | None = None, until: datetime | None = None, watch: Watch | None = None
    ) -> DriftReport:
        """Compare the payments with Stripe, from 30 days ago unless `since` says otherwise. It changes nothing.

        Raises InvalidRequest for times without a zone, StripeError or StoreUnavailable.
        """
        await self.start()
        return await self.core.verify(since=since, until=until, watch=watch)

    async def answer(self, route: Route, request: HttpRequest) -> HttpReply:
        """The reply to an HTTP request for one of the library's routes."""
        return await answering()(self.core, route, request, self.start)

    async def start(self, *, runner: bool | None = None) -> None:
        """Prepare the store and start the runner, once. Called by whatever needs them; harmless to repeat.

        `runner` overrules what the constructor was given: a worker runs what a web process leaves to it.
        """
        if self._started:
            return
        async with self._starting:
            if self._is_started():
                return
            await self.core.store.prepare()
            runs = runs_here(self.core, asked=runner, has_runner=self._has_runner, only_opens=self._only_opens)
            announce(self.core, runs=runs)
            if runs:
                self._runner.start(self.run_due, self.core.store.next_due_s)
            if self._relay is not None:
                self._relay.start()
            self._started = True

    def _is_started(self) -> bool:
        """Looked at anew: another task may have started while this one waited for the lock."""
        return self._started

    async def close(self, *, grace_s: float = GRACE_S) -> None:
        """Let what is in hand end, for at most `grace_s` seconds, and give back every connection."""
        try:
            # From the last to the first, and each of them also where another cannot be closed.
            async with AsyncExitStack() as closing:
                for part in (self.core.store, self.core.limiter, self.core.cache, self.core.gateway):
                    closing.push_async_callback(part.close)
                if self._relay is not None:
                    closing.push_async_callback(self._relay.stop, grace_s)
                closing.push_async_callback(self._runner.stop, grace_s)
        finally:
            self._started = False
            self._starting = asyncio.Lock()

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Started on entry, closed on exit, also where the start fails. The FastAPI router carries this."""
        try:
            await self.start()
            yield
        finally:
            await self.close()


def _store(settings: Settings, session_factory: SessionFactory | None, clock: Clock) -> Store:
    from payments_core.adapters.sql import async_store

    url = settings.payments_database_url.get_secret_value()
    return async_store(url, clock=clock, owes_broker=bool(settings.kafka_brokers), session_factory=session_factory)


def _gateway(settings: Settings, http_client: HttpClient | None) -> Gateway:
    from payments_core.adapters.stripe import async_gateway

    return async_gateway(settings, http_client=http_client)
