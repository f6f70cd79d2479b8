"""The in-process runner: one bad round is told and is not the last; how a claim is worked through."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from payments_core.app import runners
from payments_core.app.runners import TaskRunner, ThreadRunner
from payments_core.drive import run_blocking

#: Not written where it is raised: frames show source lines.
QUOTED = "row of jenny@example.com"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The round after a bad one begins at once."""
    monkeypatch.setattr(runners, "_AFTER_TROUBLE_S", 0.001)


def told(caplog: pytest.LogCaptureFixture) -> None:
    """The log names the kind of trouble and its place, and not the address in its message."""
    shown = caplog.text + repr([vars(record) for record in caplog.records])
    assert "RuntimeError" in shown
    assert "test_runners.py" in shown
    assert "jenny@example.com" not in shown


def test_a_thread_outlives_a_bad_round_and_tells_no_message(caplog: pytest.LogCaptureFixture) -> None:
    """A driver's message may quote a row: type and place are logged, and the next round runs."""
    caplog.set_level(logging.DEBUG)
    rounds: list[int] = []
    again = threading.Event()

    def run_due() -> int:
        rounds.append(1)
        if len(rounds) == 1:
            raise RuntimeError(QUOTED)
        again.set()
        return 0

    runner = ThreadRunner()
    runner.start(run_due, lambda: None)
    assert again.wait(20)
    runner.stop()
    told(caplog)


async def test_a_task_outlives_a_bad_round_and_tells_no_message(caplog: pytest.LogCaptureFixture) -> None:
    """The same on an event loop."""
    caplog.set_level(logging.DEBUG)
    rounds: list[int] = []
    again = asyncio.Event()

    async def run_due() -> int:
        rounds.append(1)
        if len(rounds) == 1:
            raise RuntimeError(QUOTED)
        again.set()
        return 0

    async def never() -> float | None:
        return None

    runner = TaskRunner()
    runner.start(run_due, never)
    await asyncio.wait_for(again.wait(), 20)
    await runner.stop()
    told(caplog)


class Stopped(BaseException):
    """As a process is stopped in the middle of its work."""


@pytest.mark.parametrize("strayed", [Stopped, KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_a_thread_outlives_what_is_no_exception(strayed: type[BaseException]) -> None:
    """Nobody can stop the runner's thread by raising in it: it comes from a handler, and the next round runs."""
    failures = [strayed()]
    again = threading.Event()

    def run_due() -> int:
        if failures:
            raise failures.pop()
        again.set()
        return 0

    runner = ThreadRunner()
    runner.start(run_due, lambda: None)
    assert again.wait(20)
    runner.stop()


@pytest.mark.parametrize("strayed", [Stopped, asyncio.CancelledError])
async def test_a_task_outlives_what_is_no_exception(strayed: type[BaseException]) -> None:
    """A CancelledError without a cancellation is one of them."""
    failures = [strayed()]
    again = asyncio.Event()

    async def run_due() -> int:
        if failures:
            raise failures.pop()
        again.set()
        return 0

    async def never() -> float | None:
        return None

    runner = TaskRunner()
    runner.start(run_due, never)
    await asyncio.wait_for(again.wait(), 20)
    await runner.stop()


async def test_a_task_that_is_cancelled_ends() -> None:
    """What outlasts the grace period is stopped in the middle of its round, and no other begins."""
    rounds: list[int] = []
    begun = asyncio.Event()

    async def work(_: int) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def run_due() -> int:
        rounds.append(1)
        await runner.each([1, 2], work, hands=2)
        return 0

    async def never() -> float | None:
        return None

    runner = TaskRunner()
    runner.start(run_due, never)
    await asyncio.wait_for(begun.wait(), 20)
    await asyncio.wait_for(runner.stop(0), 20)
    assert rounds == [1]


async def test_a_hand_on_a_loop_that_strays_does_not_keep_the_others_from_ending() -> None:
    """They go on to the end of the items, and only then it is raised."""
    done: list[int] = []

    async def work(item: int) -> None:
        if item == 1:
            raise asyncio.CancelledError
        await asyncio.sleep(0)
        done.append(item)

    with pytest.raises(asyncio.CancelledError):
        await TaskRunner().each([1, 2, 3, 4], work, hands=2)
    assert sorted(done) == [2, 3, 4]


async def test_hands_work_at_once_on_a_loop_and_no_more_than_asked() -> None:
    """Five items, two hands: two are in work together, never three, and all are done."""
    at_work: list[int] = []
    most: list[int] = []
    done: list[int] = []
    together = asyncio.Event()

    async def work(item: int) -> None:
        at_work.append(item)
        most.append(len(at_work))
        if len(at_work) == 2:
            together.set()
        await together.wait()
        at_work.remove(item)
        done.append(item)

    await asyncio.wait_for(TaskRunner().each([1, 2, 3, 4, 5], work, hands=2), 20)
    assert max(most) == 2
    assert sorted(done) == [1, 2, 3, 4, 5]


def test_hands_are_threads_in_the_blocking_world_and_no_more_than_asked() -> None:
    """Four items, two hands: two are in work together, never three, the calling thread is one of them, all are done."""
    at_work: set[int] = set()
    most: list[int] = []
    done: list[tuple[int, int]] = []
    together = threading.Barrier(2)

    async def work(item: int) -> None:
        at_work.add(item)
        most.append(len(at_work))
        together.wait(20)
        done.append((item, threading.get_ident()))
        at_work.remove(item)
        together.wait(20)

    run_blocking(ThreadRunner().each([1, 2, 3, 4], work, hands=2))
    assert max(most) == 2
    assert sorted(item for item, _ in done) == [1, 2, 3, 4]
    assert len({thread for _, thread in done}) == 2
    assert threading.get_ident() in {thread for _, thread in done}


def test_one_hand_is_the_calling_thread_and_keeps_the_order() -> None:
    """What SQLite gets, and whoever asks for `hands=1`."""
    done: list[tuple[int, int]] = []

    async def work(item: int) -> None:
        done.append((item, threading.get_ident()))

    run_blocking(ThreadRunner().each([1, 2, 3], work, hands=1))
    assert done == [(item, threading.get_ident()) for item in (1, 2, 3)]


def test_each_thread_works_in_the_context_of_its_caller() -> None:
    """An application context, which Flask keeps in a context variable, holds for all of them."""
    application: contextvars.ContextVar[str] = contextvars.ContextVar("application")
    application.set("shop")
    seen: list[tuple[str, int]] = []
    together = threading.Barrier(3)

    async def work(item: int) -> None:
        together.wait(20)
        seen.append((application.get(), threading.get_ident()))

    run_blocking(ThreadRunner().each([1, 2, 3], work, hands=3))
    assert [name for name, _ in seen] == ["shop"] * 3
    assert len({thread for _, thread in seen}) == 3


@pytest.mark.parametrize("can_be_started", [0, 1])
def test_where_no_more_threads_can_be_started_those_there_are_do_the_work(
    monkeypatch: pytest.MonkeyPatch, can_be_started: int
) -> None:
    """At a limit of the machine's, or at the interpreter's end: what is leased and left would use up its attempts."""
    done: list[int] = []
    left = [None] * can_be_started
    start = threading.Thread.start

    def start_or_not(thread: threading.Thread) -> None:
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)

    async def work(item: int) -> None:
        done.append(item)

    monkeypatch.setattr(threading.Thread, "start", start_or_not)
    run_blocking(ThreadRunner().each([1, 2, 3, 4], work, hands=4))
    assert sorted(done) == [1, 2, 3, 4]


def test_a_hand_that_is_stopped_lets_nobody_begin_another_item() -> None:
    """What is in work ends, what is not begun stays leased, and the caller is told by what it was stopped."""
    begun: list[int] = []
    together = threading.Barrier(2)
    caller = threading.current_thread()
    other: list[threading.Thread] = []

    async def work(item: int) -> None:
        begun.append(item)
        if threading.current_thread() is not caller:
            other.append(threading.current_thread())
            together.wait(20)
            raise Stopped
        together.wait(20)
        other[0].join(20)

    with pytest.raises(Stopped):
        run_blocking(ThreadRunner().each(list(range(1, 9)), work, hands=2))
    assert sorted(begun) == [1, 2]


@pytest.mark.parametrize("world", [run_blocking, asyncio.run])
def test_one_that_fails_does_not_keep_the_others_from_ending(world: Callable[..., object]) -> None:
    """The first error is raised when all have ended."""
    crew = ThreadRunner() if world is run_blocking else TaskRunner()
    done: list[int] = []

    async def work(item: int) -> None:
        if item == 2:
            raise RuntimeError("two")
        done.append(item)

    with pytest.raises(RuntimeError, match="two"):
        world(crew.each([1, 2, 3], work, hands=2))
    assert sorted(done) == [1, 3]


class BusyRunner:
    """A runner that always finds something due."""

    def __init__(self) -> None:
        self.runner = ThreadRunner()
        self.rounds = 0
        self._changed = threading.Condition()
        self.runner.start(self._run_due, lambda: None)

    def _run_due(self) -> int:
        with self._changed:
            self.rounds += 1
            self._changed.notify_all()
        threading.Event().wait(0.001)
        return 1

    def goes_on(self) -> bool:
        """Whether another round begins."""
        with self._changed:
            seen = self.rounds
            return self._changed.wait_for(lambda: self.rounds > seen + 1, 20)


def test_a_fork_waits_for_the_round_under_way_and_not_until_nothing_is_due() -> None:
    """A busy runner is stopped between two of its rounds, and goes on after the fork."""
    busy = BusyRunner()
    assert busy.goes_on()
    asked = busy.rounds
    go_on = busy.runner.before_fork()
    reached = busy.rounds
    threading.Event().wait(0.05)
    assert busy.rounds == reached
    assert reached - asked < 20
    go_on()
    assert busy.goes_on()
    busy.runner.stop()


def test_a_thread_that_forks_gives_back_what_it_holds_and_nothing_of_another_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads fork at once: the end of one's fork lets nothing go on that the other has stopped."""
    given_back: list[int] = []

    class Held:
        def before_fork(self) -> Callable[[], None]:
            holder = threading.get_ident()
            return lambda: given_back.append(holder)

    monkeypatch.setattr(runners, "_RUNNERS", {Held()})
    runners.before_fork()
    with ThreadPoolExecutor(1) as other:
        other.submit(runners.before_fork).result(20)
        runners.after_fork()
        assert given_back == [threading.get_ident()]
        other.submit(runners.after_fork).result(20)
    assert len(set(given_back)) == 2


def test_a_handler_that_forks_does_not_wait_for_the_round_that_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one of the round's own hands: the runner's thread holds the round until that hand has ended."""
    monkeypatch.setattr(runners, "GRACE_S", 60)
    runner = ThreadRunner()
    together = threading.Barrier(2)
    forked = threading.Event()

    async def work(_: int) -> None:
        together.wait(20)
        if threading.current_thread().name == "payments-hand":
            runner.before_fork()()
            forked.set()

    def run_due() -> int:
        if not forked.is_set():
            run_blocking(runner.each([1, 2], work, hands=2))
        return 0

    runner.start(run_due, lambda: None)
    assert forked.wait(20)
    runner.stop()


@pytest.mark.parametrize(("next_due_s", "expected"), [(None, 5.0), (60.0, 5.0), (0.2, 0.2), (0.001, 0.01), (0.0, 0.5)])
def test_what_is_due_and_not_to_be_had_is_not_asked_for_without_end(next_due_s: float | None, expected: float) -> None:
    """A handler that outlasts its lease keeps its event due for the others, and locked."""
    assert runners.idle_s(next_due_s) == expected
