"""Who is told of events in a test: the library's facades, in their own world or from outside it, or a shop's own view.

Every receiver is awaited. Those of the blocking world never suspend, so that a plain test can drive them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from payments_core.errors import InvalidSignature, SessionNotFound

if TYPE_CHECKING:
    from payments_core import AsyncPayments, Payments

T = TypeVar("T")
_REFUSED: Final = 400
_TAKEN: Final = 200
_PATIENCE_S: Final = 30

#: A shop's own webhook: body and headers in, HTTP status out.
Deliver = Callable[[bytes, dict[str, str]], int]


class Receiver(Protocol):
    """Takes deliveries, and works through what they brought."""

    async def receive(self, body: bytes, headers: dict[str, str]) -> int:
        """One delivery; the HTTP status that it is answered with."""
        ...

    async def drain(self) -> None:
        """Handle everything that is due."""
        ...

    async def next_due_s(self) -> float | None:
        """Seconds until something is due again, None where nothing waits."""
        ...

    async def look_again(self, session_id: str) -> None:
        """Let whoever may bring the news of a payment besides webhooks bring it: success page and reconciler.

        A session that was not opened through the library has no success page.
        """
        ...


class BlockingReceiver:
    """`Payments`, on the calling thread."""

    def __init__(self, payments: Payments) -> None:
        self._payments = payments

    async def receive(self, body: bytes, headers: dict[str, str]) -> int:
        """See Receiver."""
        try:
            self._payments.receive_webhook(body, headers["Stripe-Signature"])
        except InvalidSignature:
            return _REFUSED
        return _TAKEN

    async def drain(self) -> None:
        """See Receiver."""
        while self._payments.run_due():
            pass

    async def next_due_s(self) -> float | None:
        """See Receiver."""
        return await self._payments.core.store.next_due_s()

    async def look_again(self, session_id: str) -> None:
        """See Receiver."""
        with suppress(SessionNotFound):
            self._payments.session_status(session_id)
        self._payments.reconcile()


class LoopReceiver:
    """`AsyncPayments`, awaited on its own loop."""

    def __init__(self, payments: AsyncPayments) -> None:
        self._payments = payments

    async def receive(self, body: bytes, headers: dict[str, str]) -> int:
        """See Receiver."""
        try:
            await self._payments.receive_webhook(body, headers["Stripe-Signature"])
        except InvalidSignature:
            return _REFUSED
        return _TAKEN

    async def drain(self) -> None:
        """See Receiver."""
        while await self._payments.run_due():
            pass

    async def next_due_s(self) -> float | None:
        """See Receiver."""
        return await self._payments.core.store.next_due_s()

    async def look_again(self, session_id: str) -> None:
        """See Receiver."""
        with suppress(SessionNotFound):
            await self._payments.session_status(session_id)
        await self._payments.reconcile()


class BridgedReceiver:
    """`AsyncPayments` whose loop runs in another thread, as under Starlette's TestClient: the caller's thread waits."""

    def __init__(self, payments: AsyncPayments, loop_of: Callable[[], asyncio.AbstractEventLoop | None]) -> None:
        self._inner = LoopReceiver(payments)
        self._loop_of = loop_of

    async def receive(self, body: bytes, headers: dict[str, str]) -> int:
        """See Receiver."""
        return self._there(self._inner.receive(body, headers))

    async def drain(self) -> None:
        """See Receiver."""
        self._there(self._inner.drain())

    async def next_due_s(self) -> float | None:
        """See Receiver."""
        return self._there(self._inner.next_due_s())

    async def look_again(self, session_id: str) -> None:
        """See Receiver."""
        self._there(self._inner.look_again(session_id))

    def _there(self, work: Coroutine[Any, Any, T]) -> T:
        loop = self._loop_of()
        if loop is None or not loop.is_running() or loop is _running_here():
            work.close()
            raise RuntimeError(
                "async_payments runs on no event loop of another thread. In a plain test, use the application's "
                "TestClient as a context manager; in an async test, await the helpers of async_payments_sandbox."
            )
        return asyncio.run_coroutine_threadsafe(work, loop).result(_PATIENCE_S)


class ViewReceiver:
    """A webhook view of the shop's own; how it goes on from there is the shop's matter."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver

    async def receive(self, body: bytes, headers: dict[str, str]) -> int:
        """See Receiver."""
        return self._deliver(body, headers)

    async def drain(self) -> None:
        """See Receiver."""

    async def next_due_s(self) -> float | None:
        """See Receiver."""
        return None

    async def look_again(self, session_id: str) -> None:
        """See Receiver."""


def _running_here() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
