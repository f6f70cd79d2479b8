"""What every gateway must do: the obligations of `payments_core.ports.Gateway`, one test each."""

from __future__ import annotations

from typing import Any

import pytest

from payments_core.domain.stripe_objects import Charge
from payments_core.errors import StripeError, StripeObjectMissing, StripeUnavailable
from payments_core.testing.contracts.gateway_catalogue import CatalogueContract
from payments_core.testing.contracts.gateway_lists import ListsContract
from payments_core.testing.contracts.gateway_world import (
    GatewayWorld,
    invoice_payment,
    lines,
    scenario,
    session,
)

PARAMS: dict[str, Any] = {
    "mode": "payment",
    "ui_mode": "hosted_page",
    "line_items": [
        {
            "price_data": {"currency": "usd", "product_data": {"name": "Shirt"}, "unit_amount": 2999},
            "quantity": 2,
        }
    ],
    "metadata": {"payments_core_id": "pay_1"},
    "payment_intent_data": {"metadata": {"payments_core_id": "pay_1"}},
    "client_reference_id": "user_1",
    "success_url": "https://shop.example/thanks?session={CHECKOUT_SESSION_ID}",
    "cancel_url": "https://shop.example/cart",
}
ASKED_BY_ID = ("session", "line_items", "intent", "charge", "invoice")


async def ask(world: GatewayWorld, method: str, argument: str) -> object:
    """Call one of the gateway's methods that take an id."""
    return await getattr(world.gateway, method)(argument)


class GatewayContract(CatalogueContract, ListsContract):
    """Give it a fixture `world` that returns a GatewayWorld over an empty Stripe."""

    def test_it_says_its_world(self, world: GatewayWorld) -> None:
        """`io` is what the composition root goes by."""
        assert world.gateway.io == world.io

    @scenario
    async def test_a_created_session_is_open_and_can_be_asked_for(self, world: GatewayWorld) -> None:
        """What was sent comes back: amounts, marks, the page; and later it is still there."""
        made = await world.gateway.create_session(PARAMS, idempotency_key="key_1")
        told = (made.status, made.payment_status, made.mode, made.currency, made.amount_total, made.is_paid)
        assert told == ("open", "unpaid", "payment", "usd", 5998, False)
        assert made.metadata == {"payments_core_id": "pay_1"}
        assert made.client_reference_id == "user_1"
        assert (made.url or "").startswith("http")
        assert (await world.gateway.session(made.id)).id == made.id
        (line,) = await world.gateway.line_items(made.id)
        assert (line.name, line.quantity, line.unit_minor, line.currency) == ("Shirt", 2, 2999, "usd")

    @scenario
    async def test_an_embedded_session_has_a_secret_and_no_page(self, world: GatewayWorld) -> None:
        """`embedded_page` gives a client secret in place of the address."""
        kept = {name: value for name, value in PARAMS.items() if not name.endswith("_url")}
        embedded = {**kept, "ui_mode": "embedded_page", "return_url": "https://shop.example/thanks"}
        made = await world.gateway.create_session(embedded, idempotency_key="key_1")
        assert made.url is None
        assert made.client_secret

    @scenario
    async def test_creating_again_with_the_same_key_makes_no_second_session(self, world: GatewayWorld) -> None:
        """The key decides: the same one gives the same session, another one another."""
        first = await world.gateway.create_session(PARAMS, idempotency_key="key_1")
        again = await world.gateway.create_session(PARAMS, idempotency_key="key_1")
        other = await world.gateway.create_session(PARAMS, idempotency_key="key_2")
        assert first.id == again.id != other.id

    @scenario
    async def test_a_used_key_with_other_parameters_is_refused(self, world: GatewayWorld) -> None:
        """A key is never made to mean something else."""
        await world.gateway.create_session(PARAMS, idempotency_key="key_1")
        with pytest.raises(StripeError) as raised:
            await world.gateway.create_session({**PARAMS, "client_reference_id": "user_2"}, idempotency_key="key_1")
        assert raised.value.code == "idempotency_error"

    @scenario
    async def test_an_open_session_can_be_ended_once(self, world: GatewayWorld) -> None:
        """Nobody can pay it then; one that is not open is refused, and an unknown one is missing."""
        made = await world.gateway.create_session(PARAMS, idempotency_key="key_1")
        assert (await world.gateway.expire_session(made.id)).status == "expired"
        assert (await world.gateway.session(made.id)).status == "expired"
        with pytest.raises(StripeError) as refused:
            await world.gateway.expire_session(made.id)
        assert (type(refused.value), refused.value.answered) == (StripeError, 400)
        for unknown in ("cs_none", "", "../x"):
            with pytest.raises(StripeObjectMissing):
                await world.gateway.expire_session(unknown)

    @scenario
    async def test_a_session_is_read_as_it_is_now(self, world: GatewayWorld) -> None:
        """Ids of expandable fields, addresses and amounts."""
        details = {"customer_details": {"email": "buyer@shop.example"}, "customer_email": "given@shop.example"}
        world.put(session("cs_test_1", payment_intent="pi_1", client_reference_id="user_1", **details))
        found = await world.gateway.session("cs_test_1")
        assert found.is_paid
        assert (found.payment_intent_id, found.client_reference_id, found.amount_total) == ("pi_1", "user_1", 5998)
        assert (found.details_email, found.given_email) == ("buyer@shop.example", "given@shop.example")

    @scenario
    async def test_the_session_of_an_intent_is_found(self, world: GatewayWorld) -> None:
        """By the payment intent it made, among others."""
        for number in range(3):
            world.put(session(f"cs_test_{number}", payment_intent=f"pi_{number}"))
        found = await world.gateway.session_of_intent("pi_1")
        assert found is not None
        assert found.id == "cs_test_1"

    @scenario
    async def test_an_intent_without_a_session_has_none(self, world: GatewayWorld) -> None:
        """Neither an intent of something else nor an unknown or impossible id is an error."""
        world.put({"id": "pi_1", "object": "payment_intent", "status": "succeeded"})
        world.put(session("cs_test_1", payment_intent=None))
        for intent_id in ("pi_1", "pi_none", "", "pi/1"):
            assert await world.gateway.session_of_intent(intent_id) is None
            assert await world.gateway.invoice_of_intent(intent_id) is None

    @scenario
    async def test_lines_of_a_session_come_whole(self, world: GatewayWorld) -> None:
        """Every page, in the order of the cart."""
        names = [f"line{number}" for number in range(230)]
        world.put(session("cs_test_1", line_items=lines(names)))
        found = await world.gateway.line_items("cs_test_1")
        assert [line.name for line in found] == names
        assert {(line.quantity, line.unit_minor, line.currency) for line in found} == {(1, 500, "usd")}

    @scenario
    async def test_an_intent_is_read_with_its_last_error(self, world: GatewayWorld) -> None:
        """Amounts, the latest charge, and why the last attempt failed."""
        error = {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds", "charge": "ch_1"}
        fields = {"status": "requires_payment_method", "amount": 5998, "amount_received": 0, "latest_charge": "ch_1"}
        world.put({"id": "pi_1", "object": "payment_intent", "currency": "usd", "last_payment_error": error, **fields})
        found = await world.gateway.intent("pi_1")
        assert (found.status, found.amount, found.amount_received, found.charge_id) == tuple(fields.values())
        assert found.error is not None
        assert found.error.reason == "insufficient_funds"

    @scenario
    async def test_a_charge_gives_the_address_of_its_card_form(self, world: GatewayWorld) -> None:
        """The billing details' address."""
        world.put({"id": "ch_1", "object": "charge", "billing_details": {"email": "buyer@shop.example"}})
        assert await world.gateway.charge("ch_1") == Charge("ch_1", "buyer@shop.example")

    @scenario
    async def test_a_charge_says_what_was_kept_of_it(self, world: GatewayWorld) -> None:
        """What was captured less what was refunded, in the charge's currency; of a disputed one nothing is said."""
        money = {"amount": 500, "amount_captured": 400, "amount_refunded": 150, "currency": "eur"}
        for charge_id, is_disputed in (("ch_1", False), ("ch_2", True)):
            world.put({"id": charge_id, "object": "charge", "disputed": is_disputed, **money})
        plain, disputed = await world.gateway.charge("ch_1"), await world.gateway.charge("ch_2")
        assert (plain.kept_minor, plain.currency, disputed.kept_minor) == (250, "eur", None)

    @pytest.mark.parametrize("count", [0, 1, 10, 11, 230])
    def test_an_invoice_comes_with_all_its_lines(self, world: GatewayWorld, count: int) -> None:
        """Beyond the first page that the invoice itself holds."""

        async def asked() -> None:
            names = [f"line{number}" for number in range(count)]
            fields = {"status": "paid", "currency": "usd", "total": 500 * count, "billing_reason": "manual"}
            world.put({"id": "in_1", "object": "invoice", "lines": lines(names), **fields})
            found = await world.gateway.invoice("in_1")
            assert (found.status, found.currency, found.total, found.billing_reason) == tuple(fields.values())
            assert [line.name for line in found.lines] == names

        world.run(asked())

    @scenario
    async def test_invoice_and_intent_know_each_other(self, world: GatewayWorld) -> None:
        """From the intent to its invoice, and from the invoice to all intents that pay it."""
        for number in range(130):
            world.put(invoice_payment(f"a{number}", "in_1", f"pi_{number}"))
        world.put(invoice_payment("b", "in_2", "pi_other"))
        world.put(invoice_payment("c", "in_2", None))
        assert await world.gateway.invoice_of_intent("pi_7") == "in_1"
        assert await world.gateway.invoice_of_intent("pi_other") == "in_2"
        assert set(await world.gateway.intents_of_invoice("in_1")) == {f"pi_{number}" for number in range(130)}
        assert list(await world.gateway.intents_of_invoice("in_2")) == ["pi_other"]

    @scenario
    async def test_an_invoice_without_intents_has_none(self, world: GatewayWorld) -> None:
        """Paid outside Stripe, unknown, or no id at all."""
        world.put(invoice_payment("a", "in_1", None))
        for invoice_id in ("in_1", "in_none", "", "in/1"):
            assert list(await world.gateway.intents_of_invoice(invoice_id)) == []

    @pytest.mark.parametrize("method", ASKED_BY_ID)
    @pytest.mark.parametrize("object_id", ["cs_test_none", "", ".", "../prices", "a b", "x?limit=1", "x" * 256])
    def test_an_object_that_stripe_does_not_have_is_missing(
        self, world: GatewayWorld, method: str, object_id: str
    ) -> None:
        """An unknown id, and one that would lead elsewhere in a URL, are both StripeObjectMissing."""

        async def asked() -> None:
            world.put(session("cs_test_1"))
            with pytest.raises(StripeObjectMissing) as raised:
                await ask(world, method, object_id)
            assert raised.value.code == "resource_missing"

        world.run(asked())

    @pytest.mark.parametrize("method", [*ASKED_BY_ID, "session_of_intent", "invoice_of_intent", "intents_of_invoice"])
    def test_a_limited_rate_is_unavailable_and_says_when(self, world: GatewayWorld, method: str) -> None:
        """429 is worth trying again, after what Stripe says."""

        async def asked() -> None:
            world.refuse(429, {"type": "invalid_request_error", "code": "rate_limit"}, headers={"Retry-After": "17"})
            with pytest.raises(StripeUnavailable) as raised:
                await ask(world, method, "xx_1")
            assert raised.value.retry_after_s == 17

        world.run(asked())

    @scenario
    async def test_failures_of_the_catalogue_and_of_creation_come_out_as_such(self, world: GatewayWorld) -> None:
        """An unavailable Stripe is no empty catalogue and no session."""
        world.refuse(429, {"type": "invalid_request_error", "code": "rate_limit"})
        for reference in ("prod_1", "price_1", "a.key"):
            with pytest.raises(StripeUnavailable):
                await world.gateway.catalogue([reference])
        with pytest.raises(StripeUnavailable):
            await world.gateway.create_session(PARAMS, idempotency_key="key_1")

    @scenario
    async def test_a_refusal_names_code_and_parameter_and_nothing_personal(self, world: GatewayWorld) -> None:
        """Code and parameter are Stripe's; what was sent does not come back in the error."""
        message = "Invalid email address: buyer@shop.example (key sk_test_canary)"
        said = {"type": "invalid_request_error", "code": "email_invalid", "param": "customer_email", "message": message}
        world.refuse(400, said)
        with pytest.raises(StripeError) as raised:
            await world.gateway.create_session(
                {**PARAMS, "customer_email": "buyer@shop.example"}, idempotency_key="key_1"
            )
        error = raised.value
        assert not isinstance(error, StripeUnavailable)
        assert (error.code, error.param) == ("email_invalid", "customer_email")
        assert "buyer@" not in repr(error)
        assert "canary" not in repr(error)
