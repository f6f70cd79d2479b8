"""What the sandbox's own pages share: templates and styles, read once, headers, and bodies of bounded size."""

from __future__ import annotations

import ipaddress
from importlib import resources
from urllib.parse import urlsplit

from jinja2 import DictLoader, Environment, StrictUndefined
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .api import MAX_BODY_BYTES

_NEVER_PUBLIC = (".internal", ".localhost", ".test")


class TooLarge(Exception):
    """A body over the limit; reading stopped there."""


class Pages:
    """Templates and files, read when the application is built, so that no request waits for a disk."""

    def __init__(self) -> None:
        folder = resources.files("payments_core.sandbox").joinpath("templates")
        texts = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir() if entry.is_file()}
        self._files = texts
        self._templates = Environment(
            loader=DictLoader({name: text for name, text in texts.items() if name.endswith(".html")}),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def file(self, name: str, media_type: str) -> Response:
        """A style or a script."""
        return Response(self._files[name], media_type=media_type, headers={"Cache-Control": "no-cache"})

    def show(self, name: str, code: int = 200, *, framed: bool = False, **values: object) -> Response:
        """A page. `framed`: other sites may show it in a frame, and it runs the script that speaks to them."""
        html = self._templates.get_template(name).render(framed=framed, **values)
        return HTMLResponse(html, status_code=code, headers=_headers(framed=framed))

    def message(self, code: int, title: str, text: str, back: str | None = None, *, framed: bool = False) -> Response:
        """A page that only says something."""
        return self.show("message.html", code, framed=framed, title=title, text=text, back=back)


def _headers(*, framed: bool) -> dict[str, str]:
    """Nothing is cached, and no script runs but the frame's own.

    Forms may lead anywhere, since the redirect after paying goes to the shop. The sandbox itself is told where a form
    was sent from, which is how the dashboard tells its own.
    """
    scripts, ancestors = ("script-src 'self'; ", "http: https:") if framed else ("", "'self'")
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            f"default-src 'none'; {scripts}style-src 'self'; img-src 'self' http: https: data:; "
            f"form-action 'self' http: https:; base-uri 'none'; frame-ancestors {ancestors}"
        ),
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }


class HostGuard:
    """Answers only to names that no stranger's DNS can give to this machine (DNS rebinding).

    These are IP addresses, names without a dot, names that are never public (RFC 2606, RFC 6761, ICANN's `internal`),
    and the sandbox's own.
    """

    def __init__(self, app: ASGIApp, *, own: str) -> None:
        self._app = app
        self._own = urlsplit(own).hostname or ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with 421."""
        if scope["type"] in ("http", "websocket") and not self._knows(Headers(scope=scope).get("host", "")):
            text = "The sandbox answers to localhost, to IP addresses and to names without a dot only.\n"
            await Response(text, 421, media_type="text/plain")(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _knows(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if not name:
            return False
        return "." not in name or name == self._own or name.endswith(_NEVER_PUBLIC) or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def same_origin(request: Request) -> bool:
    """Whether a form was sent by one of the sandbox's own pages, as the browser says; False where it does not say."""
    return request.headers.get("origin") == f"{request.url.scheme}://{request.headers.get('host', '')}"


async def read_body(request: Request) -> bytes:
    """The body, up to 1 MB. Raises TooLarge beyond it."""
    chunks = bytearray()
    try:
        async for chunk in request.stream():
            chunks += chunk
            if len(chunks) > MAX_BODY_BYTES:
                raise TooLarge
    except ClientDisconnect:
        return b""
    return bytes(chunks)
