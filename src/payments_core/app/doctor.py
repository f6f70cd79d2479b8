"""What `payments doctor` looks at, put together from the environment for the calling thread.

Settings that cannot be used are a finding; what can be reached without them is looked at all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final, TypeVar

from payments_core.adapters.sql.examination import SqlExaminer
from payments_core.app.core import utc_now
from payments_core.app.redis import explained
from payments_core.domain.diagnosis.services import RedisFacts, TopicFacts
from payments_core.drive import run_blocking
from payments_core.errors import ConfigurationError
from payments_core.extras import needing
from payments_core.ports import Clock
from payments_core.services.account import Look, Stripe
from payments_core.services.doctor import Doctor, Or
from payments_core.settings import BrokerSettings, RelaySettings, Settings

S = TypeVar("S", bound=BrokerSettings)
_UNREADABLE: Final = "The variables cannot be used; see above."


@contextmanager
def examining(database_url: str, *, offline: bool, clock: Clock = utc_now) -> Generator[Doctor]:
    """A doctor for the deployment that the environment describes; `offline` leaves Stripe out."""
    settings = _read(Settings.from_env)
    broker: Or[BrokerSettings] = settings if not isinstance(settings, str) else _read(RelaySettings.from_env)
    with ExitStack() as closing:
        database = _Database(database_url, clock)
        closing.callback(database.close)
        yield Doctor(
            settings=settings,
            clock=clock,
            database=lambda: database.opened().database(),
            work=lambda: database.opened().work(),
            redis=_redis(settings),
            topics=_topics(broker),
            stripe=_stripe(settings, closing, offline=offline),
        )


class _Database:
    """Opened when it is looked at: an address that cannot be used is a finding too."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url, self._clock = url, clock
        self._examiner: SqlExaminer | None = None

    def opened(self) -> SqlExaminer:
        """Raises ConfigurationError."""
        if self._examiner is None:
            self._examiner = SqlExaminer(self._url, self._clock)
        return self._examiner

    def close(self) -> None:
        """Give back the connection, if there is one."""
        if self._examiner is not None:
            run_blocking(self._examiner.close())


def _read(from_env: Callable[[], S]) -> S | str:
    try:
        return from_env()
    except ConfigurationError as wrong:
        return str(wrong)


def _redis(settings: Or[Settings]) -> Or[Look[RedisFacts]]:
    if isinstance(settings, str):
        return _UNREADABLE
    if settings.payments_redis_url is None:
        return "PAYMENTS_REDIS_URL is not set: each process remembers prices and counts callers for itself."
    url = settings.payments_redis_url.get_secret_value()

    async def look() -> RedisFacts:
        with explained():
            from payments_core.adapters.redis.examination import examine

            return await examine(url)

    return look


def _topics(settings: Or[BrokerSettings]) -> Or[Look[Sequence[TopicFacts]]]:
    if isinstance(settings, str):
        return _UNREADABLE
    if not settings.kafka_brokers:
        return "KAFKA_BROKERS is not set: outgoing events stay in the outbox."

    async def look() -> Sequence[TopicFacts]:
        with needing("kafka", by="KAFKA_BROKERS"):
            from payments_core.adapters.kafka import topics
        # Kafka's client lives on a loop; in the blocking world none runs here, so it is given one for the while.
        found = asyncio.run(topics.found(settings))
        return [TopicFacts(topic.name, topic.exists) for topic in found]

    return look


def _stripe(settings: Or[Settings], closing: ExitStack, *, offline: bool) -> Or[Stripe]:
    if isinstance(settings, str):
        return _UNREADABLE
    if offline:
        return "Left out (--offline)."
    from payments_core.adapters.stripe import blocking_gateway

    gateway = blocking_gateway(settings)
    closing.callback(lambda: run_blocking(gateway.close()))
    return gateway
