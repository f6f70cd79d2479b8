"""One flow, two worlds: how a flow written as `async def` runs where there is no event loop.

Flows await nothing but ports. In the asynchronous world the loop awaits them. In the synchronous world every port
is a blocking adapter, whose `async def` methods never suspend; so a single `send(None)` runs the whole flow to its
end on the caller's own thread, with the caller's own database connection, and no loop exists anywhere.

A flow that does suspend there has met an asynchronous adapter or handler. That must be loud: the alternative is a
payment that silently stopped half-way.
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from .errors import FlowSuspendedError

T = TypeVar("T")


def run_blocking(flow: Coroutine[Any, Any, T]) -> T:
    """Run `flow` to its end on this thread and return its value; its own exceptions pass through.

    Raises FlowSuspendedError, naming the flow, if it waits for an event loop.
    """
    try:
        waited_for = flow.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    name = getattr(flow, "__qualname__", type(flow).__name__)
    # A `finally` that awaits again answers the close with RuntimeError; the suspension is the news, not that.
    with suppress(RuntimeError):
        flow.close()
    raise FlowSuspendedError(
        f"{name} waited for an event loop (on {type(waited_for).__name__}) in the synchronous facade: an adapter or "
        "handler there is asynchronous. Use AsyncPayments, or give Payments blocking parts and plain functions."
    )
