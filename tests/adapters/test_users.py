"""Who is signed in, as the host's `user_id` says it: what is a user, what is nobody, and what is a mistake."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from flask import Flask, abort

from payments_core import AsyncPayments, ConfigurationError, Payments
from payments_core.sandbox import Sandbox, running
from payments_core.settings import Settings
from payments_fastapi import create_router
from payments_flask import create_blueprint
from tests.adapters.test_both import HOSTS, Host, asking_fastapi, asking_flask, fastapi_host, flask_host, made
from tests.http.wrong_bodies import REFERENCE, reference, text

CREATE = "/pay/create-checkout-session"
WORDS = "s3cret"


@pytest.fixture(scope="module")
def stripe() -> Iterator[Sandbox]:
    with running() as sandbox:
        yield sandbox


@pytest.fixture
def settings(stripe: Sandbox, tmp_path: Path) -> Settings:
    return made(stripe, tmp_path)


async def asynchronous_user(_request: object) -> str | None:
    return "u-1"


class AsynchronousUser:
    async def __call__(self, _request: object) -> str | None:
        return "u-1"


@pytest.mark.parametrize(
    "user_id", [asynchronous_user, functools.partial(asynchronous_user), AsynchronousUser()], ids=type
)
def test_flask_refuses_an_asynchronous_user_id_at_the_start(
    settings: Settings, user_id: Callable[[object], object]
) -> None:
    """Nothing would await it, and every coroutine would be a user."""
    with pytest.raises(ConfigurationError, match="user_id"), flask_host(settings, user_id=user_id):
        raise AssertionError("constructed")


def test_in_flask_what_turns_out_to_be_awaitable_is_nobodys_name(settings: Settings) -> None:
    """A plain function around an asynchronous one shows it only when it is called."""
    with flask_host(settings, user_id=lambda request: asynchronous_user(request)) as ask:
        answer = ask("POST", CREATE, text(REFERENCE))
    assert (answer.status, answer.code) == (500, "internal_error")


@HOSTS
def test_an_empty_id_is_nobody(host: Host, stripe: Sandbox, tmp_path: Path) -> None:
    """Guests of a host that says `""` for them share neither a session nor a limit."""
    limits = {"payments_limit_checkouts_per_user": "1/minute", "payments_limit_prices_per_user": "1/minute"}
    with host(made(stripe, tmp_path, **limits), user_id=lambda request: request.headers.get("x-user", "")) as ask:
        guests = [ask("POST", CREATE, text(REFERENCE)) for _ in range(2)]
        verified = [ask("POST", "/pay/verify-prices", b"{}").status for _ in range(2)]
        impostor = ask("POST", CREATE, text(reference(metadata={"userId": "u-1"})))
    assert [guest.status for guest in guests] == [200, 200]
    assert guests[0].json["sessionId"] != guests[1].json["sessionId"]
    assert verified == [422, 422]
    assert (impostor.status, impostor.json["fields"][0]["path"]) == (422, "metadata.userId")


def fails(_request: object) -> str:
    raise LookupError(WORDS)


@HOSTS
def test_a_user_id_that_fails_is_a_failure_of_ours(
    host: Host, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """500 in our JSON; the log has the place under the reply's id, and not the words."""
    with host(settings, user_id=fails) as ask, caplog.at_level(logging.ERROR, "payments_core.http"):
        answer = ask("POST", CREATE, text(REFERENCE))
    assert (answer.status, answer.code) == (500, "internal_error")
    assert answer.headers["x-request-id"] in caplog.text
    assert "test_users.py" in caplog.text
    assert WORDS not in caplog.text


def test_what_the_host_answers_itself_stays_the_host_s(settings: Settings) -> None:
    """Its HTTP errors, and those that it has a handler for."""

    def refuses(_request: object) -> str:
        raise HTTPException(401)

    with fastapi_host(settings, user_id=refuses) as ask:
        assert ask("POST", CREATE, text(REFERENCE)).status == 401
    with flask_host(settings, user_id=lambda _request: abort(401)) as ask:
        assert ask("POST", CREATE, text(REFERENCE)).status == 401
    app = FastAPI(exception_handlers={LookupError: answers_in_fastapi})
    app.include_router(create_router(AsyncPayments(settings), user_id=fails_in_particular), prefix="/pay")
    with asking_fastapi(app) as ask:
        assert ask("POST", CREATE, text(REFERENCE)).status == 418
    flask_app, payments = Flask(__name__), Payments(settings)
    flask_app.register_blueprint(create_blueprint(payments, user_id=fails_in_particular), url_prefix="/pay")
    flask_app.register_error_handler(LookupError, lambda _error: ("", 418))
    with closing(payments):
        assert asking_flask(flask_app)("POST", CREATE, text(REFERENCE)).status == 418


def fails_in_particular(_request: object) -> str:
    raise KeyError("nobody")


async def answers_in_fastapi(_request: Any, _error: Exception) -> JSONResponse:
    return JSONResponse({}, 418)
