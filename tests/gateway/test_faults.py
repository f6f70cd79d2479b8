"""What goes wrong on the wire, in both worlds, and that nothing secret comes out with it."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import traceback
import weakref
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
import stripe

from payments_core.adapters.stripe import StripeGateway, sdk
from payments_core.adapters.stripe.in_process import InProcessClient
from payments_core.drive import run_blocking
from payments_core.errors import StripeError, StripeObjectMissing, StripeUnavailable
from payments_core.ports import Gateway, Io
from payments_core.settings import Settings
from payments_core.testing.contracts.gateway import PARAMS
from tests.gateway.stripe_server import Answer, StripeServer
from tests.gateway.worlds import KEY, gateway_of, settings

pytestmark = pytest.mark.parametrize("io", ["blocking", "async"])
Ask = Callable[[Gateway], Coroutine[Any, Any, object]]

CANARY = "Canary7391"
EMAIL = f"{CANARY}@shop.example"
HTML = f"<html><body>502 Bad Gateway {CANARY}</body></html>".encode()


def refused(status: int, error: object, **headers: str) -> Answer:
    return Answer(status, json.dumps({"error": error, "note": CANARY}).encode(), headers)


def said(kind: str = "invalid_request_error", **fields: str) -> dict[str, str]:
    return {"type": kind, "message": f"No such thing: {EMAIL}, key {KEY[:8]}****{KEY[-4:]} {CANARY}", **fields}


def ask(io: Io, configured: Settings, question: Ask) -> object:
    """One question to a gateway of this world, which is closed afterwards."""

    async def asked() -> object:
        gateway = gateway_of(io, configured)
        try:
            return await question(gateway)
        finally:
            await gateway.close()

    return run_blocking(asked()) if io == "blocking" else asyncio.run(asked())


def error_of(io: Io, configured: Settings, question: Ask) -> StripeError:
    with pytest.raises(StripeError) as raised:
        ask(io, configured, question)
    return raised.value


def create(gateway: Gateway) -> Coroutine[Any, Any, object]:
    return gateway.create_session({**PARAMS, "customer_email": EMAIL}, idempotency_key="key_1")


def retrieve(gateway: Gateway) -> Coroutine[Any, Any, object]:
    return gateway.session("cs_test_1")


ANSWERS: list[tuple[str, Answer, type[StripeError], int]] = [
    ("400", refused(400, said(code="email_invalid", param="customer_email")), StripeError, 1),
    ("400 of the key", refused(400, said("idempotency_error")), StripeError, 1),
    ("401", refused(401, said()), StripeError, 1),
    ("402", refused(402, said("card_error", code="card_declined", decline_code="fraudulent")), StripeError, 1),
    ("403", refused(403, said()), StripeError, 1),
    ("404", refused(404, said(code="resource_missing", param="id")), StripeObjectMissing, 1),
    ("404 plain", Answer(404, CANARY.encode()), StripeError, 1),
    ("409", refused(409, said(code="lock_timeout")), StripeUnavailable, 3),
    ("429", refused(429, said(code="rate_limit"), **{"Retry-After": "9"}), StripeUnavailable, 1),
    ("429 marked", refused(429, said(code="lock_timeout"), **{"Stripe-Should-Retry": "true"}), StripeUnavailable, 3),
    ("500", refused(500, said("api_error")), StripeUnavailable, 3),
    ("500 marked", refused(500, said("api_error"), **{"Stripe-Should-Retry": "false"}), StripeUnavailable, 1),
    ("502 HTML", Answer(502, HTML, {"Content-Type": "text/html"}), StripeUnavailable, 3),
    ("200 HTML", Answer(200, HTML), StripeUnavailable, 1),
    ("200 empty", Answer(200, b""), StripeUnavailable, 1),
    ("200 not UTF-8", Answer(200, b"\xff\xfe" + CANARY.encode()), StripeUnavailable, 1),
    ("200 list", Answer(200, json.dumps([CANARY]).encode()), StripeUnavailable, 1),
    ("200 without id", Answer(200, json.dumps({"note": CANARY}).encode()), StripeUnavailable, 1),
    ("200 broken JSON", Answer(200, f'{{"id": "{CANARY}'.encode()), StripeUnavailable, 1),
    ("400 error null", Answer(400, b'{"error": null}'), StripeError, 1),
    ("400 error list", Answer(400, json.dumps({"error": [CANARY]}).encode()), StripeError, 1),
    (
        "400 error text",
        Answer(400, json.dumps({"error": CANARY, "error_description": EMAIL}).encode()),
        StripeError,
        1,
    ),
    ("cut", Answer(200, f'{{"id": "{CANARY}"'.encode(), cut=True), StripeUnavailable, 3),
]


def everything_about(error: BaseException) -> str:
    """All that a log or an error reporter could show of an exception, but for local variables."""
    seen: list[str] = []
    link: BaseException | None = error
    while link is not None:
        seen += [str(link), repr(link), repr(link.args), repr(vars(link))]
        link = link.__cause__ or link.__context__
    return "\n".join([*seen, *traceback.format_exception(error)])


@pytest.mark.parametrize("question", [create, retrieve])
@pytest.mark.parametrize("case", ANSWERS, ids=[case[0] for case in ANSWERS])
def test_every_bad_answer_is_one_of_our_errors_and_tells_no_secret(  # noqa: PLR0917 - fixtures go by name
    io: Io,
    server: StripeServer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    case: tuple[str, Answer, type[StripeError], int],
    question: Ask,
) -> None:
    """Class and attempts are as expected; body, address and key are in no text, attribute, chain, log or output."""
    _, server.always, kind, attempts = case
    caplog.set_level(logging.DEBUG)
    error = error_of(io, settings(server.url), question)
    assert type(error) is kind
    assert len(server.requests) == attempts
    assert error.__cause__ is None
    assert error.__context__ is None
    output = capfd.readouterr()
    told = everything_about(error) + caplog.text + output.out + output.err
    assert CANARY not in told
    assert "CanaryOfTheKey" not in told
    assert KEY[-4:] not in told


def test_attempts_at_creation_share_the_idempotency_key(io: Io, server: StripeServer) -> None:
    """A create that fails twice is sent three times with the caller's own key, and makes one session."""
    server.scripted.extend([refused(500, said("api_error")), Answer(200, b'{"id": "cs', cut=True)])
    ask(io, settings(server.url), create)
    assert [request.headers["idempotency-key"] for request in server.requests] == ["key_1"] * 3
    assert len(server.objects["checkout.session"]) == 1


def test_an_answer_that_stripe_keeps_for_a_key_is_known_as_one(io: Io, server: StripeServer) -> None:
    """Trying again gives the same answer for a day; a first answer 500 may not be one that is kept."""
    server.always = refused(500, said("api_error"), **{"Stripe-Should-Retry": "false"})
    assert not error_of(io, settings(server.url), create).replayed
    server.always = refused(500, said("api_error"), **{"Idempotent-Replayed": "true", "Stripe-Should-Retry": "false"})
    error = error_of(io, settings(server.url), create)
    assert isinstance(error, StripeUnavailable)
    assert error.replayed
    server.always = refused(400, said(code="amount_too_small"), **{"Idempotent-Replayed": "true"})
    assert error_of(io, settings(server.url), create).replayed


def test_a_stripe_that_is_not_there_is_unavailable(io: Io, unused_tcp_port: int) -> None:
    """The sentence names the address that nobody listens on."""
    error = error_of(io, settings(f"http://127.0.0.1:{unused_tcp_port}"), retrieve)
    assert type(error) is StripeUnavailable
    assert f"127.0.0.1:{unused_tcp_port}" in str(error)


def test_a_stripe_that_does_not_answer_is_given_up(
    io: Io, server: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the bounded time the request counts as failed, attempts included."""
    monkeypatch.setattr(sdk, "READ_S", 0.2)
    server.always = Answer(hang=True)
    error = error_of(io, settings(server.url), create)
    assert type(error) is StripeUnavailable
    assert len(server.requests) == 3


def test_a_later_page_that_fails_fails_the_list(io: Io, server: StripeServer) -> None:
    """Half a list is never taken for a whole one."""
    page = {"object": "list", "data": [{"id": "li_1", "description": "Shirt"}], "has_more": True}
    server.scripted.append(Answer(body=json.dumps(page).encode()))
    server.always = refused(400, said())
    error = error_of(io, settings(server.url), lambda gateway: gateway.line_items("cs_test_1"))
    assert type(error) is StripeError


@pytest.mark.parametrize(
    "page",
    [
        {"object": "list"},
        {"object": "list", "data": None},
        {"object": "list", "data": [], "has_more": True},
        {"object": "list", "data": [{"description": "no id"}], "has_more": True},
    ],
)
def test_a_list_of_another_shape_is_unavailable(io: Io, server: StripeServer, page: dict[str, object]) -> None:
    """An answer that is no list, or a list that cannot go on, is not taken for an empty one."""
    server.always = Answer(body=json.dumps(page).encode())
    error = error_of(io, settings(server.url), lambda gateway: gateway.line_items("cs_test_1"))
    assert type(error) is StripeUnavailable


def test_a_list_without_end_is_given_up(io: Io, server: StripeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that always promises more does not keep us for ever."""
    monkeypatch.setattr("payments_core.adapters.stripe.calls.MAX_PAGES", 5)
    page = {"object": "list", "data": [{"id": "li_1"}], "has_more": True}
    server.always = Answer(body=json.dumps(page).encode())
    error = error_of(io, settings(server.url), lambda gateway: gateway.line_items("cs_test_1"))
    assert type(error) is StripeUnavailable
    assert len(server.requests) == 6


def test_a_failure_in_a_large_catalogue_ends_it(io: Io, server: StripeServer) -> None:
    """The first failure comes out as itself, not in a group, and nothing is left running."""
    server.always = refused(401, said())
    error = error_of(io, settings(server.url), lambda gateway: gateway.catalogue([f"price_{n}" for n in range(40)]))
    assert type(error) is StripeError
    assert len(server.requests) < 20


def test_a_notice_of_stripe_does_not_fail_a_request(io: Io, server: StripeServer) -> None:
    """Stripe's notices are warnings in the SDK; where warnings are errors, a payment must not fail by one."""
    document = json.dumps({"id": "cs_test_1"}).encode()
    server.always = Answer(200, document, {"Stripe-Notice": "Try the new thing"})
    assert ask(io, settings(server.url), retrieve) is not None


def test_parameters_that_cannot_be_sent_are_a_stripe_error(io: Io, server: StripeServer) -> None:
    """The port promises StripeError and nothing else; the value does not come back."""

    class Odd:
        def __str__(self) -> str:
            raise TypeError(CANARY)

    odd = {**PARAMS, "metadata": {"a": Odd()}}
    error = error_of(io, settings(server.url), lambda gateway: gateway.create_session(odd, idempotency_key="key_1"))
    assert type(error) is StripeError
    assert CANARY not in everything_about(error)


@pytest.mark.parametrize("raw", [OSError(CANARY), TimeoutError(CANARY), ConnectionResetError(CANARY)])
def test_what_a_client_of_the_callers_raises_is_unavailable(io: Io, raw: OSError) -> None:
    """A transport's own exception, which the SDK lets through, is translated without its text."""

    class Broken(stripe.HTTPClient):
        name = "broken"

        def request(self, *args: object, **kwargs: object) -> object:
            raise raw

        async def request_async(self, *args: object, **kwargs: object) -> object:
            raise raw

    calls = sdk.BlockingCalls if io == "blocking" else sdk.AsyncCalls

    async def asked() -> None:
        await calls(settings("http://127.0.0.1:9"), Broken()).send("get", "/v1/prices", {})

    with pytest.raises(StripeUnavailable) as raised:
        run_blocking(asked()) if io == "blocking" else asyncio.run(asked())
    assert CANARY not in everything_about(raised.value)


def test_what_was_sent_is_let_go_with_the_error(io: Io) -> None:
    """Its traceback leads to what was sent, and to the host's request: a circle would hold them until a collection."""
    client = InProcessClient(lambda *request: (503, {}, b'{"error": {"type": "api_error"}}'))
    calls = (sdk.BlockingCalls if io == "blocking" else sdk.AsyncCalls)(settings("http://127.0.0.1:9"), client)

    class Request:
        """Stands for what the caller has in hand."""

    async def asked() -> weakref.ref[Request]:
        request = Request()
        with suppress(StripeUnavailable):
            await create(StripeGateway(calls))
            pytest.fail("it was answered")
        return weakref.ref(request)

    gc.disable()
    try:
        request = run_blocking(asked()) if io == "blocking" else asyncio.run(asked())
        assert request() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("answers", [True, False], ids=["refused", "unreachable"])
def test_what_the_caller_was_handling_keeps_its_traceback(io: Io, answers: bool) -> None:
    """Stripe asked in an `except` block: the error there is the context of ours, and none of ours to shorten."""
    client = InProcessClient(lambda *request: (503, {}, b'{"error": {"type": "api_error"}}')) if answers else None
    calls = (sdk.BlockingCalls if io == "blocking" else sdk.AsyncCalls)(settings("http://127.0.0.1:9"), client)

    async def asked() -> ValueError:
        try:
            raise ValueError
        except ValueError as handled:
            with suppress(StripeUnavailable):
                await create(StripeGateway(calls))
                pytest.fail("it was answered")
            await calls.close()
            return handled

    handled = run_blocking(asked()) if io == "blocking" else asyncio.run(asked())
    assert handled.__traceback__ is not None
