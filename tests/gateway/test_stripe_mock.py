"""Every request that the gateway sends passes stripe-mock, Stripe's own check of requests against its specification.

stripe-mock v0.203.0 knows the values that API version 2026-10-28.endive takes for what is sent here (`ui_mode`
included): no request is excepted. It answers from fixed examples, so what comes back is not looked at. It is built from
its Go module, once; without Go, or without the module, these tests are skipped with the reason.
"""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from payments_core.adapters.stripe import StripeGateway
from payments_core.adapters.stripe.sdk import BlockingCalls
from payments_core.domain.cart import Cart, CheckoutRequest, Line, UiMode
from payments_core.domain.catalogue import (
    Archive,
    Change,
    CreatePrice,
    CreateProduct,
    ListedPrice,
    ListedProduct,
    Put,
    UpdateProduct,
    plan,
)
from payments_core.domain.checkout import session_params
from payments_core.domain.listing import Span
from payments_core.domain.payment import Payment
from payments_core.drive import run_blocking
from payments_core.errors import StripeError
from payments_core.money import Money
from payments_core.ports import AccountGateway, Gateway
from payments_core.testing.contracts.gateway import PARAMS
from tests._services import unavailable
from tests.gateway.worlds import gateway_of, settings

VERSION = "v0.203.0"
BUILD_S = 400
pytestmark = pytest.mark.timeout(BUILD_S + 100)


@pytest.fixture(scope="session")
def stripe_mock(pytestconfig: pytest.Config) -> Path:
    """The program, built once for this checkout."""
    cache = pytestconfig.cache
    assert cache is not None
    program = cache.mkdir("stripe-mock") / f"stripe-mock-{VERSION}"
    if not program.exists():
        build(program)
    return program


def build(program: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip(unavailable("go", "stripe-mock is built with Go, which is not installed"))
    folder = program.parent / f"build-{os.getpid()}"
    command = [go, "install", f"github.com/stripe/stripe-mock@{VERSION}"]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "GOBIN": str(folder)},
            capture_output=True,
            text=True,
            timeout=BUILD_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(unavailable("go", f"stripe-mock was not built within {BUILD_S} s"))
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        pytest.skip(unavailable("go", f"stripe-mock cannot be built here: {reason}"))
    (folder / "stripe-mock").replace(program)
    folder.rmdir()


@pytest.fixture(scope="module")
def mock_url(stripe_mock: Path) -> Iterator[str]:
    """A stripe-mock on a free loopback port."""
    process = subprocess.Popen(
        [str(stripe_mock), "-http-addr", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    # It ends the pipe when it cannot start; a start that hangs is ended with it.
    guard = threading.Timer(30, process.kill)
    guard.start()
    said = ""
    for line in process.stdout:
        said += line
        found = re.search(r"HTTP at address: (127\.0\.0\.1:\d+)", line)
        if found:
            guard.cancel()
            yield f"http://{found[1]}"
            break
    else:
        pytest.fail(f"stripe-mock did not start: {said}")
    process.terminate()
    process.wait(20)
    process.stdout.close()


@pytest.fixture
def gateway(mock_url: str) -> Iterator[StripeGateway]:
    made = gateway_of("blocking", settings(mock_url))
    yield made
    run_blocking(made.close())


SPAN = Span(1_795_000_000, 1_795_086_400)
REQUESTS: dict[str, Callable[[StripeGateway], Awaitable[object]]] = {
    "hosted page": lambda stripe: stripe.create_session(PARAMS, idempotency_key="key_1"),
    "session": lambda stripe: stripe.session("cs_test_1"),
    "session of an intent": lambda stripe: stripe.session_of_intent("pi_1"),
    "line items": lambda stripe: stripe.line_items("cs_test_1"),
    "intent": lambda stripe: stripe.intent("pi_1"),
    "charge": lambda stripe: stripe.charge("ch_1"),
    "invoice": lambda stripe: stripe.invoice("in_1"),
    "invoice of an intent": lambda stripe: stripe.invoice_of_intent("pi_1"),
    "intents of an invoice": lambda stripe: stripe.intents_of_invoice("in_1"),
    "events": lambda stripe: stripe.events(SPAN),
    "undelivered events": lambda stripe: stripe.events(SPAN, undelivered=True),
    "sessions": lambda stripe: stripe.sessions(SPAN),
    "intents": lambda stripe: stripe.intents(SPAN),
    "invoices": lambda stripe: stripe.invoices(SPAN),
    "refunds": lambda stripe: stripe.refunds(SPAN),
    "refund": lambda stripe: stripe.refund("re_1"),
    "next page of events": lambda stripe: stripe.events(SPAN, after="evt_1", undelivered=True),
    "next page of sessions": lambda stripe: stripe.sessions(SPAN, after="cs_test_1"),
    "next page of intents": lambda stripe: stripe.intents(SPAN, after="pi_1"),
    "next page of invoices": lambda stripe: stripe.invoices(SPAN, after="in_1"),
    "next page of refunds": lambda stripe: stripe.refunds(SPAN, after="re_1"),
    "end of a session": lambda stripe: stripe.expire_session("cs_test_1"),
    "products": lambda stripe: stripe.catalogue([f"prod_{number}" for number in range(100)]),
    "price": lambda stripe: stripe.catalogue(["price_1"]),
    "many prices": lambda stripe: stripe.catalogue([f"price_{number}" for number in range(10)]),
    "lookup keys": lambda stripe: stripe.catalogue([f"a.key.{number}" for number in range(10)]),
    "webhook endpoints": lambda stripe: stripe.webhook_endpoints(),
    "greeting": lambda stripe: stripe.greeting(),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_one_that_stripe_specifies(gateway: StripeGateway, name: str) -> None:
    """Path, parameters and values are in Stripe's specification: a refusal would raise."""

    async def asked() -> None:
        answer = await REQUESTS[name](gateway)
        assert getattr(answer, "refusal", None) is None

    run_blocking(asked())


#: Asks API v2, of which stripe-mock knows nothing.
OF_V2 = {"failure_notice"}


class Named:
    """Stands for a gateway and notes which of its methods was called."""

    def __init__(self) -> None:
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Callable[..., None]:
        self.called.add(name)
        return lambda *args, **kwargs: None


def test_no_call_of_the_gateway_is_left_out() -> None:
    """Each method of the port is among the requests."""
    named = Named()
    for ask in REQUESTS.values():
        ask(named)  # type: ignore[arg-type]

    ports = {**vars(Gateway), **vars(AccountGateway)}
    methods = {name for name, value in ports.items() if inspect.iscoroutinefunction(value)}
    assert methods - named.called == {"close", *OF_V2}


NOT_BY_ITS_EXAMPLES = {
    "one-time prices of a product": (
        "/v1/prices",
        {"product": "prod_1", "active": True, "type": "one_time", "expand": ["data.currency_options"], "limit": 100},
    ),
    "next page of lines": ("/v1/checkout/sessions/cs_test_1/line_items", {"limit": 100, "starting_after": "li_1"}),
    "next page of an invoice": ("/v1/invoices/in_1/lines", {"limit": 100, "starting_after": "il_1"}),
    "next page of invoice payments": (
        "/v1/invoice_payments",
        {"invoice": "in_1", "limit": 100, "starting_after": "inpay_1"},
    ),
}


@pytest.mark.parametrize("name", NOT_BY_ITS_EXAMPLES)
def test_requests_that_its_examples_do_not_lead_to_are_specified_too(mock_url: str, name: str) -> None:
    """Later pages, and the prices of a product without a default."""
    path, params = NOT_BY_ITS_EXAMPLES[name]
    assert run_blocking(BlockingCalls(settings(mock_url)).send("get", path, params))["object"] == "list"


WANTED = Put("shirt", "Shirt", Money(2999, "usd"), "Soft", ("https://shop.example/1.png",), {"sku": "S1"})
HAS = ListedProduct("shirt", False, "Old", "Old", ("https://shop.example/0.png",), {"old": "1"}, "price_1")
OLD_PRICE = ListedPrice("price_1", Money(1000, "usd"), plain=True, ours=True)


@pytest.mark.parametrize(
    ("change", "listed"),
    [
        (WANTED, None),
        (WANTED, evolve(HAS, prices=(OLD_PRICE,))),
        (evolve(WANTED, description="", images=(), metadata={}), HAS),
        (Archive("shirt"), evolve(HAS, active=True)),
    ],
    ids=["new product", "everything changed", "everything emptied", "archived"],
)
def test_what_keeps_the_catalogue_is_specified(mock_url: str, change: Change, listed: ListedProduct | None) -> None:
    """Every call of a plan, and the look before it."""
    stripe = gateway_of("blocking", settings(mock_url))

    async def carried_out() -> None:
        await stripe.listed("shirt")
        for number, step in enumerate(plan(change, listed)):
            key = f"key_{number}"
            if isinstance(step, CreateProduct):
                await stripe.create_product(step.params, idempotency_key=key)
            elif isinstance(step, CreatePrice):
                assert await stripe.create_price(step.params, idempotency_key=key)
            elif isinstance(step, UpdateProduct):
                params = {**step.params, **({"default_price": "price_2"} if "default_price" in step.params else {})}
                await stripe.update_product(step.product_id, params, idempotency_key=key)
            else:
                await stripe.update_price(step.price_id, {"active": False}, idempotency_key=key)
        with pytest.raises(StripeError):
            await stripe.update_product("shirt", {"price": 1}, idempotency_key="wrong")

    run_blocking(carried_out())
    run_blocking(stripe.close())


@pytest.mark.parametrize("ui_mode", ["hosted_page", "embedded_page"])
def test_what_checkout_composes_is_specified(gateway: StripeGateway, ui_mode: UiMode) -> None:
    """The parameters that the library itself composes, with everything that a request may hold."""
    assert run_blocking(gateway.create_session(composed(ui_mode), idempotency_key="key_1")).id


@pytest.mark.parametrize(
    "wrong", [{"nonsense": 1}, {"ui_mode": "embedded"}, {"payment_method_types": 7}, {"line_items": "shirt"}]
)
def test_a_wrong_request_is_refused(gateway: StripeGateway, wrong: dict[str, object]) -> None:
    """The check does check: unknown parameters, values and types are refused."""
    with pytest.raises(StripeError):
        run_blocking(gateway.create_session({**PARAMS, **wrong}, idempotency_key="key_1"))


def composed(ui_mode: UiMode) -> dict[str, Any]:
    """What `domain.checkout` sends for a cart with a declared line and a line from the catalogue."""
    unit = Money(2999, "usd")
    lines = (
        Line("Shirt", unit, 2, image="https://shop.example/shirt.png"),
        Line("Mug", unit, 1, product_id="prod_1", price_id="price_1"),
    )
    request = CheckoutRequest(
        Cart(lines),
        success_url="https://shop.example/thanks?session={CHECKOUT_SESSION_ID}",
        cancel_url="https://shop.example/cart" if ui_mode == "hosted_page" else None,
        customer_email="buyer@shop.example",
        metadata={"order": "7"},
        ui_mode=ui_mode,
    )
    payment = Payment(
        payment_id="pay_1",
        created_at=datetime(2026, 11, 23, tzinfo=UTC),
        livemode=False,
        cart=request.cart,
        user_id="user_1",
    )
    return session_params(request, payment, app="shop")
