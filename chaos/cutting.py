"""A TCP proxy before a broker that cuts connections in the worst moment: after a batch went in, before its answer.

What the broker did with the batch is then unknown to who sent it.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

#: The number of the Produce request in Kafka's protocol (https://kafka.apache.org/protocol#protocol_api_keys).
_PRODUCE: Final = 0


class CuttingProxy:
    """Listens on loopback, on a thread of its own. `share` of the produce requests end in a cut connection.

    While `dark` it takes everything and passes nothing on, as a partitioned network does.
    """

    def __init__(self, *, share: float, seed: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.target = 0
        self.share = share
        self.dark = False
        self.cuts = 0
        self._dice = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, with every connection."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._joined, sock=self._listener))
        self._loop.run_forever()
        server.close()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _joined(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            broker, forth = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            back.close()
            return
        cut = asyncio.Event()
        ways = [
            asyncio.ensure_future(self._forth(client, forth, cut)),
            asyncio.ensure_future(self._back(broker, back, cut)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for writer in (back, forth):
                writer.close()

    async def _light(self) -> None:
        """Wait until it is not dark any more; set from another thread, so that an event would not do."""
        while self.dark:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def _forth(self, client: asyncio.StreamReader, forth: asyncio.StreamWriter, cut: asyncio.Event) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                size = await client.readexactly(4)
                request = await client.readexactly(struct.unpack(">i", size)[0])
                await self._light()
                if struct.unpack(">h", request[:2])[0] == _PRODUCE and self._dice.random() < self.share:
                    cut.set()
                forth.write(size + request)
                await forth.drain()

    async def _back(self, broker: asyncio.StreamReader, back: asyncio.StreamWriter, cut: asyncio.Event) -> None:
        with suppress(OSError):
            while answer := await broker.read(65_536):
                if cut.is_set():
                    # The broker has answered, so it has the batch; nobody else hears of it.
                    self.cuts += 1
                    return
                await self._light()
                back.write(answer)
                await back.drain()
