"""The bytes of a request, read within the route's limit."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Message, Receive, Scope

from payments_core.http.arrivals import Arrivals
from payments_core.http.reading import cut_short, too_large
from payments_core.http.routes import Route


async def read_body(receive: Receive, route: Route, arrivals: Arrivals) -> bytes:
    """The raw bytes, and no more of them than the route takes, however they are sent."""
    if not route.body_limit:
        return b""
    # What Stripe sends comes in one piece, nearly always.
    piece, more = _piece(await receive())
    _check_size(len(piece), route)
    if not more:
        return piece
    # One buffer: as objects of their own, tiny pieces would hold many times what they are counted for.
    body = bytearray(piece)
    with arrivals.one() as arriving:
        while more:
            # Nothing of it is held twice while the next piece is waited for.
            del piece
            arriving.hold(len(body))
            piece, more = _piece(await receive())
            body += piece
            _check_size(len(body), route)
    return bytes(body)


def _piece(message: Message) -> tuple[bytes, bool]:
    """What has come of a body, and whether there is more."""
    if message["type"] == "http.disconnect":
        raise cut_short()
    return message.get("body", b""), message.get("more_body", False)


def _check_size(size: int, route: Route) -> None:
    if size > route.body_limit:
        raise too_large(route)


def hung_up(scope: Scope, response: Response) -> Response:
    """The response to a body that was not read to its end: without this, some servers would wait for the rest."""
    if scope.get("http_version") in ("1.0", "1.1"):
        response.headers["Connection"] = "close"
    return response
