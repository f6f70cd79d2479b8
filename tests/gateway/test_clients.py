"""Whose connections are whose, what is sent along, and what is loaded when."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
import stripe

from payments_core.adapters.stripe import async_gateway, blocking_gateway
from payments_core.adapters.stripe.sdk import CONCURRENT
from payments_core.drive import run_blocking
from payments_core.errors import ConfigurationError
from payments_core.ports import Gateway, Io
from payments_core.testing.contracts.gateway import PARAMS
from payments_core.testing.contracts.gateway_world import session
from tests.gateway.stripe_server import Answer, Request, StripeServer
from tests.gateway.worlds import KEY, gateway_of, settings

T = TypeVar("T")
both = pytest.mark.parametrize("io", ["blocking", "async"])


def drive(io: Io, flow: Coroutine[Any, Any, T]) -> T:
    return run_blocking(flow) if io == "blocking" else asyncio.run(flow)


async def create_and_close(gateway: Gateway) -> None:
    await gateway.create_session(PARAMS, idempotency_key="key_1")
    await gateway.close()


@both
def test_every_request_says_who_asks_and_in_which_version(io: Io, server: StripeServer) -> None:
    """Key, account, pinned version and idempotency key; no telemetry."""
    drive(io, create_and_close(gateway_of(io, settings(server.url, payments_account="acct_1Shop"))))
    (request,) = server.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["stripe-account"] == "acct_1Shop"
    assert request.headers["stripe-version"] == stripe.api_version
    assert request.headers["idempotency-key"] == "key_1"
    assert "x-stripe-client-telemetry" not in request.headers
    assert stripe.enable_telemetry is False


@both
def test_what_is_asked_is_what_was_given(io: Io, server: StripeServer) -> None:
    """Nested parameters arrive as they were, the placeholder in the return address included."""
    drive(io, create_and_close(gateway_of(io, settings(server.url))))
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1/checkout/sessions")
    assert request.params["success_url"] == PARAMS["success_url"]
    assert request.params["line_items"]["0"]["price_data"]["unit_amount"] == "2999"
    assert "stripe-account" not in request.headers


@both
def test_a_cart_costs_few_requests(io: Io, server: StripeServer) -> None:
    """A hundred products are one request, and ten lookup keys one more."""

    async def asked(gateway: Gateway) -> None:
        price = {"object": "price", "active": True, "type": "one_time", "currency": "usd", "unit_amount": 1}
        for number in range(100):
            default = {**price, "id": f"price_{number}", "product": f"prod_{number}"}
            server.put({"id": f"prod_{number}", "object": "product", "active": True, "default_price": default})
        keyed = [{**price, "id": f"price_k{n}", "product": "prod_1", "lookup_key": f"key.{n}"} for n in range(10)]
        for one in keyed:
            server.put(one)
        found = await gateway.catalogue([f"prod_{n}" for n in range(100)] + [f"key.{n}" for n in range(10)])
        await gateway.close()
        assert len(found) == 110

    drive(io, asked(gateway_of(io, settings(server.url))))
    assert [request.path for request in server.requests] == ["/v1/products", "/v1/prices"]


def test_prices_are_asked_for_together_but_not_all_at_once(server: StripeServer) -> None:
    """The asynchronous world has at most a few requests under way."""
    meeting = threading.Barrier(CONCURRENT)
    original, under_way, most = server.answer, [0], [0]
    guard = threading.Lock()

    def answer(request: Request) -> Answer:
        with guard:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        # Whoever asks one after the other never fills the room, and the test fails.
        meeting.wait(20)
        with guard:
            under_way[0] -= 1
        meeting.wait(20)
        return original(request)

    server.answer = answer  # type: ignore[method-assign]

    async def asked() -> None:
        gateway = async_gateway(settings(server.url))
        await gateway.catalogue([f"price_{number}" for number in range(CONCURRENT - 1)] + ["prod_1"])
        await gateway.close()

    with pytest.raises(Exception, match="could not be reached"):
        # The lookup of what was not found comes alone: it is not met by anyone.
        server.url and asyncio.run(asyncio.wait_for(asked(), 60))
    assert most[0] == CONCURRENT


@both
def test_connections_are_kept_and_used_again(io: Io, server: StripeServer) -> None:
    """Requests of one thread, or one loop, share a connection."""
    ports = peers(server)

    async def asked(gateway: Gateway) -> None:
        server.put(session("cs_test_1"))
        for _ in range(5):
            await gateway.session("cs_test_1")
        await gateway.close()

    drive(io, asked(gateway_of(io, settings(server.url))))
    assert len(set(ports)) == 1


def peers(server: StripeServer) -> list[str]:
    """The client's ports, as requests come in."""
    from tests.gateway import stripe_server

    seen: list[str] = []
    send = stripe_server._Handler._send

    def noted(handler: Any, answer: Answer) -> None:
        seen.append(str(handler.client_address[1]))
        send(handler, answer)

    server_class = stripe_server._Handler
    server_class._send = noted  # type: ignore[method-assign]
    return seen


@pytest.fixture(autouse=True)
def _handler_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.gateway import stripe_server

    monkeypatch.setattr(stripe_server._Handler, "_send", stripe_server._Handler._send)
