"""Delivers events as Stripe does: signed, over several connections, again and again until it is answered 2xx.

A connection that is cut says nothing: the event may have been taken or not. What was answered 2xx is kept in `acked`,
the first of the three ledgers.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from attrs import frozen

from chaos.shop import SECRET
from chaos.stories import Event
from payments_core.domain.signature import sign

PATH: Final = "/api/payments/webhooks/stripe"
ANSWER_S: Final = 30.0
_AGAIN_S: Final = 0.02


@frozen
class Answer:
    """A reply: its status, its headers by lower-case names, and when it came (monotonic seconds)."""

    status: int
    headers: dict[str, str]
    at_s: float


class Connection:
    """One HTTP/1.1 connection to one of the addresses, made anew whenever it was cut."""

    def __init__(self, port: int, *, keeps: bool = True) -> None:
        self._port = port
        self._keeps = keeps
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, event: Event, *, secret: str = SECRET) -> Answer | None:
        """The answer, or None when the connection was cut before it came."""
        try:
            _, writer = await self.open()
            writer.write(self.request(event, secret))
            # Not wait_for, which on Python 3.11 can swallow the cancellation that ends a sender.
            async with asyncio.timeout(ANSWER_S):
                answer = await self.answer()
        except (OSError, EOFError, ValueError, TimeoutError):
            self.close()
            return None
        if not self._keeps or answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The connection, made if there is none."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams

    def request(self, event: Event, secret: str) -> bytes:
        """The bytes of a delivery, signed now."""
        signature = sign(event.body, secret, timestamp_s=int(time.time()))
        connection = "keep-alive" if self._keeps else "close"
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
            f"Stripe-Signature: {signature}\r\nContent-Length: {len(event.body)}\r\nConnection: {connection}\r\n\r\n"
        )
        return head.encode() + event.body

    async def answer(self) -> Answer:
        """The next answer. Raises OSError, EOFError or ValueError when it is cut short."""
        reader, _ = await self.open()
        return await _read(reader)

    def close(self) -> None:
        """Cut it from this side."""
        if self._streams is not None:
            with suppress(OSError):
                self._streams[1].close()
            self._streams = None


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    await reader.readexactly(int(headers["content-length"]))
    return Answer(int(head[0].split(" ")[1]), headers, time.monotonic())


class Sender:
    """Delivers everything, and keeps the first ledger.

    `acked` are the events answered 2xx and `acked_s` when (monotonic seconds), `statuses` counts every answer, `cuts`
    the connections that broke before one; `forged` counts how forged events were answered.
    """

    def __init__(self, ports: Sequence[int], *, connections: int = 8, keeps: bool = True) -> None:
        self._connections = [Connection(ports[n % len(ports)], keeps=keeps) for n in range(connections)]
        self.acked: set[str] = set()
        self.deliveries = 0
        self.statuses: Counter[int] = Counter()
        self.cuts = 0
        self.forged: Counter[int] = Counter()
        self.acked_s: list[float] = []
        #: Answers 503 that did not say when to come again.
        self.hasty = 0

    async def deliver(self, events: Iterable[Event]) -> None:
        """Every event until it is acknowledged, or refused where it is forged; in about this order."""
        waiting = iter(events)

        async def work(connection: Connection) -> None:
            for event in waiting:
                if event.forged:
                    await self._until_refused(connection, event)
                else:
                    await self._until_acked(connection, event)

        try:
            async with asyncio.TaskGroup() as group:
                for connection in self._connections:
                    group.create_task(work(connection))
        finally:
            self.close()

    def close(self) -> None:
        """Cut every connection."""
        for connection in self._connections:
            connection.close()

    async def _until_acked(self, connection: Connection, event: Event) -> None:
        while True:
            answer = await connection.post(event)
            if answer is None:
                self.cuts += 1
            else:
                self.statuses[answer.status] += 1
                if 200 <= answer.status < 300:
                    self.acked.add(event.event_id)
                    self.deliveries += 1
                    self.acked_s.append(answer.at_s)
                    return
                self.hasty += answer.status == 503 and not answer.headers.get("retry-after")
            await asyncio.sleep(_AGAIN_S)

    async def _until_refused(self, connection: Connection, event: Event) -> None:
        while True:
            answer = await connection.post(event, secret="whsec_of_somebody_else")  # noqa: S106 - a forger's
            if answer is not None and answer.status < 500:
                self.forged[answer.status] += 1
                return
            await asyncio.sleep(_AGAIN_S)
