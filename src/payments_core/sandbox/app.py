"""The one ASGI application: the API, the buyer's pages and the dashboard. Translation only."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import control, listening
from .api import ApiRequest
from .checkout_pages import CheckoutPages
from .dashboard import Dashboard
from .errors import StripeRefusal
from .web import HostGuard, Pages, TooLarge, read_body

if TYPE_CHECKING:
    from .embed import Sandbox

#: The pages' one stylesheet, the script of embedded pages, and the stand-in for Stripe.js that shows them.
_FILES = (
    ("/assets/sandbox.css", "sandbox.css", "text/css"),
    ("/assets/frame.js", "frame.js", "text/javascript"),
    ("/stripe.js", "stripe.js", "text/javascript"),
)
_API_METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH"]


def create_app(sandbox: Sandbox) -> Starlette:
    """The application over one sandbox."""
    pages = Pages()
    surface = _Surface(sandbox, pages)
    return Starlette(
        routes=[
            *(Route(path, surface.file(name, kind), methods=["GET"]) for path, name, kind in _FILES),
            *Dashboard(sandbox, pages).routes(),
            *CheckoutPages(sandbox, pages).routes(),
            *control.routes(sandbox),
            *listening.routes(sandbox),
            Route("/{path:path}", surface.api, methods=_API_METHODS),
        ],
        middleware=[Middleware(HostGuard, own=sandbox.base_url)],
    )


class _Surface:
    def __init__(self, sandbox: Sandbox, pages: Pages) -> None:
        self._sandbox = sandbox
        self._pages = pages

    async def api(self, request: Request) -> Response:
        """Everything under `/v1`, and Stripe's 404 for the rest."""
        try:
            body = await read_body(request)
        except TooLarge:
            refusal = StripeRefusal("The request body is larger than 1 MB.", status=413)
            return _json(refusal.status, refusal.body(), {})
        raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
        reply = await self._sandbox.answer(
            ApiRequest(
                method=request.method,
                path=raw.decode("latin-1").split("?")[0],
                query=request.url.query,
                body=body,
                headers=dict(request.headers),
            )
        )
        return _json(reply.status, reply.body, reply.headers)

    def file(self, name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
        """A style or a script, the same for everybody."""

        async def serve(_: Request) -> Response:
            return self._pages.file(name, media_type)

        return serve


def _json(code: int, body: Mapping[str, object], headers: Mapping[str, str]) -> Response:
    content = json.dumps(body, indent=2, ensure_ascii=False)
    return Response(content, code, dict(headers), media_type="application/json")
