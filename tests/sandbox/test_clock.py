"""Time that is moved on request: what runs out does, retries come, and the machine's own time stays out of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import requests
import stripe

from payments_core.sandbox import Sandbox
from tests.sandbox.conftest import NOON, SECRET, Caller, Clock, Mailbox, cart
from tests.sandbox.test_deliveries import expire_one

SESSIONS = "/v1/checkout/sessions"


def test_a_session_expires_at_its_own_moment_on_the_way(api: Caller) -> None:
    """Two days pass; the event is of the hour at which the session ran out."""
    session = api.ok("POST", SESSIONS, cart())

    now = api.sandbox.advance(timedelta(days=2))

    assert now == api.sandbox.now() == NOON + 2 * 86_400
    assert api.sandbox.session(session["id"])["status"] == "expired"
    (event,) = api.sandbox.events("checkout.session.expired")
    assert event["created"] == session["expires_at"]


def test_time_does_not_go_back(sandbox: Sandbox) -> None:
    """A mistake is told, and nothing moves."""
    with pytest.raises(ValueError, match="forward only"):
        sandbox.advance(-1)
    assert sandbox.ahead_s == 0


def test_retries_are_made_as_their_times_come(api: Caller, mailbox: Mailbox) -> None:
    """A minute passes over an endpoint that fails: tries after 0, 2, 6, 14 and 30 seconds."""
    expire_one(api)
    mailbox.status = 500

    asyncio.run(api.sandbox.advance_and_deliver(60))

    assert len(mailbox.sent) == 5
    assert api.sandbox.now() == NOON + 60
    asyncio.run(api.sandbox.advance_and_deliver(timedelta(days=4)))
    assert len(mailbox.sent) == 18


def test_a_signature_bears_the_time_of_whoever_checks_it(clock: Clock) -> None:
    """The shop was not moved, unless it says that its clock is the sandbox's."""
    for moves, expected in ((False, NOON), (True, NOON + 86_400)):
        box = Mailbox()
        sandbox = Sandbox(
            webhook_secret=SECRET, forward_to=["http://s.test/"], clock=clock, seed=1, send=box, moves_receivers=moves
        )
        sandbox.advance(86_400)
        expire_one(Caller(sandbox))
        asyncio.run(sandbox.deliver_due())
        assert box.sent[0].headers["Stripe-Signature"].startswith(f"t={expected},")


def test_the_clock_is_moved_over_http(served: Sandbox) -> None:
    """The sandbox's own route: it tells the time, and moves it."""
    address = f"{served.base_url}/sandbox/clock"
    client = stripe.StripeClient(
        "sk_test_x", base_addresses={"api": served.base_url}, http_client=stripe.RequestsClient()
    )
    session = client.v1.checkout.sessions.create(cart())  # pyright: ignore[reportArgumentType]

    before = requests.get(address, timeout=10).json()
    after = requests.post(address, json={"advance_s": 90_000}, timeout=10).json()

    assert after["ahead_s"] == 90_000
    assert 90_000 <= after["now"] - before["now"] < 90_060
    assert served.session(session.id)["status"] == "expired"


@pytest.mark.parametrize(
    "request_",
    [
        {"data": {"advance_s": "3600"}},
        {"json": {"advance_s": "3600"}},
        {"json": {"advance_s": -1}},
        {"json": {"advance_s": True}},
        {"json": {"advance_s": 10**12}},
        {"json": {}},
        {"json": [3600]},
        {"data": b"{", "headers": {"content-type": "application/json"}},
        {"data": b" " * 2000, "headers": {"content-type": "application/json"}},
    ],
)
def test_what_is_no_order_to_the_clock_moves_nothing(served: Sandbox, request_: dict[str, Any]) -> None:
    """A form from a web page first of all; the answer says what to send."""
    reply = requests.post(f"{served.base_url}/sandbox/clock", timeout=10, **request_)

    assert reply.status_code == 400
    assert "advance_s" in reply.json()["error"]["message"]
    assert served.ahead_s == 0


def test_stripes_own_test_clocks_say_where_the_clock_is(api: Caller) -> None:
    """They move customers and subscriptions at Stripe; a made-up success would move nothing here."""
    for method, path in (("POST", ""), ("GET", "/clock_1"), ("POST", "/clock_1/advance")):
        refusal = api.refusal(method, f"/v1/test_helpers/test_clocks{path}")
        assert refusal["code"] == "sandbox_not_implemented"
        assert "POST /sandbox/clock" in refusal["message"]
