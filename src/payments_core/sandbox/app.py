"""The one ASGI application: the API, the hosted payment page and the status page. Translation only.

Templates and styles are read once, when the application is built, so that no request waits for a disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING

from jinja2 import DictLoader, Environment, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from . import page, status
from .api import MAX_BODY_BYTES, ApiRequest
from .errors import StripeRefusal

if TYPE_CHECKING:
    from .embed import Sandbox

_API_METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH"]


class _TooLarge(Exception):
    """A body over the limit; reading stopped there."""


def create_app(sandbox: Sandbox) -> Starlette:
    """The application over one sandbox."""
    surface = _Surface(sandbox)
    return Starlette(
        routes=[
            Route("/", surface.status_page, methods=["GET"]),
            Route("/assets/sandbox.css", surface.styles, methods=["GET"]),
            Route("/c/pay/{session_id}", surface.show, methods=["GET"]),
            Route("/c/pay/{session_id}", surface.submit, methods=["POST"]),
            Route("/{path:path}", surface.api, methods=_API_METHODS),
        ]
    )


class _Surface:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._styles = _read("sandbox.css")
        names = ("base.html", "pay.html", "message.html", "status.html")
        self._templates = Environment(
            loader=DictLoader({name: _read(name) for name in names}),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    async def api(self, request: Request) -> Response:
        """Everything under `/v1`, and Stripe's 404 for the rest."""
        try:
            body = await _body(request)
        except _TooLarge:
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

    async def show(self, request: Request) -> Response:
        """The payment page."""
        try:
            return self._answer(self._sandbox.show_page(request.path_params["session_id"]))
        except StripeRefusal:
            return self._unknown()

    async def submit(self, request: Request) -> Response:
        """A payment page sent off. The answer waits for the first deliveries of what it caused, as Stripe's does.

        A decline waits as well: its news is then out before the next attempt can make any.
        """
        session_id = request.path_params["session_id"]
        try:
            form = page.parse_form(await _body(request))
            outcome = self._sandbox.submit_page(session_id, form)
        except StripeRefusal:
            return self._unknown()
        except (_TooLarge, ValueError):
            return self._message(413, "Too much was sent", "This form cannot be that large. Go back and try again.")
        await self._sandbox.first_deliveries()
        return self._answer(outcome)

    async def status_page(self, request: Request) -> Response:
        """What happened lately."""
        html = self._templates.get_template("status.html").render(overview=status.overview(self._sandbox))
        return HTMLResponse(html, headers=_page_headers())

    async def styles(self, request: Request) -> Response:
        """The pages' one stylesheet."""
        return Response(self._styles, media_type="text/css", headers={"Cache-Control": "no-cache"})

    def _answer(self, outcome: page.Outcome) -> Response:
        if isinstance(outcome, page.Redirect):
            return RedirectResponse(outcome.url, status_code=303, headers={"Cache-Control": "no-store"})
        if isinstance(outcome, page.Gone):
            return self._message(
                410,
                "This payment page has expired",
                f"Your order at {outcome.seller} was not paid. Go back to the shop and check out again.",
                back=outcome.cancel_url,
            )
        html = self._templates.get_template("pay.html").render(view=outcome.view)
        return HTMLResponse(html, status_code=outcome.status, headers=_page_headers())

    def _message(self, code: int, title: str, text: str, back: str | None = None) -> Response:
        html = self._templates.get_template("message.html").render(title=title, text=text, back=back)
        return HTMLResponse(html, status_code=code, headers=_page_headers())

    def _unknown(self) -> Response:
        return self._message(
            404,
            "There is no such payment page",
            "The address is incomplete, or the sandbox was restarted since: it keeps everything in memory.",
        )


def _read(name: str) -> str:
    return resources.files("payments_core.sandbox").joinpath("templates", name).read_text("utf-8")


def _json(code: int, body: Mapping[str, object], headers: Mapping[str, str]) -> Response:
    content = json.dumps(body, indent=2, ensure_ascii=False)
    return Response(content, code, dict(headers), media_type="application/json")


def _page_headers() -> dict[str, str]:
    """No script runs and nothing is cached. Forms may lead anywhere: the redirect after paying goes to the shop."""
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; img-src 'self' http: https: data:; form-action 'self' http: https:; "
            "base-uri 'none'; frame-ancestors 'self'"
        ),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


async def _body(request: Request) -> bytes:
    chunks = bytearray()
    try:
        async for chunk in request.stream():
            chunks += chunk
            if len(chunks) > MAX_BODY_BYTES:
                raise _TooLarge
    except ClientDisconnect:
        return b""
    return bytes(chunks)
