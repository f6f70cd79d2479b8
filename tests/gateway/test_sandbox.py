"""The gateway against this library's own sandbox: a session from the catalogue to the charge, in both worlds."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from payments_core.adapters.stripe.sdk import BlockingCalls
from payments_core.domain.pricing import CatalogPrice
from payments_core.domain.stripe_objects import Document
from payments_core.drive import run_blocking
from payments_core.errors import StripeError, StripeObjectMissing
from payments_core.ports import Gateway, Io
from payments_core.sandbox import Sandbox, running
from payments_core.testing.contracts.gateway import PARAMS
from tests.gateway.worlds import gateway_of, settings

T = TypeVar("T")
pytestmark = pytest.mark.parametrize("io", ["blocking", "async"])


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running() as served:
        yield served


@pytest.fixture
def gateway(io: Io, sandbox: Sandbox) -> Gateway:
    return gateway_of(io, settings(sandbox.base_url))


def drive(gateway: Gateway, flow: Coroutine[Any, Any, T]) -> T:
    async def closing() -> T:
        try:
            return await flow
        finally:
            await gateway.close()

    return run_blocking(closing()) if gateway.io == "blocking" else asyncio.run(closing())


def post(sandbox: Sandbox, path: str, **params: object) -> Document:
    """Make an object, as a shop's own tools would."""
    return run_blocking(BlockingCalls(settings(sandbox.base_url)).send("post", f"/v1/{path}", params))


def test_a_paid_session_leads_to_its_intent_charge_and_back(gateway: Gateway, sandbox: Sandbox) -> None:
    """Create, pay, and find everything from everything else."""

    async def story() -> None:
        made = await gateway.create_session(PARAMS, idempotency_key="key_1")
        assert (await gateway.create_session(PARAMS, idempotency_key="key_1")).id == made.id
        sandbox.pay(made.id, email="buyer@shop.example")
        paid = await gateway.session(made.id)
        assert (paid.is_paid, paid.details_email) == (True, "buyer@shop.example")
        assert paid.payment_intent_id is not None
        intent = await gateway.intent(paid.payment_intent_id)
        assert (intent.status, intent.amount_received) == ("succeeded", 5998)
        assert intent.metadata == PARAMS["payment_intent_data"]["metadata"]
        assert intent.charge_id is not None
        assert (await gateway.charge(intent.charge_id)).billing_email == "buyer@shop.example"
        found = await gateway.session_of_intent(intent.id)
        assert found is not None
        assert found.id == made.id
        (line,) = await gateway.line_items(made.id)
        assert (line.name, line.quantity, line.unit_minor) == ("Shirt", 2, 2999)

    drive(gateway, story())


def test_a_declined_card_leaves_its_reason_on_the_intent(gateway: Gateway, sandbox: Sandbox) -> None:
    """The session stays open."""

    async def story() -> None:
        made = await gateway.create_session(PARAMS, idempotency_key="key_1")
        charge = sandbox.decline(made.id)
        intent = await gateway.intent(str(charge["payment_intent"]))
        assert intent.error is not None
        assert intent.error.charge_id == charge["id"]
        assert (await gateway.session(made.id)).status == "open"

    drive(gateway, story())


def test_the_catalogue_is_found_by_product_price_and_lookup_key(gateway: Gateway, sandbox: Sandbox) -> None:
    """With currency options, and a product without a default price."""
    post(sandbox, "products", id="shirt", name="Shirt")
    price = post(
        sandbox,
        "prices",
        product="shirt",
        currency="usd",
        unit_amount=2999,
        lookup_key="shirt.usual",
        currency_options={"eur": {"unit_amount": 2799}},
    )
    post(sandbox, "products/shirt", default_price=price["id"])
    post(sandbox, "products", id="mug", name="Mug")
    mug = post(sandbox, "prices", product="mug", currency="usd", unit_amount=900)
    found = drive(gateway, gateway.catalogue(["shirt", str(price["id"]), "shirt.usual", "mug", "none", "price_none"]))
    shirt = CatalogPrice(str(price["id"]), {"usd": 2999, "eur": 2799}, name="Shirt")
    assert found == {
        "shirt": shirt,
        str(price["id"]): shirt,
        "shirt.usual": shirt,
        "mug": CatalogPrice(str(mug["id"]), {"usd": 900}, name="Mug"),
    }


def test_what_is_archived_is_not_for_sale(gateway: Gateway, sandbox: Sandbox) -> None:
    """An archived product is known, with the reason."""
    post(sandbox, "products", id="shirt", name="Shirt")
    post(sandbox, "prices", product="shirt", currency="usd", unit_amount=2999)
    post(sandbox, "products/shirt", active=False)
    entry = drive(gateway, gateway.catalogue(["shirt"]))["shirt"]
    assert (entry.sellable, entry.reason) == (False, "its product is not active")


def test_refusals_are_translated(gateway: Gateway) -> None:
    """Unknown ids, parameters that Stripe refuses, a used idempotency key."""

    async def story() -> None:
        with pytest.raises(StripeObjectMissing):
            await gateway.session("cs_test_none")
        with pytest.raises(StripeError) as refused:
            await gateway.create_session({**PARAMS, "nonsense": 1}, idempotency_key="key_1")
        assert (refused.value.code, refused.value.param) == ("parameter_unknown", "nonsense")
        await gateway.create_session(PARAMS, idempotency_key="key_2")
        with pytest.raises(StripeError) as used:
            await gateway.create_session({**PARAMS, "client_reference_id": "x"}, idempotency_key="key_2")
        assert used.value.code == "idempotency_error"

    drive(gateway, story())
