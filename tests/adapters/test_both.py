"""What both adapters promise their host: its guards hold where they should, and nowhere else; its mistakes are told."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request, Response, WebSocket
from flask import Flask, abort
from flask import request as flask_request
from starlette.testclient import TestClient

from payments_core import (
    AsyncPayments,
    ConfigurationError,
    InvalidRequest,
    Payments,
    PaymentSuccessful,
    StoreUnavailable,
)
from payments_core.domain.signature import sign
from payments_core.drive import run_blocking
from payments_core.http.messages import Headers
from payments_core.sandbox import Sandbox, running
from payments_core.settings import Settings
from payments_fastapi import UserId, create_router
from payments_fastapi import install_error_handlers as install_in_fastapi
from payments_flask import create_blueprint
from payments_flask import install_error_handlers as install_in_flask
from tests.http.targets import WEBHOOK_SECRET, Answer, environment
from tests.http.wrong_bodies import REFERENCE, reference, text

EVENT = b'{"id":"evt_adapters","type":"customer.tax_id.updated","data":{"object":{}}}'
GUARDED = {"create", "verify", "session"}
Ask: TypeAlias = Callable[..., Answer]
Host: TypeAlias = Callable[..., AbstractContextManager[Ask]]


@pytest.fixture(scope="module")
def stripe() -> Iterator[Sandbox]:
    with running() as sandbox:
        yield sandbox


@pytest.fixture
def settings(stripe: Sandbox, tmp_path: Path) -> Settings:
    return made(stripe, tmp_path)


def made(stripe: Sandbox, folder: Path, **changes: object) -> Settings:
    given = {name.lower(): value for name, value in environment(stripe.base_url, folder).items()}
    return Settings.of(**{**given, **changes})


@contextlib.contextmanager
def fastapi_host(settings: Settings, prefix: str = "/pay", **options: Any) -> Iterator[Ask]:
    app = FastAPI()
    app.include_router(create_router(AsyncPayments(settings), **options), prefix=prefix)
    with asking_fastapi(app) as ask:
        yield ask


@contextlib.contextmanager
def asking_fastapi(app: FastAPI) -> Iterator[Ask]:
    with TestClient(app, follow_redirects=False) as client:

        def ask(method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
            reply = client.request(method, path, content=body, headers={**JSON, **headers})
            return Answer(reply.status_code, Headers(reply.headers.multi_items()), reply.content)

        yield ask


@contextlib.contextmanager
def flask_host(settings: Settings, prefix: str = "/pay", **options: Any) -> Iterator[Ask]:
    app = Flask(__name__)
    payments = Payments(settings)
    app.register_blueprint(create_blueprint(payments, **options), url_prefix=prefix)
    with contextlib.closing(payments):
        yield asking_flask(app)


def asking_flask(app: Flask) -> Ask:
    client = app.test_client()

    def ask(method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        reply = client.open(path, method=method, data=body, headers={**JSON, **headers})
        return Answer(reply.status_code, Headers(list(reply.headers.items())), reply.get_data())

    return ask


JSON = {"Content-Type": "application/json"}
HOSTS = pytest.mark.parametrize("host", [fastapi_host, flask_host], ids=["fastapi", "flask"])


def ask_all(ask: Ask, prefix: str = "/pay") -> dict[str, int]:
    """The status of each of the six routes, asked as a stranger would."""
    signature = sign(EVENT, WEBHOOK_SECRET, timestamp_s=int(time.time()))
    return {
        "create": ask("POST", f"{prefix}/create-checkout-session", text(REFERENCE)).status,
        "verify": ask("POST", f"{prefix}/verify-prices", b"{}").status,
        "session": ask("GET", f"{prefix}/checkout-sessions/cs_test_x").status,
        "webhook": ask("POST", f"{prefix}/webhooks/stripe", EVENT, **{"Stripe-Signature": signature}).status,
        "health": ask("GET", f"{prefix}/health").status,
        "ready": ask("GET", f"{prefix}/ready").status,
    }


def locked_out() -> None:
    raise HTTPException(401, "who are you?")


def login_required(view: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(**_params: object) -> None:
        abort(401)

    guarded.__name__ = view.__name__
    return guarded


def refused(statuses: dict[str, int]) -> set[str]:
    return {name for name, status in statuses.items() if status == 401}


def test_fastapi_dependencies_guard_exactly_three_routes(settings: Settings) -> None:
    """Stripe and a load balancer have no login."""
    with fastapi_host(settings, dependencies=[Depends(locked_out)]) as ask:
        statuses = ask_all(ask)
    assert refused(statuses) == GUARDED
    assert {statuses[name] for name in statuses.keys() - GUARDED} == {200}


def test_flask_decorators_guard_exactly_three_routes(settings: Settings) -> None:
    """Stripe and a load balancer have no login."""
    with flask_host(settings, decorators=[login_required]) as ask:
        statuses = ask_all(ask)
    assert refused(statuses) == GUARDED
    assert {statuses[name] for name in statuses.keys() - GUARDED} == {200}


def test_dependencies_of_the_whole_application_do_not_reach_the_open_routes(settings: Settings) -> None:
    """A host that guards everything still gets its webhooks."""
    app = FastAPI(dependencies=[Depends(locked_out)])
    app.include_router(create_router(AsyncPayments(settings)), prefix="/pay", dependencies=[Depends(locked_out)])
    with asking_fastapi(app) as ask:
        assert refused(ask_all(ask)) == GUARDED


def test_a_preflight_needs_no_login(settings: Settings) -> None:
    """Browsers send none with it."""
    with fastapi_host(settings, dependencies=[Depends(locked_out)]) as ask:
        assert ask("OPTIONS", "/pay/create-checkout-session").status == 204
    with flask_host(settings, decorators=[login_required]) as ask:
        assert ask("OPTIONS", "/pay/create-checkout-session").status == 204


def test_flask_decorators_are_applied_in_order_the_last_outermost(settings: Settings) -> None:
    """As in Flask's own class-based views."""
    called: list[str] = []

    def noting(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
            def noted(**params: object) -> object:
                called.append(name)
                return view(**params)

            noted.__name__ = view.__name__
            return noted

        return decorate

    with flask_host(settings, decorators=[noting("inner"), noting("outer")]) as ask:
        ask("GET", "/pay/checkout-sessions/cs_test_x")
    assert called == ["outer", "inner"]


async def asynchronous_user(request: Request) -> str | None:
    return request.headers.get("x-user")


def plain_user(request: Request) -> str | None:
    return request.headers.get("x-user")


@pytest.mark.parametrize("user_id", [asynchronous_user, plain_user])
def test_the_host_s_user_is_on_the_session_in_fastapi(settings: Settings, stripe: Sandbox, user_id: UserId) -> None:
    """As `client_reference_id`, from a callable of either kind."""
    with fastapi_host(settings, user_id=user_id) as ask:
        check_user(ask, stripe)


def test_the_host_s_user_is_on_the_session_in_flask(settings: Settings, stripe: Sandbox) -> None:
    """As `client_reference_id`."""
    with flask_host(settings, user_id=lambda request: request.headers.get("x-user")) as ask:
        check_user(ask, stripe)


def check_user(ask: Ask, stripe: Sandbox) -> None:
    named = ask("POST", "/pay/create-checkout-session", text(REFERENCE), **{"X-User": "user-7"})
    assert stripe.session(named.json["sessionId"])["client_reference_id"] == "user-7"
    guest = ask("POST", "/pay/create-checkout-session", text(REFERENCE))
    assert stripe.session(guest.json["sessionId"])["client_reference_id"] is None
    impostor = ask("POST", "/pay/create-checkout-session", text(reference(metadata={"userId": "user-7"})))
    assert (impostor.status, impostor.json["fields"][0]["path"]) == (422, "metadata.userId")


def test_a_dependency_that_fastapi_would_answer_with_its_own_422_is_answered_in_ours(settings: Settings) -> None:
    """The client of these routes knows one shape of error."""

    def needs_header(request: Request, x_tenant: int) -> None: ...

    with fastapi_host(settings, dependencies=[Depends(needs_header)]) as ask:
        answer = ask("POST", "/pay/create-checkout-session?x_tenant=s3cret", text(REFERENCE))
        schema = ask("GET", "/openapi.json").body
    assert (answer.status, answer.code) == (422, "invalid_request")
    assert answer.json["fields"][0]["path"] == "query.x_tenant"
    assert b"s3cret" not in answer.body
    assert b"HTTPValidationError" not in schema.partition(b'"components"')[0]


@HOSTS
@pytest.mark.parametrize("secret", [None, "whsec_your_secret_here", "sk_test_abc"])
def test_without_webhooks_the_route_is_not_there_and_no_secret_is_needed(
    host: Host, stripe: Sandbox, tmp_path: Path, secret: str | None
) -> None:
    """For a process that only opens checkouts; one that is there is not looked at."""
    with host(made(stripe, tmp_path, stripe_webhook_secret=secret), webhooks=False) as ask:
        answer = ask("POST", "/pay/webhooks/stripe", b"{}")
        assert (answer.status, answer.code) == (404, "not_found")
        assert ask("POST", "/pay/create-checkout-session", text(REFERENCE)).status == 200


@HOSTS
def test_a_process_that_only_opens_checkouts_settles_nothing(host: Host, stripe: Sandbox, tmp_path: Path) -> None:
    """It has no handlers: what its success page brought waits for the process that has them, and is told there."""
    shared = made(stripe, tmp_path)
    with host(shared, webhooks=False) as ask:
        session_id = ask("POST", "/pay/create-checkout-session", text(REFERENCE)).json["sessionId"]
        stripe.pay(session_id)
        page = ask("GET", f"/pay/checkout-sessions/{session_id}")
    told: list[PaymentSuccessful] = []
    with contextlib.closing(Payments(shared, runner=False)) as shop:
        shop.on(PaymentSuccessful)(told.append)
        shop.run_due()
    assert page.json["paymentStatus"] == "paid"
    assert [event.session_id for event in told] == [session_id]


def test_in_fastapi_a_view_of_the_host_s_own_that_takes_webhooks_has_them_handled(settings: Settings) -> None:
    """The router was built without them, and its lifespan has begun before the first can come."""
    payments = AsyncPayments(settings)
    app = FastAPI()
    app.include_router(create_router(payments, webhooks=False), prefix="/pay")

    @app.post("/own")
    async def own(request: Request) -> None:
        await payments.receive_webhook(await request.body(), request.headers["Stripe-Signature"])

    @app.get("/waiting")
    async def waiting() -> bool:
        return await payments.core.store.next_due_s() is not None

    with asking_fastapi(app) as ask:
        assert ask("POST", "/own", EVENT, **signed()).status == 200
        until(lambda: ask("GET", "/waiting").json is False)


@pytest.mark.parametrize("started", [False, True], ids=["before anything else", "after the start"])
def test_in_flask_a_view_of_the_host_s_own_that_takes_webhooks_has_them_handled(
    settings: Settings, *, started: bool
) -> None:
    """The same where another request came before the first of them."""
    with contextlib.closing(Payments(settings)) as payments:
        payments.without_webhooks()
        if started:
            payments.start()
        payments.receive_webhook(EVENT, signed()["Stripe-Signature"])
        until(lambda: run_blocking(payments.core.store.next_due_s()) is None)


def signed() -> dict[str, str]:
    return {"Stripe-Signature": sign(EVENT, WEBHOOK_SECRET, timestamp_s=int(time.time()))}


def until(reached: Callable[[], bool]) -> None:
    """Wait for what the runner does."""
    deadline_s = time.monotonic() + 180
    while not reached():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_whoever_settles_with_nobody_told_is_warned(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """At the start: without handlers and a broker; not where somebody is told, or nothing is run."""

    def warned(*, runner: bool = True, handles: bool = False, **changes: Any) -> bool:
        caplog.clear()
        with contextlib.closing(Payments(settings.model_copy(update=changes), runner=runner)) as payments:
            if handles:
                payments.on("charge.refunded")(lambda event: None)
            payments.start()
        return "No handler is registered" in caplog.text

    assert warned()
    assert not warned(runner=False)
    # A view of the host's own takes the webhooks that the routes were built without.
    with contextlib.closing(Payments(settings)) as payments:
        caplog.clear()
        payments.without_webhooks()
        payments.receive_webhook(EVENT, sign(EVENT, WEBHOOK_SECRET, timestamp_s=int(time.time())))
    assert "No handler is registered" in caplog.text
    assert not warned(handles=True)
    assert not warned(kafka_brokers="127.0.0.1:1")


@HOSTS
@pytest.mark.parametrize(
    "secret",
    [None, "", "   ", "whsec_", "whsec_your_secret_here", "changeme", "sk_test_abc", "secret", "whsec_a b c d e"],
)
def test_a_secret_that_could_verify_a_forgery_stops_the_construction(
    host: Host, stripe: Sandbox, tmp_path: Path, secret: str | None
) -> None:
    """One sentence that names the variable, and not the value."""
    opening = host(made(stripe, tmp_path, stripe_webhook_secret=secret))
    with pytest.raises(ConfigurationError, match="STRIPE_WEBHOOK_SECRET") as stopped, opening:
        raise AssertionError("constructed")
    assert secret is None or len(secret) < 10 or secret not in str(stopped.value)


def test_each_adapter_refuses_the_other_s_facade(settings: Settings) -> None:
    """The wrong twin would block the loop, or find none."""
    payments = Payments(settings)
    with contextlib.closing(payments), pytest.raises(ConfigurationError, match="AsyncPayments"):
        create_router(payments)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="Payments"):
        create_blueprint(AsyncPayments(settings))  # type: ignore[arg-type]


def test_errors_of_the_host_s_own_views_are_answered_in_our_shape() -> None:
    """`install_error_handlers` in both frameworks, also without any of the routes."""
    fastapi_app, flask_app = FastAPI(), Flask(__name__)
    install_in_fastapi(fastapi_app)
    install_in_flask(flask_app)

    @fastapi_app.get("/invalid")
    async def invalid() -> None:
        raise InvalidRequest("Not like that.")

    @fastapi_app.get("/unavailable")
    async def unavailable() -> None:
        raise StoreUnavailable("at 10.0.0.1")

    flask_app.add_url_rule("/invalid", view_func=raising(InvalidRequest("Not like that.")), endpoint="invalid")
    flask_app.add_url_rule("/unavailable", view_func=raising(StoreUnavailable("at 10.0.0.1")), endpoint="unavailable")
    with asking_fastapi(fastapi_app) as ask:
        check_own_views(ask)
    check_own_views(asking_flask(flask_app))


def test_an_error_in_a_websocket_of_the_host_s_is_the_host_s() -> None:
    """There is no reply to give, and the error is not hidden behind one about the giving."""
    app = FastAPI()
    install_in_fastapi(app)

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        raise StoreUnavailable("away")

    with TestClient(app) as client, pytest.raises(StoreUnavailable, match="away"), client.websocket_connect("/live"):
        pass


def raising(error: Exception) -> Callable[[], None]:
    def view() -> None:
        raise error

    return view


def check_own_views(ask: Ask) -> None:
    invalid = ask("GET", "/invalid", **{"X-Request-Id": "req-1"})
    assert (invalid.status, invalid.code, invalid.headers["x-request-id"]) == (422, "invalid_request", "req-1")
    unavailable = ask("GET", "/unavailable")
    assert (unavailable.status, unavailable.code, unavailable.headers["retry-after"]) == (503, "store_unavailable", "2")
    assert b"10.0.0.1" not in unavailable.body


def test_in_fastapi_the_host_s_routes_win_under_the_same_prefix_and_without_any(settings: Settings) -> None:
    """Registered before or after ours, with a slash at the end or for another method."""
    app = FastAPI()
    router = create_router(AsyncPayments(settings))
    app.include_router(router, prefix="/pay")
    app.include_router(create_router(AsyncPayments(settings)))
    app.get("/pay/later")(lambda: "host")
    app.get("/elsewhere")(lambda: "host")
    app.post("/only-post")(lambda: "host")
    app.get("/slash/")(lambda: "host")
    with asking_fastapi(app) as ask:
        assert ask("GET", "/pay/later").json == "host"
        assert ask("GET", "/elsewhere").json == "host"
        assert ask("GET", "/only-post").json == {"detail": "Method Not Allowed"}
        assert ask("GET", "/slash").status == 307
        assert ask("GET", "/unknown").json == {"detail": "Not Found"}
        assert ask("GET", "/pay/unknown").code == "not_found"
        assert ask("GET", "/health").json == {"status": "ok"}


@pytest.mark.parametrize("prefix", ["", "/", None])
def test_in_flask_the_host_s_routes_win_under_the_same_prefix_and_without_any(
    settings: Settings, prefix: str | None
) -> None:
    """Registered before or after ours."""
    app = Flask(__name__)
    payments = Payments(settings)
    app.register_blueprint(create_blueprint(payments), url_prefix="/pay")
    app.register_blueprint(create_blueprint(payments, name="again"), url_prefix=prefix)
    app.add_url_rule("/pay/later", view_func=lambda: "host", endpoint="later")
    app.add_url_rule("/elsewhere", view_func=lambda: "host", endpoint="elsewhere")
    app.add_url_rule("/pay/", view_func=lambda: "host", endpoint="index")
    app.add_url_rule("/pay/<path:file>", view_func=lambda file: file, endpoint="files", methods=["PUT"])
    with contextlib.closing(payments):
        ask = asking_flask(app)
        assert ask("GET", "/pay/later").body == b"host"
        assert ask("GET", "/elsewhere").body == b"host"
        assert (ask("GET", "/pay").status, ask("GET", "/pay/").body) == (308, b"host")
        assert ask("PUT", "/pay/a/b").body == b"a/b"
        assert b"<!doctype html>" in ask("GET", "/unknown").body
        assert ask("GET", "/pay/unknown").code == "not_found"
        assert ask("GET", "/health").json == {"status": "ok"}


def test_two_applications_in_one_process_keep_apart(stripe: Sandbox, tmp_path: Path) -> None:
    """Two shops, two databases: a session made in one is not found in the other."""
    for host in (fastapi_host, flask_host):
        folders = [tmp_path / host.__name__ / name for name in ("a", "b")]
        for folder in folders:
            folder.mkdir(parents=True)
        with host(made(stripe, folders[0])) as one, host(made(stripe, folders[1])) as other:
            session_id = one("POST", "/pay/create-checkout-session", text(REFERENCE)).json["sessionId"]
            assert one("GET", f"/pay/checkout-sessions/{session_id}").status == 200
            assert other("GET", f"/pay/checkout-sessions/{session_id}").status == 404


@HOSTS
def test_stripe_out_of_reach_is_a_503_that_says_when_to_try_again(host: Host, stripe: Sandbox, tmp_path: Path) -> None:
    """And a refused key is a 502; neither tells a stranger more."""
    with host(made(stripe, tmp_path, stripe_api_base="http://127.0.0.1:9")) as ask:
        answer = ask("POST", "/pay/create-checkout-session", text(REFERENCE))
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "stripe_unavailable", "5")
    assert b"127.0.0.1" not in answer.body


def test_the_raw_body_reaches_the_webhook_also_where_the_host_has_read_it_before(settings: Settings) -> None:
    """A host's request logging must not break signatures."""
    app = FastAPI()
    app.include_router(create_router(AsyncPayments(settings)), prefix="/pay")

    @app.middleware("http")
    async def read_first(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        assert await request.body() == EVENT
        return await call_next(request)

    signature = {"Stripe-Signature": sign(EVENT, WEBHOOK_SECRET, timestamp_s=int(time.time()))}
    with asking_fastapi(app) as ask:
        assert ask("POST", "/pay/webhooks/stripe", EVENT, **signature).status == 200
    flask_app, payments = Flask(__name__), Payments(settings)
    flask_app.register_blueprint(create_blueprint(payments), url_prefix="/pay")
    flask_app.before_request(lambda: None if flask_request.get_data() == EVENT else "altered")
    with contextlib.closing(payments):
        assert asking_flask(flask_app)("POST", "/pay/webhooks/stripe", EVENT, **signature).status == 200


def test_a_lower_limit_of_the_flask_host_s_does_not_cut_webhooks(settings: Settings) -> None:
    """`MAX_CONTENT_LENGTH` is for the host's uploads; Stripe's events are as large as they are."""
    app, payments = Flask(__name__), Payments(settings)
    app.config["MAX_CONTENT_LENGTH"] = 10
    app.register_blueprint(create_blueprint(payments), url_prefix="/pay")
    signature = {"Stripe-Signature": sign(EVENT, WEBHOOK_SECRET, timestamp_s=int(time.time()))}
    with contextlib.closing(payments):
        assert asking_flask(app)("POST", "/pay/webhooks/stripe", EVENT, **signature).status == 200
