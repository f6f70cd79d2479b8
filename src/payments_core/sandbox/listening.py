"""The websocket of `stripe listen`. Translation only; see `listeners`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from . import listeners
from .deliveries import Post

if TYPE_CHECKING:
    from .courier import Channel
    from .embed import Sandbox


def routes(sandbox: Sandbox) -> list[WebSocketRoute]:
    """The route over one sandbox."""

    async def listen(socket: WebSocket) -> None:
        session_id = socket.headers.get("websocket-id", "")
        endpoints = sandbox.do(lambda context: listeners.connected(context, session_id))
        if not endpoints:
            await socket.close()
            return
        await socket.accept(subprotocol=listeners.SUBPROTOCOL)
        connection = listeners.Connection(
            any(endpoint.url for endpoint in endpoints),
            socket.send_text,
            lambda post, status: sandbox.record(post, status=status),
        )
        channel = _on_its_loop(connection)
        for endpoint in endpoints:
            sandbox.courier.connect(endpoint.id, channel)
        try:
            while True:
                connection.hear(await socket.receive_text())
        except (WebSocketDisconnect, KeyError):
            pass
        finally:
            gone = [sandbox.courier.disconnect(endpoint.id, channel) for endpoint in endpoints]
            if all(gone):
                sandbox.do(lambda context: listeners.disconnected(context, session_id))

    return [WebSocketRoute(listeners.PATH, listen)]


def _on_its_loop(connection: listeners.Connection) -> Channel:
    """A channel for whichever loop makes the deliveries: a socket belongs to the one that accepted it."""
    home = asyncio.get_running_loop()

    async def deliver(post: Post) -> int:
        if asyncio.get_running_loop() is home:
            return await connection.deliver(post)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(connection.deliver(post), home))

    return deliver
