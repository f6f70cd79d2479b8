"""A sandbox with a clock that the test moves, and a caller that speaks to its API as stripe-python would."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from attrs import Factory, define, frozen
from stripe._encode import _api_encode

from payments_core.drive import run_blocking
from payments_core.sandbox import Sandbox, running
from payments_core.sandbox.api import ApiReply, ApiRequest
from payments_core.sandbox.dispatch import SendFailed
from tests._services import unavailable
from tests.sandbox import oracle
from tools import npm

NOON = 1_795_394_000
SECRET = "whsec_test_of_the_sandbox"
VERSION = "2026-10-28.endive"


@define
class Clock:
    """Epoch seconds that move only when the test says so."""

    now: int = NOON

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: int) -> None:
        self.now += seconds


@define
class Caller:
    """Calls the API of a sandbox without a server, encoding as stripe-python does.

    Every reply is checked against the fields, types and words of the pinned version on its way (`oracle`).
    """

    sandbox: Sandbox
    headers: dict[str, str] = Factory(lambda: {"authorization": "Bearer sk_test_caller", "stripe-version": VERSION})

    def __call__(self, method: str, path: str, params: Mapping[str, Any] | None = None, **headers: str) -> ApiReply:
        """One request; header names with underscores, as in `idempotency_key="k"`."""
        text = urlencode(list(_api_encode(params or {})))
        sent = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        is_post = method == "POST"
        request = ApiRequest(method, path, "" if is_post else text, text.encode() if is_post else b"", sent)
        reply = run_blocking(self.sandbox.answer(request))
        sent_back = json.loads(json.dumps(reply.body))
        assert (oracle.problems(sent_back) if reply.status == 200 else oracle.error_problems(sent_back)) == []
        return reply

    def ok(self, method: str, path: str, params: Mapping[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        """One request that must succeed; its body, after a journey through JSON."""
        reply = self(method, path, params, **headers)
        assert reply.status == 200, reply.body
        return json.loads(json.dumps(reply.body))

    def refusal(self, method: str, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request that must be refused: the error object with its `status`."""
        reply = self(method, path, params)
        assert reply.status >= 400, reply.body
        return {"status": reply.status, "code": None, "param": None, **reply.body["error"]}


@frozen
class Sent:
    """One delivery as an endpoint got it."""

    url: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)


@define
class Mailbox:
    """Stands for the network: notes what is sent and answers with `status`, or with nothing at all (None)."""

    status: int | None = 200
    sent: list[Sent] = Factory(list)

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        self.sent.append(Sent(url, body, headers))
        if self.status is None:
            raise SendFailed("connection refused or host unknown")
        return self.status


def cart(*lines: tuple[str, int, int], **more: Any) -> dict[str, Any]:
    """Parameters of a hosted session; a line is name, unit amount and quantity. Without lines: two T-shirts."""
    return {
        "mode": "payment",
        "success_url": "https://shop.test/thanks?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.test/cart",
        "line_items": [
            {
                "price_data": {"currency": "usd", "unit_amount": amount, "product_data": {"name": name}},
                "quantity": quantity,
            }
            for name, amount, quantity in lines or (("Premium T-Shirt", 2999, 2),)
        ],
        **more,
    }


@pytest.fixture
def clock() -> Clock:
    """Noon, until moved."""
    return Clock()


@pytest.fixture
def mailbox() -> Mailbox:
    """An endpoint that takes everything, until told otherwise."""
    return Mailbox()


@pytest.fixture
def sandbox(clock: Clock, mailbox: Mailbox) -> Iterator[Sandbox]:
    """A sandbox that forwards every event to one endpoint; each event's shape is checked when the test is over."""
    made = Sandbox(
        webhook_secret=SECRET,
        forward_to=["http://shop.test/webhook"],
        clock=clock,
        seed=7,
        base_url="http://127.0.0.1:12111",
        send=mailbox,
    )
    yield made
    assert [problem for event in made.events() for problem in oracle.problems(event)] == []


@pytest.fixture
def api(sandbox: Sandbox) -> Caller:
    """The sandbox's API."""
    return Caller(sandbox)


@pytest.fixture
def served() -> Iterator[Sandbox]:
    """A sandbox behind a real server on a free port."""
    with running(webhook_secret=SECRET) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def extracted() -> dict[str, Any]:
    """Every field of Stripe's objects at the pinned version, as extracted from the SDK's wheel, where that file is."""
    beside = Path(__file__).parents[3] / "shared" / "stripe" / "stripe-python-16.1.0-shapes.json"
    path = Path(os.environ.get("PAYMENTS_STRIPE_SHAPES", beside))
    if not path.is_file():
        pytest.skip("no Stripe object shapes: set PAYMENTS_STRIPE_SHAPES to the extracted JSON file")
    return json.loads(path.read_text("utf-8"))


@pytest.fixture(scope="session")
def stripe_npm() -> Path:
    """`node_modules` with Stripe's own command-line tool and stripe-node."""
    try:
        return npm.installed("stripe")
    except npm.CannotFetch as reason:
        pytest.skip(unavailable("npm", str(reason)))
