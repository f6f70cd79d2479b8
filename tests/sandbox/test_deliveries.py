"""Telling endpoints: signatures, retries, and what the events list says about them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar

import pytest
import stripe

from payments_core.sandbox import Sandbox
from payments_core.sandbox.deliveries import MAX_ATTEMPTS, backoff_s
from payments_core.sandbox.dispatch import SendFailed, send
from tests.sandbox.conftest import SECRET, Caller, Clock, Mailbox, cart

SESSIONS = "/v1/checkout/sessions"


def expire_one(api: Caller) -> str:
    """Cause exactly one event; returns its id."""
    session = api.ok("POST", SESSIONS, cart())
    api.ok("POST", f"{SESSIONS}/{session['id']}/expire")
    return api.sandbox.events()[-1]["id"]


def listed(api: Caller, **filters: Any) -> list[str]:
    """Event ids of a list."""
    return [event["id"] for event in api.ok("GET", "/v1/events", filters)["data"]]


def test_a_delivery_carries_the_event_signed_as_stripe_signs(api: Caller, mailbox: Mailbox, clock: Clock) -> None:
    """stripe-python's own verifier accepts it, and the body is the event with one endpoint still to be told."""
    event_id = expire_one(api)

    assert asyncio.run(api.sandbox.deliver_due()) == 1

    (sent,) = mailbox.sent
    header = sent.headers["Stripe-Signature"]
    assert stripe.WebhookSignature.verify_header(sent.body.decode(), header, SECRET)
    assert header.startswith(f"t={clock.now},v1=")
    assert (sent.event["id"], sent.event["api_version"]) == (event_id, "2026-10-28.endive")
    assert sent.event["pending_webhooks"] == 1
    assert sent.event["request"]["id"].startswith("req_")


def test_a_failure_is_tried_again_later_and_signed_afresh(api: Caller, mailbox: Mailbox, clock: Clock) -> None:
    """After two seconds, then four: not before; the same event with a new time and signature."""
    expire_one(api)
    mailbox.status = 500
    deliver = api.sandbox.deliver_due

    assert [asyncio.run(deliver()), asyncio.run(deliver())] == [1, 0]
    clock.advance(2)
    assert [asyncio.run(deliver()), asyncio.run(deliver())] == [1, 0]
    clock.advance(3)
    assert asyncio.run(deliver()) == 0
    clock.advance(1)
    mailbox.status = 204
    assert asyncio.run(deliver()) == 1

    assert len({sent.body for sent in mailbox.sent}) == 1
    assert len({sent.headers["Stripe-Signature"] for sent in mailbox.sent}) == 3
    assert [(d.attempts, d.delivered, d.last_status) for d in api.sandbox.deliveries()] == [(3, True, 204)]
    clock.advance(86_400)
    assert asyncio.run(deliver()) == 0


@pytest.mark.parametrize("status", [301, 302, 400, 404, 410, 500, None])
def test_only_a_2xx_is_a_success(api: Caller, mailbox: Mailbox, status: int | None) -> None:
    """Redirects, errors of either side and no answer at all are failures."""
    expire_one(api)
    mailbox.status = status

    asyncio.run(api.sandbox.deliver_due())

    (delivery,) = api.sandbox.deliveries()
    assert (delivery.delivered, delivery.attempts, delivery.last_status) == (False, 1, status)
    assert delivery.next_at is not None


def test_after_several_tries_it_is_given_up(api: Caller, mailbox: Mailbox, clock: Clock) -> None:
    """Eighteen tries over three days, each after twice the time; the event stays undelivered."""
    event_id = expire_one(api)
    mailbox.status = None
    waits: list[int] = []

    asyncio.run(api.sandbox.deliver_due())
    while (wait := api.sandbox.next_due_in()) is not None:
        waits.append(wait)
        clock.advance(wait)
        asyncio.run(api.sandbox.deliver_due())

    assert len(mailbox.sent) == MAX_ATTEMPTS == 18
    assert waits == [2**n for n in range(1, 18)]
    assert 3 * 86_400 <= sum(waits) < 3.1 * 86_400
    assert api.ok("GET", f"/v1/events/{event_id}")["pending_webhooks"] == 1
    assert listed(api, delivery_success=False) == [event_id]
    assert [backoff_s(n) for n in (1, 2, 3, 17)] == [2, 4, 8, 131_072]


def test_the_list_tells_delivered_from_undelivered(api: Caller, mailbox: Mailbox) -> None:
    """`delivery_success` and `pending_webhooks` follow the endpoints' answers."""
    first = expire_one(api)
    asyncio.run(api.sandbox.deliver_due())
    mailbox.status = 500
    second = expire_one(api)
    asyncio.run(api.sandbox.deliver_due())

    assert listed(api, delivery_success=True) == [first]
    assert listed(api, delivery_success=False) == [second]
    assert [event["pending_webhooks"] for event in api.sandbox.events()] == [0, 1]


def test_events_are_listed_by_type_for_thirty_days(api: Caller, clock: Clock) -> None:
    """By one type, by several, by a family; an old event is gone."""
    session = api.ok("POST", SESSIONS, cart())
    api.sandbox.pay(session["id"])
    events = {event["type"]: event["id"] for event in api.sandbox.events()}

    assert listed(api, type="charge.succeeded") == [events["charge.succeeded"]]
    assert listed(api, types=["charge.succeeded", "checkout.session.completed"]) == [
        events["checkout.session.completed"],
        events["charge.succeeded"],
    ]
    assert listed(api, type="payment_intent.*") == [
        events["payment_intent.succeeded"],
        events["payment_intent.created"],
    ]
    assert api.refusal("GET", "/v1/events", {"type": "a.b", "types": ["c.d"]})["param"] == "types"
    clock.advance(30 * 86_400)
    assert listed(api) == []
    assert api.refusal("GET", f"/v1/events/{events['charge.succeeded']}")["code"] == "resource_missing"


def test_an_endpoint_of_its_own_gets_what_it_asked_for(api: Caller, mailbox: Mailbox) -> None:
    """Only the enabled types, signed with the secret that its creation showed once."""
    params = {"url": "http://other.test/hook", "enabled_events": ["charge.succeeded"]}
    made = api.ok("POST", "/v1/webhook_endpoints", params)
    session = api.ok("POST", SESSIONS, cart())
    api.sandbox.pay(session["id"])

    asyncio.run(api.sandbox.deliver_due())

    (sent,) = [sent for sent in mailbox.sent if sent.url == "http://other.test/hook"]
    assert sent.event["type"] == "charge.succeeded"
    header = sent.headers["Stripe-Signature"]
    assert stripe.WebhookSignature.verify_header(sent.body.decode(), header, made["secret"])
    assert made["secret"] != SECRET
    assert "secret" not in api.ok("GET", f"/v1/webhook_endpoints/{made['id']}")
    assert len(mailbox.sent) == 5


def test_a_deleted_endpoint_is_told_nothing_more(api: Caller, mailbox: Mailbox, clock: Clock) -> None:
    """Its waiting deliveries are dropped, and no event waits for it."""
    (endpoint,) = api.ok("GET", "/v1/webhook_endpoints")["data"]
    mailbox.status = 500
    expire_one(api)
    asyncio.run(api.sandbox.deliver_due())
    api.ok("DELETE", f"/v1/webhook_endpoints/{endpoint['id']}")
    clock.advance(60)

    assert asyncio.run(api.sandbox.deliver_due()) == 0
    assert api.sandbox.events()[0]["pending_webhooks"] == 0


def test_a_disabled_endpoint_is_told_nothing_and_no_more_of_what_fell_due_meanwhile(
    api: Caller, mailbox: Mailbox, clock: Clock
) -> None:
    """A retry whose turn comes while it is disabled ends there; one that is still to come goes on."""
    (endpoint,) = api.ok("GET", "/v1/webhook_endpoints")["data"]
    url = f"/v1/webhook_endpoints/{endpoint['id']}"
    first = expire_one(api)
    assert api.ok("POST", url, {"disabled": True})["status"] == "disabled"
    expire_one(api)
    api.ok("POST", url, {"disabled": False})
    assert asyncio.run(api.sandbox.deliver_due()) == 1
    mailbox.status = 500
    expire_one(api)
    asyncio.run(api.sandbox.deliver_due())
    api.ok("POST", url, {"disabled": True})
    clock.advance(60)
    assert asyncio.run(api.sandbox.deliver_due()) == 0
    api.ok("POST", url, {"disabled": False})
    clock.advance(4 * 86_400)

    assert asyncio.run(api.sandbox.deliver_due()) == 0
    assert len(mailbox.sent) == 2
    assert mailbox.sent[0].event["id"] == first
    assert api.sandbox.deliveries()[-1].last_error == "the endpoint is disabled"


@pytest.mark.parametrize(
    "params",
    [
        {"url": "http://x.test/"},
        {"enabled_events": ["*"]},
        {"url": "ftp://x.test/", "enabled_events": ["*"]},
        {"url": "http://x.test/", "enabled_events": ["everything"]},
        {"url": "http://x.test/", "enabled_events": ["checkout.session.complete"]},
        {"url": "http://x.test/", "enabled_events": ["*"], "api_version": "2024-06-20"},
    ],
)
def test_an_endpoint_that_cannot_be_served_is_refused(api: Caller, params: dict[str, Any]) -> None:
    """An address and types are needed, and events have one version only."""
    assert api.refusal("POST", "/v1/webhook_endpoints", params)["status"] == 400


def test_a_synchronous_caller_makes_the_deliveries_itself(api: Caller) -> None:
    """`due` gives signed requests, `record` takes their outcome: no event loop is needed."""
    expire_one(api)

    (post,) = api.sandbox.due()
    api.sandbox.record(post, status=200)

    assert json.loads(post.body)["type"] == "checkout.session.expired"
    assert api.sandbox.due() == []
    assert api.sandbox.events()[0]["pending_webhooks"] == 0


async def test_one_slow_endpoint_is_not_asked_twice_at_once(clock: Clock) -> None:
    """While a try is under way, the same delivery is not started again."""
    gate = asyncio.Event()
    tries: list[str] = []

    async def slow(url: str, body: bytes, headers: object) -> int:
        tries.append(url)
        await gate.wait()
        return 200

    sandbox = Sandbox(forward_to=["http://shop.test/webhook"], clock=clock, send=slow, seed=1)
    session = await in_process(sandbox)
    sandbox.expire(session["id"])

    started = sandbox.start_due()
    again = sandbox.start_due()
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*started)

    assert (len(started), len(again), len(tries)) == (1, 0, 1)
    assert sandbox.events()[0]["pending_webhooks"] == 0


async def in_process(sandbox: Sandbox) -> dict[str, Any]:
    """A session made through the API on the running loop."""
    from urllib.parse import urlencode

    from stripe._encode import _api_encode

    from payments_core.sandbox.api import ApiRequest

    body = urlencode(list(_api_encode(cart()))).encode()
    reply = await sandbox.answer(ApiRequest("POST", SESSIONS, "", body, {"authorization": "Bearer sk_test_x"}))
    return reply.body


class Elsewhere(BaseHTTPRequestHandler):
    """Redirects every POST to a page that would say yes."""

    seen: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.seen.append(self.path)
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(307 if self.path == "/moved" else 200)
        self.send_header("location", "/yes")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Keep quiet."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of a server that redirects."""
    Elsewhere.seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


async def test_the_real_sender_follows_no_redirect(elsewhere: str) -> None:
    """The redirect itself is the answer."""
    assert await send(f"{elsewhere}/moved", b"{}", {}) == 307
    assert Elsewhere.seen == ["/moved"]


async def test_the_real_sender_says_in_a_few_words_that_nobody_listens() -> None:
    """No traceback, no address: a reason."""
    with pytest.raises(SendFailed, match="connection refused"):
        await send("http://127.0.0.1:1/", b"{}", {})
