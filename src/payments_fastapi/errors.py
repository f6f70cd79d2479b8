"""Errors in the library's JSON: those of its own routes, and those that the host's views raise by calling it."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from payments_core.errors import PaymentsError
from payments_core.http.messages import Headers, HttpReply, HttpRequest
from payments_core.http.refusals import refuse


def install_error_handlers(app: FastAPI) -> None:
    """Answer a PaymentsError that one of the host's own views raises as the payment routes answer it."""

    async def answered(request: Request, error: Exception) -> Response:
        if request.scope["type"] != "http":
            raise error  # A websocket is asked of here too, and has no reply to be given.
        return to_response(refuse(error, described(request)))

    app.add_exception_handler(PaymentsError, answered)


def described(request: Request) -> HttpRequest:
    """The request without its body."""
    return HttpRequest(
        method=request.method,
        path=request.scope["path"],
        headers=headers_of(request.scope),
        params={name: str(value) for name, value in request.path_params.items()},
        peer=str((request.scope.get("client") or ("",))[0] or ""),
    )


def headers_of(scope: Scope) -> Headers:
    """The header fields of an ASGI scope; as everywhere in ASGI, bytes that are Latin-1."""
    return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])


def to_response(reply: HttpReply) -> Response:
    """The reply as Starlette sends it."""
    return Response(reply.body, reply.status, headers=dict(reply.headers))
