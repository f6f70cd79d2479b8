"""Which of a deployment's memories are shared: in Redis where PAYMENTS_REDIS_URL names one, else none."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Generator
from contextlib import contextmanager

from payments_core.errors import ConfigurationError
from payments_core.extras import needing
from payments_core.ports import Io, Limiter, PriceCache
from payments_core.settings import Settings


def shared_or_own_cache(settings: Settings, io: Io) -> PriceCache:
    """The price cache of a deployment. Raises ConfigurationError where Redis is named and its client is missing."""
    keep_s = settings.payments_price_cache_s + settings.payments_price_stale_s
    if settings.payments_redis_url is None:
        from payments_core.adapters.memory.price_cache import MemoryPriceCache

        return MemoryPriceCache(keep_s, io=io)
    url = settings.payments_redis_url.get_secret_value()
    with explained():
        from payments_core.adapters.redis.price_cache import RedisPriceCache
        from payments_core.adapters.redis.server import AsyncServer, BlockingServer

        server = BlockingServer(url) if io == "blocking" else AsyncServer(url)
        return RedisPriceCache(server, keep_s, namespace=namespace(settings))


def shared_or_own_limiter(settings: Settings, io: Io) -> Limiter:
    """What counts a deployment's callers. Raises ConfigurationError where Redis is named and its client is missing."""
    from payments_core.adapters.memory.limiting import MemoryLimiter

    own = MemoryLimiter(io=io)
    if settings.payments_redis_url is None:
        return own
    url = settings.payments_redis_url.get_secret_value()
    with explained():
        from payments_core.adapters.redis.limiting import AsyncRedisLimiter, BlockingRedisLimiter

        build = BlockingRedisLimiter if io == "blocking" else AsyncRedisLimiter
        return build(url, namespace=namespace(settings), meanwhile=own)


@contextmanager
def explained() -> Generator[None]:
    """What the client raises for an address that it cannot use, and its absence, as ConfigurationError."""
    try:
        with needing("redis", by="PAYMENTS_REDIS_URL"):
            yield
    except ValueError:
        raise ConfigurationError(
            "PAYMENTS_REDIS_URL cannot be read; put an address there, as redis://:password@redis.internal:6379/0, "
            "and after it nothing, or ?socket_timeout= with more than 0 and at most 60 seconds."
        ) from None


def namespace(settings: Settings) -> str:
    """What keeps a deployment's keys apart from others' on one server: whose Stripe it talks to, and as whom."""
    whose = f"{settings.payments_account or ''} {settings.stripe_api_base or ''}"
    digest = hmac.new(settings.stripe_secret_key.get_secret_value().encode(), whose.encode(), hashlib.sha256)
    return digest.hexdigest()[:16]
