"""The wall between the two worlds: no event loop in Flask's path, nothing that blocks the loop in FastAPI's."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from flask import Flask

from payments_core import AsyncPayments, Payments
from payments_core.domain.signature import sign
from payments_core.sandbox import Sandbox, running
from payments_fastapi import create_router
from payments_flask import create_blueprint
from tests.http.targets import PREFIX, WEBHOOK_SECRET, settings
from tests.http.wrong_bodies import REFERENCE, text

EVENT = b'{"id":"evt_wall","type":"customer.tax_id.updated","data":{"object":{}}}'
JSON = {"Content-Type": "application/json"}
CLAIMS = b'{"products":[{"productId":"prod_nobody","price":1,"quantity":1}]}'


@pytest.fixture(scope="module")
def stripe() -> Iterator[Sandbox]:
    with running() as sandbox:
        yield sandbox


def signature() -> dict[str, str]:
    return {"Stripe-Signature": sign(EVENT, WEBHOOK_SECRET, timestamp_s=int(time.time()))}


def test_in_flask_no_event_loop_is_ever_made(stripe: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkout, prices, webhook, settlement at the success page and readiness, with every way to a loop forbidden."""
    made: list[str] = []
    # The sandbox and other tests' servers have loops of their own; ours is this thread and whatever it starts.
    others = set(threading.enumerate()) - {threading.current_thread()}

    def forbid(name: str) -> None:
        real = getattr(asyncio.events, name)

        def refuse(*arguments: object, **named: object) -> object:
            if threading.current_thread() in others:
                return real(*arguments, **named)
            made.append(name)
            raise AssertionError(f"asyncio.{name} was called in the synchronous world")

        for module in (asyncio, asyncio.events):
            monkeypatch.setattr(module, name, refuse)

    for name in ("new_event_loop", "get_event_loop", "set_event_loop"):
        forbid(name)
    app = Flask(__name__)
    with contextlib.closing(Payments(settings(stripe.base_url, tmp_path))) as payments:
        app.register_blueprint(create_blueprint(payments), url_prefix=PREFIX)
        client = app.test_client()
        created = client.post(f"{PREFIX}/create-checkout-session", data=text(REFERENCE), headers=JSON)
        assert created.status_code == 200
        stripe.pay(created.get_json()["sessionId"])
        status = client.get(f"{PREFIX}/checkout-sessions/{created.get_json()['sessionId']}")
        assert status.get_json()["paymentStatus"] == "paid"
        assert client.post(f"{PREFIX}/verify-prices", data=CLAIMS, headers=JSON).status_code == 422
        assert client.post(f"{PREFIX}/webhooks/stripe", data=EVENT, headers=signature()).status_code == 200
        assert client.get(f"{PREFIX}/ready").status_code == 200
    assert made == []


async def test_in_fastapi_nothing_blocks_the_loop(stripe: Sandbox, tmp_path: Path) -> None:
    """The same journey on one loop; the guard around every async test fails any blocking call of ours."""
    app = FastAPI()
    app.include_router(create_router(AsyncPayments(settings(stripe.base_url, tmp_path))), prefix=PREFIX)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url=f"http://shop.example{PREFIX}") as client,
    ):
        created = await client.post("/create-checkout-session", content=text(REFERENCE), headers=JSON)
        assert created.status_code == 200
        session_id = created.json()["sessionId"]
        await asyncio.to_thread(stripe.pay, session_id)
        status = await client.get(f"/checkout-sessions/{session_id}")
        assert status.json()["paymentStatus"] == "paid"
        assert (await client.post("/verify-prices", content=CLAIMS, headers=JSON)).status_code == 422
        assert (await client.post("/webhooks/stripe", content=EVENT, headers=signature())).status_code == 200
        assert (await client.get("/ready")).status_code == 200


async def test_a_plain_user_id_callable_may_block_without_holding_up_the_loop(stripe: Sandbox, tmp_path: Path) -> None:
    """A session store is read in a worker thread, as FastAPI does with plain dependencies."""
    loop_thread = threading.current_thread()
    threads: list[threading.Thread] = []

    def user_id(_request: object) -> str:
        threads.append(threading.current_thread())
        return "user-7"

    app = FastAPI()
    payments = AsyncPayments(settings(stripe.base_url, tmp_path))
    app.include_router(create_router(payments, user_id=user_id), prefix=PREFIX)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url=f"http://shop.example{PREFIX}") as client,
    ):
        assert (await client.post("/create-checkout-session", content=text(REFERENCE), headers=JSON)).status_code == 200
    assert len(threads) == 1
    assert threads[0] is not loop_thread
