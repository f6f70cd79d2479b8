"""How the FastAPI adapter gathers a body that comes in pieces."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from types import FrameType

import pytest
from fastapi import FastAPI
from starlette.types import Message, Scope

from payments_core import AsyncPayments
from payments_core.http.arrivals import Arrivals
from payments_core.http.routes import CREATE_CHECKOUT_SESSION, STRIPE_WEBHOOK, Route
from payments_core.settings import Settings
from payments_fastapi import create_router
from payments_fastapi.bodies import read_body
from tests.http.targets import environment


async def test_a_body_in_tiny_pieces_holds_no_more_than_it_counts_for() -> None:
    """What all bodies may hold is counted in their bytes: two at a time must not cost twenty times as much."""
    pieces = STRIPE_WEBHOOK.body_limit // 8
    left = pieces

    async def receive() -> Message:
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": (left % 65_536).to_bytes(2, "big"), "more_body": left > 0}

    tracemalloc.start()
    try:
        body = await read_body(receive, STRIPE_WEBHOOK, Arrivals())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(body) == 2 * pieces
    assert peak < 4 * len(body)


@pytest.mark.parametrize("route", [STRIPE_WEBHOOK, CREATE_CHECKOUT_SESSION], ids=lambda route: route.name)
@pytest.mark.parametrize("of_pieces", [1, 3])
async def test_what_is_refused_is_let_go_at_once(tmp_path: Path, route: Route, of_pieces: int) -> None:
    """Not at the next collection of garbage: a crowd would be refused, and the memory of the server still be theirs."""
    left = of_pieces

    async def receive() -> Message:
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": b"x" * (route.body_limit // of_pieces + 1), "more_body": left > 0}

    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": route.method,
        "path": route.path,
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    given = {name.lower(): value for name, value in environment("http://127.0.0.1:9", tmp_path).items()}
    app = FastAPI()
    app.include_router(create_router(AsyncPayments(Settings.of(**given))))
    gc.collect()
    before = _held()
    gc.disable()
    try:
        await app(scope, receive, send)
        assert statuses == [413]
        assert _held() == before
    finally:
        gc.enable()


def _held() -> int:
    """How many frames that have read a body are in memory: what an error's traceback leads to, and does not let go."""
    return sum(type(it) is FrameType and it.f_code is read_body.__code__ for it in gc.get_objects())
