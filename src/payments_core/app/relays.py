"""The relay inside a process: as a task of the running loop, or on a thread with a loop of its own.

Never in a request's path. `payments relay` is the same task in a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import random
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import Final, TypeVar

from payments_core.app.runners import GRACE_S, is_under_way
from payments_core.errors import ConfigurationError
from payments_core.extras import needing
from payments_core.ports import Meter
from payments_core.ports.publishing import Errands
from payments_core.services.relay import BATCH_ROWS, Relay
from payments_core.settings import RelaySettings

T = TypeVar("T")
Make = Callable[[Errands], Relay]

#: Hands of one relay: while one waits for the broker, the other reads or marks.
HANDS: Final = 2
#: A batch is read and packed in one go: beside requests it must not hold the loop, or the interpreter, for long.
_ROWS_BESIDE_REQUESTS: Final = 100
#: What closing takes at most, after the grace period.
_CLOSING_S: Final = 5.0
#: Threads of a parent process: what they hold is never used, never closed, never collected.
_INHERITED: Final[list[object]] = []


def relay_maker(settings: RelaySettings, meter: Meter, *, own_store: bool) -> Make:
    """What makes the relay of a facade; nothing is connected yet.

    Raises ConfigurationError for settings that cannot be used, and beside a store that is not the library's own.
    """
    if not own_store:
        raise ConfigurationError(
            "relay=True publishes from the database of PAYMENTS_DATABASE_URL, and another store was given; leave one "
            "of the two out."
        )
    compose_relay(settings, LoopErrands(), meter)
    return lambda errands: compose_relay(settings, errands, meter, batch_rows=_ROWS_BESIDE_REQUESTS)


def compose_relay(
    settings: RelaySettings, errands: Errands, meter: Meter, *, hands: int = HANDS, batch_rows: int = BATCH_ROWS
) -> Relay:
    """The relay of a deployment. Raises ConfigurationError for settings that cannot be used."""
    with needing("kafka", by="KAFKA_BROKERS"):
        from payments_core.adapters.kafka.publisher import KafkaPublisher
    from payments_core.adapters.sql.relaying import async_outbox

    outbox = async_outbox(settings.payments_database_url.get_secret_value())
    publishers = [KafkaPublisher(settings, app=settings.payments_app) for _ in range(min(hands, outbox.hands))]
    jitter = random.Random().random  # noqa: S311 - spreads retries, guards nothing
    return Relay(outbox, publishers, errands, jitter, batch_rows, meter)


class LoopErrands:
    """`payments_core.ports.publishing.Errands` on the running loop."""

    def __init__(self) -> None:
        self._work = asyncio.Event()
        self._leave = asyncio.Event()

    @property
    def is_leaving(self) -> bool:
        """See Errands."""
        return self._leave.is_set()

    def nudge(self) -> None:
        """Work has arrived."""
        self._work.set()

    def leave(self) -> None:
        """The process is to stop."""
        self._leave.set()
        self._work.set()

    async def left(self) -> None:
        """Wait until the process is to stop."""
        await self._leave.wait()

    def monotonic_s(self) -> float:
        """See Errands."""
        return time.monotonic()

    async def each(self, items: Sequence[T], work: Callable[[T], Awaitable[object]], *, hands: int) -> None:
        """See Errands. `hands` is as many as there are items."""
        ended = await asyncio.gather(*map(work, items), return_exceptions=True)
        first = next((one for one in ended if isinstance(one, BaseException)), None)
        if first is not None:
            raise first

    async def rest(self, seconds: float, *, early: bool) -> None:
        """See Errands."""
        awaited = self._work if early else self._leave
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(awaited.wait(), seconds)
        self._work.clear()


class RelayTask:
    """A relay on the running loop, from `start` to `stop`."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._errands = LoopErrands()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in an empty context: no request's trace covers the relay's work. Where it runs already, let it."""
        if is_under_way(self._task):
            return
        self._errands = LoopErrands()
        relay = self._make(self._errands)
        self._task = asyncio.get_running_loop().create_task(_run(relay), context=contextvars.Context())

    def nudge(self) -> None:
        """Something was put into the outbox; never blocks, never fails."""
        self._errands.nudge()

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """Let the batches in hand end, within the grace period; what is cancelled then stays owed."""
        task, self._task = self._task, None
        if task is None:
            return
        self._errands.leave()
        _, late = await asyncio.wait([task], timeout=grace_s)
        for one in late:
            one.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await one


class RelayThread:
    """A relay on a daemon thread with an event loop of its own, for the synchronous world."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: RelayTask | None = None
        self._over: asyncio.Event | None = None

    def start(self) -> None:
        """Begin in this process, unless it runs here; a parent's is left alone. Raises what keeps it from beginning."""
        if self._pid != os.getpid():
            _INHERITED.extend((self._loop, self._task))
            self._pid = os.getpid()
        elif self._thread is not None and self._thread.is_alive():
            return
        began = Future[None]()
        self._thread = threading.Thread(target=self._run, args=(began,), name="payments-relay", daemon=True)
        self._thread.start()
        began.result()

    def nudge(self) -> None:
        """Something was put into the outbox; never blocks, never fails."""
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            with contextlib.suppress(RuntimeError):  # it ends just now
                loop.call_soon_threadsafe(task.nudge)

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Let the batches in hand end, within the grace period."""
        thread, loop, self._thread = self._thread, self._loop, None
        if thread is None or loop is None or self._task is None:
            return
        with contextlib.suppress(RuntimeError):
            asyncio.run_coroutine_threadsafe(self._stop(grace_s), loop)
        thread.join(grace_s + _CLOSING_S)

    def _run(self, began: Future[None]) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._live(began))
        except BaseException as failure:
            if began.done():
                raise
            # Before the loop was there, mostly: whoever waits for the beginning would wait for ever.
            began.set_exception(failure)

    async def _live(self, began: Future[None]) -> None:
        self._loop, self._task, self._over = asyncio.get_running_loop(), RelayTask(self._make), asyncio.Event()
        self._task.start()
        began.set_result(None)
        await self._over.wait()

    async def _stop(self, grace_s: float) -> None:
        if self._task is not None and self._over is not None:
            await self._task.stop(grace_s)
            self._over.set()


async def _run(relay: Relay) -> None:
    try:
        await relay.run()
    finally:
        await relay.close()
