"""The sandbox's own routes, which Stripe does not have: its clock.

`GET /sandbox/clock` tells the time, `POST /sandbox/clock` with `{"advance_s": 3600}` moves it on and makes every
delivery and retry on the way. JSON only: a form on some web page, which needs no leave to be sent, moves nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from .embed import Sandbox

#: Five years: longer than anything here lasts.
MAX_ADVANCE_S: Final = 5 * 366 * 86_400
MAX_BODY_BYTES: Final = 1_000
_USAGE: Final = f'Send {{"advance_s": N}} as application/json, N whole seconds from 0 to {MAX_ADVANCE_S}.'


class _Advance(msgspec.Struct, forbid_unknown_fields=True):
    advance_s: Annotated[int, msgspec.Meta(ge=0, le=MAX_ADVANCE_S)]


def routes(sandbox: Sandbox) -> list[Route]:
    """The routes over one sandbox."""

    def time() -> Response:
        return JSONResponse({"now": sandbox.now(), "ahead_s": sandbox.ahead_s})

    async def show(_: Request) -> Response:
        return time()

    async def move(request: Request) -> Response:
        seconds = await _advance_s(request)
        if seconds is None:
            return JSONResponse({"error": {"message": _USAGE}}, 400)
        await sandbox.advance_and_deliver(seconds)
        return time()

    return [
        Route("/sandbox/clock", show, methods=["GET"]),
        Route("/sandbox/clock", move, methods=["POST"]),
    ]


async def _advance_s(request: Request) -> int | None:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        return None
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    try:
        return msgspec.json.decode(body, type=_Advance).advance_s
    except msgspec.DecodeError:
        return None
