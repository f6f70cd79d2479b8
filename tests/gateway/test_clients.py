"""Whose connections are whose, what is sent along, and what is loaded when."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
import stripe

from payments_core.adapters.stripe import async_gateway, blocking_gateway
from payments_core.adapters.stripe.sdk import CONCURRENT
from payments_core.drive import run_blocking
from payments_core.errors import ConfigurationError, FlowSuspendedError, StripeObjectMissing
from payments_core.ports import Gateway, Io
from payments_core.testing.contracts.gateway import PARAMS
from payments_core.testing.contracts.gateway_world import session
from tests.gateway.stripe_server import Answer, StripeServer
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
    """The asynchronous world has a few requests under way at a time: never fewer while there is work, never more."""
    # Archived ones are in no list: each is a request of its own.
    put_prices(server, 3 * CONCURRENT, active=False)
    # Requests are answered only in full groups: whoever asks one after the other waits here until the test fails.
    server.meeting = threading.Barrier(CONCURRENT)

    async def asked() -> None:
        gateway = async_gateway(settings(server.url))
        found = await gateway.catalogue([f"price_{number}" for number in range(3 * CONCURRENT)])
        await gateway.close()
        assert len(found) == 3 * CONCURRENT

    asyncio.run(asked())
    assert server.most_at_once == CONCURRENT


def put_prices(server: StripeServer, count: int, *, active: bool = True) -> None:
    price = {"object": "price", "active": active, "type": "one_time", "currency": "usd", "unit_amount": 1}
    server.put({"id": "prod_1", "object": "product", "active": True})
    for number in range(count):
        server.put({**price, "id": f"price_{number}", "product": "prod_1"})


@both
def test_connections_are_kept_and_used_again(io: Io, server: StripeServer) -> None:
    """Requests of one thread, or one loop, share a connection; errors do not cost it."""
    server.put(session("cs_test_1"))

    async def asked(gateway: Gateway) -> None:
        for _ in range(3):
            await gateway.session("cs_test_1")
            with pytest.raises(StripeObjectMissing):
                await gateway.session("cs_test_none")
        await gateway.close()

    drive(io, asked(gateway_of(io, settings(server.url))))
    assert len(server.requests) == 6
    assert len({request.peer for request in server.requests}) == 1


@both
def test_the_call_never_suspends_where_it_must_not(io: Io, server: StripeServer) -> None:
    """A blocking gateway runs to its end without a loop; an asynchronous one cannot be driven so."""
    gateway = gateway_of(io, settings(server.url))
    if io == "blocking":
        run_blocking(create_and_close(gateway))
    else:
        with pytest.raises(FlowSuspendedError, match="blocking_gateway"):
            run_blocking(gateway.create_session(PARAMS, idempotency_key="key_1"))
    assert len(server.requests) == (1 if io == "blocking" else 0)


def test_every_loop_has_connections_of_its_own(server: StripeServer) -> None:
    """One gateway, several loops one after the other and at once: all of them work."""
    server.put(session("cs_test_1"))
    gateway = async_gateway(settings(server.url))

    async def asked() -> None:
        await asyncio.gather(*(gateway.session("cs_test_1") for _ in range(3)))
        await gateway.close()

    for _ in range(2):
        asyncio.run(asked())
    threads = [threading.Thread(target=asyncio.run, args=(asked(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(server.requests) == 18


def test_two_loops_of_one_thread_can_take_turns(server: StripeServer) -> None:
    """The connections of a loop that is paused stay its own."""
    server.put(session("cs_test_1"))
    gateway = async_gateway(settings(server.url))
    with asyncio.Runner() as one, asyncio.Runner() as other:
        for runner in (one, other, one, other):
            runner.run(gateway.session("cs_test_1"))
        for runner in (one, other):
            runner.run(gateway.close())
    assert len({request.peer for request in server.requests}) == 2


async def test_requests_do_not_block_the_loop(server: StripeServer) -> None:
    """Creation of the client, requests and close, under the guard of the event loop."""
    gateway = async_gateway(settings(server.url))
    await gateway.create_session(PARAMS, idempotency_key="key_1")
    await gateway.catalogue(["prod_1", "price_1"])
    await gateway.close()
    assert server.requests


async def test_a_cancelled_request_is_cancelled(server: StripeServer) -> None:
    """Cancellation is no failure of Stripe's; it passes through, and the gateway goes on working."""
    gateway = async_gateway(settings(server.url))
    server.scripted.append(Answer(hang=True))
    asking = asyncio.ensure_future(gateway.session("cs_test_1"))
    await asyncio.to_thread(wait_until, lambda: bool(server.requests))
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    server.put(session("cs_test_1"))
    assert (await gateway.session("cs_test_1")).id == "cs_test_1"
    await gateway.close()


def test_every_thread_has_connections_of_its_own_and_close_ends_them_all(server: StripeServer) -> None:
    """Threads do not share a connection; one close gives back those of all of them."""
    server.put(session("cs_test_1"))
    gateway = blocking_gateway(settings(server.url))
    asked, closed = threading.Barrier(4), threading.Event()

    def ask() -> None:
        run_blocking(gateway.session("cs_test_1"))
        asked.wait(20)
        closed.wait(20)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    asked.wait(20)
    assert len({request.peer for request in server.requests}) == 3
    assert len(server.connections) == 3
    run_blocking(gateway.close())
    wait_until(lambda: not server.connections)
    closed.set()
    for thread in threads:
        thread.join(20)


def wait_until(condition: Callable[[], bool], deadline_s: float = 20) -> None:
    """Wait for what another process or thread does."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_a_forked_process_does_not_use_its_parents_connection(server: StripeServer) -> None:
    """After a fork the child opens its own; the parent goes on with the old one."""
    script = """
import os, sys
from payments_core.adapters.stripe import blocking_gateway
from payments_core.drive import run_blocking
from payments_core.settings import Settings
gateway = blocking_gateway(Settings.of(stripe_secret_key="sk_test_51Abc", stripe_api_base=sys.argv[1]))
run_blocking(gateway.session("cs_test_1"))
child = os.fork()
run_blocking(gateway.session("cs_test_1"))
if child:
    _, status = os.waitpid(child, 0)
    run_blocking(gateway.session("cs_test_1"))
    run_blocking(gateway.close())
    sys.exit(os.waitstatus_to_exitcode(status))
os._exit(0)
"""
    server.put(session("cs_test_1"))
    subprocess.run([sys.executable, "-c", script, server.url], check=True, timeout=60)
    peers = Counter(request.peer for request in server.requests)
    assert sorted(peers.values()) == [1, 3]


def test_importing_the_package_does_not_import_the_sdk() -> None:
    """Neither payments_core nor its Stripe adapter loads stripe, requests or aiohttp before a gateway is made."""
    script = """
import sys
import payments_core, payments_core.adapters.stripe
assert not {"stripe", "requests", "aiohttp"} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_without_aiohttp_the_asynchronous_gateway_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence at composition, not an ImportError at the first payment; the blocking one does not need it."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "aiohttp" else find(name))
    with pytest.raises(ConfigurationError, match=r"pip install 'payments-core\[fastapi\]'"):
        async_gateway(settings("http://127.0.0.1:9"))
    assert blocking_gateway(settings("http://127.0.0.1:9")).io == "blocking"


@both
def test_a_client_of_the_callers_is_used_and_left_open(io: Io) -> None:
    """`http_client` replaces the transport, and is not closed with the gateway."""

    class Canned(stripe.HTTPClient):
        name = "canned"
        closed = False

        def request(self, *args: object, **kwargs: object) -> tuple[str, int, dict[str, str]]:
            return json.dumps({"id": "cs_test_1"}), 200, {}

        async def request_async(self, *args: object, **kwargs: object) -> tuple[str, int, dict[str, str]]:
            return self.request()

        def close(self) -> None:
            self.closed = True

        async def close_async(self) -> None:
            self.closed = True

    client = Canned()
    make = blocking_gateway if io == "blocking" else async_gateway

    async def asked(gateway: Gateway) -> str:
        found = await gateway.session("cs_test_1")
        await gateway.close()
        return found.id

    assert drive(io, asked(make(settings("http://127.0.0.1:9"), http_client=client))) == "cs_test_1"
    assert not client.closed


def test_the_sdk_does_not_log_with_the_applications_own_level(server: StripeServer) -> None:
    """Turning on DEBUG for an application does not bring bodies and messages of the SDK's into its log."""
    blocking_gateway(settings(server.url))
    assert not logging.getLogger("stripe").isEnabledFor(logging.INFO)


def test_making_a_gateway_neither_connects_nor_needs_a_loop(server: StripeServer) -> None:
    """Composition at import time of an application is fine."""
    for io in ("blocking", "async"):
        assert gateway_of(io, settings(server.url)).io == io
    assert not server.connections
