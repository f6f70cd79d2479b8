"""What each route makes of a request, over a scripted core: the reply's bytes, and what nobody may see of a failure."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, field

from payments_core import errors
from payments_core.app.endpoints import answer
from payments_core.domain.cart import CheckoutRequest, CheckoutSession
from payments_core.domain.pricing import PriceClaim
from payments_core.domain.strict_json import read_json
from payments_core.drive import run_blocking
from payments_core.errors import Discrepancy
from payments_core.http.addresses import Proxies
from payments_core.http.messages import Headers, HttpReply, HttpRequest
from payments_core.http.refusals import refuse_method
from payments_core.http.routes import (
    CHECKOUT_SESSION,
    CREATE_CHECKOUT_SESSION,
    HEALTH,
    READY,
    ROUTES,
    STRIPE_WEBHOOK,
    VERIFY_PRICES,
    Route,
    routes,
)
from payments_core.money import Money
from payments_core.settings import Settings
from tests.http.wrong_bodies import REFERENCE, reference, text

SETTINGS = Settings.of(stripe_secret_key="sk_test_abc", stripe_webhook_secret="whsec_abcd1234")


@define
class Status:
    session_id: str
    status: str
    payment_status: str
    amount_total: Money | None


@define
class Ready:
    ready: bool
    checks: Mapping[str, Any]


class Admitting:
    """A guard that lets everybody in."""

    async def admit(self, route: str, *, user_id: str | None, caller: str) -> None:
        """Nothing is counted, and nothing is kept of the caller."""


@define
class ScriptedCore:
    """Answers as told, or fails as told, and remembers what it was asked."""

    result: object = None
    settings: Settings = SETTINGS
    asked: list[tuple[object, ...]] = field(factory=list)
    start_failure: Exception | None = None
    guard: Admitting = field(factory=Admitting)
    proxies: Proxies = field(factory=Proxies)

    async def start(self) -> None:
        if self.start_failure is not None:
            raise self.start_failure

    async def create_checkout_session(self, request: CheckoutRequest, user_id: str | None, key: str | None) -> object:
        return self._told(request, user_id, key)

    async def verify_prices(self, claims: Sequence[PriceClaim]) -> object:
        return self._told(claims)

    async def receive_webhook(self, body: bytes, signature: str | None, *, traceparent: str | None) -> object:
        return self._told(body, signature, traceparent)

    async def session_status(self, session_id: str) -> object:
        return self._told(session_id)

    async def readiness(self) -> object:
        return self._told()

    def _told(self, *asked: object) -> object:
        self.asked.append(asked)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def ask(core: ScriptedCore, route: Route, body: bytes = b"", **more: Any) -> HttpReply:
    headers = {"content-type": "application/json", "x-request-id": "req-1", **more.pop("headers", {})}
    request = HttpRequest(route.method, route.path, Headers(headers.items()), body, **more)
    return run_blocking(answer(core, route, request, core.start))  # type: ignore[arg-type] - shaped like a Core


def test_a_created_session_is_told_with_its_address() -> None:
    """200, the id and where to send the buyer; no client secret where there is none."""
    core = ScriptedCore(CheckoutSession("cs_test_1", "https://pay.example/1"))
    reply = ask(core, CREATE_CHECKOUT_SESSION, text(REFERENCE), user_id="u1", names_users=True)
    assert (reply.status, reply.body) == (200, b'{"sessionId":"cs_test_1","url":"https://pay.example/1"}')
    request, user_id, key = core.asked[0]
    assert isinstance(request, CheckoutRequest)
    assert (request.cart.subtotal, user_id, key) == (Money(5998, "usd"), "u1", None)


def test_an_idempotency_key_is_passed_on_as_it_came() -> None:
    """Also an empty one: whether it can be used is the checkout's decision."""
    core = ScriptedCore(CheckoutSession("cs_test_1", "https://pay.example/1"))
    for key in ("order 1/2", ""):
        ask(core, CREATE_CHECKOUT_SESSION, text(REFERENCE), headers={"idempotency-key": key})
    assert [asked[2] for asked in core.asked] == ["order 1/2", ""]


def test_an_embedded_session_is_told_with_its_client_secret() -> None:
    """`url` is null then, not absent."""
    core = ScriptedCore(CheckoutSession("cs_test_1", None, "cs_test_1_secret_x"))
    reply = ask(core, CREATE_CHECKOUT_SESSION, text(REFERENCE))
    assert json.loads(reply.body) == {"sessionId": "cs_test_1", "url": None, "clientSecret": "cs_test_1_secret_x"}


def test_verified_prices_are_told_in_one_word() -> None:
    """Nothing but `verified` where nothing differs."""
    body = b'{"products":[{"productId":"p","price":29.99,"quantity":1}]}'
    assert ask(ScriptedCore(()), VERIFY_PRICES, body).body == b'{"verified":true}'


def test_differing_prices_are_told_exactly() -> None:
    """Numbers, in major units, with the currency's digits."""
    body = b'{"products":[{"productId":"p","price":0.1,"quantity":1}]}'
    core = ScriptedCore((Discrepancy("p", Decimal("29.90"), Decimal("0.10")),))
    assert ask(core, VERIFY_PRICES, body).body == (
        b'{"verified":false,"discrepancies":[{"productId":"p","expectedPrice":29.90,"providedPrice":0.10}]}'
    )


def test_a_webhook_is_answered_to_the_letter_and_passed_on_as_it_came() -> None:
    """The very bytes, the signature, the trace."""
    core = ScriptedCore(True)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"Stripe-Signature": "t=1,v1=a", "traceparent": trace, "content-type": "text/plain"}
    reply = ask(core, STRIPE_WEBHOOK, b"\x00 any bytes", headers=headers)
    assert (reply.status, reply.body) == (200, b'{"received": true}')
    assert core.asked == [(b"\x00 any bytes", "t=1,v1=a", trace)]


def test_every_cause_of_a_bad_signature_gets_one_and_the_same_body() -> None:
    """The reply teaches a forger nothing."""
    bodies = {
        ask(ScriptedCore(errors.InvalidSignature(cause)), STRIPE_WEBHOOK, b"{}").body for cause in ("old", "forged")
    }
    assert len(bodies) == 1
    reply = read_json(bodies.pop())
    assert isinstance(reply, dict)
    assert (reply["error"], reply["code"]) == ("Invalid signature", "invalid_signature")


def test_a_session_s_state_is_told_without_personal_data() -> None:
    """What a success page needs, and no more."""
    core = ScriptedCore(Status("cs_test_1", "complete", "paid", Money(5998, "usd")))
    reply = ask(core, CHECKOUT_SESSION, params={"session_id": "cs_test_1"})
    assert reply.body == (
        b'{"sessionId":"cs_test_1","status":"complete","paymentStatus":"paid","amountTotal":59.98,"currency":"usd"}'
    )


def test_an_amount_that_is_not_known_yet_is_null() -> None:
    """Absent is unknown, not zero."""
    core = ScriptedCore(Status("cs_test_1", "open", "unpaid", None))
    reply = ask(core, CHECKOUT_SESSION, params={"session_id": "cs_test_1"})
    assert json.loads(reply.body)["amountTotal"] is None


@pytest.mark.parametrize(
    "session_id", ["", "x", "cs_", "pi_123", "cs_test_1\x00", "cs_../..", "cs_" + "x" * 300, "cs_t\u00e9st"]
)
def test_a_malformed_session_id_asks_nobody(session_id: str) -> None:
    """404, and neither the store nor Stripe hears of it."""
    core = ScriptedCore()
    reply = ask(core, CHECKOUT_SESSION, params={"session_id": session_id})
    assert (reply.status, json.loads(reply.body)["code"], core.asked) == (404, "session_not_found", [])


def test_health_asks_nobody() -> None:
    """Liveness does not depend on a store."""
    core = ScriptedCore(RuntimeError())
    assert (ask(core, HEALTH).status, core.asked) == (200, [])


def test_a_store_that_cannot_be_made_ready_is_a_503_and_no_failure_of_health() -> None:
    """Liveness is answered meanwhile, so that nobody restarts a process over its database."""
    core = ScriptedCore(start_failure=errors.StoreUnavailable("x"))
    assert ask(core, HEALTH).status == 200
    assert ask(core, READY).status == 503
    assert ask(core, STRIPE_WEBHOOK, b"{}").status == 503
    assert core.asked == []


def test_a_database_that_is_not_prepared_is_not_ready(caplog: pytest.LogCaptureFixture) -> None:
    """A missing schema: 503 for whoever asks for readiness; what to run stands in the log, not in the reply."""
    core = ScriptedCore(start_failure=errors.ConfigurationError("The database d; run `payments db upgrade`."))
    reply = ask(core, READY)
    assert reply.status == 503
    assert json.loads(reply.body)["checks"] == {"store": "unprepared"}
    assert b"the server's log says what to run" in reply.body
    assert b"database d" not in reply.body
    assert "GET /ready failed: The database d; run `payments db upgrade`." in caplog.messages
    assert ask(core, CREATE_CHECKOUT_SESSION, text(REFERENCE)).status == 500


def test_a_failure_is_logged_with_its_route(caplog: pytest.LogCaptureFixture) -> None:
    """The route as it is mounted, not as it was called: nobody writes lines of his own into the log."""
    core = ScriptedCore(errors.StoreUnavailable("The database is away."))
    ask(core, CHECKOUT_SESSION, params={"session_id": "cs_test_1"})
    ask(ScriptedCore(RuntimeError()), CHECKOUT_SESSION, params={"session_id": "cs_test_1"})
    assert caplog.messages[0] == "GET /checkout-sessions/{session_id} failed: The database is away."
    assert caplog.messages[1].startswith("GET /checkout-sessions/{session_id} failed unexpectedly: RuntimeError,")


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
def test_readiness_is_a_status_and_its_reasons(ready: bool, status: int) -> None:
    """A load balancer reads the status, a person the checks."""
    reply = ask(ScriptedCore(Ready(ready, {"store": "ok", "outboxBacklog": 3})), READY)
    assert reply.status == status
    assert json.loads(reply.body) == {"ready": ready, "checks": {"store": "ok", "outboxBacklog": 3}}


FAILURES: list[tuple[Exception, int, str]] = [
    (errors.InvalidRequest("x"), 422, "invalid_request"),
    (errors.ProductIdRequired("x"), 422, "product_id_required"),
    (errors.UnknownProduct("x"), 422, "unknown_product"),
    (errors.RedirectNotAllowed("x"), 422, "redirect_not_allowed"),
    (errors.PriceVerificationError([]), 422, "price_mismatch"),
    (errors.MalformedJson("x"), 400, "malformed_json"),
    (errors.SessionNotFound("x"), 404, "session_not_found"),
    (errors.StripeError("x", "api_key_expired"), 502, "stripe_error"),
    (errors.StripeObjectMissing("x"), 502, "stripe_error"),
    (errors.StripeUnavailable("x"), 503, "stripe_unavailable"),
    (errors.StripeError("x", "url_invalid", param="success_url"), 422, "invalid_request"),
    (errors.StoreUnavailable("x"), 503, "store_unavailable"),
    (errors.ConfigurationError("x"), 500, "internal_error"),
    (errors.FlowSuspendedError("x"), 500, "internal_error"),
    (RuntimeError("x"), 500, "internal_error"),
    (KeyError("x"), 500, "internal_error"),
    (RecursionError(), 500, "internal_error"),
]


@pytest.mark.parametrize(("failure", "status", "code"), FAILURES, ids=lambda value: str(value)[:20])
def test_every_failure_has_its_status_and_code(failure: Exception, status: int, code: str) -> None:
    """In one shape, with the request's id, and never cached."""
    reply = ask(ScriptedCore(failure), CREATE_CHECKOUT_SESSION, text(REFERENCE))
    headers = Headers(reply.headers)
    body = json.loads(reply.body)
    assert (reply.status, body["code"]) == (status, code)
    assert {"error", "code", "detail"} <= body.keys()
    assert (headers["X-Request-Id"], headers["Cache-Control"]) == ("req-1", "no-store")
    assert ("Retry-After" in headers) == (status == 503)


def test_differing_prices_of_a_checkout_are_listed() -> None:
    """The shop can show the buyer the right price."""
    failure = errors.PriceVerificationError([Discrepancy("p", Decimal("29.99"), Decimal("0.01"))])
    body = ask(ScriptedCore(failure), CREATE_CHECKOUT_SESSION, text(REFERENCE)).body
    assert b'"discrepancies":[{"productId":"p","expectedPrice":29.99,"providedPrice":0.01}]' in body


@pytest.mark.parametrize(
    "failure", [RuntimeError("s3cret"), errors.StripeError("s3cret"), errors.StoreUnavailable("s3cret")]
)
def test_a_failure_of_ours_tells_a_stranger_nothing(failure: Exception) -> None:
    """No message of a failing part, no trace."""
    reply = ask(ScriptedCore(failure), CREATE_CHECKOUT_SESSION, text(REFERENCE))
    assert b"s3cret" not in reply.body
    assert b"Traceback" not in reply.body


def test_an_unexpected_failure_is_logged_with_its_place_and_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    """Its message may quote a body or a secret; where it happened is enough to find it."""
    with caplog.at_level(logging.ERROR, "payments_core.http"):
        ask(ScriptedCore(RuntimeError("s3cret in a driver's words")), CREATE_CHECKOUT_SESSION, text(REFERENCE))
    assert "RuntimeError" in caplog.text
    assert "req-1" in caplog.text
    assert "test_endpoints.py" in caplog.text
    assert "s3cret" not in caplog.text
    assert "customer@example.com" not in caplog.text


def test_a_guest_may_not_name_himself_where_the_host_names_its_users() -> None:
    """`userId` in the metadata would be believed at settlement."""
    core = ScriptedCore(CheckoutSession("cs_test_1", None))
    body = text(reference(metadata={"userId": "admin"}))
    reply = ask(core, CREATE_CHECKOUT_SESSION, body, names_users=True)
    assert (reply.status, core.asked) == (422, [])
    assert json.loads(reply.body)["fields"][0]["path"] == "metadata.userId"
    assert ask(core, CREATE_CHECKOUT_SESSION, body, names_users=False).status == 200


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_another_method_is_refused_with_the_ones_that_are_answered(route: Route) -> None:
    """405 with Allow, in our shape."""
    reply = refuse_method(route, HttpRequest("DELETE", route.path, Headers()))
    assert (reply.status, json.loads(reply.body)["code"]) == (405, "method_not_allowed")
    assert Headers(reply.headers)["Allow"] == ", ".join(route.allowed)


def test_options_is_told_what_is_answered() -> None:
    """No guard and no body: a browser's preflight asks without credentials."""
    reply = refuse_method(CREATE_CHECKOUT_SESSION, HttpRequest("OPTIONS", "/", Headers()))
    assert (reply.status, reply.body, Headers(reply.headers)["Allow"]) == (204, b"", "POST, OPTIONS")


def test_without_webhooks_there_is_no_webhook_route() -> None:
    """The five others stay."""
    assert set(ROUTES) - set(routes(webhooks=False)) == {STRIPE_WEBHOOK}


def test_the_host_s_guards_hold_for_exactly_three_routes() -> None:
    """Webhook, health and ready are never behind a login."""
    assert {route for route in ROUTES if route.guarded} == {CREATE_CHECKOUT_SESSION, VERIFY_PRICES, CHECKOUT_SESSION}


def test_a_body_over_the_limit_is_refused_even_where_the_adapter_let_it_through() -> None:
    """The limit is the core's own."""
    core = ScriptedCore(True)
    assert ask(core, STRIPE_WEBHOOK, b"x" * 1_048_576).status == 200
    assert ask(core, STRIPE_WEBHOOK, b"x" * 1_048_577).status == 413
    assert len(core.asked) == 1
