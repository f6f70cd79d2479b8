"""Payments: the facade for Flask and every other synchronous program."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from payments_core.app.core import CONSTRUCTOR_OPTIONS, Core, announce, answering, compose, runs_here, utc_now
from payments_core.app.flights import ThreadFlights
from payments_core.app.invokers import BlockingInvoker
from payments_core.app.metering import installed_meter
from payments_core.app.redis import shared_or_own_cache, shared_or_own_limiter
from payments_core.app.relays import RelayThread, relay_maker
from payments_core.app.runners import GRACE_S, ThreadRunner
from payments_core.domain.cart import CheckoutRequest, CheckoutSession, SessionStatus
from payments_core.domain.delivery import DeliveryPolicy
from payments_core.domain.drift import DriftReport
from payments_core.domain.events import DomainEvent
from payments_core.domain.pricing import PriceClaim
from payments_core.domain.reconciliation import Reconciled
from payments_core.drive import run_blocking
from payments_core.errors import Discrepancy
from payments_core.ports import Clock, Gateway, Handler, Limiter, Meter, PriceCache, Store, Watch
from payments_core.settings import Settings

if TYPE_CHECKING:
    from payments_core.adapters.sql.handle import SessionFactory
    from payments_core.adapters.stripe.sdk import HttpClient
    from payments_core.http.messages import HttpReply, HttpRequest
    from payments_core.http.routes import Route

H = TypeVar("H", bound=Handler)


class Payments:
    """Payments in plain synchronous code: no event loop anywhere. `AsyncPayments` is its asynchronous twin.

    Thread-safe, and safe to build before a fork: connections and the runner's thread are made on first use, in the
    process that uses them. `store` and `gateway` are the library's own unless given; `http_client` is a stripe HTTP
    client, `session_factory` a Session class or sessionmaker for handlers' `tx.session`; `clock` gives aware UTC,
    `meter` counts, `delivery` says how events are handled. With `runner=False` nothing is handled in this process:
    `payments worker` does it. With `relay=True` a thread of this process also publishes outgoing events to Kafka, else
    `payments relay` does it. Raises ConfigurationError for settings that cannot be used.
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
        self._relay = RelayThread(relay_maker(settings, meter, own_store=store is None)) if relay else None
        self._runner = ThreadRunner()
        #: By process: a thread that starts while another forks is not in the child to give its lock back.
        self._starting = dict[int, threading.Lock]()
        self._started_in: int | None = None
        self.core: Core = compose(
            settings,
            store=store or _store(settings, session_factory, clock),
            gateway=gateway or _gateway(settings, http_client),
            cache=price_cache or shared_or_own_cache(settings, "blocking"),
            limiter=limiter or shared_or_own_limiter(settings, "blocking"),
            meter=meter,
            flights=ThreadFlights(),
            invoker=BlockingInvoker(),
            crew=self._runner,
            policy=delivery or DeliveryPolicy(),
            io="blocking",
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

    def create_checkout_session(
        self, request: CheckoutRequest, *, user_id: str | None = None, idempotency_key: str | None = None
    ) -> CheckoutSession:
        """Open a checkout.

        The same `idempotency_key` (1 to 255 printable ASCII characters) and request give the same session for a day,
        whatever happened in between. Without one, the same verified request of the same user gives the session that is
        still open, for half an hour; None and "" are nobody's. Raises InvalidRequest, PriceVerificationError,
        IdempotencyConflict (the key was used with another request), IdempotencyInProgress (the first one still runs),
        StripeError or StoreUnavailable.
        """
        self.start()
        return run_blocking(self.core.create_checkout_session(request, user_id, idempotency_key))

    def verify_prices(self, claims: Sequence[PriceClaim]) -> Sequence[Discrepancy]:
        """The lines whose price is not the catalogue's. Raises UnknownProduct or StripeError."""
        return run_blocking(self.core.verify_prices(claims))

    def receive_webhook(self, body: bytes, signature: str | None) -> None:
        """Take a webhook in: on return it is on disk. Raises InvalidSignature or StoreUnavailable."""
        if self._only_opens:
            # A route of the host's own takes them: what was started to open checkouts alone is started with a runner.
            self._only_opens, self._started_in = False, None
        self.start()
        run_blocking(self.core.receive_webhook(body, signature))

    def session_status(self, session_id: str) -> SessionStatus:
        """What became of a session made here. Raises SessionNotFound."""
        self.start()
        return run_blocking(self.core.session_status(session_id))

    def recent_events(self, limit: int = 50) -> list[dict[str, Any]]:
        """The newest outgoing events, exactly as published, newest first."""
        self.start()
        return run_blocking(self.core.recent_events(limit))

    def run_due(self) -> int:
        """Handle what is due now, without the background runner; how many events were claimed."""
        claimed = run_blocking(self.core.run_due())
        if claimed and self._relay is not None:
            self._relay.nudge()
        return claimed

    def reconcile(
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
        self.start()
        return run_blocking(
            self.core.reconcile(since=since, until=until, undelivered=undelivered, objects=objects, watch=watch)
        )

    def verify(
        self, *, since: datetime | None = None, until: datetime | None = None, watch: Watch | None = None
    ) -> DriftReport:
        """Compare the payments with Stripe, from 30 days ago unless `since` says otherwise. It changes nothing.

        Raises InvalidRequest for times without a zone, StripeError or StoreUnavailable.
        """
        self.start()
        return run_blocking(self.core.verify(since=since, until=until, watch=watch))

    def answer(self, route: Route, request: HttpRequest) -> HttpReply:
        """The reply to an HTTP request for one of the library's routes."""
        return run_blocking(answering()(self.core, route, request, self._start))

    def start(self, *, runner: bool | None = None) -> None:
        """Prepare the store and start the runner, once in each process. Harmless to repeat.

        `runner` overrules what the constructor was given: a worker runs what a web process leaves to it.
        """
        if self._started_in == os.getpid():
            return
        with self._starting.setdefault(os.getpid(), threading.Lock()):
            if self._started_in == os.getpid():
                return
            run_blocking(self.core.store.prepare())
            runs = runs_here(self.core, asked=runner, has_runner=self._has_runner, only_opens=self._only_opens)
            announce(self.core, runs=runs)
            if runs:
                self._runner.start(self.run_due, self._next_due_s)
            if self._relay is not None:
                self._relay.start()
            self._started_in = os.getpid()
        atexit.register(_close_at_exit, weakref.ref(self))

    def close(self, *, grace_s: float = GRACE_S) -> None:
        """Let what is in hand end, for at most `grace_s` seconds, and give back every connection."""
        # From the last to the first, and each of them also where another cannot be closed.
        with ExitStack() as closing:
            for part in (self.core.store, self.core.limiter, self.core.cache, self.core.gateway):
                closing.callback(_close, part)
            if self._relay is not None and self._started_in == os.getpid():
                closing.callback(self._relay.stop, grace_s)
            # Also after a start that failed behind it.
            closing.callback(self._runner.stop, grace_s)
            self._started_in = None

    async def _start(self) -> None:
        self.start()

    def _next_due_s(self) -> float | None:
        return run_blocking(self.core.store.next_due_s())


def _close(part: Store | Gateway | PriceCache | Limiter) -> None:
    run_blocking(part.close())


def _close_at_exit(reference: weakref.ref[Payments]) -> None:
    payments = reference()
    if payments is not None:
        payments.close()


def _store(settings: Settings, session_factory: SessionFactory | None, clock: Clock) -> Store:
    from payments_core.adapters.sql import blocking_store

    url = settings.payments_database_url.get_secret_value()
    return blocking_store(url, clock=clock, owes_broker=bool(settings.kafka_brokers), session_factory=session_factory)


def _gateway(settings: Settings, http_client: HttpClient | None) -> Gateway:
    from payments_core.adapters.stripe import blocking_gateway

    return blocking_gateway(settings, http_client=http_client)
