"""The in-process runner: handles due events in the background, as a task on the loop or as a thread.

It is only an accelerator. The inbox is the queue: what a runner had in hand when its process died is due again when
its lease has run out, and any other process may take it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import threading
import time
from collections.abc import Awaitable, Callable

from payments_core.errors import StoreUnavailable, frames_of

_log = logging.getLogger("payments_core.runner")

#: Work that other processes took in and left is found at the latest after this.
IDLE_S = 5.0
_AFTER_TROUBLE_S = 1.0
#: How long a stop waits for the event in hand.
GRACE_S = 10.0


class TaskRunner:
    """Runs on the current event loop; also the flows' Waiter there."""

    def __init__(self) -> None:
        self._work = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def nudge(self) -> None:
        """See Waiter."""
        self._work.set()

    async def pause(self, seconds: float) -> None:
        """See Waiter."""
        await asyncio.sleep(seconds)

    def monotonic_s(self) -> float:
        """See Waiter."""
        return time.monotonic()

    def start(self, run_due: Callable[[], Awaitable[int]], next_due_s: Callable[[], Awaitable[float | None]]) -> None:
        """Begin on the running loop, in an empty context: no request's trace covers the runner's work."""
        context = contextvars.Context()
        # A new event: the old one may be bound to a loop that is closed.
        self._work = asyncio.Event()
        self._stopping = False
        self._task = asyncio.get_running_loop().create_task(self._run(run_due, next_due_s), context=context)

    async def stop(self) -> None:
        """Let the event in hand end, within the grace period."""
        self._stopping = True
        self._work.set()
        task, self._task = self._task, None
        if task is None:
            return
        _, late = await asyncio.wait([task], timeout=GRACE_S)
        if late:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(
        self, run_due: Callable[[], Awaitable[int]], next_due_s: Callable[[], Awaitable[float | None]]
    ) -> None:
        while not self._stopping:
            self._work.clear()
            try:
                wait_s = 0.0 if await run_due() else idle_s(await next_due_s())
            except Exception as trouble:  # noqa: BLE001 - the runner outlives whatever happens to one round
                wait_s = _report(trouble)
            if wait_s and not self._stopping:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._work.wait(), wait_s)


class ThreadRunner:
    """Runs on a thread of its own; also the flows' Waiter in the synchronous world."""

    def __init__(self) -> None:
        self._work = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def nudge(self) -> None:
        """See Waiter."""
        self._work.set()

    async def pause(self, seconds: float) -> None:
        """See Waiter."""
        time.sleep(seconds)  # noqa: ASYNC251 - the blocking world's port: it is meant to hold the thread

    def monotonic_s(self) -> float:
        """See Waiter."""
        return time.monotonic()

    def start(self, run_due: Callable[[], int], next_due_s: Callable[[], float | None]) -> None:
        """Begin on a daemon thread, which never keeps a process alive."""
        # A new event: after a fork the old one's lock may be held by a thread that is not in this process.
        self._work = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(
            target=self._run, args=(run_due, next_due_s), name="payments-runner", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Let the event in hand end, within the grace period."""
        self._stopping = True
        self._work.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(GRACE_S)

    def _run(self, run_due: Callable[[], int], next_due_s: Callable[[], float | None]) -> None:
        while not self._stopping:
            self._work.clear()
            try:
                wait_s = 0.0 if run_due() else idle_s(next_due_s())
            except Exception as trouble:  # noqa: BLE001 - the runner outlives whatever happens to one round
                wait_s = _report(trouble)
            if wait_s and not self._stopping:
                self._work.wait(wait_s)


def idle_s(next_due_s: float | None) -> float:
    """How long to wait when nothing was due: until something is, and never so long that others' work lies about."""
    return IDLE_S if next_due_s is None else min(IDLE_S, max(next_due_s, 0.01))


def _report(trouble: Exception) -> float:
    """Say what went wrong with a round; how long to wait before the next."""
    if isinstance(trouble, StoreUnavailable):
        _log.warning("The store is unavailable; the runner tries again: %s", trouble)
    else:
        _log.error("The runner tries again after %s\n%s", type(trouble).__name__, frames_of(trouble))
    return _AFTER_TROUBLE_S
