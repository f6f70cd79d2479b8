"""Carries deliveries out: begins what is due, follows each to its end, and has it noted.

Due deliveries go out together and in no promised order. Where they lead to is the sender's matter, or that of the
connected listener they are for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final, Protocol, TypeAlias

from .deliveries import Post
from .dispatch import Sender, SendFailed

#: A backlog is worked off so many at a time.
MAX_IN_FLIGHT: Final = 100
FIRST_DELIVERY_WAIT_S: Final = 10

#: Sends a post over a connection that is open already; returns the status, or raises SendFailed.
Channel: TypeAlias = "Callable[[Post], Awaitable[int]]"


class Book(Protocol):
    """Where the courier finds its work and reports it."""

    def due(self, but: Collection[str] = ()) -> list[Post]:
        """The signed requests that should be made by now, but for the deliveries named."""
        ...

    def record(self, post: Post, *, status: int | None, error: str | None = None) -> None:
        """Note how it went."""
        ...


class Courier:
    """Makes the deliveries of one sandbox, on whichever event loop asks for it."""

    def __init__(self, book: Book, send: Sender) -> None:
        self._book = book
        self._send = send
        self._in_flight: dict[str, asyncio.Task[None]] = {}
        self._channels: dict[str, Channel] = {}

    def connect(self, endpoint_id: str, channel: Channel) -> None:
        """From now on this endpoint's deliveries go over a connection of its own."""
        self._channels[endpoint_id] = channel

    def disconnect(self, endpoint_id: str, channel: Channel) -> bool:
        """This connection is gone; whether the endpoint has no other by now."""
        if self._channels.get(endpoint_id) is channel:
            del self._channels[endpoint_id]
        return endpoint_id not in self._channels

    async def deliver_due(self) -> int:
        """Make every delivery that is due; how many were tried."""
        tried = 0
        while tasks := self.start_due():
            await asyncio.gather(*tasks)
            tried += len(tasks)
        return tried

    def start_due(self) -> list[asyncio.Task[None]]:
        """Begin what is due and not under way, without waiting for any of it. Needs a running loop."""
        self._forget_dead_loops()
        free = MAX_IN_FLIGHT - len(self._in_flight)
        # What is for a connection that is away waits for it.
        ready = [post for post in self._book.due(but=self._in_flight) if post.url or post.endpoint in self._channels]
        return [self._task(post) for post in ready[: max(0, free)]]

    async def first_deliveries(self) -> None:
        """Make what is due and wait for all deliveries under way, at most 10 s, as Stripe does before it redirects."""
        self.start_due()
        if self._in_flight:
            await asyncio.wait(list(self._in_flight.values()), timeout=FIRST_DELIVERY_WAIT_S)

    def _forget_dead_loops(self) -> None:
        """A test's loop may have been closed with a delivery under way: it is due again."""
        for delivery_id, task in list(self._in_flight.items()):
            if task.get_loop().is_closed():
                del self._in_flight[delivery_id]

    def _task(self, post: Post) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._try(post))
        self._in_flight[post.delivery] = task
        task.add_done_callback(lambda _: self._in_flight.pop(post.delivery, None))
        return task

    async def _try(self, post: Post) -> None:
        channel = self._channels.get(post.endpoint)
        try:
            status = await (channel(post) if channel else self._send(post.url, post.body, post.headers))
        except SendFailed as failure:
            self._book.record(post, status=None, error=str(failure))
        else:
            self._book.record(post, status=status)
