"""Running a developer's handler in the world it belongs to."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from typing import Any

from payments_core.errors import ConfigurationError, FlowSuspendedError, PaymentsError, reason_of
from payments_core.ports import Handler
from payments_core.services.handlers import refuse_generator


def is_coroutine_function(handler: Handler) -> bool:
    """Whether calling `handler` gives a coroutine, be it a function or an object with an `async def __call__`."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004 - the method itself is looked at


class HandlerCancelled(PaymentsError):
    """Something inside a handler was cancelled, and nobody had cancelled the handler: it has failed like any other."""


class BlockingInvoker:
    """Calls plain functions on the caller's thread."""

    def check(self, handler: Handler, *, wants_tx: bool) -> None:
        """Refuse coroutine functions: there is no loop to run them on."""
        if is_coroutine_function(handler):
            raise ConfigurationError(
                f"{_name(handler)} is an async function, and Payments has no event loop; make it a plain function, or "
                "use AsyncPayments."
            )

    async def call(self, handler: Handler, *arguments: object) -> None:
        """Run the handler; an awaitable or a generator that it returns is an error, not a result to be dropped."""
        try:
            result = handler(*arguments)
        except asyncio.CancelledError as strayed:
            raise HandlerCancelled(reason_of(strayed)) from strayed
        if inspect.isawaitable(result):
            if isinstance(result, Coroutine):
                result.close()
            raise FlowSuspendedError(
                f"{_name(handler)} returned an awaitable in the synchronous facade; nothing ran it."
            )
        refuse_generator(result, handler)


class AsyncInvoker:
    """Awaits coroutine functions; gives plain ones a thread, so that they cannot hold up the loop."""

    def check(self, handler: Handler, *, wants_tx: bool) -> None:
        """Refuse a plain function that wants the transaction, which lives on the loop and not on its thread."""
        if wants_tx and not is_coroutine_function(handler):
            raise ConfigurationError(
                f"{_name(handler)} is a plain function, and the transaction of AsyncPayments cannot leave the event "
                "loop; make it `async def`, or let it take the event alone."
            )

    async def call(self, handler: Handler, *arguments: object) -> None:
        """Run the handler to its end; a generator that it returns is an error."""
        try:
            await self._run(handler, *arguments)
        except asyncio.CancelledError as strayed:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise HandlerCancelled(reason_of(strayed)) from strayed

    async def _run(self, handler: Handler, *arguments: object) -> None:
        called: Any = handler
        if is_coroutine_function(handler):
            result = await called(*arguments)
        else:
            result = await asyncio.to_thread(called, *arguments)
            if inspect.isawaitable(result):
                result = await result
        refuse_generator(result, handler)


def _name(handler: Handler) -> str:
    return str(getattr(handler, "__qualname__", type(handler).__qualname__))
