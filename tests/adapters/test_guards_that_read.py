"""The host's own code may look at the body first: the route still has all of it, and its limit still holds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Body, Depends, Request
from flask import Request as FlaskRequest
from flask import request as flask_request

from payments_core.http.routes import JSON_LIMIT_BYTES
from payments_core.sandbox import Sandbox, running
from payments_core.settings import Settings
from tests.adapters.test_both import Ask, fastapi_host, flask_host, made
from tests.http.wrong_bodies import REFERENCE, text

CREATE = "/pay/create-checkout-session"
TOO_LARGE = text(REFERENCE) + b" " * JSON_LIMIT_BYTES


@pytest.fixture(scope="module")
def stripe() -> Iterator[Sandbox]:
    with running() as sandbox:
        yield sandbox


@pytest.fixture
def settings(stripe: Sandbox, tmp_path: Path) -> Settings:
    return made(stripe, tmp_path)


async def reads_bytes(request: Request) -> None:
    assert await request.body()


async def reads_json(request: Request) -> str:
    return str((await request.json())["customerEmail"])


async def reads_a_piece(request: Request) -> None:
    async for _ in request.stream():
        break


def takes_a_field(products: Annotated[list[Any], Body(embed=True)]) -> None:
    assert products


async def reads_and_shrugs(request: Request) -> None:
    with contextlib.suppress(Exception):
        await request.body()


READERS: dict[str, dict[str, Any]] = {
    "bytes": {"dependencies": [Depends(reads_bytes)]},
    "json": {"dependencies": [Depends(reads_json)]},
    "stream": {"dependencies": [Depends(reads_a_piece)]},
    "field": {"dependencies": [Depends(takes_a_field)]},
    "several": {"dependencies": [Depends(takes_a_field), Depends(reads_a_piece)], "user_id": reads_json},
    "user_id": {"user_id": reads_json},
    "shrug": {"dependencies": [Depends(reads_and_shrugs)]},
}


@pytest.fixture(params=READERS)
def reading(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Ask]:
    """A FastAPI host whose own code reads the body, each in its way."""
    with fastapi_host(settings, **READERS[request.param]) as ask:
        yield ask


def test_what_a_fastapi_host_has_read_is_still_there(reading: Ask) -> None:
    """The body comes once; it is kept for whoever asks next."""
    assert reading("POST", CREATE, text(REFERENCE)).status == 200


def test_a_fastapi_host_that_reads_reads_no_more_than_the_route_takes(reading: Ask) -> None:
    """Also where the body does not say how long it is, and where the host makes nothing of the refusal."""
    answer = reading("POST", CREATE, TOO_LARGE, **{"Transfer-Encoding": "chunked"})
    assert (answer.status, answer.code) == (413, "payload_too_large")
    assert answer.headers["connection"] == "close"


def decorator_that_reads(view: Callable[..., Any]) -> Callable[..., Any]:
    def reads(**params: object) -> object:
        assert flask_request.get_json()
        return view(**params)

    reads.__name__ = view.__name__
    return reads


def user_by_json(request: FlaskRequest) -> str:
    return str(request.get_json()["customerEmail"])


@pytest.mark.parametrize("options", [{"user_id": user_by_json}, {"decorators": [decorator_that_reads]}], ids=list)
def test_what_a_flask_host_reads_is_there_before_and_after(settings: Settings, options: dict[str, Any]) -> None:
    """A `user_id` runs after the route has read, a guard before."""
    with flask_host(settings, **options) as ask:
        assert ask("POST", CREATE, text(REFERENCE)).status == 200
        assert ask("POST", CREATE, TOO_LARGE).status == 413
