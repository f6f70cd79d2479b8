"""One process of a shop: the public facade of one world, its web application, and a worker that runs on command."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

import httpx2
from attrs import frozen
from fastapi import FastAPI
from flask import Flask

from payments_core import AsyncPayments, Payments, Settings
from payments_core.drive import run_blocking
from payments_core.ports import Clock, Gateway, Io, Store
from payments_fastapi import create_router
from payments_flask import create_blueprint

PREFIX = "/api/payments"
#: What a test wants to do at the moment an answer leaves: it is given the request's id and the status.
Watch = Callable[[str, int], None]


@frozen
class Answer:
    """A reply as it came."""

    status: int
    headers: Mapping[str, str]
    text: str


class Deployment:
    """A facade without its background runner: a test says when it works, so that nothing happens by chance.

    An asynchronous deployment has an event loop of its own, and may be used from any one thread at a time.
    """

    def __init__(self, io: Io, settings: Settings, *, store: Store | None, gateway: Gateway, clock: Clock) -> None:
        self.io: Io = io
        self._loop = asyncio.Runner() if io == "async" else None
        build = Payments if io == "blocking" else AsyncPayments
        self.payments = build(settings, store=store, gateway=gateway, clock=clock, runner=False)
        self.works_for_pages = True
        self.watch: Watch = lambda *_: None
        _pace(self)
        self._flask = _flask(self) if io == "blocking" else None
        self._fastapi = _fastapi(self) if io == "async" else None
        self.wait(self.payments.start())

    def wait(self, outcome: Any) -> Any:
        """The outcome of a facade's method, or of a flow, in this world."""
        if not inspect.isawaitable(outcome):
            return outcome
        return run_blocking(_awaited(outcome)) if self._loop is None else self._loop.run(_awaited(outcome))

    def run_due(self) -> int:
        """One round of the worker; how many events it took."""
        return int(self.wait(self.payments.run_due()))

    def work(self) -> None:
        """Handle what is due until nothing is."""
        while self.run_due():
            pass

    def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """An HTTP request through the framework's own stack."""
        return self.requests([(method, path, body, dict(headers or {}))])[0]

    def requests(self, asked: Iterable[tuple[str, str, bytes, dict[str, str]]]) -> list[Answer]:
        """HTTP requests: at once on the event loop, one after another in the synchronous world."""
        if self._flask is not None:
            return [self._by_flask(*one) for one in asked]
        assert self._loop is not None
        return self._loop.run(self._by_fastapi(list(asked)))

    def close(self) -> None:
        """Give back everything."""
        self.wait(self.payments.close())
        if self._loop is not None:
            self._loop.close()

    def _by_flask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        assert self._flask is not None
        reply = self._flask.test_client().open(PREFIX + path, method=method, data=body, headers=headers)
        return Answer(reply.status_code, reply.headers, reply.get_data(as_text=True))

    async def _by_fastapi(self, asked: list[tuple[str, str, bytes, dict[str, str]]]) -> list[Answer]:
        transport = httpx2.ASGITransport(app=self._fastapi)
        async with httpx2.AsyncClient(transport=transport, base_url="http://shop.test") as client:
            sent = (client.request(one[0], PREFIX + one[1], content=one[2], headers=one[3]) for one in asked)
            return [Answer(one.status_code, one.headers, one.text) for one in await asyncio.gather(*sent)]


async def _awaited(outcome: Coroutine[Any, Any, Any]) -> Any:
    return await outcome


def _pace(deployment: Deployment) -> None:
    """A success page that waits lets the worker run, instead of time passing."""
    runner: Any = deployment.payments._runner
    waited = [0.0]

    async def pause(seconds: float) -> None:
        waited[0] += seconds
        if deployment.works_for_pages:
            await deployment.payments.core.run_due()

    runner.pause, runner.monotonic_s = pause, lambda: waited[0]


def _flask(deployment: Deployment) -> Flask:
    app = Flask("shop")
    assert isinstance(deployment.payments, Payments)
    app.register_blueprint(create_blueprint(deployment.payments), url_prefix=PREFIX)
    inner = app.wsgi_app

    def watched(environ: dict[str, Any], start_response: Any) -> Any:
        def start(status: str, *rest: Any) -> Any:
            deployment.watch(environ.get("HTTP_X_REQUEST_ID", ""), int(status[:3]))
            return start_response(status, *rest)

        return inner(environ, start)

    app.wsgi_app = watched  # type: ignore[method-assign]
    return app


def _fastapi(deployment: Deployment) -> Any:
    app = FastAPI()
    assert isinstance(deployment.payments, AsyncPayments)
    app.include_router(create_router(deployment.payments), prefix=PREFIX)

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        names = dict(scope.get("headers", ()))

        async def tell(message: Any) -> None:
            if message["type"] == "http.response.start":
                deployment.watch(names.get(b"x-request-id", b"").decode(), message["status"])
            await send(message)

        await app(scope, receive, tell)

    return watched
