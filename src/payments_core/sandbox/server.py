"""The sandbox as a process, or as a thread of a test: a uvicorn server and a loop that delivers."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import threading
from collections.abc import Callable, Generator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from .chaos import Chaos
from .clock import wall_clock
from .embed import Sandbox
from .state_file import StateFileRefused

if TYPE_CHECKING:
    import uvicorn

_log = logging.getLogger("payments_core.sandbox")

#: How often the loop looks for work at the latest; a new event is sent within this time.
TICK_S = 0.2
START_DEADLINE_S = 15


class PortInUse(Exception):
    """The address cannot be had; the text is one sentence for the person who asked for it."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises PortInUse."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its number: asyncio sets TCP_NODELAY only on sockets that say they are TCP, and small replies would wait.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        reason = error.strerror or "it is not available"
        other = "--host" if error.errno == errno.EADDRNOTAVAIL else "--port"
        raise PortInUse(f"Cannot listen on {host}:{port}: {reason}. Choose another one with {other}.") from None
    return listener


def url_of(listener: socket.socket) -> str:
    """The address a client on this machine uses."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - recognised, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def deliver_forever(sandbox: Sandbox) -> None:
    """Make deliveries as they fall due, until cancelled. A slow endpoint does not hold up the others."""
    while True:
        try:
            if sandbox.next_due_in() == 0:
                sandbox.start_due()
        except StateFileRefused as trouble:
            _log.error("Nothing is delivered: %s", trouble)
        await asyncio.sleep(TICK_S)


def serve(sandbox: Sandbox, listener: socket.socket, ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGINT or SIGTERM, then end cleanly. Takes over the listening socket; main thread only.

    `ready` is called as soon as a signal ends the process cleanly; connections are taken before that already.
    """

    async def until_stopped() -> None:
        server = _server(sandbox)
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, _stop, server)
        ready()
        await _serve(server, sandbox, listener)

    try:
        asyncio.run(until_stopped())
    finally:
        sandbox.close()


@contextlib.contextmanager
def running(
    *,
    webhook_secret: str | None = None,
    forward_to: Sequence[str] = (),
    seed: int | None = None,
    clock: Callable[[], int] = wall_clock,
    chaos: Chaos | str | None = None,
    state_file: Path | str | None = None,
) -> Generator[Sandbox]:
    """A sandbox served by a thread on a free loopback port, for tests: its address is `.base_url`.

    Deliveries are made as they fall due. The thread is ended, and waited for, on leaving. The arguments are those of
    `Sandbox`.
    """
    listener = bind("127.0.0.1", 0)
    sandbox = Sandbox(
        webhook_secret=webhook_secret,
        forward_to=forward_to,
        seed=seed,
        base_url=url_of(listener),
        clock=clock,
        chaos=chaos,
        state_file=state_file,
    )
    server = _server(sandbox)
    thread = threading.Thread(
        target=lambda: asyncio.run(_serve(server, sandbox, listener)), name="payments-sandbox", daemon=True
    )
    thread.start()
    try:
        yield sandbox
    finally:
        server.should_exit = True
        thread.join(START_DEADLINE_S)
        sandbox.close()


def _server(sandbox: Sandbox) -> uvicorn.Server:
    import uvicorn

    # An installation that is older than `stripe listen` serves everything else.
    websockets = "websockets-sansio" if find_spec("websockets") is not None else "none"
    config = uvicorn.Config(
        sandbox.app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=3,
        ws=websockets,
    )

    class Server(uvicorn.Server):
        """uvicorn would raise the signal again after its own clean stop, and the exit status would not be 0."""

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            """Leave the signals to whoever serves."""
            yield

    return Server(config)


def _stop(server: uvicorn.Server) -> None:
    server.should_exit = True


async def _serve(server: uvicorn.Server, sandbox: Sandbox, listener: socket.socket) -> None:
    sender = asyncio.create_task(deliver_forever(sandbox))
    try:
        await server.serve(sockets=[listener])
    finally:
        sender.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sender
        listener.close()
