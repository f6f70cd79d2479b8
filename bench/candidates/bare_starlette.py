"""A Starlette route that reads the body and answers: the floor under every ASGI application."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.candidates.place import ANSWER, PATH


async def webhook(request: Request) -> Response:
    """Read, and answer."""
    await request.body()
    return Response(ANSWER, media_type="application/json")


app = Starlette(routes=[Route(PATH, webhook, methods=["POST"])])
