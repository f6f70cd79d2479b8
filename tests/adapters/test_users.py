"""Who is signed in, as the host's `user_id` says it: what is a user, what is nobody, and what is a mistake."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from payments_core import ConfigurationError
from payments_core.sandbox import Sandbox, running
from payments_core.settings import Settings
from tests.adapters.test_both import HOSTS, Host, flask_host, made
from tests.http.wrong_bodies import REFERENCE, reference, text

CREATE = "/pay/create-checkout-session"


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
