"""What every gateway must tell of an account: the obligations of `payments_core.ports.account.AccountGateway`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from payments_core.domain.account import WebhookEndpoint
from payments_core.errors import StripeError, StripeUnavailable
from payments_core.ports import AccountGateway
from payments_core.testing.contracts.gateway_world import GatewayWorld, scenario

_REFUSED = {"type": "invalid_request_error"}
#: Two clocks in one room.
_NEAR_S = 30


def endpoint(number: int, **fields: object) -> dict[str, Any]:
    """An enabled webhook endpoint that gets every event."""
    return {
        "id": f"we_{number}",
        "object": "webhook_endpoint",
        "api_version": None,
        "enabled_events": ["*"],
        "livemode": False,
        "status": "enabled",
        "url": f"https://shop-{number}.example/api/payments/webhooks/stripe",
        **fields,
    }


class AccountContract:
    """Give it a fixture `world` that returns a GatewayWorld whose gateway is an AccountGateway too."""

    @scenario
    async def test_a_greeting_says_the_mode_the_version_and_the_time(self, world: GatewayWorld) -> None:
        """The time, where it is stated, is aware and Stripe's own."""
        found = await _account(world).greeting()
        assert (found.livemode, found.refusal) == (False, None)
        if found.said_at is not None:
            assert abs((datetime.now(UTC) - found.said_at).total_seconds()) < _NEAR_S

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refusal_is_an_answer_to_a_greeting(self, world: GatewayWorld, status: int) -> None:
        """It is told with the status of the answer, and not raised."""

        async def asked() -> None:
            world.refuse(status, _REFUSED)
            found = await _account(world).greeting()
            assert found.refusal is not None
            assert (found.refusal.answered, found.livemode) == (status, None)

        world.run(asked())

    @scenario
    async def test_no_answer_is_no_greeting(self, world: GatewayWorld) -> None:
        """A failing Stripe is unavailable, here as everywhere."""
        world.refuse(500, {"type": "api_error"})
        with pytest.raises(StripeUnavailable):
            await _account(world).greeting()
        with pytest.raises(StripeUnavailable):
            await _account(world).webhook_endpoints()

    @scenario
    async def test_endpoints_come_whole_and_say_what_they_get(self, world: GatewayWorld) -> None:
        """More than a page of them, enabled or not, with the types and the version of their events."""
        assert list(await _account(world).webhook_endpoints()) == []
        for number in range(120):
            world.put(endpoint(number))
        world.put(endpoint(120, status="disabled", api_version="2026-10-28.endive", enabled_events=["invoice.paid"]))
        found = await _account(world).webhook_endpoints()
        assert {one.id for one in found} == {f"we_{number}" for number in range(121)}
        assert {one.id: one for one in found}["we_120"] == WebhookEndpoint(
            id="we_120",
            url="https://shop-120.example/api/payments/webhooks/stripe",
            events=frozenset({"invoice.paid"}),
            is_enabled=False,
            api_version="2026-10-28.endive",
            livemode=False,
        )

    @scenario
    async def test_endpoints_that_may_not_be_read_are_a_refusal(self, world: GatewayWorld) -> None:
        """A restricted key: the status tells it from all else."""
        world.refuse(403, _REFUSED)
        with pytest.raises(StripeError) as raised:
            await _account(world).webhook_endpoints()
        assert raised.value.answered == 403


def _account(world: GatewayWorld) -> AccountGateway:
    return cast("AccountGateway", world.gateway)
