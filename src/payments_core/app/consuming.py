"""A consumer's loop put together: messages from a source, a flow that handles them, and the world of its database.

The loop itself is always asynchronous. A blocking database is worked on a single thread beside it, never on the loop.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, TypeVar

from payments_core.domain.consumption import ConsumptionPolicy, Message
from payments_core.drive import run_blocking
from payments_core.errors import StoreUnavailable, frames_of
from payments_core.ports.consuming import Consumed, Lane, MessageHandler, MessageSource
from payments_core.services.consumption import Consumption, Delivery

T = TypeVar("T")
_log = logging.getLogger("payments_core.consumer")

#: How often messages are looked for that an operator made due again.
LOOK_S: Final = 5.0
#: Messages worked on at once by an asynchronous database; it stays below the pool.
HANDS: Final = 8
_OUTAGE_S: Final = 1.0


class ConsumerLoop:
    """Consumes until it is stopped. `look_s`: how often replayed messages are looked for.

    Built on the event loop that is to run it.
    """

    def __init__(
        self,
        source: MessageSource,
        *,
        group: str,
        consumed: Consumed,
        handler: MessageHandler,
        policy: ConsumptionPolicy,
        look_s: float = LOOK_S,
    ) -> None:
        self._source = source
        self._consumed = consumed
        jitter = random.Random().random  # noqa: S311 - spreads retries, guards nothing
        self._consumption = Consumption(group, consumed, handler, policy, jitter)
        self._drive = _Offloaded() if consumed.io == "blocking" else _Awaited(min(HANDS, consumed.writers))
        self._look_s = look_s
        self._replays = _Side()

    def stop(self) -> None:
        """Finish what is in hand, and end."""
        self._replays.leave()
        self._source.stop()

    async def run(self) -> None:
        """Consume until `stop`.

        Raises ConfigurationError for a database without the schema, no broker, or a codec that is not installed.
        """
        replaying: asyncio.Task[None] | None = None
        try:
            if await self._prepared():
                replaying = asyncio.get_running_loop().create_task(self._replay())
                await self._source.run(self._deliver)
        finally:
            self.stop()
            if replaying is not None:
                await asyncio.wait([replaying])
            with suppress(StoreUnavailable):
                await self._drive(self._consumed.close())
            self._drive.close()

    async def _prepared(self) -> bool:
        """Whether the database is there; it is waited for."""
        waited = False
        while not self._replays.is_leaving:
            try:
                await self._drive(self._consumed.prepare())
            except StoreUnavailable as outage:
                if not waited:
                    _log.warning("The consumer waits for its database: %s", outage)
                waited = True
                await self._replays.pause(_OUTAGE_S)
            else:
                return True
        return False

    async def _deliver(self, message: Message, lane: Lane) -> bool:
        return await self._consumption.deliver(Delivery.of(message), lane, self._drive)

    async def _replay(self) -> None:
        while not self._replays.is_leaving:
            try:
                await self._consumption.replay_due(self._replays, self._drive)
            except Exception as trouble:  # noqa: BLE001 - the look goes on whatever happens to one round
                _log.error("Replays are looked for again after %s\n%s", type(trouble).__name__, frames_of(trouble))
            await self._replays.pause(self._look_s)


class _Side:
    """`Lane` of the messages that are no partition's: those that an operator made due again."""

    def __init__(self) -> None:
        self._leaving = asyncio.Event()

    @property
    def is_leaving(self) -> bool:
        """See Lane."""
        return self._leaving.is_set()

    async def pause(self, seconds: float) -> None:
        """See Lane."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._leaving.wait(), seconds)

    def leave(self) -> None:
        """The process is to end."""
        self._leaving.set()


class _Awaited:
    """`Drive` on the loop: as many flows at once as the database lets write."""

    def __init__(self, hands: int) -> None:
        self._hands = asyncio.Semaphore(hands)

    async def __call__(self, flow: Coroutine[Any, Any, T], /) -> T:
        """See Drive."""
        try:
            async with self._hands:
                return await flow
        finally:
            # One that was cancelled while it waited for a hand has never begun.
            flow.close()

    def close(self) -> None:
        """Nothing is held."""


class _Offloaded:
    """`Drive` on one thread: a whole flow, its transaction with it, never leaves that thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="payments-consumer")

    async def __call__(self, flow: Coroutine[Any, Any, T], /) -> T:
        """See Drive."""
        begun = self._thread.submit(run_blocking, flow)
        try:
            return await asyncio.wrap_future(begun)
        except asyncio.CancelledError:
            # One that has begun goes on to the end of its transaction: a thread cannot be stopped.
            if begun.cancel():
                flow.close()
            raise

    def close(self) -> None:
        """Let the thread end. It is not waited for: what it has in hand ends with its transaction."""
        self._thread.shutdown(wait=False, cancel_futures=True)
