"""How a contract is tried in either world.

A scenario is one `async def` that awaits ports. In the blocking world it is driven by a single `send(None)`, and what
runs `together` runs in threads; in the asynchronous world it runs on an event loop, and `together` means tasks.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from payments_core.drive import run_blocking
from payments_core.ports import Io

T = TypeVar("T")
C = TypeVar("C", bound="Closable")
W = TypeVar("W", bound="World")


class Closable(Protocol):
    """What a world opens, it closes."""

    async def close(self) -> None:
        """Give back every connection."""
        ...


class World:
    """Blocking or async, and what was opened in it. Made anew for every test."""

    def __init__(self, io: Io) -> None:
        self.io: Io = io
        self._opened: list[Closable] = []

    def keep(self, opened: C) -> C:
        """Close this at the end of the scenario."""
        self._opened.append(opened)
        return opened

    def run(self, scenario: Coroutine[Any, Any, T]) -> T:
        """Run a scenario in this world, and close what it opened."""
        return run_blocking(self._closing(scenario)) if self.io == "blocking" else asyncio.run(self._closing(scenario))

    async def together(self, *scenarios: Coroutine[Any, Any, T]) -> list[T]:
        """Run scenarios at the same time; their results in this order."""
        if self.io == "async":
            return list(await asyncio.gather(*scenarios))
        start = threading.Barrier(len(scenarios))

        def drive(scenario: Coroutine[Any, Any, T]) -> T:
            start.wait(timeout=30)
            return run_blocking(scenario)

        with ThreadPoolExecutor(len(scenarios)) as threads:
            return list(threads.map(drive, scenarios))

    async def breathe(self) -> None:
        """Give the others a chance to run."""
        if self.io == "async":
            await asyncio.sleep(0)
        else:
            threading.Event().wait(0)

    async def _closing(self, scenario: Coroutine[Any, Any, T]) -> T:
        try:
            return await scenario
        finally:
            while self._opened:
                await self._opened.pop().close()


def scenario(body: Callable[[Any, W], Coroutine[Any, Any, None]]) -> Callable[[Any, W], None]:
    """Make a plain test function of a scenario, which needs no event loop of the test runner's."""

    def test(self: object, world: W) -> None:
        world.run(body(self, world))

    test.__name__, test.__qualname__, test.__doc__ = body.__name__, body.__qualname__, body.__doc__
    test.__module__ = body.__module__
    return test
