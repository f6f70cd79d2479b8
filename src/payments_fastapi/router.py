"""The router: each route of the table registered with FastAPI, requests and replies translated.

JSON bodies are read by the core's strict reader, not by FastAPI, whose parser takes NaN, duplicate keys and floats; the
schemas enter the document by `openapi_extra`. The webhook, health and ready are plain Starlette routes, because those
are the ones that no `dependencies=` reaches: not the router's, not include_router's, not the application's.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import evolve
from fastapi import APIRouter
from fastapi.params import Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Mount
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from payments_core.errors import ConfigurationError, PaymentsError, RouteNotFound
from payments_core.http.arrivals import Arrivals
from payments_core.http.messages import HttpReply, HttpRequest
from payments_core.http.reading import check_head
from payments_core.http.refusals import refuse, refuse_method
from payments_core.http.routes import STRIPE_WEBHOOK, Route, routes
from payments_core.http.users import user_of
from payments_fastapi.bodies import hung_up, read_body
from payments_fastapi.errors import described, headers_of, to_response
from payments_fastapi.guarded import guarded_route

if TYPE_CHECKING:
    from payments_core.app import AsyncPayments

#: Who is signed in, by the host's own reckoning; None or "" for nobody. A plain function runs in a worker thread.
UserId: TypeAlias = Callable[[Request], str | None] | Callable[[Request], Awaitable[str | None]]


def create_router(
    payments: AsyncPayments,
    *,
    webhooks: bool = True,
    user_id: UserId | None = None,
    dependencies: Sequence[Depends] = (),
) -> APIRouter:
    """The payment routes, to be included under a prefix; the router carries the lifespan of `payments`.

    `dependencies` are the host's own guards and hold for the create, verify and session routes only. Raises
    ConfigurationError for the synchronous facade, and without a usable webhook secret unless `webhooks=False`.
    """
    from payments_core.app import AsyncPayments

    # Checked because not everybody runs a type checker, and the wrong twin would block the loop.
    if not isinstance(payments, AsyncPayments):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("create_router takes AsyncPayments; Payments is for payments_flask.create_blueprint.")
    if webhooks:
        payments.require_webhook_secret()
    else:
        payments.without_webhooks()
    arrivals = Arrivals()
    router = APIRouter(lifespan=lambda _: lifespan(payments))
    # The webhook first: routes are tried in order, and it is the one that is called most.
    for route in sorted(routes(webhooks=webhooks), key=lambda route: route is not STRIPE_WEBHOOK):
        if route.guarded:
            endpoint = _endpoint(payments, route, user_id if route.names_user else None)
            _add_guarded(router, route, endpoint, dependencies, arrivals)
        else:
            plain = _Plain(payments, route, arrivals)
            router.routes.append(
                StarletteRoute(route.path, plain, methods=list(route.methods), name=route.name, include_in_schema=False)
            )
        router.routes.append(
            StarletteRoute(route.path, _Refusal(partial(refuse_method, route)), include_in_schema=False)
        )
    router.routes.append(_Elsewhere(_Refusal(_not_found)))
    return router


def lifespan(payments: AsyncPayments) -> AbstractAsyncContextManager[None]:
    """Background work started on entry, everything closed on exit.

    For a host whose router is in a mounted application, where FastAPI runs no lifespan but the outermost.
    """
    return payments.lifespan()


Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


def _endpoint(payments: AsyncPayments, route: Route, user_id: UserId | None) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        try:
            user = None if user_id is None else await _user(user_id, request)
        except Exception as error:
            if _is_the_host_s(error, request):
                raise
            return to_response(refuse(error, described(request)))
        asked = evolve(described(request), body=body, user_id=user, names_users=user_id is not None)
        return to_response(await payments.answer(route, asked))

    endpoint.__name__ = route.name
    return endpoint


def _is_the_host_s(error: Exception, request: Request) -> bool:
    """Whether the host means to answer it: by an error handler for its class, as every host has for HTTPException."""
    return any(kind in request.app.exception_handlers for kind in type(error).__mro__)


async def _user(user_id: UserId, request: Request) -> str | None:
    given: Any = user_id(request) if inspect.iscoroutinefunction(user_id) else await run_in_threadpool(user_id, request)
    return user_of(await given if inspect.isawaitable(given) else given)


def _add_guarded(
    router: APIRouter, route: Route, endpoint: Endpoint, dependencies: Sequence[Depends], arrivals: Arrivals
) -> None:
    # With it come the models of all bodies and replies: not before there is something to describe.
    from payments_core.http import openapi

    for method in route.methods:
        router.add_api_route(
            route.path,
            endpoint,
            methods=[method],
            name=route.name,
            summary=openapi.SUMMARIES[route],
            tags=["payments"],
            dependencies=list(dependencies),
            response_model=None,
            responses=openapi.responses(route),
            openapi_extra=openapi.operation(route),
            include_in_schema=method == route.method,
            route_class_override=guarded_route(route, arrivals),
        )


def _not_found(request: HttpRequest) -> HttpReply:
    return refuse(RouteNotFound("No payment route has this path."), request)


class _Plain:
    """A route that no guard reaches, as an ASGI application: FastAPI's own work for a request costs more than ours."""

    def __init__(self, payments: AsyncPayments, route: Route, arrivals: Arrivals) -> None:
        self._payments = payments
        self._route = route
        self._arrivals = arrivals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path, headers = scope["method"], scope["path"], headers_of(scope)
        try:
            check_head(self._route, headers)
            body = await read_body(receive, self._route, self._arrivals)
        except PaymentsError as error:
            refused = hung_up(scope, to_response(refuse(error, HttpRequest(method, path, headers))))
            await refused(scope, receive, send)
            return
        reply = await self._payments.answer(self._route, HttpRequest(method, path, headers, body))
        fields = [(_field_name(name), value.encode("latin-1")) for name, value in reply.headers]
        fields.append((b"content-length", b"%d" % len(reply.body)))
        await send({"type": "http.response.start", "status": reply.status, "headers": fields})
        await send({"type": "http.response.body", "body": reply.body})


@cache
def _field_name(name: str) -> bytes:
    """As ASGI wants it; there are few."""
    return name.lower().encode("latin-1")


class _Refusal:
    """An ASGI application that answers without reading: as a class, it is asked whatever the method."""

    def __init__(self, reply: Callable[[HttpRequest], HttpReply]) -> None:
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await to_response(self._reply(described(Request(scope))))(scope, receive, send)


class _Elsewhere(Mount):
    """Every other path under the prefix.

    It only ever matches in part, so a route of the host's that matches, before or after ours, wins; and without a
    prefix it matches nothing, because then every path is the host's.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__("/", app)
        # A Mount drops the slash, and FastAPI refuses an empty path where there is no prefix either.
        self.path = "/"

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As a Mount, but never in full."""
        if not self.path.strip("/") or scope["type"] != "http":
            return Match.NONE, {}
        match, child_scope = super().matches(scope)
        return (Match.PARTIAL if match is Match.FULL else match), child_scope
