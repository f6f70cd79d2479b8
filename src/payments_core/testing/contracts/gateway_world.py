"""Where a gateway's contract is tried: a Stripe that holds what a scenario puts there, and a world to ask it in."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from payments_core.drive import run_blocking
from payments_core.ports import Gateway, Io

Scenario = Callable[[Any, "GatewayWorld"], Coroutine[Any, Any, None]]


class GatewayWorld(ABC):
    """One empty Stripe and a gateway to it. Made anew for every test."""

    def __init__(self, io: Io) -> None:
        self.io: Io = io

    @property
    @abstractmethod
    def gateway(self) -> Gateway:
        """The gateway under test, the same one for the whole scenario; the world closes it at the end."""

    @abstractmethod
    def put(self, document: Mapping[str, Any]) -> None:
        """Let Stripe have this object, as its `object` says; lines, default price and product may be nested."""

    @abstractmethod
    def refuse(self, status: int, error: Mapping[str, str], *, headers: Mapping[str, str] | None = None) -> None:
        """Let Stripe answer every further request with this status and error object."""

    def run(self, scenario: Coroutine[Any, Any, None]) -> None:
        """Run a scenario in this world, and close the gateway."""
        if self.io == "blocking":
            run_blocking(self._closing(scenario))
        else:
            asyncio.run(self._closing(scenario))

    async def _closing(self, scenario: Coroutine[Any, Any, None]) -> None:
        try:
            await scenario
        finally:
            await self.gateway.close()


def scenario(body: Scenario) -> Callable[[Any, GatewayWorld], None]:
    """Make a plain test function of a scenario, which needs no event loop of the test runner's."""

    def test(self: object, world: GatewayWorld) -> None:
        world.run(body(self, world))

    test.__name__, test.__qualname__, test.__doc__ = body.__name__, body.__qualname__, body.__doc__
    test.__module__ = body.__module__
    return test


def session(session_id: str, **fields: object) -> dict[str, Any]:
    """A paid Checkout Session."""
    return {
        "id": session_id,
        "object": "checkout.session",
        "mode": "payment",
        "status": "complete",
        "payment_status": "paid",
        "currency": "usd",
        "amount_subtotal": 5998,
        "amount_total": 5998,
        "metadata": {"payments_core_id": "pay_1"},
        **fields,
    }


def lines(names: Sequence[str]) -> dict[str, Any]:
    """A list of lines with these names, at 5 dollars each."""
    data = [
        {
            "id": f"li_{name}",
            "object": "item",
            "description": name,
            "quantity": 1,
            "currency": "usd",
            "price": {"id": f"price_{name}", "object": "price", "unit_amount": 500, "currency": "usd"},
        }
        for name in names
    ]
    return {"object": "list", "data": data, "has_more": False}


def product(product_id: str, default_price: Mapping[str, Any] | None = None, **fields: object) -> dict[str, Any]:
    """An active product."""
    return {"id": product_id, "object": "product", "active": True, "default_price": default_price, **fields}


def price(price_id: str, of: Mapping[str, Any] | str | None = None, **fields: object) -> dict[str, Any]:
    """An active one-time price of 29.99 dollars per piece, of this product."""
    return {
        "id": price_id,
        "object": "price",
        "active": True,
        "type": "one_time",
        "billing_scheme": "per_unit",
        "currency": "usd",
        "unit_amount": 2999,
        "product": of,
        **fields,
    }


def invoice_payment(name: str, invoice_id: str, intent_id: str | None) -> dict[str, Any]:
    """A payment of an invoice, by an intent or, without one, outside Stripe."""
    outside = {"type": "payment_record", "payment_record": f"pr_{name}"}
    payment = {"type": "payment_intent", "payment_intent": intent_id} if intent_id is not None else outside
    return {
        "id": f"inpay_{name}",
        "object": "invoice_payment",
        "invoice": invoice_id,
        "status": "paid",
        "payment": payment,
    }
