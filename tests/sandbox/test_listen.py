"""`stripe listen`, by Stripe's own tool: events over a websocket, handed to a shop, and what the shop answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import stripe
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from payments_core.sandbox import Sandbox
from payments_core.sandbox.deliveries import Post
from payments_core.sandbox.dispatch import SendFailed
from payments_core.sandbox.listeners import SUBPROTOCOL, Connection
from payments_core.sandbox.records.events import Delivery
from tests.sandbox.conftest import SECRET, cart

NOWHERE = "http://127.0.0.1:9"
PATIENCE_S = 30
SESSIONS = "/v1/stripecli/sessions"


class Shop:
    """A webhook that keeps what it gets and answers with `status`."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, str]] = []
        self.status = 200
        shop = self

        class Hook(BaseHTTPRequestHandler):
            """One delivery."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                shop.got.append((body, self.headers["Stripe-Signature"]))
                self.send_response(shop.status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
                """Keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A shop with a webhook of its own, on a free port."""
    made = Shop()
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


Listen = Callable[..., Any]


@pytest.fixture
def listening(stripe_npm: Path, served: Sandbox, tmp_path: Path) -> Listen:
    """Runs `stripe listen` with these options until the block ends; it is ready when the block begins."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("Stripe's tool comes from npm for Linux on x86-64 alone")
    program = stripe_npm / "@stripe/cli-linux-x64/bin/stripe"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
        "HTTPS_PROXY": NOWHERE,
    }

    @contextmanager
    def run(*options: str) -> Iterator[subprocess.Popen[str]]:
        command = [str(program), "listen", "--api-base", served.base_url, "--api-key", "sk_test_sandbox_only"]
        with subprocess.Popen(
            [*command, "--skip-update", *options],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    if "Ready!" in line:
                        break
                yield process
            finally:
                process.terminate()
                process.wait(PATIENCE_S)

    return run


def ended(sandbox: Sandbox, number: int) -> list[Delivery]:
    """The deliveries, once this many have been tried."""
    deadline = time.monotonic() + PATIENCE_S
    while sum(one.attempts > 0 for one in sandbox.deliveries()) < number:
        assert time.monotonic() < deadline, sandbox.deliveries()
        threading.Event().wait(0.05)
    return sandbox.deliveries()


def expired(sandbox: Sandbox) -> str:
    """One event; the session's id."""
    client = stripe.StripeClient(
        "sk_test_x", base_addresses={"api": sandbox.base_url}, http_client=stripe.RequestsClient()
    )
    session = client.v1.checkout.sessions.create(cart())  # type: ignore[arg-type]
    sandbox.expire(session.id)
    return session.id


@pytest.mark.npm
def test_a_shop_gets_snapshots_through_the_tool(listening: Listen, served: Sandbox, shop: Shop) -> None:
    """Signed with the sandbox's secret, which is what the tool prints; the shop's answer is the delivery's state."""
    with listening("--forward-to", shop.url, "--all-snapshot"):
        session_id = expired(served)
        (first,) = ended(served, 1)
        shop.status = 500
        expired(served)
        second = ended(served, 2)[1]

    (body, signature) = shop.got[0]
    event = stripe.Webhook.construct_event(body, signature, SECRET)
    assert (event.type, event.data.object["id"]) == ("checkout.session.expired", session_id)
    assert (first.delivered, first.last_status) == (True, 200)
    assert (second.delivered, second.last_status, second.next_at) == (False, 500, None)


@pytest.mark.npm
def test_a_shop_gets_thin_notifications_through_the_tool(listening: Listen, served: Sandbox, shop: Shop) -> None:
    """With `--all-thin`; stripe-python reads them."""
    with listening("--forward-to", shop.url, "--all-thin"):
        session_id = expired(served)
        (delivery,) = ended(served, 1)

    client = stripe.StripeClient("sk_test_x", base_addresses={"api": served.base_url})
    notification = client.parse_event_notification(*shop.got[0], SECRET)
    assert isinstance(notification, stripe.events.V1CheckoutSessionExpiredEventNotification)
    assert notification.fetch_related_object().id == session_id
    assert delivery.delivered


@pytest.mark.npm
def test_what_the_tool_filters_out_or_cannot_post_is_no_success(listening: Listen, served: Sandbox, shop: Shop) -> None:
    """It acknowledges and does not answer."""
    with listening("--forward-to", shop.url, "--events", "charge.succeeded"):
        expired(served)
        (filtered,) = ended(served, 1)

    assert (filtered.delivered, shop.got) == (False, [])
    assert "filtered out" in (filtered.last_error or "")


@pytest.mark.npm
def test_the_tool_prints_the_secret(stripe_npm: Path, served: Sandbox, tmp_path: Path) -> None:
    """`--print-secret`, and nothing listens afterwards."""
    done = subprocess.run(
        [
            str(stripe_npm / "@stripe/cli-linux-x64/bin/stripe"), "listen", "--print-secret",
            "--api-base", served.base_url, "--api-key", "sk_test_sandbox_only",
        ],
        env={"PATH": "/usr/bin", "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "HTTPS_PROXY": NOWHERE},
        capture_output=True, text=True, timeout=PATIENCE_S, check=True,
    )  # fmt: skip
    expired(served)

    assert SECRET in done.stdout
    assert served.deliveries() == []


@pytest.mark.npm
def test_the_tool_sends_an_event_once_more(stripe_npm: Path, served: Sandbox, tmp_path: Path, shop: Shop) -> None:
    """`stripe events resend --webhook-endpoint` gets it to an endpoint that had it already."""
    client = stripe.StripeClient(
        "sk_test_x", base_addresses={"api": served.base_url}, http_client=stripe.RequestsClient()
    )
    endpoint = client.v1.webhook_endpoints.create({"url": shop.url, "enabled_events": ["*"]})
    expired(served)
    ended(served, 1)
    event_id = served.events()[0]["id"]
    subprocess.run(
        [
            str(stripe_npm / "@stripe/cli-linux-x64/bin/stripe"), "events", "resend", event_id,
            "--webhook-endpoint", endpoint.id, "--api-base", served.base_url, "--api-key", "sk_test_sandbox_only",
        ],
        env={"PATH": "/usr/bin", "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "HTTPS_PROXY": NOWHERE},
        capture_output=True, text=True, timeout=PATIENCE_S, check=True,
    )  # fmt: skip

    ended(served, 2)
    assert [json.loads(body)["id"] for body, _ in shop.got] == [event_id, event_id]


def open_session(sandbox: Sandbox, form: str = "websocket_features[]=webhooks", key: str = "sk_test_x") -> Any:
    """A session as the tool asks for it: status and JSON, which is no object of the public API."""
    headers = {"authorization": f"Bearer {key}"}
    status, _, body = sandbox.call("POST", f"http://sandbox{SESSIONS}", headers, f"device_name=me&{form}".encode())
    return status, json.loads(body)


def test_a_tool_that_is_away_for_a_moment_misses_nothing(served: Sandbox) -> None:
    """Events wait for it; when it does not come back, it is forgotten."""
    _, session = open_session(served, "websocket_features[]=webhooks&forward_to_url=http://shop.test/")
    listen: dict[str, Any] = {
        "additional_headers": {"Websocket-Id": session["websocket_id"]},
        "subprotocols": [SUBPROTOCOL],
    }

    with connect(session["websocket_url"], **listen):
        pass
    expired(served)
    with connect(session["websocket_url"], **listen) as socket:
        event = json.loads(socket.recv(PATIENCE_S))
        answer = {"webhook_conversation_id": event["webhook_conversation_id"]}
        socket.send(json.dumps({"type": "event_ack", **answer}))
        socket.send("what is this")
        socket.send(json.dumps(["or this"]))
        socket.send(json.dumps({"type": "webhook_response", "status": 201, **answer}))
        assert ended(served, 1)[0].last_status == 201
    while any(endpoint.updated is None for endpoint in served.state.endpoints):
        threading.Event().wait(0.01)
    served.advance(31)
    expired(served)

    assert [endpoint.kind for endpoint in served.state.endpoints] == []
    assert len(served.deliveries()) == 1


def test_a_stranger_does_not_get_in(served: Sandbox) -> None:
    """Without the id of a session there is no connection, and a session needs a key and a feature."""
    with pytest.raises(InvalidStatus), connect(served.base_url.replace("http", "ws") + "/stripecli/listen"):
        pass
    assert open_session(served, key="")[0] == 401
    assert open_session(served, "websocket_features[]=logs")[1]["error"]["param"] == "websocket_features"
    for _ in range(40):
        open_session(served)
    assert len(served.state.endpoints) <= 33


async def test_an_answer_that_comes_late_counts_all_the_same() -> None:
    """A slow shop; what was noted as unanswered is then noted as it was answered."""
    late: list[tuple[str, int]] = []
    sent: list[str] = []

    async def send(text: str) -> None:
        sent.append(text)
        connection.hear(json.dumps({"type": "event_ack", "webhook_conversation_id": "dlv_1"}))

    connection = Connection(True, send, lambda post, status: late.append((post.delivery, status)))
    post = Post("dlv_1", "evt_1", "wsid_1_webhooks", "", b"{}", {})
    with pytest.raises(SendFailed, match="filtered out"):
        await connection.deliver(post)
    connection.hear(json.dumps({"type": "webhook_response", "status": 200, "webhook_conversation_id": "dlv_1"}))
    connection.hear(json.dumps({"type": "webhook_response", "status": 500, "webhook_conversation_id": "dlv_1"}))

    assert late == [("dlv_1", 200)]
    assert json.loads(sent[0])["endpoint"] == {"api_version": None}


async def test_a_tool_that_only_prints_has_taken_what_it_acknowledged() -> None:
    """Without `--forward-to` nobody else answers."""

    async def send(text: str) -> None:
        connection.hear(json.dumps({"type": "event_ack", "webhook_conversation_id": "dlv_1"}))

    connection = Connection(False, send, lambda post, status: None)
    assert await connection.deliver(Post("dlv_1", "evt_1", "wsid_1_webhooks", "", b"{}", {})) == 200
