"""Failpoints: a store that ends or stops its own process at the N-th step.

A step is a call of the port, once before it and once after it, a transaction's begin and commit included; whatever
else a story wants counted (its handlers) it counts by `Steps.at`. So "every N until a run goes through" is a crash
between any two things that processing does.
"""

from __future__ import annotations

import inspect
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias, cast

from payments_core.ports import Store, StoreTransaction

#: What happens at the chosen step: SIGKILL, or SIGSTOP until somebody sends SIGCONT.
Action: TypeAlias = Literal["kill", "stop"]


class Steps:
    """Counts the steps of this process, and acts at number `target` (None: never).

    A stopped process would hold SQLite's one write lock, which is another failure than a worker that sleeps past its
    lease; with `action="stop"` the steps inside a transaction are therefore not counted.
    """

    def __init__(self, target: int | None = None, action: Action = "kill") -> None:
        self.names: list[str] = []
        self.armed = False
        self.inside = False
        self._target = target
        self._signal = signal.SIGKILL if action == "kill" else signal.SIGSTOP
        self._skips_inside = action == "stop"

    def at(self, name: str) -> None:
        """One step is reached."""
        if not self.armed or (self.inside and self._skips_inside):
            return
        self.names.append(name)
        if len(self.names) == self._target:
            os.kill(os.getpid(), self._signal)


def stepped(store: Store, steps: Steps) -> Store:
    """`store`, with its every call counted."""
    return cast("Store", _Stepped(store, steps))


class _Stepped:
    """Passes every call on: methods that the port gets later are counted without a word here."""

    def __init__(self, inner: Store | StoreTransaction, steps: Steps) -> None:
        self._inner = inner
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        return _counted(name, attribute, self._steps) if inspect.iscoroutinefunction(attribute) else attribute

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[StoreTransaction]:
        """See Store: begin and commit are steps."""
        steps, inner = self._steps, cast("Store", self._inner)
        steps.at("before begin")
        try:
            async with inner.transaction() as tx:
                steps.inside = True
                steps.at("after begin")
                yield cast("StoreTransaction", _Stepped(tx, steps))
                steps.at("before commit")
        finally:
            steps.inside = False
        steps.at("after commit")


def _counted(name: str, method: Callable[..., Awaitable[Any]], steps: Steps) -> Callable[..., Awaitable[Any]]:
    async def call(*arguments: Any, **named: Any) -> Any:
        steps.at(f"before {name}")
        found = await method(*arguments, **named)
        steps.at(f"after {name}")
        return found

    return call
