"""stripe-python, unmodified, runs every service method that the sandbox claims: synchronously and asynchronously.

The list is made from the route table and the SDK's own services, so that none can be forgotten. One story uses them
all; each step's result is an object of the SDK.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
import stripe

from payments_core.sandbox import Sandbox, running
from payments_core.sandbox.routes import ROUTES
from tests.sandbox import pinned
from tests.sandbox.conftest import SECRET, cart

#: One step: the service's path in the client, the method, its arguments. What it gives back is sent in; where the path
#: begins with `!` it must be refused, and the error is.
Step = tuple[Any, ...]
Story = Generator[Step, Any, None]
BACK = "https://shop.test/back"


@pytest.fixture(autouse=True)
def telemetry_off() -> Iterator[None]:
    """The SDK writes no file about itself."""
    before, stripe.enable_telemetry = stripe.enable_telemetry, False
    yield
    stripe.enable_telemetry = before


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox behind a real server on a free port."""
    with running(webhook_secret=SECRET) as served:
        yield served


def claimed() -> set[tuple[str, str]]:
    """Module and method of each service method whose endpoint is in the route table."""
    return {
        (endpoint.module, endpoint.method)
        for endpoint in pinned.endpoints()
        if (endpoint.http, endpoint.path) in ROUTES
    }


def catalogue() -> Story:
    """Products, prices, and what changes a price."""
    products, prices = "v1.products", "v1.prices"
    shirt = yield products, "create", {"id": "shirt", "name": "Shirt", "metadata": {"sku": "S1"}}
    price = yield prices, "create", {"product": shirt.id, "currency": "usd", "unit_amount": 2999, "lookup_key": "shirt"}
    assert (yield products, "update", shirt.id, {"default_price": price.id}).default_price == price.id
    assert (yield products, "retrieve", shirt.id, {"expand": ["default_price"]}).default_price.unit_amount == 2999
    assert [p.id for p in (yield products, "list", {"active": True})] == ["shirt"]
    assert [p.id for p in (yield products, "search", {"query": "metadata['sku']:'S1'"})] == ["shirt"]
    assert (yield prices, "update", price.id, {"nickname": "summer"}).nickname == "summer"
    assert (yield prices, "retrieve", price.id).lookup_key == "shirt"
    found = yield prices, "list", {"lookup_keys": ["shirt"], "expand": ["data.product"]}
    assert found.data[0].product.name == "Shirt"
    assert [p.id for p in (yield prices, "search", {"query": "lookup_key:'shirt'"})] == [price.id]
    gone = yield products, "create", {"name": "Gone"}
    assert (yield products, "delete", gone.id).deleted is True


def discounts() -> Story:
    """Coupons, promotion codes, tax rates, shipping rates."""
    coupons, codes = "v1.coupons", "v1.promotion_codes"
    coupon = yield coupons, "create", {"percent_off": 10, "duration": "once"}
    assert (yield coupons, "update", coupon.id, {"name": "Ten"}).name == "Ten"
    assert (yield coupons, "retrieve", coupon.id).percent_off == 10
    assert [c.id for c in (yield coupons, "list")] == [coupon.id]
    code = yield codes, "create", {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "TEN"}
    assert (yield codes, "retrieve", code.id).code == "TEN"
    assert [c.id for c in (yield codes, "list", {"code": "TEN"})] == [code.id]
    assert (yield codes, "update", code.id, {"active": False}).active is False
    assert (yield coupons, "delete", coupon.id).deleted is True
    rate = yield "v1.tax_rates", "create", {"display_name": "VAT", "percentage": 20, "inclusive": True}
    assert (yield "v1.tax_rates", "retrieve", rate.id).inclusive is True
    assert (yield "v1.tax_rates", "update", rate.id, {"active": False}).active is False
    assert [r.id for r in (yield "v1.tax_rates", "list", {"active": False})] == [rate.id]
    post = {"display_name": "Post", "type": "fixed_amount", "fixed_amount": {"amount": 500, "currency": "usd"}}
    shipping = yield "v1.shipping_rates", "create", post
    assert (yield "v1.shipping_rates", "retrieve", shipping.id).display_name == "Post"
    assert (yield "v1.shipping_rates", "update", shipping.id, {"metadata": {"a": "1"}}).metadata["a"] == "1"
    assert [r.id for r in (yield "v1.shipping_rates", "list")] == [shipping.id]


def checkout(sandbox: Sandbox) -> Story:
    """Sessions, their lines, their payment."""
    sessions = "v1.checkout.sessions"
    session = yield sessions, "create", cart(metadata={"order": "7"})
    lines = yield f"{sessions}.line_items", "list", session.id, {"limit": 100}
    assert [(line.quantity, line.amount_total) for line in lines] == [(2, 5998)]
    assert (yield sessions, "update", session.id, {"metadata": {"order": "8"}}).metadata["order"] == "8"
    sandbox.pay(session.id)
    paid = yield sessions, "retrieve", session.id, {"expand": ["payment_intent.latest_charge"]}
    assert (paid.payment_status, paid.payment_intent.latest_charge.paid) == ("paid", True)
    other = yield sessions, "create", cart()
    assert (yield sessions, "expire", other.id).status == "expired"
    assert [s.id for s in (yield sessions, "list", {"status": "expired"})] == [other.id]


def customers() -> Story:
    """Customers and their payment methods."""
    jenny = yield "v1.customers", "create", {"email": "jenny@example.com"}
    assert (yield "v1.customers", "update", jenny.id, {"name": "Jenny"}).name == "Jenny"
    assert (yield "v1.customers", "retrieve", jenny.id).name == "Jenny"
    assert [c.id for c in (yield "v1.customers", "list", {"email": "jenny@example.com"})] == [jenny.id]
    methods = "v1.payment_methods"
    card = yield methods, "create", {"type": "card", "card": {"token": "tok_visa"}}
    assert (yield methods, "attach", card.id, {"customer": jenny.id}).customer == jenny.id
    assert (yield methods, "update", card.id, {"metadata": {"a": "1"}}).metadata["a"] == "1"
    assert (yield methods, "retrieve", card.id).card.last4 == "4242"
    assert [m.id for m in (yield methods, "list", {"customer": jenny.id})] == [card.id]
    assert [m.id for m in (yield "v1.customers.payment_methods", "list", jenny.id)] == [card.id]
    assert (yield methods, "detach", card.id).customer is None
    assert (yield "v1.customers", "delete", jenny.id).deleted is True


def payments() -> Story:
    """Payment intents, charges, refunds."""
    intents, twenty = "v1.payment_intents", {"amount": 2000, "currency": "usd"}
    intent = yield intents, "create", {**twenty, "capture_method": "manual"}
    assert (yield intents, "update", intent.id, {"description": "Order"}).description == "Order"
    held = yield intents, "confirm", intent.id, {"payment_method": "pm_card_visa", "return_url": BACK}
    assert held.status == "requires_capture"
    taken = yield intents, "capture", intent.id, {"amount_to_capture": 1500}
    assert (taken.status, taken.amount_received) == ("succeeded", 1500)
    assert (yield intents, "retrieve", intent.id).status == "succeeded"
    refund = yield "v1.refunds", "create", {"payment_intent": intent.id, "amount": 500}
    assert (yield "v1.refunds", "update", refund.id, {"metadata": {"why": "late"}}).metadata["why"] == "late"
    assert (yield "v1.refunds", "retrieve", refund.id).status == "succeeded"
    assert [r.id for r in (yield "v1.refunds", "list", {"payment_intent": intent.id})] == [refund.id]
    refused = yield "!v1.refunds", "cancel", refund.id
    assert isinstance(refused, stripe.InvalidRequestError)
    charges = "v1.charges"
    assert (yield charges, "retrieve", taken.latest_charge).amount_refunded == 1000
    assert (yield charges, "update", taken.latest_charge, {"description": "x"}).description == "x"
    assert [c.id for c in (yield charges, "list", {"payment_intent": intent.id})] == [taken.latest_charge]
    again = {
        **twenty,
        "capture_method": "manual",
        "confirm": True,
        "payment_method": "pm_card_visa",
        "return_url": BACK,
    }
    by_charge = yield intents, "create", again
    assert (yield charges, "capture", by_charge.latest_charge).captured is True
    waiting = yield intents, "create", twenty
    assert (yield intents, "cancel", waiting.id).status == "canceled"
    assert waiting.id in [i.id for i in (yield intents, "list", {"limit": 2})]
    declined = yield f"!{intents}", "create", {**again, "payment_method": "pm_card_chargeDeclined"}
    assert isinstance(declined, stripe.CardError)
    assert (declined.code, declined.error.decline_code) == ("card_declined", "generic_decline")
    assert declined.error.payment_intent.status == "requires_payment_method"


def disputes() -> Story:
    """Disputes and early fraud warnings."""
    params = {"amount": 2000, "currency": "usd", "confirm": True, "return_url": BACK}
    for name in ("createDispute", "createDispute", "createIssuerFraudRecord"):
        yield "v1.payment_intents", "create", {**params, "payment_method": f"pm_card_{name}"}
    first, second = (yield "v1.disputes", "list").data
    won = yield "v1.disputes", "update", first.id, {"evidence": {"uncategorized_text": "winning_evidence"}}
    assert (won.status, won.balance_transactions[0].net) == ("won", -3500)
    assert (yield "v1.disputes", "close", second.id).status == "lost"
    assert (yield "v1.disputes", "retrieve", first.id, {"expand": ["charge"]}).charge.disputed is True
    (warning,) = (yield "v1.radar.early_fraud_warnings", "list").data
    assert (yield "v1.radar.early_fraud_warnings", "retrieve", warning.id).actionable is True


def invoices() -> Story:
    """Invoices, items, lines, payments."""
    jenny = yield "v1.customers", "create", {"payment_method": "pm_card_visa"}
    (card,) = (yield "v1.customers.payment_methods", "list", jenny.id).data
    item = yield "v1.invoice_items", "create", {"customer": jenny.id, "amount": 2000, "currency": "usd"}
    assert (yield "v1.invoice_items", "update", item.id, {"description": "Work"}).description == "Work"
    assert (yield "v1.invoice_items", "retrieve", item.id).amount == 2000
    assert [i.id for i in (yield "v1.invoice_items", "list", {"pending": True})] == [item.id]
    wish = {"customer": jenny.id, "default_payment_method": card.id, "collection_method": "send_invoice"}
    invoice = yield "v1.invoices", "create", {**wish, "days_until_due": 3, "pending_invoice_items_behavior": "include"}
    assert (yield "v1.invoices", "update", invoice.id, {"description": "June"}).description == "June"
    assert [line.amount for line in (yield "v1.invoices.line_items", "list", invoice.id)] == [2000]
    assert (yield "v1.invoices", "finalize_invoice", invoice.id).status == "open"
    assert (yield "v1.invoices", "send_invoice", invoice.id).status == "open"
    assert (yield "v1.invoices", "mark_uncollectible", invoice.id).status == "uncollectible"
    assert (yield "v1.invoices", "pay", invoice.id).status == "paid"
    assert (yield "v1.invoices", "retrieve", invoice.id, {"expand": ["payments"]}).payments.data[0].status == "paid"
    assert [i.id for i in (yield "v1.invoices", "list", {"status": "paid"})] == [invoice.id]
    (payment,) = (yield "v1.invoice_payments", "list", {"invoice": invoice.id}).data
    assert (yield "v1.invoice_payments", "retrieve", payment.id).amount_paid == 2000
    draft = yield "v1.invoices", "create", {"customer": jenny.id}
    assert (yield "v1.invoices", "delete", draft.id).deleted is True
    spare = yield "v1.invoice_items", "create", {"customer": jenny.id, "amount": 1, "currency": "usd"}
    assert (yield "v1.invoice_items", "delete", spare.id).deleted is True
    void = yield "v1.invoices", "create", {"customer": jenny.id}
    more = {"customer": jenny.id, "amount": 500, "currency": "usd", "invoice": void.id}
    yield "v1.invoice_items", "create", more
    yield "v1.invoices", "finalize_invoice", void.id
    assert (yield "v1.invoices", "void_invoice", void.id).status == "void"


def account() -> Story:
    """Events, endpoints, destinations, account and balance."""
    endpoints = "v1.webhook_endpoints"
    endpoint = yield endpoints, "create", {"url": "http://127.0.0.1:9/hook", "enabled_events": ["*"]}
    assert endpoint.secret.startswith("whsec_")
    assert (yield endpoints, "update", endpoint.id, {"disabled": True}).status == "disabled"
    assert (yield endpoints, "retrieve", endpoint.id).status == "disabled"
    assert endpoint.id in [e.id for e in (yield endpoints, "list")]
    assert (yield endpoints, "delete", endpoint.id).deleted is True
    destinations = "v2.core.event_destinations"
    thin = {
        "name": "Thin",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": ["v1.customer.created"],
        "webhook_endpoint": {"url": "http://127.0.0.1:9/thin"},
    }
    destination = yield destinations, "create", thin
    yield "v1.customers", "create", {"name": "Jenny"}
    (notice,) = (yield "v2.core.events", "list", {"limit": 1}).data[:1]
    assert (yield "v2.core.events", "retrieve", notice.id).type == "v1.customer.created"
    assert (yield destinations, "update", destination.id, {"name": "Thinner"}).name == "Thinner"
    assert (yield destinations, "retrieve", destination.id).name == "Thinner"
    assert (yield destinations, "disable", destination.id).status == "disabled"
    assert (yield destinations, "enable", destination.id).status == "enabled"
    assert [d.id for d in (yield destinations, "list").data] == [destination.id]
    assert (yield destinations, "delete", destination.id).id == destination.id
    (event,) = (yield "v1.events", "list", {"type": "customer.created", "limit": 1}).data
    assert (yield "v1.events", "retrieve", event.id).data.object.object == "customer"
    assert (yield "v1.accounts", "retrieve_current").object == "account"
    assert (yield "v1.balance", "retrieve").object == "balance"


def whole(sandbox: Sandbox) -> Story:
    """All of it, in one account."""
    yield from catalogue()
    yield from discounts()
    yield from checkout(sandbox)
    yield from customers()
    yield from payments()
    yield from disputes()
    yield from invoices()
    yield from account()


def service_of(client: stripe.StripeClient, path: str) -> Any:
    """The service at a path such as `v1.checkout.sessions`."""
    found: Any = client
    for name in path.removeprefix("!").split("."):
        found = getattr(found, name)
    return found


def test_every_method_runs_synchronously(sandbox: Sandbox) -> None:
    """The list is complete: what the story did not use is named."""
    client = stripe.StripeClient(
        "sk_test_sdk", base_addresses={"api": sandbox.base_url}, http_client=stripe.RequestsClient()
    )
    used: set[tuple[str, str]] = set()

    def take(path: str, method: str, *args: Any) -> Any:
        service = service_of(client, path)
        used.add((type(service).__module__, method))
        if not path.startswith("!"):
            return getattr(service, method)(*args)
        with pytest.raises(stripe.StripeError) as refused:
            getattr(service, method)(*args)
        return refused.value

    tell(whole(sandbox), take)

    assert claimed() - used == set()


async def test_every_method_runs_asynchronously(sandbox: Sandbox) -> None:
    """The same story, awaited, over aiohttp."""
    http_client = stripe.AIOHTTPClient()
    client = stripe.StripeClient("sk_test_sdk", base_addresses={"api": sandbox.base_url}, http_client=http_client)
    used: set[tuple[str, str]] = set()
    story, result = whole(sandbox), None
    try:
        while True:
            path, method, *args = story.send(result)
            service = service_of(client, path)
            used.add((type(service).__module__, method))
            if not path.startswith("!"):
                result = await getattr(service, f"{method}_async")(*args)
                continue
            with pytest.raises(stripe.StripeError) as refused:
                await getattr(service, f"{method}_async")(*args)
            result = refused.value
    except StopIteration:
        pass
    finally:
        await http_client.close_async()

    assert claimed() - used == set()


def tell(story: Story, take: Callable[..., Any]) -> None:
    """Run a story to its end, each step by `take`."""
    result: Any = None
    try:
        while True:
            result = take(*story.send(result))
    except StopIteration:
        return
