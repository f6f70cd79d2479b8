"""S14: no address inside an event is ever called: in both adapters, with a real client of Stripe's API.

Every connection that the process opens is noted; the only ones are to Stripe's stand-in, and the trap that all the
addresses lead to is never touched.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from payments_core import ConfigurationError, Settings
from payments_core.domain.delivery import InboxState
from tests.http.conftest import Stripe
from tests.http.targets import Target, opened
from tests.http.wrong_bodies import REFERENCE

DEADLINE_S = 30.0
FINAL = (InboxState.DONE, InboxState.DEAD)
URL_FIELDS = (
    "receipt_url", "hosted_invoice_url", "invoice_pdf", "success_url", "cancel_url", "return_url", "url", "api_base",
    "image", "hosted_voucher_url", "href", "$ref", "@id", "xmlns", "callback", "webhook",
)  # fmt: skip
KINDS = (
    "checkout.session.completed", "payment_intent.succeeded", "payment_intent.payment_failed", "invoice.paid",
    "charge.refunded", "product.updated", "price.updated", "v2.core.health.event_generation_failure.resolved",
)  # fmt: skip


@pytest.fixture
def trap() -> Iterator[socket.socket]:
    """A listener that nobody may call."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> set[Any]:
    """The addresses to which this process has opened a connection."""
    addresses: set[Any] = set()
    for name in ("connect", "connect_ex"):
        real = getattr(socket.socket, name)

        def noted(self: socket.socket, address: Any, real: Any = real) -> Any:
            addresses.add(address)
            return real(self, address)

        monkeypatch.setattr(socket.socket, name, noted)
    return addresses


def full_of_addresses(kind: str, number: int, session_id: str, trap: str) -> bytes:
    """An event whose every field that could hold an address holds the trap's."""
    addresses: dict[str, object] = {name: f"{trap}/{name}" for name in URL_FIELDS}
    subject = {
        **addresses,
        "id": session_id if kind.startswith("checkout") else f"{trap}/v1/objects/1",
        "object": kind.rpartition(".")[0],
        "payment_status": "paid",
        "metadata": {"callback": trap},
        "line_items": {"object": "list", "url": f"{trap}/lines", "has_more": True, "data": []},
        "images": [f"{trap}/i.png"],
        "latest_charge": f"{trap}/v1/charges/1",
    }
    event = {
        "id": f"evt_fetch_{number}", "object": "event", "type": kind, "livemode": False, "api_version": trap,
        "data": {"object": subject}, "request": {"id": trap},
        "related_object": {"id": "x", "type": "event", "url": trap},
    }  # fmt: skip
    return json.dumps(event).encode()


@pytest.mark.parametrize("adapter", ["fastapi", "flask"])
def test_no_address_inside_an_event_is_ever_called(
    adapter: str, stripe: Stripe, tmp_path: Path, trap: socket.socket, called: set[Any]
) -> None:
    """Receipts, invoices, images, pages of lists, ids that look like addresses."""
    address = f"http://127.0.0.1:{trap.getsockname()[1]}"
    with opened(adapter, stripe.url, tmp_path) as target:
        session_id = target.post("/create-checkout-session", REFERENCE).json["sessionId"]
        stripe.sandbox.pay(session_id)
        for number, kind in enumerate(KINDS):
            assert target.webhook(full_of_addresses(kind, number, session_id, address)).status == 200
        await_tries(target, tmp_path)
    sandbox = {("127.0.0.1", int(stripe.url.rpartition(":")[2]))}
    assert called >= sandbox, "Stripe was never asked: the events were not worked"
    assert {one[:2] for one in called if isinstance(one, tuple)} == sandbox
    with contextlib.suppress(BlockingIOError):
        trap.accept()
        raise AssertionError("the trap was called")


def await_tries(target: Target, folder: Path) -> None:
    """Wait until the runner has tried each event; what Stripe does not know is tried again later."""
    engine = sqlalchemy.create_engine(f"sqlite:///{folder / 'payments.db'}", poolclass=sqlalchemy.NullPool)
    deadline = time.monotonic() + DEADLINE_S
    rows: list[Any] = []
    while time.monotonic() < deadline:
        target.request("GET", "/health")
        with engine.connect() as connection:
            rows = list(connection.execute(sqlalchemy.text("SELECT event_id, state, last_error FROM payments_inbox")))
        if all(state in FINAL or error for _, state, error in rows):
            return
        time.sleep(0.1)
    raise AssertionError(rows)


@pytest.mark.parametrize(
    "base",
    ["http://169.254.169.254", "https://api.stripe.com.evil.test", "http://10.0.0.1", "file:///etc/passwd"],
)
def test_stripe_s_address_can_be_moved_to_this_machine_only(base: str) -> None:
    """Neither a typing error nor an attacker's environment sends a key elsewhere, and a live one goes to Stripe."""
    with pytest.raises(ConfigurationError, match="STRIPE_API_BASE"):
        Settings.of(stripe_secret_key="sk_test_123", stripe_api_base=base)
    live = {"stripe_secret_key": "sk_live_1", "payments_price_policy": "catalog", "payments_redirect_hosts": "a.test"}
    with pytest.raises(ConfigurationError, match="STRIPE_API_BASE"):
        Settings.of(**live, stripe_api_base="http://127.0.0.1:12111")
