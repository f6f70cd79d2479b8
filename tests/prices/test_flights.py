"""What becomes of a failure that several callers share."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import pytest

from payments_core import StripeError, StripeUnavailable
from payments_core.app.flights import LoopFlights, ThreadFlights
from payments_core.drive import run_blocking
from payments_core.errors import frames_of
from payments_core.ports import Boarding

T = TypeVar("T")
CALLERS = 20


class World(Protocol):
    def __call__(self, failure: StripeError, wait: Callable[[Boarding], Coroutine[Any, Any, T]]) -> list[T]: ...


class Request:
    """What a caller holds while it waits."""


def among_tasks(failure: StripeError, wait: Callable[[Boarding], Coroutine[Any, Any, T]]) -> list[T]:
    async def story() -> list[T]:
        flights = LoopFlights()
        leader = flights.board(None, ["tee"])
        others = [asyncio.create_task(wait(flights.board(None, ["tee"]))) for _ in range(CALLERS)]
        await asyncio.sleep(0)
        leader.fail(failure)
        return [await other for other in others]

    return asyncio.run(story())


def among_threads(failure: StripeError, wait: Callable[[Boarding], Coroutine[Any, Any, T]]) -> list[T]:
    flights = ThreadFlights()
    leader = flights.board(None, ["tee"])
    boarded = threading.Barrier(CALLERS + 1)

    def board() -> T:
        boarding = flights.board(None, ["tee"])
        boarded.wait(20)
        return run_blocking(wait(boarding))

    with ThreadPoolExecutor(CALLERS) as threads:
        others = [threads.submit(board) for _ in range(CALLERS)]
        boarded.wait(20)
        leader.fail(failure)
        return [other.result(20) for other in others]


class Odd(StripeError):
    """An error of a gateway of the host's own, which cannot be made anew of what it was made of."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


@pytest.mark.parametrize("world", [among_tasks, among_threads])
def test_each_caller_has_a_failure_of_its_own_and_holds_nobody_s_request(world: World) -> None:
    """One error raised in many places would gather the frames of all of them, and keep a crowd's bodies in memory."""
    requests: list[weakref.ref[Request]] = []

    async def wait(boarding: Boarding) -> tuple[int, str | None, bool]:
        request = Request()
        requests.append(weakref.ref(request))
        try:
            await boarding.joined()
        except StripeUnavailable as error:
            return len(frames_of(error).splitlines()), error.request_id, error.replayed
        raise AssertionError("nothing was raised")

    failure = StripeUnavailable("cut off", request_id="req_1")
    failure.replayed = True
    gc.disable()
    try:
        told = world(failure, wait)
        held = [request for request in requests if request() is not None]
    finally:
        gc.enable()
    assert held == []
    assert len(requests) == CALLERS
    assert len({lines for lines, _, _ in told}) == 1
    assert {(request_id, replayed) for _, request_id, replayed in told} == {("req_1", True)}


@pytest.mark.parametrize("world", [among_tasks, among_threads])
def test_a_failure_that_cannot_be_copied_is_shared_as_it_is(world: World) -> None:
    """Better than another error about the copying."""

    async def wait(boarding: Boarding) -> str:
        try:
            await boarding.joined()
        except Odd as error:
            return str(error)
        raise AssertionError("nothing was raised")

    assert world(Odd("cut", "off"), wait) == ["cut off"] * CALLERS
