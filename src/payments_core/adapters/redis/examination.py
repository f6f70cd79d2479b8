"""A look at Redis: whether it answers, and what it does when its memory is full.

More patient than `server`, which must not hold a request up; and it says why there was no answer.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from redis.retry import Retry

from payments_core.adapters.redis.server import options
from payments_core.domain.diagnosis.services import RedisFacts

_PATIENCE_S: Final = 3.0
_Client: Any = redis.Redis


async def examine(url: str) -> RedisFacts:
    """What the server at this address says of itself. Blocks the thread; raises ValueError for what is no address."""
    client = _Client.from_url(url, retry=Retry(NoBackoff(), 0), **options(_PATIENCE_S))
    try:
        # Not CONFIG GET, which servers that are rented out refuse.
        memory = client.info("memory")
    except NoPermissionError:
        return RedisFacts()
    except (RedisError, OSError) as failure:
        return RedisFacts(failure=type(failure).__name__, refuses_us=isinstance(failure, AuthenticationError))
    finally:
        with suppress(RedisError, OSError):
            client.close()
    policy, limit = memory.get("maxmemory_policy"), memory.get("maxmemory")
    return RedisFacts(
        policy=policy if isinstance(policy, str) else None, limit_bytes=limit if isinstance(limit, int) else 0
    )
