"""What every gateway must do with what happened in a span of time: one test per obligation."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, cast

import pytest

from payments_core.domain.listing import Page, Span
from payments_core.errors import StripeObjectMissing, StripeUnavailable
from payments_core.testing.contracts.gateway_world import GatewayWorld, scenario, session

SPAN: Final = Span(1_000_000, 2_000_000)
LISTS: Final = ("events", "sessions", "intents", "invoices", "refunds")


def made(kind: str, number: int, created: int, **fields: object) -> dict[str, Any]:
    """The object of a list: its id tells its number."""
    shapes: dict[str, dict[str, Any]] = {
        "events": {"id": f"evt_{number}", "object": "event", "pending_webhooks": 0, "type": "charge.succeeded"},
        "sessions": session(f"cs_test_{number}"),
        "intents": {"id": f"pi_{number}", "object": "payment_intent", "status": "succeeded", "currency": "usd"},
        "invoices": {"id": f"in_{number}", "object": "invoice", "status": "paid", "lines": {"data": []}},
        "refunds": {"id": f"re_{number}", "object": "refund", "amount": 100, "charge": "ch_1"},
    }
    return {**shapes[kind], "created": created, **fields}


def ids(page: Page[Any]) -> list[str]:
    """The ids of a page, whose objects may be documents or values."""
    documents = (cast("Mapping[str, Any]", one) if isinstance(one, Mapping) else {"id": one.id} for one in page.items)
    return [str(document["id"]) for document in documents]


class ListsContract:
    """Obligations of the lists by time."""

    @pytest.mark.parametrize("kind", LISTS)
    def test_a_span_has_what_was_created_in_it(self, world: GatewayWorld, kind: str) -> None:
        """From its beginning, up to and without its end; the newest first, with when the oldest was made."""

        async def asked() -> None:
            for number, created in enumerate((999_999, 1_000_000, 1_500_000, 1_999_999, 2_000_000)):
                world.put(made(kind, number, created))
            page = await getattr(world.gateway, kind)(SPAN)
            assert [one.rpartition("_")[2] for one in ids(page)] == ["3", "2", "1"]
            assert (page.has_more, page.oldest_s) == (False, 1_000_000)
            assert page.last_id == ids(page)[-1]
            empty = await getattr(world.gateway, kind)(Span(0, 10))
            assert empty == Page()

        world.run(asked())

    @pytest.mark.parametrize("kind", LISTS)
    def test_pages_go_on_where_the_last_one_ended(self, world: GatewayWorld, kind: str) -> None:
        """A hundred at a time, none twice and none left out."""

        async def asked() -> None:
            for number in range(230):
                world.put(made(kind, number, 1_500_000 + number))
            ask, seen, after = getattr(world.gateway, kind), list[str](), None
            for more in (True, True, False):
                page = await ask(SPAN, after=after)
                assert page.has_more is more
                seen, after = seen + ids(page), page.last_id
            assert [int(one.rpartition("_")[2]) for one in seen] == list(range(229, -1, -1))

        world.run(asked())

    @scenario
    async def test_objects_say_what_a_comparison_needs(self, world: GatewayWorld) -> None:
        """The values have their time, amounts and references."""
        world.put(made("sessions", 1, 1_500_000, payment_intent="pi_1"))
        error = {"type": "card_error", "decline_code": "lost_card", "charge": "ch_1"}
        failed = {"status": "requires_payment_method", "last_payment_error": error, "amount": 700}
        world.put(made("intents", 1, 1_500_000, **failed))
        world.put(made("invoices", 1, 1_500_000, total=900, currency="usd", status_transitions={"paid_at": 1_600_000}))
        (found,) = (await world.gateway.sessions(SPAN)).items
        assert (found.created_s, found.payment_intent_id, found.amount_total) == (1_500_000, "pi_1", 5998)
        (intent,) = (await world.gateway.intents(SPAN)).items
        assert intent.error is not None
        assert (intent.error.reason, intent.error.charge_id, intent.created_s) == ("lost_card", "ch_1", 1_500_000)
        (invoice,) = (await world.gateway.invoices(SPAN)).items
        assert (invoice.total, invoice.currency, invoice.paid_s) == (900, "usd", 1_600_000)

    @scenario
    async def test_only_paid_invoices_are_listed(self, world: GatewayWorld) -> None:
        """Drafts and open ones bring no money."""
        for number, status in enumerate(("draft", "paid", "open")):
            world.put(made("invoices", number, 1_500_000, status=status))
        assert ids(await world.gateway.invoices(SPAN)) == ["in_1"]

    @scenario
    async def test_undelivered_events_can_be_asked_for(self, world: GatewayWorld) -> None:
        """Those that an endpoint has not taken, of all that are listed."""
        for number in range(3):
            world.put(made("events", number, 1_500_000 + number, pending_webhooks=number % 2))
        assert ids(await world.gateway.events(SPAN, undelivered=True)) == ["evt_1"]
        assert len((await world.gateway.events(SPAN)).items) == 3

    @scenario
    async def test_events_and_refunds_come_exactly_as_stripe_wrote_them(self, world: GatewayWorld) -> None:
        """Large whole numbers, and fractions that no float holds."""
        data = {"object": {"id": "price_1", "unit_amount": 90071992547409931, "names": ["é", None, True]}}
        world.put(made("events", 1, 1_500_000, data=data))
        world.put(made("refunds", 1, 1_500_000, metadata={"note": "Größe"}))
        (event,) = (await world.gateway.events(SPAN)).items
        assert event["data"] == data
        assert dict(await world.gateway.refund("re_1")) == dict((await world.gateway.refunds(SPAN)).items[0])
        assert not any(isinstance(value, float) for value in event["data"]["object"].values())
        assert isinstance(event.get("share", Decimal(0)), Decimal)

    @scenario
    async def test_a_notice_is_read_whole(self, world: GatewayWorld) -> None:
        """The thin event by which Stripe tells that it could not make one."""
        notice = {"id": "evt_thin", "object": "v2.core.event", "data": {"impact": {"related_object": {"id": "pi_1"}}}}
        world.put(notice)
        assert (await world.gateway.failure_notice("evt_thin"))["data"] == notice["data"]

    @scenario
    async def test_what_stripe_does_not_know_is_missing_here_too(self, world: GatewayWorld) -> None:
        """Unknown and impossible ids alike."""
        for name in ("re_none", "", "a/b"):
            with pytest.raises(StripeObjectMissing):
                await world.gateway.refund(name)
            with pytest.raises(StripeObjectMissing):
                await world.gateway.failure_notice(name)

    @pytest.mark.parametrize("kind", LISTS)
    def test_a_busy_stripe_is_unavailable(self, world: GatewayWorld, kind: str) -> None:
        """Its 429 is worth trying again."""

        async def asked() -> None:
            world.refuse(429, {"type": "invalid_request_error", "code": "rate_limit"})
            with pytest.raises(StripeUnavailable):
                await getattr(world.gateway, kind)(SPAN)

        world.run(asked())
