"""Where a store's contract is tried: a database, a world (blocking or async), and time that passes on request.

A scenario is one `async def` that awaits stores. In the blocking world it is driven by a single `send(None)`, and what
runs `together` runs in threads; in the asynchronous world it runs on an event loop, and `together` means tasks.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from payments_core.drive import run_blocking
from payments_core.ports import Io, Store

T = TypeVar("T")
Scenario = Callable[[Any, "StoreWorld"], Coroutine[Any, Any, None]]


class StoreWorld(ABC):
    """One empty database, and stores over it. Made anew for every test."""

    def __init__(self, io: Io) -> None:
        self.io: Io = io
        self._opened: list[Store] = []

    @abstractmethod
    def make(self, *, owes_broker: bool) -> Store:
        """A store over this world's data, as another process would make it; `open` prepares it."""

    @abstractmethod
    async def pass_time(self, seconds: float) -> None:
        """Let time pass for the data: what was due in `seconds` seconds is due now."""

    @abstractmethod
    def make_unreachable(self) -> Store | None:
        """A store whose database cannot be used, or None where there is no such thing."""

    async def open(self, *, owes_broker: bool = False) -> Store:
        """A store ready for use, closed at the end of the scenario."""
        store = self.make(owes_broker=owes_broker)
        self._opened.append(store)
        await store.prepare()
        return store

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


def scenario(body: Scenario) -> Callable[[Any, StoreWorld], None]:
    """Make a plain test function of a scenario, which needs no event loop of the test runner's."""

    def test(self: object, world: StoreWorld) -> None:
        world.run(body(self, world))

    test.__name__, test.__qualname__, test.__doc__ = body.__name__, body.__qualname__, body.__doc__
    test.__module__ = body.__module__
    return test
