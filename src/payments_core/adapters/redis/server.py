"""One Redis server in either world: commands that are answered soon, or not at all.

Nothing here raises for what Redis does. A server that is away, slow, full, or holds something else under our keys is
one that does not know; it is then left alone for a while, so that not every request pays for finding out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TypeAlias, cast
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
import redis.connection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from payments_core.ports import Io

_log = logging.getLogger("payments_core.redis")

Command: TypeAlias = tuple[str | int | bytes, ...]
Reply: TypeAlias = Any

#: How long a request waits for Redis at most; a healthy one on the same network answers in a millisecond. An address
#: that ends in `?socket_timeout=1` says otherwise.
TIMEOUT_S: Final = 0.25
LONGEST_TIMEOUT_S: Final = 60.0
#: How long a server that did not answer is left alone.
REST_S: Final = 5.0
#: How many requests of one loop ask Redis at once.
AT_ONCE: Final = 50

# The client's own annotations leave much open, and its parameters differ between versions.
_Blocking: Any = redis.Redis
_Async: Any = redis.asyncio.Redis
_parse: Any = cast("Any", redis.connection).parse_url


def patience_s(url: str) -> float:
    """How long one answer from the server at this address may take, in seconds.

    Raises ValueError for what is no address, and for a time that is none.
    """
    found = float(_parse(url).get("socket_timeout", TIMEOUT_S))
    if not 0 < found <= LONGEST_TIMEOUT_S:
        raise ValueError("socket_timeout")
    return found


def options(timeout_s: float) -> dict[str, Any]:
    """What every client of ours is built with."""
    return {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        # Else every connection looks the client's version up in a file, also on an event loop.
        "driver_info": None,
    }


class Server(Protocol):
    """Redis in one world.

    - `run` sends commands in one round trip and gives their replies in order, an error reply as a ResponseError among
      them; None where the server did not answer. It never raises and never takes much longer than `patience_s`.
    - Without `urgent` a server that did not answer is not asked again for `REST_S` seconds.
    """

    @property
    def io(self) -> Io:
        """The world it serves."""
        ...

    async def run(self, *commands: Command, urgent: bool = False) -> Sequence[Reply] | None:
        """Send commands."""
        ...

    async def pause(self, seconds: float) -> None:
        """Wait."""
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...


class Rest:
    """Whether a server that did not answer is left alone just now; says once when that begins and when it ends."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until_s = 0.0
        self._silent = False

    @property
    def lasts(self) -> bool:
        """Not to be asked yet."""
        return self._clock() < self._until_s

    def failed(self, failure: Exception) -> None:
        """It did not answer."""
        self._until_s = self._clock() + REST_S
        if not self._silent:
            self._silent = True
            _log.warning(
                "Redis (PAYMENTS_REDIS_URL) does not answer (%s): this process goes on without it",
                type(failure).__name__,
            )

    def answered(self) -> None:
        """It did."""
        self._until_s = 0.0
        if self._silent:
            self._silent = False
            _log.warning("Redis (PAYMENTS_REDIS_URL) answers again")


class Turns:
    """At most so many requests at Redis at once on a loop: of a crowd some wait, and Redis is not taken for silent.

    redis-py opens 100 connections, and raises for the request that would need one more.
    """

    def __init__(self) -> None:
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    def here(self) -> asyncio.Semaphore:
        """To be entered by whoever asks on the running loop."""
        return self._loops.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))


class BlockingServer:
    """Redis on the calling thread. Safe among threads and across a fork: redis-py's pool minds both."""

    io: Io = "blocking"

    def __init__(self, url: str) -> None:
        self._rest = Rest()
        self._client: Any = _Blocking.from_url(url, retry=Retry(NoBackoff(), 0), **options(patience_s(url)))

    async def run(self, *commands: Command, urgent: bool = False) -> Sequence[Reply] | None:
        """See Server."""
        if self._rest.lasts and not urgent:
            return None
        try:
            pipeline = _queued(self._client.pipeline(transaction=False), commands)
            replies = cast("list[Reply]", pipeline.execute(raise_on_error=False))
        except (RedisError, OSError) as failure:
            self._rest.failed(failure)
            return None
        self._rest.answered()
        return replies

    async def pause(self, seconds: float) -> None:
        """See Server."""
        time.sleep(seconds)  # noqa: ASYNC251 - the blocking world's port: it is meant to hold the thread

    async def close(self) -> None:
        """See Server."""
        with suppress(RedisError, OSError):
            self._client.close()


class AsyncServer:
    """Redis on the running loop; every loop has its own connections."""

    io: Io = "async"

    def __init__(self, url: str) -> None:
        self._url = url
        self._patience_s = patience_s(url)  # a bad one is refused now, and not in the middle of a request
        self._rest = Rest()
        self._turns = Turns()
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()

    async def run(self, *commands: Command, urgent: bool = False) -> Sequence[Reply] | None:
        """See Server."""
        async with self._turns.here():
            # Those before may have found out that it does not answer.
            return None if self._rest.lasts and not urgent else await self._run(commands)

    async def _run(self, commands: Sequence[Command]) -> Sequence[Reply] | None:
        try:
            async with asyncio.timeout(2 * self._patience_s):
                pipeline = _queued(self._client().pipeline(transaction=False), commands)
                replies = cast("list[Reply]", await pipeline.execute(raise_on_error=False))
        except (RedisError, OSError) as failure:  # asyncio's TimeoutError is an OSError
            self._rest.failed(failure)
            return None
        self._rest.answered()
        return replies

    async def pause(self, seconds: float) -> None:
        """See Server."""
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """See Server."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            with suppress(RedisError, OSError):
                await client.aclose()

    def _client(self) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            retry = AsyncRetry(NoBackoff(), 0)
            self._clients[loop] = _Async.from_url(self._url, retry=retry, **options(self._patience_s))
        return self._clients[loop]


def _queued(pipeline: Any, commands: Sequence[Command]) -> Any:
    for command in commands:
        pipeline.execute_command(*command)
    return pipeline


def is_refusal(reply: Reply) -> bool:
    """Whether Redis answered this command with an error: a key of another type, no memory left."""
    return isinstance(reply, ResponseError)
