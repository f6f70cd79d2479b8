"""One sandbox for the whole suite, which counts what it is asked, and the four targets in front of it."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from attrs import define, field
from starlette.types import ASGIApp, Receive, Scope, Send

from payments_core.sandbox import Sandbox, running
from tests.http.targets import WEBHOOK_SECRET, Target, opened

TARGETS = ("fastapi", "flask", "uvicorn", "gunicorn")


@define
class Stripe:
    """The sandbox, and every request that reached it."""

    sandbox: Sandbox
    asked: list[str] = field(factory=list)

    @property
    def url(self) -> str:
        return self.sandbox.base_url


class _Counted:
    """Notes each API request before the sandbox sees it."""

    def __init__(self, app: ASGIApp, asked: list[str]) -> None:
        self._app = app
        self._asked = asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request: MutableMapping[str, Any] = scope
        if request["type"] == "http":
            self._asked.append(f"{request['method']} {request['path']}")
        await self._app(scope, receive, send)


@pytest.fixture(scope="session")
def stripe() -> Iterator[Stripe]:
    """A local Stripe for all targets."""
    with running(webhook_secret=WEBHOOK_SECRET) as sandbox:
        counted = Stripe(sandbox)
        sandbox.app.add_middleware(_Counted, asked=counted.asked)
        yield counted


@pytest.fixture(scope="session", params=TARGETS)
def target(
    request: pytest.FixtureRequest, stripe: Stripe, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """Each target in turn."""
    name: str = request.param
    with opened(name, stripe.url, tmp_path_factory.mktemp(name)) as running_target:
        yield running_target


@pytest.fixture(scope="session", params=("uvicorn", "gunicorn"))
def server(
    request: pytest.FixtureRequest, stripe: Stripe, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """Each real server in turn, for what a test client cannot send."""
    name: str = request.param
    with opened(name, stripe.url, tmp_path_factory.mktemp(name)) as running_target:
        yield running_target
