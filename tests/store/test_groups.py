"""Group commit: who shares one, who is left out, and that one delivery's trouble is not another's."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from payments_core.adapters.sql import async_store, blocking_store
from payments_core.adapters.sql.groups import LoopGroups, ThreadGroups
from payments_core.adapters.sql.intake import LARGEST_GROUP, Key, Row, key_of, row_of
from payments_core.adapters.sql.writers import GroupWriter, HeldConnection
from payments_core.domain.delivery import ReceivedEvent
from payments_core.drive import run_blocking
from payments_core.errors import StoreUnavailable

trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="none")
DEADLINE_S = 20


class Refused(Exception):
    """What a database says of a value."""


class Gone(Exception):
    """What a driver says of a lost connection."""


def row(event_id: str) -> Row:
    """A row as it is inserted."""
    return row_of(ReceivedEvent(event_id, "charge.refunded", b"{}"))


class Table(HeldConnection):
    """A database in a dictionary, whose commits the test lets through; `groups` are what was written together."""

    outages = (Gone,)
    refusals = (Refused,)

    def __init__(self) -> None:
        self.keys: set[Key] = set()
        self.groups: list[list[str]] = []
        self.traces: list[str] = []
        self.failures: list[Exception] = []
        self.opened = 0
        self.is_up = False

    @property
    def is_open(self) -> bool:
        return self.is_up

    async def insert(self, rows: Sequence[Row]) -> frozenset[Key]:
        if not self.is_up:
            self.is_up, self.opened = True, self.opened + 1
        await self.commit()
        self.groups.append([written[2] for written in rows])
        self.traces.append(trace.get())
        if self.failures:
            raise self.failures.pop(0)
        if any(written[2] == "poison" for written in rows):
            raise Refused
        new = {key_of(written) for written in rows} - self.keys
        self.keys |= new
        return frozenset(new)

    async def commit(self) -> None:
        """What a commit waits for."""

    async def close(self, *, broken: bool = False) -> None:
        self.is_up = False


class LoopTable(Table):
    """On a loop: the next commit begins when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Semaphore(0)

    async def commit(self) -> None:
        await self.go.acquire()


class ThreadTable(Table):
    """For threads; `reached` counts commits that have begun."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Semaphore(0)
        self.reached = threading.Semaphore(0)

    async def commit(self) -> None:
        self.reached.release()
        assert self.go.acquire(timeout=DEADLINE_S)


async def started(groups: LoopGroups, *event_ids: str) -> list[asyncio.Task[bool]]:
    """Deliveries, each as far as it gets without a commit."""
    tasks = [asyncio.ensure_future(groups.receive(row(event_id))) for event_id in event_ids]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def test_what_arrives_during_a_commit_shares_the_next() -> None:
    """The first goes alone and at once; the two that come meanwhile are one group, in the order of their ids."""
    table = LoopTable()
    groups = LoopGroups(GroupWriter(table))
    first = await started(groups, "evt_1")
    rest = await started(groups, "evt_3", "evt_2")
    assert table.groups == []
    table.go.release()
    table.go.release()
    assert await asyncio.gather(*first, *rest) == [True, True, True]
    assert table.groups == [["evt_1"], ["evt_2", "evt_3"]]


async def test_nobody_is_answered_before_the_commit_of_his_own_row() -> None:
    """While the second commit is under way, the first delivery has its answer and the second has none."""
    table = LoopTable()
    groups = LoopGroups(GroupWriter(table))
    (first,) = await started(groups, "evt_1")
    (second,) = await started(groups, "evt_2")
    table.go.release()
    assert await first
    assert not second.done()
    table.go.release()
    assert await second


async def test_a_cancelled_delivery_costs_the_others_nothing() -> None:
    """Cancelled before its commit it is not written, cancelled during it it is skipped; the rest are answered."""
    table = LoopTable()
    groups = LoopGroups(GroupWriter(table))
    (early,) = await started(groups, "evt_1")
    waiting, left = await started(groups, "evt_2", "evt_3")
    early.cancel()
    waiting.cancel()
    table.go.release()
    table.go.release()
    assert await left
    assert table.groups == [["evt_1"], ["evt_3"]]
    with pytest.raises(asyncio.CancelledError):
        await early


async def test_the_writer_works_in_nobodys_context() -> None:
    """A request's trace does not cover what is written for the others."""
    trace.set("of a request")
    table = LoopTable()
    table.go.release()
    (only,) = await started(LoopGroups(GroupWriter(table)), "evt_1")
    assert await only
    assert table.traces == ["none"]


async def test_a_group_has_a_largest_size() -> None:
    """A crowd is written in groups of ninety, so that psycopg keeps each size's statement prepared."""
    table = LoopTable()
    groups = LoopGroups(GroupWriter(table))
    crowd = await started(groups, *(f"evt_{number:03}" for number in range(200)))
    for _ in range(4):
        table.go.release()
    assert all(await asyncio.gather(*crowd))
    assert max(len(group) for group in table.groups) == LARGEST_GROUP
    assert sum(len(group) for group in table.groups) == 200


async def test_one_event_twice_in_a_group_is_new_once() -> None:
    """Both deliveries are answered, one row is written, and one of them was new."""
    table = LoopTable()
    groups = LoopGroups(GroupWriter(table))
    await started(groups, "evt_0")
    both = await started(groups, "evt_1", "evt_1")
    table.go.release()
    table.go.release()
    assert sorted(await asyncio.gather(*both)) == [False, True]
    assert table.groups[-1] == ["evt_1"]


async def test_an_outage_is_told_to_everybody_in_the_group() -> None:
    """Each delivery gets an error of its own, and the next group is written on a new connection."""
    table = LoopTable()
    groups = LoopGroups(GroupWriter(table))
    table.failures = [Gone()]
    table.go.release()
    one, two = await asyncio.gather(*await started(groups, "evt_1", "evt_2"), return_exceptions=True)
    assert isinstance(one, StoreUnavailable)
    assert isinstance(two, StoreUnavailable)
    assert one is not two
    table.go.release()
    (after,) = await started(groups, "evt_3")
    assert await after
    assert table.opened == 2


@contextmanager
def let_go_at_once(body: bytes) -> Iterator[None]:
    """Nobody holds the body behind the block who did not before it, without any collection of garbage."""
    gc.disable()
    before = sys.getrefcount(body)
    try:
        yield
        assert sys.getrefcount(body) == before
    finally:
        gc.enable()


@pytest.fixture(params=["postgresql", "sqlite"])
def nowhere(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that cannot be opened."""
    return "postgresql://shop@127.0.0.1:1/shop" if request.param == "postgresql" else f"sqlite:///{tmp_path}"


async def test_what_an_outage_refuses_is_let_go_at_once(nowhere: str) -> None:
    """Each body of a crowd that comes meanwhile would else stay in memory until the next collection of garbage."""
    store, body = async_store(nowhere), b"x" * 1000
    with let_go_at_once(body):
        with pytest.raises(StoreUnavailable):
            await store.receive(ReceivedEvent("evt_1", "charge.refunded", body))
        await store.close()
        await asyncio.sleep(0)  # what ends with a task is let go by the loop


def test_what_an_outage_refuses_is_let_go_at_once_on_threads(nowhere: str) -> None:
    """The same in the synchronous world."""
    store, body = blocking_store(nowhere), b"x" * 1000
    with let_go_at_once(body):
        with pytest.raises(StoreUnavailable):
            run_blocking(store.receive(ReceivedEvent("evt_1", "charge.refunded", body)))
        run_blocking(store.close())


def test_an_outage_leaves_the_traceback_of_what_the_caller_was_handling(nowhere: str) -> None:
    """It is the context of the driver's error, and the caller's own."""
    store, kept = blocking_store(nowhere), ValueError()
    try:
        raise kept
    except ValueError:
        with pytest.raises(StoreUnavailable):
            run_blocking(store.receive(ReceivedEvent("evt_1", "charge.refunded", b"{}")))
    run_blocking(store.close())
    assert kept.__traceback__ is not None


async def test_a_connection_that_died_while_idle_costs_nobody_an_error() -> None:
    """A group that fails on a connection kept from before is written again on a new one, once."""
    table = LoopTable()
    groups = LoopGroups(GroupWriter(table))
    for _ in range(3):
        table.go.release()
    (first,) = await started(groups, "evt_1")
    assert await first
    table.failures = [Gone()]
    (second,) = await started(groups, "evt_2")
    assert await second
    assert table.opened == 2


async def test_a_row_that_the_database_refuses_keeps_nobody_out() -> None:
    """The group is written row by row: the refused one gets the error, the others are stored."""
    table = LoopTable()
    groups = LoopGroups(GroupWriter(table))
    await started(groups, "evt_0")
    told = await started(groups, "evt_1", "poison", "evt_2")
    for _ in range(6):
        table.go.release()
    good, bad, also_good = await asyncio.gather(*told, return_exceptions=True)
    assert (good, also_good) == (True, True)
    assert isinstance(bad, StoreUnavailable)


class Crowd:
    """Threads that deliver."""

    def __init__(self, groups: ThreadGroups) -> None:
        self._groups = groups
        self._pool = ThreadPoolExecutor(16)

    def deliver(self, event_id: str) -> Future[bool]:
        return self._pool.submit(self._groups.receive, row(event_id))


def until(condition: Callable[[], bool]) -> None:
    """Wait for other threads, and not for ever."""
    turn = threading.Event()
    for _ in range(DEADLINE_S * 1000):
        if condition():
            return
        turn.wait(0.001)
    raise AssertionError("it never came to that")


def test_threads_that_arrive_during_a_commit_share_the_next() -> None:
    """The first thread leads and writes alone; one of those who came meanwhile leads the next group for all of them."""
    table = ThreadTable()
    groups = ThreadGroups(GroupWriter(table))
    crowd = Crowd(groups)
    first = crowd.deliver("evt_0")
    assert table.reached.acquire(timeout=DEADLINE_S)
    rest = [crowd.deliver(f"evt_{number}") for number in range(1, 6)]
    until(lambda: len(groups._waiting) == 5)
    table.go.release()
    assert first.result(DEADLINE_S)
    table.go.release()
    assert all(delivered.result(DEADLINE_S) for delivered in rest)
    assert table.groups == [["evt_0"], [f"evt_{number}" for number in range(1, 6)]]
    table.go.release()
    assert crowd.deliver("evt_6").result(DEADLINE_S)


def test_a_leader_that_fails_hands_the_lead_over() -> None:
    """An outage is told to the group it met, and whoever waits behind is written."""
    table = ThreadTable()
    groups = ThreadGroups(GroupWriter(table))
    crowd = Crowd(groups)
    table.failures = [Gone()]
    first = crowd.deliver("evt_0")
    assert table.reached.acquire(timeout=DEADLINE_S)
    second = crowd.deliver("evt_1")
    until(lambda: len(groups._waiting) == 1)
    table.go.release()
    with pytest.raises(StoreUnavailable):
        first.result(DEADLINE_S)
    table.go.release()
    assert second.result(DEADLINE_S)


def test_a_leader_that_is_stopped_leaves_nobody_waiting() -> None:
    """Even when the writing thread is ended by what is no error, its group is told and the next is written."""
    table = ThreadTable()
    groups = ThreadGroups(GroupWriter(table))
    crowd = Crowd(groups)
    table.failures = [KeyboardInterrupt()]  # type: ignore[list-item]
    first = crowd.deliver("evt_0")
    assert table.reached.acquire(timeout=DEADLINE_S)
    second = crowd.deliver("evt_1")
    until(lambda: len(groups._waiting) == 1)
    table.go.release()
    with pytest.raises(KeyboardInterrupt):
        first.result(DEADLINE_S)
    table.go.release()
    assert second.result(DEADLINE_S)


class TakenAway(BaseException):
    """What a signal handler or a green thread's timeout raises in whoever waits."""


class Turn:
    """The turn of a delivery whose thread is taken away while it waits for it."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._meanwhile = meanwhile

    def acquire(self) -> None:
        self._meanwhile()
        raise TakenAway

    def release(self) -> None:
        """Nobody waits any more."""


@pytest.mark.parametrize("has_the_lead", [False, True])
def test_a_delivery_that_is_taken_away_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, *, has_the_lead: bool
) -> None:
    """Neither while it waits, nor when it had just been given the lead: the next ones are written, and it is not."""
    table = ThreadTable()
    groups = ThreadGroups(GroupWriter(table))
    crowd = Crowd(groups)
    first = crowd.deliver("evt_0")
    assert table.reached.acquire(timeout=DEADLINE_S)

    def meanwhile() -> None:
        if has_the_lead:
            table.go.release()
            assert first.result(DEADLINE_S)

    with monkeypatch.context() as patched:
        patched.setattr(threading, "Semaphore", lambda _: Turn(meanwhile))
        with pytest.raises(TakenAway):
            groups.receive(row("evt_1"))
    table.go.release(2)
    assert crowd.deliver("evt_2").result(DEADLINE_S)
    assert first.result(DEADLINE_S)
    assert table.groups == [["evt_0"], ["evt_2"]]
