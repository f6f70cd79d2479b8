"""Whose request it is decides which session is given again, by the host's own `user_id`, in both frameworks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.requests import Request

from payments_core.sandbox import Sandbox, running
from payments_core.settings import Settings
from tests.adapters.test_both import Ask, fastapi_host, flask_host, made
from tests.http.wrong_bodies import REFERENCE, reference, text

CREATE = "/pay/create-checkout-session"


@pytest.fixture(scope="module")
def stripe() -> Iterator[Sandbox]:
    with running() as sandbox:
        yield sandbox


@pytest.fixture
def settings(stripe: Sandbox, tmp_path: Path) -> Settings:
    return made(stripe, tmp_path)


def signed_in(request: Request) -> str | None:
    return request.headers.get("x-user")


@pytest.fixture(params=["fastapi", "flask"])
def ask(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Ask]:
    """A host that knows its users by a header."""
    if request.param == "fastapi":
        with fastapi_host(settings, user_id=signed_in) as host:
            yield host
    else:
        with flask_host(settings, user_id=lambda asked: asked.headers.get("x-user")) as host:
            yield host


def session_of(ask: Ask, body: bytes = text(REFERENCE), **headers: str) -> str:
    answer = ask("POST", CREATE, body, **headers)
    assert answer.status == 200, answer.body
    return str(answer.json["sessionId"])


def test_a_key_belongs_to_the_user_who_sent_it(ask: Ask) -> None:
    """Another user's key of the same name is another key, and so is a guest's."""
    found = {user: session_of(ask, **{"Idempotency-Key": "k", "X-User": user}) for user in ("u1", "u2")}
    guest = session_of(ask, **{"Idempotency-Key": "k"})
    assert len({*found.values(), guest}) == 3
    assert {user: session_of(ask, **{"Idempotency-Key": "k", "X-User": user}) for user in ("u1", "u2")} == found


def test_another_users_body_under_the_same_key_is_no_conflict(ask: Ask) -> None:
    """A stranger can neither learn of a key nor block it."""
    session_of(ask, **{"Idempotency-Key": "k", "X-User": "u1"})
    other = {**reference(), "customerEmail": "u2@example.com"}
    assert ask("POST", CREATE, text(other), **{"Idempotency-Key": "k", "X-User": "u2"}).status == 200
    assert ask("POST", CREATE, text(other), **{"Idempotency-Key": "k", "X-User": "u1"}).status == 409


def test_two_tabs_of_a_user_have_one_session_and_two_guests_have_two(ask: Ask) -> None:
    """Without a key."""
    assert len({session_of(ask, **{"X-User": "u1"}) for _ in range(3)}) == 1
    assert len({session_of(ask) for _ in range(3)}) == 3


def test_a_cart_that_differs_in_anything_is_another_session(ask: Ask) -> None:
    """Its metadata and its URLs, too."""
    changes: list[dict[str, object]] = [
        {},
        {"metadata": {"order": "2"}},
        {"successUrl": "https://yourstore.com/other"},
        {"products": [{"name": "Premium T-Shirt", "price": 29.99, "quantity": 3}]},
    ]
    found = [session_of(ask, text({**reference(), **change}), **{"X-User": "u1"}) for change in changes]
    assert len(set(found)) == len(changes)


def test_a_paid_session_is_not_given_to_the_user_again(ask: Ask, stripe: Sandbox) -> None:
    """Once it is settled here: who buys the same once more pays once more."""
    first = session_of(ask, **{"X-User": "u1"})
    stripe.pay(first)
    assert ask("GET", f"/pay/checkout-sessions/{first}").json["status"] == "complete"
    second = session_of(ask, **{"X-User": "u1"})
    assert second != first
    assert session_of(ask, **{"X-User": "u1"}) == second


def test_simultaneous_clicks_of_a_user_have_one_session(settings: Settings) -> None:
    """Threads of one process; over sockets and processes see the orders of `make chaos`."""
    with flask_host(settings, user_id=lambda asked: asked.headers.get("x-user")) as ask:
        with ThreadPoolExecutor(6) as threads:
            found = set(threads.map(lambda _: session_of(ask, **{"X-User": "u1"}), range(6)))
        assert len(found) == 1
