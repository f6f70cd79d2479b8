"""The flows put together, whatever the world: what both facades and the HTTP endpoints call."""

from __future__ import annotations

import json
import logging
import random
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

from attrs import frozen

from payments_core.domain.cart import CheckoutRequest, CheckoutSession, SessionStatus
from payments_core.domain.delivery import DeliveryPolicy
from payments_core.domain.drift import DriftReport
from payments_core.domain.observations import Policy
from payments_core.domain.pricing import PriceClaim
from payments_core.domain.reconciliation import Reconciled
from payments_core.errors import ConfigurationError, Discrepancy, StoreUnavailable
from payments_core.http.addresses import Proxies
from payments_core.ports import Clock, Crew, Flights, Gateway, Invoker, Io, Limiter, Meter, PriceCache, Store, Watch
from payments_core.services.checkout import Checkout
from payments_core.services.gathering import Gathering
from payments_core.services.ground import Ground
from payments_core.services.guard import Guard
from payments_core.services.handlers import Handlers
from payments_core.services.intake import Intake
from payments_core.services.price_book import PriceBook
from payments_core.services.prices import Prices
from payments_core.services.processing import Processing
from payments_core.services.reconcile import Reconciliation
from payments_core.services.routing import Routing
from payments_core.services.settlement import Settlement
from payments_core.services.status import Status
from payments_core.services.verify import Verification
from payments_core.settings import Settings

if TYPE_CHECKING:
    from payments_core.app.endpoints import Answer

_log = logging.getLogger("payments_core")


#: What the facades' constructors take beside settings; `from_env` tells the two apart by these names.
CONSTRUCTOR_OPTIONS: Final = (
    "store",
    "gateway",
    "price_cache",
    "limiter",
    "meter",
    "http_client",
    "session_factory",
    "clock",
    "delivery",
    "runner",
    "relay",
)


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def new_id() -> str:
    """A random id (UUID version 4)."""
    return str(uuid.uuid4())


@frozen
class Readiness:
    """Whether requests can be served, and how far behind the work is."""

    ready: bool
    checks: Mapping[str, Any]


@frozen
class Core:
    """The flows of one deployment. Every method is a coroutine function that awaits nothing but ports."""

    settings: Settings
    store: Store
    gateway: Gateway
    cache: PriceCache
    limiter: Limiter
    meter: Meter
    guard: Guard
    proxies: Proxies
    handlers: Handlers
    prices: Prices
    checkout: Checkout
    status: Status
    processing: Processing
    intake: Intake | None
    reconciliation: Reconciliation
    verification: Verification

    async def create_checkout_session(
        self, request: CheckoutRequest, user_id: str | None = None, idempotency_key: str | None = None
    ) -> CheckoutSession:
        """See Checkout.open."""
        return await self.checkout.open(request, user_id=user_id, idempotency_key=idempotency_key)

    async def verify_prices(self, claims: Sequence[PriceClaim]) -> Sequence[Discrepancy]:
        """See Prices.verify."""
        return await self.prices.verify(claims)

    async def receive_webhook(self, body: bytes, signature: str | None, *, traceparent: str | None = None) -> None:
        """See Intake.receive."""
        if self.intake is None:
            self.settings.webhook_secrets()
            raise ConfigurationError("Webhooks are switched off in this process.")
        await self.intake.receive(body, signature, traceparent=traceparent)

    async def session_status(self, session_id: str) -> SessionStatus:
        """See Status.of."""
        return await self.status.of(session_id)

    async def run_due(self) -> int:
        """See Processing.run_due."""
        return await self.processing.run_due()

    async def reconcile(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        undelivered: bool = False,
        objects: bool = True,
        watch: Watch | None = None,
    ) -> Reconciled:
        """See Reconciliation.run."""
        return await self.reconciliation.run(
            since=since, until=until, undelivered=undelivered, objects=objects, watch=watch
        )

    async def verify(
        self, *, since: datetime | None = None, until: datetime | None = None, watch: Watch | None = None
    ) -> DriftReport:
        """See Verification.run."""
        return await self.verification.run(since=since, until=until, watch=watch)

    async def recent_events(self, limit: int) -> list[dict[str, Any]]:
        """The newest outgoing events, exactly as published, newest first."""
        return [json.loads(payload) for payload in await self.store.recent_events(limit)]

    async def readiness(self) -> Readiness:
        """Whether the store answers, and how far behind the work is."""
        try:
            health = await self.store.health()
        except StoreUnavailable:
            return Readiness(ready=False, checks={"store": "unavailable"})
        self.meter.standing(health)
        checks = {
            "store": "ok",
            "oldestUnhandledSeconds": int(health.oldest_unhandled_s),
            "deadLetters": health.dead_letters,
            "outboxBacklog": health.outbox_backlog,
            "quarantinedPayments": health.quarantined,
        }
        return Readiness(ready=True, checks=checks)


def compose(
    settings: Settings,
    *,
    store: Store,
    gateway: Gateway,
    cache: PriceCache,
    flights: Flights,
    limiter: Limiter,
    meter: Meter,
    invoker: Invoker,
    crew: Crew,
    policy: DeliveryPolicy,
    io: Io,
    clock: Clock,
) -> Core:
    """The flows over these adapters. Raises ConfigurationError for an adapter of the other world."""
    _check_world(io, store=store, gateway=gateway, price_cache=cache, limiter=limiter)
    handlers = Handlers(invoker)
    book = PriceBook(gateway, cache, flights, settings.payments_price_cache_s, settings.payments_price_stale_s)
    prices = Prices(book, settings.price_policy)
    secret = settings.stripe_secret_key.get_secret_value().encode()
    guard = Guard(limiter, store, gateway, clock, settings.limit, secret)
    mode: dict[Literal["livemode", "account"], Any] = {
        "livemode": settings.livemode,
        "account": settings.payments_account,
    }
    routing = Routing(
        store,
        gateway,
        clock,
        new_id,
        app=settings.payments_app,
        tells_foreign=settings.payments_foreign == "tell",
        **mode,
    )
    checkout = Checkout(
        store,
        gateway,
        prices,
        crew,
        clock,
        new_id,
        app=settings.payments_app,
        redirect_hosts=settings.payments_redirect_hosts,
        **mode,
    )
    settlement = Settlement(store, handlers, clock)
    jitter = random.Random().random  # noqa: S311 - spreads retries, guards nothing
    processing = Processing(
        store, routing, Gathering(gateway), settlement, clock, jitter, crew, policy, book, guard, meter=meter, **mode
    )
    # A secret that cannot be trusted is told where webhooks are mounted or received; a process without them needs none.
    intake: Intake | None = None
    with suppress(ConfigurationError):
        intake = Intake(store, crew, clock, settings.webhook_secrets(), meter)
    status = Status(store, gateway, crew, **mode)
    ours = Policy(settings.payments_app, settings.payments_foreign == "tell")
    ground = Ground(store, gateway, crew, clock, ours, **mode)
    return Core(
        settings,
        store,
        gateway,
        cache,
        limiter,
        meter,
        guard,
        Proxies(settings.payments_trusted_proxies),
        handlers,
        prices,
        checkout,
        status,
        processing,
        intake,
        Reconciliation(ground),
        Verification(ground),
    )


@cache
def answering() -> Answer:
    """What answers requests; with it come the models of all bodies and replies, so it is imported with the first."""
    from payments_core.app.endpoints import answer

    return answer


def runs_here(core: Core, *, asked: bool | None, has_runner: bool, only_opens: bool) -> bool:
    """Whether this process is to handle events: as asked, else unless it only opens checkouts and would tell nobody."""
    return asked if asked is not None else has_runner and not (only_opens and core.handlers.is_empty)


def announce(core: Core, *, runs: bool) -> None:
    """Say once, at the start, what a reader of the log should know about this configuration."""
    settings = core.settings
    if runs and core.handlers.is_empty and not settings.kafka_brokers:
        _log.warning(
            "No handler is registered: payments that this process settles are told to nobody. "
            "Where other processes have the handlers, build this facade with runner=False"
        )
    if settings.price_policy == "declared":
        _log.warning("Price policy is declared: whoever reaches the checkout route names the price")
    if not settings.payments_redirect_hosts:
        _log.warning("PAYMENTS_REDIRECT_HOSTS is not set: buyers may be sent to any https host")
    if not settings.kafka_brokers:
        _log.info("KAFKA_BROKERS is not set: events stay in the outbox until a broker is named")


def _check_world(io: Io, **adapters: Store | Gateway | PriceCache | Limiter) -> None:
    facade = "Payments" if io == "blocking" else "AsyncPayments"
    for name, adapter in adapters.items():
        if adapter.io != io:
            raise ConfigurationError(f"{facade} needs a {io} {name}; {type(adapter).__name__} is {adapter.io}.")
