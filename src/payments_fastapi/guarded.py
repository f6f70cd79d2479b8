"""The routes behind the host's guards: what a guard has read is still there, what it refuses is told in our shape."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from payments_core.errors import InvalidRequest, PaymentsError
from payments_core.http.arrivals import Arrivals
from payments_core.http.problems import problems_of
from payments_core.http.reading import check_head, cut_short
from payments_core.http.refusals import refuse
from payments_core.http.routes import Route
from payments_fastapi.bodies import hung_up, read_body
from payments_fastapi.errors import described, headers_of, to_response


class GuardedRequest(Request):
    """A request whose body comes once, within the route's limit, and is kept: for `json`, for `form`, for the route.

    Guards have this request before the route has it. What refused the body refuses it to all who ask.
    """

    def __init__(self, came: Request, route: Route, arrivals: Arrivals) -> None:
        super().__init__(came.scope, came.receive)
        self._route = route
        self._arrivals = arrivals
        self._whole: bytes | None = None
        self.refusal: PaymentsError | None = None

    async def body(self) -> bytes:
        """All of it. Raises PayloadTooLarge, RateLimited or MalformedJson."""
        if self._whole is None:
            await self._read()
        return self._whole or b""

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """All of it at once, and the empty piece that ends a stream."""
        yield await self.body()
        yield b""

    async def _read(self) -> None:
        if self.refusal is not None:
            raise self.refusal
        # In force for as long as this waits: the rest of a body that somebody stopped reading is no body.
        self.refusal = cut_short()
        try:
            check_head(self._route, headers_of(self.scope))
            self._whole = await read_body(self.receive, self._route, self._arrivals)
        except PaymentsError as refusal:
            self.refusal = refusal
            raise
        self.refusal = None


def guarded_route(route: Route, arrivals: Arrivals) -> type[APIRoute]:
    """The class of one route's registration: FastAPI makes registrations anew of their class, and keeps no more."""

    class GuardedRoute(APIRoute):
        """Also what the host's dependencies refuse comes out in our shape.

        FastAPI's own 422, with the input in it, never does. An HTTPException of the host's stays the host's.
        """

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """The handler with the body bounded and those errors translated."""
            handler = super().get_route_handler()

            async def answered(came: Request) -> Response:
                request = GuardedRequest(came, route, arrivals)
                try:
                    return await handler(request)
                except RequestValidationError as wrong:
                    problems = problems_of(wrong.errors())
                    return _refused(request, InvalidRequest("The request cannot be used as it is.", problems))
                except PaymentsError as error:
                    return _refused(request, error)
                except HTTPException as told:
                    # FastAPI's own word for whatever stops it from reading a body that a guard has a field of.
                    if isinstance(told.__cause__, PaymentsError) and told.__cause__ is request.refusal:
                        return _refused(request, told.__cause__)
                    raise
                finally:
                    # Its traceback leads back to this request and to what was read: in a circle, which would hold the
                    # bytes of a crowd that was refused until the next collection of garbage.
                    request.refusal = None

            return answered

    return GuardedRoute


def _refused(request: Request, error: PaymentsError) -> Response:
    """The reply to a request of whose body there may be more to come."""
    return hung_up(request.scope, to_response(refuse(error, described(request))))
