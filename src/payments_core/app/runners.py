"""The in-process runner: handles due events in the background, as a task on the loop or as a thread.

It is only an accelerator. The inbox is the queue: what a runner had in hand when its process died is due again when
its lease has run out, and any other process may take it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from payments_core.drive import run_blocking
from payments_core.errors import StoreUnavailable, frames_of

T = TypeVar("T")
_log = logging.getLogger("payments_core.runner")

#: Work that other processes took in and left is found at the latest after this.
IDLE_S = 5.0
_AFTER_TROUBLE_S = 1.0
#: What is due and was not to be had is looked for again after this: another works on it, maybe beyond its lease.
_TAKEN_S = 0.5
#: How long a stop waits for the event in hand.
GRACE_S = 10.0


class TaskRunner:
    """Runs on the current event loop; also the flows' Crew there."""

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

    @property
    def is_leaving(self) -> bool:
        """See Crew."""
        return self._stopping

    async def each(self, items: Sequence[T], work: Callable[[T], Awaitable[object]], *, hands: int) -> None:
        """See Crew: as many tasks as hands take one item after another."""
        waiting = iter(items)

        async def hand() -> list[BaseException]:
            return [failure for item in waiting if (failure := await _failure_in_task(work(item))) is not None]

        failed = await asyncio.gather(*(hand() for _ in range(min(hands, len(items)))))
        _raise_first(failed)

    def start(self, run_due: Callable[[], Awaitable[int]], next_due_s: Callable[[], Awaitable[float | None]]) -> None:
        """Begin on the running loop, in an empty context: no request's trace covers the runner's work.

        Where it runs there already, let it.
        """
        if is_under_way(self._task):
            return
        context = contextvars.Context()
        # A new event: the old one may be bound to a loop that is closed.
        self._work = asyncio.Event()
        self._stopping = False
        self._task = asyncio.get_running_loop().create_task(self._run(run_due, next_due_s), context=context)

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """Let what is in hand end, within the grace period; what is not done by then is cancelled."""
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping = True
        self._work.set()
        _, late = await asyncio.wait([task], timeout=grace_s)
        if late:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._stopping = False

    async def _run(
        self, run_due: Callable[[], Awaitable[int]], next_due_s: Callable[[], Awaitable[float | None]]
    ) -> None:
        while not self._stopping:
            self._work.clear()
            try:
                wait_s = 0.0 if await run_due() else idle_s(await next_due_s())
            except BaseException as trouble:
                # The runner outlives whatever happens to one round.
                if _ends_the_task(trouble):
                    raise
                wait_s = _report(trouble)
            if wait_s and not self._stopping:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._work.wait(), wait_s)


def is_under_way(task: asyncio.Task[None] | None) -> bool:
    """Whether a task is under way on the running loop."""
    return task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop()


class _Waiting(Iterator[T]):
    """Items that several threads take, each of them once."""

    def __init__(self, items: Sequence[T]) -> None:
        self._items = iter(items)
        self._taking = threading.Lock()

    def __next__(self) -> T:
        with self._taking:
            return next(self._items)

    def leave(self) -> None:
        """Let nobody begin another."""
        with self._taking:
            self._items = iter(())


class ThreadRunner:
    """Runs on a thread of its own; also the flows' Crew in the synchronous world."""

    def __init__(self) -> None:
        self._work = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._gate = threading.Lock()
        self._round = threading.RLock()
        self._hands = set[threading.Thread]()
        _RUNNERS.add(self)

    def nudge(self) -> None:
        """See Waiter."""
        # Setting it takes a lock. It is cleared before a round looks for work, so where it is set the round is to come.
        if not self._work.is_set():
            self._work.set()

    async def pause(self, seconds: float) -> None:
        """See Waiter."""
        time.sleep(seconds)  # noqa: ASYNC251 - the blocking world's port: it is meant to hold the thread

    def monotonic_s(self) -> float:
        """See Waiter."""
        return time.monotonic()

    @property
    def is_leaving(self) -> bool:
        """See Crew."""
        return self._stopping

    async def each(self, items: Sequence[T], work: Callable[[T], Awaitable[object]], *, hands: int) -> None:
        """See Crew: as many threads as hands, this one among them, take one item after another."""
        waiting, failed = _Waiting(items), list[BaseException]()

        def hand() -> None:
            for item in waiting:
                try:
                    failure = run_blocking(_failure_of(work(item)))
                except BaseException as stopped:  # noqa: BLE001 - raised here once the others have ended
                    waiting.leave()
                    failed.insert(0, stopped)
                else:
                    failed.extend([] if failure is None else [failure])

        # In the caller's context, where a web framework keeps its own. None outlives the call or keeps a process alive.
        others = [
            threading.Thread(target=contextvars.copy_context().run, args=(hand,), name="payments-hand", daemon=True)
            for _ in range(min(hands, len(items)) - 1)
        ]
        self._hands.update(others)
        started = [other for other in others if _starts(other)]
        hand()
        for other in started:
            other.join()
        self._hands.difference_update(others)
        _raise_first([failed])

    def start(self, run_due: Callable[[], int], next_due_s: Callable[[], float | None]) -> None:
        """Begin on a daemon thread, which never keeps a process alive; where it runs already, let it."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._stopping = False
        thread = threading.Thread(target=self._run, args=(run_due, next_due_s), name="payments-runner", daemon=True)
        thread.start()
        self._thread = thread

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Let what is in hand end, within the grace period; a thread cannot be cancelled, and ends with its process."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping = True
        self._work.set()
        if thread is not threading.current_thread():
            thread.join(grace_s)
            self._stopping = thread.is_alive()

    def before_fork(self) -> Callable[[], None]:
        """Wait until no round is under way, and begin none; what ends that.

        A child that is forked in the middle of a transaction of SQLite's inherits its locks, which nobody gives back.
        The gate is for a runner that always finds something due: it would take its own lock again before a waiter can.
        A handler that forks on a hand of the round does not wait: the round ends after it.
        """
        if threading.current_thread() in self._hands:
            return _nothing
        gate, lock = self._gate, self._round
        with gate:
            return lock.release if lock.acquire(timeout=GRACE_S) else _nothing

    def after_fork_in_child(self) -> None:
        """New locks: the old ones may be held by threads that are not in this process."""
        self._work = threading.Event()
        self._gate = threading.Lock()
        self._round = threading.RLock()
        self._hands = set[threading.Thread]()

    def _run(self, run_due: Callable[[], int], next_due_s: Callable[[], float | None]) -> None:
        while not self._stopping:
            self._work.clear()
            try:
                with self._gate:
                    pass  # Whoever waits to fork goes first.
                with self._round:
                    wait_s = 0.0 if run_due() else idle_s(next_due_s())
            except BaseException as trouble:  # noqa: BLE001 - the runner outlives whatever happens to one round
                wait_s = _report(trouble)
            if wait_s and not self._stopping:
                self._work.wait(wait_s)


def _starts(thread: threading.Thread) -> bool:
    """Start it, where that can be done: at a limit of the machine's, or while the interpreter shuts down, it cannot."""
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


def _nothing() -> None:
    """A round that outlasts the grace period, or waits for whoever asks, is not waited for."""


_RUNNERS: weakref.WeakSet[ThreadRunner] = weakref.WeakSet()
#: By thread, since two may fork at once: what lets the runners go on that its fork has stopped.
_HELD: dict[int, list[Callable[[], None]]] = {}


def before_fork() -> None:
    """Let no runner of this process be in the middle of a round."""
    _HELD[threading.get_ident()] = [runner.before_fork() for runner in list(_RUNNERS)]


def after_fork() -> None:
    """Let them go on."""
    for go_on in _HELD.pop(threading.get_ident(), ()):
        go_on()


def after_fork_in_child() -> None:
    """Forget who held what: of the threads only this one is here."""
    _HELD.clear()
    for runner in list(_RUNNERS):
        runner.after_fork_in_child()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=before_fork, after_in_parent=after_fork, after_in_child=after_fork_in_child)


def idle_s(next_due_s: float | None) -> float:
    """How long to wait when nothing could be had: until something is due, and never so long that work lies about."""
    if next_due_s is None:
        return IDLE_S
    return min(IDLE_S, max(next_due_s, 0.01)) if next_due_s else _TAKEN_S


async def _failure_of(work: Awaitable[object]) -> Exception | None:
    try:
        await work
    except Exception as failure:  # noqa: BLE001 - kept for when the others have ended
        return failure
    return None


async def _failure_in_task(work: Awaitable[object]) -> BaseException | None:
    try:
        await work
    except BaseException as failure:
        if _ends_the_task(failure):
            raise
        return failure
    return None


def _ends_the_task(failure: BaseException) -> bool:
    """Whether it comes from outside; a CancelledError where nobody cancelled this task is the work's own."""
    if isinstance(failure, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(failure, KeyboardInterrupt | SystemExit | GeneratorExit)


def _raise_first(failed: Sequence[Sequence[BaseException]]) -> None:
    first = next((failure for failures in failed for failure in failures), None)
    if first is not None:
        raise first


def _report(trouble: BaseException) -> float:
    """Say what went wrong with a round; how long to wait before the next."""
    if isinstance(trouble, StoreUnavailable):
        _log.warning("The store is unavailable; the runner tries again: %s", trouble)
    else:
        _log.error("The runner tries again after %s\n%s", type(trouble).__name__, frames_of(trouble))
    return _AFTER_TROUBLE_S
