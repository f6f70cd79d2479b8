"""The front door of a downstream service: register handlers, run."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from ..domain.consumption import ConsumptionPolicy
from ..errors import ConfigurationError
from ..extras import needing
from ..ports import Handler
from ..ports.consuming import Consumed, MessageSource
from ..published import PublishedEvent
from ..settings import ConsumerSettings
from .handlers import PublishedHandlers

if TYPE_CHECKING:
    from ..adapters.kafka.consumer import ConsumerLimits
    from ..adapters.sql.handle import SessionFactory
    from ..app.consuming import ConsumerLoop

H = TypeVar("H", bound=Handler)

_GROUP: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")
_OPTIONS: Final = ("policy", "limits", "session_factory", "consumed", "source")


class EventConsumer:
    """Calls a service's handlers for published events, each event once in effect.

    The handlers' writes through `tx.session` or `tx.connection` and the record that the group has handled the event are
    one transaction in the service's own database (PAYMENTS_DATABASE_URL). Handlers are all coroutine functions, which
    run on the loop, or all plain functions, which run on one thread beside it. What a handler does elsewhere (mail,
    HTTP) happens at least once; `event.event_id` is its idempotency key.

    `group` names the service: consumers of one group share the events, and every group gets all of them. `limits`:
    `payments_core.adapters.kafka.consumer.ConsumerLimits`. `session_factory`: a Session or AsyncSession class or
    sessionmaker. `consumed` and `source` replace the database and the broker in tests.
    """

    def __init__(
        self,
        group: str,
        *,
        settings: ConsumerSettings,
        policy: ConsumptionPolicy | None = None,
        limits: ConsumerLimits | None = None,
        session_factory: SessionFactory | None = None,
        consumed: Consumed | None = None,
        source: MessageSource | None = None,
    ) -> None:
        if not _GROUP.fullmatch(group):
            raise ConfigurationError("group takes 1 to 200 letters, digits and ._- (it names the service: 'orders').")
        self._group = group
        self._settings = settings
        self._policy = policy or ConsumptionPolicy(max_attempts=settings.payments_consumer_max_attempts)
        self._limits = limits
        self._session_factory = session_factory
        self._consumed = consumed
        self._source = source
        self._handlers = PublishedHandlers()
        self._running: tuple[asyncio.AbstractEventLoop, ConsumerLoop] | None = None

    @classmethod
    def from_env(cls, group: str, **overrides: Any) -> Self:
        """A consumer over KAFKA_*, PAYMENTS_TOPIC_PREFIX and PAYMENTS_DATABASE_URL.

        A keyword argument of a variable's lower-case name wins over it; the constructor's own arguments are taken too.
        Raises ConfigurationError with one sentence for the first thing that is wrong.
        """
        options = {name: overrides.pop(name) for name in _OPTIONS if name in overrides}
        return cls(group, settings=ConsumerSettings.from_env(**overrides), **options)

    @property
    def topics(self) -> tuple[str, ...]:
        """What is consumed: one topic for each event type that has a handler."""
        return tuple(sorted(self._settings.payments_topic_prefix + name for name in self._handlers.types))

    def on(self, event: type[PublishedEvent] | str) -> Callable[[H], H]:
        """A decorator that registers a handler for a published event, by its class or by its type's name.

        The handler takes the event, or the event and the transaction. Several handlers of one event share its
        transaction, in the order of registration. Raises ConfigurationError for one that cannot be run.
        """
        return self._handlers.on(event)

    def run(self) -> None:
        """Consume until SIGTERM or Ctrl+C; what is in hand is completed first. A second signal ends it at once."""
        asyncio.run(self._until_signalled())

    async def consume(self) -> None:
        """Consume on the running event loop until `stop`, or until this is cancelled.

        Broker and database are waited for. Raises ConfigurationError where no handler is registered, no broker is
        named, or the database has no schema (`payments db upgrade`).
        """
        if not self._handlers.types:
            raise ConfigurationError("No handler is registered; use @consumer.on(PaymentSuccessful) or the like.")
        if not self._settings.kafka_brokers and self._source is None:
            raise ConfigurationError(
                "KAFKA_BROKERS is not set; put the brokers' addresses there, as kafka-1:9092,kafka-2:9092."
            )
        if self._running is not None:
            raise ConfigurationError("This consumer is running already; make another one of the same group instead.")
        loop = self._composed()
        self._running = (asyncio.get_running_loop(), loop)
        try:
            await loop.run()
        finally:
            self._running = None

    def stop(self) -> None:
        """Let `consume` or `run` finish what is in hand and return. May be called from any thread."""
        if self._running is not None:
            where, loop = self._running
            where.call_soon_threadsafe(loop.stop)

    async def _until_signalled(self) -> None:
        here = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)

        def asked_to_leave() -> None:
            for number in signals:
                here.remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL)
            self.stop()

        for number in signals:
            here.add_signal_handler(number, asked_to_leave)
        await self.consume()

    def _composed(self) -> ConsumerLoop:
        # Imported here: whoever only registers handlers needs neither a driver nor a client of Kafka's.
        from ..app.consuming import ConsumerLoop

        consumed = self._consumed or self._database()
        if consumed.io != self._handlers.io:
            raise ConfigurationError(
                f"The handlers are {self._handlers.io}, and {type(consumed).__name__} is {consumed.io}; use one world."
            )
        return ConsumerLoop(
            self._source or self._broker(),
            group=self._group,
            consumed=consumed,
            handler=self._handlers,
            policy=self._policy,
        )

    def _database(self) -> Consumed:
        from ..adapters.sql.consuming import async_consumed, blocking_consumed

        make = async_consumed if self._handlers.io == "async" else blocking_consumed
        return make(self._settings.payments_database_url.get_secret_value(), session_factory=self._session_factory)

    def _broker(self) -> MessageSource:
        with needing("kafka", by="Consuming"):
            from ..adapters.kafka.consumer import KafkaMessages
        return KafkaMessages(self._settings, self._group, self.topics, self._limits)
