"""stripe-python, unmodified, against a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

import pytest
import requests
import stripe

from payments_core.sandbox import Sandbox, running
from tests.sandbox.conftest import SECRET, cart

DEADLINE_S = 20
BUYER = {"email": "a@b.example", "cc-number": "4242424242424242", "cc-exp": "12/40", "cc-csc": "123", "cc-name": "A"}
CLIENTS = ["requests", "aiohttp"]


@pytest.fixture
def client(served: Sandbox) -> stripe.StripeClient:
    """The synchronous client."""
    return stripe.StripeClient(
        "sk_test_sdk", base_addresses={"api": served.base_url}, http_client=stripe.RequestsClient()
    )


@pytest.fixture
def telemetry_off() -> Iterator[None]:
    """The SDK writes no file about itself."""
    before, stripe.enable_telemetry = stripe.enable_telemetry, False
    yield
    stripe.enable_telemetry = before


pytestmark = pytest.mark.usefixtures("telemetry_off")


def test_a_checkout_from_catalogue_to_charge(client: stripe.StripeClient, served: Sandbox) -> None:
    """Every service method on the way, typed by the SDK."""
    product = client.v1.products.create({"id": "shirt-1", "name": "Shirt", "metadata": {"sku": "S1"}})
    price = client.v1.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 2999, "lookup_key": "shirt"}
    )
    client.v1.products.update(product.id, {"default_price": price.id})
    found = client.v1.prices.list({"lookup_keys": ["shirt"], "active": True, "expand": ["data.product"]}).data[0]
    session = client.v1.checkout.sessions.create(cart(line_items=[{"price": found.id, "quantity": 2}]))  # type: ignore[arg-type]
    client.v1.checkout.sessions.update(session.id, {"metadata": {"order": "7"}})
    assert session.url is not None
    assert requests.get(session.url, timeout=DEADLINE_S).status_code == 200
    assert requests.post(session.url, data=BUYER, timeout=DEADLINE_S, allow_redirects=False).status_code == 303

    paid = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["line_items", "payment_intent.latest_charge"]})
    lines = client.v1.checkout.sessions.line_items.list(session.id, {"limit": 100})

    assert (paid.payment_status, paid.amount_total, paid.metadata["order"]) == ("paid", 5998, "7")  # type: ignore[index]
    assert isinstance(paid.payment_intent, stripe.PaymentIntent)
    assert isinstance(paid.payment_intent.latest_charge, stripe.Charge)
    assert [(line.description, line.quantity) for line in lines.data] == [("Shirt", 2)]
    assert client.v1.charges.retrieve(paid.payment_intent.latest_charge.id).paid
    assert client.v1.payment_intents.list().data[0].id == paid.payment_intent.id
    assert client.v1.events.list({"types": ["checkout.session.completed"]}).data[0].data.object["id"] == session.id
    assert (
        client.v1.invoice_payments.list(
            {"payment": {"type": "payment_intent", "payment_intent": paid.payment_intent.id}}
        ).data
        == []
    )
    assert client.v1.accounts.retrieve_current().charges_enabled
    assert client.v1.balance.retrieve().pending[0].amount == 5998


def test_a_list_pages_by_itself(client: stripe.StripeClient) -> None:
    """The SDK's iterator walks all pages."""
    for number in range(25):
        client.v1.products.create({"name": f"P{number}"})

    names = [product.name for product in client.v1.products.list({"limit": 10}).auto_paging_iter()]

    assert names == [f"P{number}" for number in reversed(range(25))]


def test_refusals_become_the_sdks_own_errors(client: stripe.StripeClient, served: Sandbox) -> None:
    """Class, code, parameter and request id, as the SDK shows Stripe's."""
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.checkout.sessions.retrieve("cs_test_none")
    client.v1.products.create({"name": "a"}, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError):
        client.v1.products.create({"name": "b"}, {"idempotency_key": "k"})
    with pytest.raises(stripe.AuthenticationError):
        client.v1.products.list({}, {"api_key": "sk_live_none"})
    with pytest.raises(stripe.InvalidRequestError, match="does not implement"):
        client.v1.payouts.list()

    assert (refused.value.code, refused.value.param, refused.value.http_status) == ("resource_missing", "session", 404)
    assert refused.value.request_id is not None
    assert refused.value.request_id.startswith("req_")


async def test_the_asynchronous_client_does_a_checkout_too(served: Sandbox) -> None:
    """Over aiohttp, on the test's own loop."""
    http = stripe.AIOHTTPClient()
    client = stripe.StripeClient("sk_test_sdk", base_addresses={"api": served.base_url}, http_client=http)
    try:
        session = await client.v1.checkout.sessions.create_async(cart())  # type: ignore[arg-type]
        served.pay(session.id)
        paid = await client.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["payment_intent"]})
        lines = await client.v1.checkout.sessions.line_items.list_async(session.id)
        events = [event.type async for event in (await client.v1.events.list_async({"limit": 2})).auto_paging_iter()]
    finally:
        await http.close_async()

    assert paid.status == "complete"
    assert lines.data[0].amount_total == 5998
    assert len(events) == 4


class Shop(BaseHTTPRequestHandler):
    """A shop's webhook: it fails as often as it is told to, then takes everything."""

    inbox: Queue[tuple[str, str]]
    failures: list[int]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        fail = bool(self.failures) and self.failures.pop() > 0
        if not fail:
            self.inbox.put((body, self.headers["Stripe-Signature"]))
        self.send_response(500 if fail else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Keep quiet."""


@pytest.mark.parametrize("failures", [[], [1]], ids=["at once", "after a failure"])
def test_a_running_sandbox_delivers_by_itself(failures: list[int]) -> None:
    """The shop gets all events of a payment, each signed so that the SDK constructs it, also after it failed once."""
    inbox: Queue[tuple[str, str]] = Queue()
    handler = type("Handler", (Shop,), {"inbox": inbox, "failures": list(failures)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as shop:
        threading.Thread(target=shop.serve_forever, daemon=True).start()
        with running(webhook_secret=SECRET, forward_to=[f"http://127.0.0.1:{shop.server_port}/hook"]) as sandbox:
            client = stripe.StripeClient(
                "sk_test_sdk", base_addresses={"api": sandbox.base_url}, http_client=stripe.RequestsClient()
            )
            session = client.v1.checkout.sessions.create(cart())  # type: ignore[arg-type]
            sandbox.pay(session.id)

            events = [
                client.construct_event(body, signature, SECRET)
                for body, signature in (inbox.get(timeout=DEADLINE_S) for _ in range(4))
            ]
        shop.shutdown()

    assert {event.type for event in events} == {
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    }
