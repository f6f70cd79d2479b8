"""S17: nothing that is sent begins a line of its own in a log, or colours one: every record parses, on every store."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator

import pytest

from payments_core import PaymentFailed, PaymentSuccessful
from tests.flows.shop import declined, own_intent, own_session
from tests.guarantees.test_g08_secrets_stay import STANDARD
from tests.guarantees.world import DONE, World

FORGED = "\r\n2026-11-25 ERROR payments_core forged\x1b[31m\u2028forged\x00"
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\u0085\u2028\u2029]")


class Lines(logging.Handler):
    """Each record as one line of JSON, as an operator's formatter writes it; and its message as it is."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        fields = {key: value for key, value in vars(record).items() if key not in STANDARD}
        self.messages.append(record.getMessage())
        self.lines.append(json.dumps({"message": record.getMessage(), "logger": record.name, **fields}))


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What the library says while the test runs."""
    handler, logger = Lines(), logging.getLogger("payments_core")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_every_record_is_one_line_that_parses_whatever_was_sent(world: World, lines: Lines) -> None:
    """In ids, types, metadata, codes, request ids, names and addresses; refused, received, failed, settled."""
    world.note_effects(PaymentSuccessful, PaymentFailed)
    world.on("customer.updated", fail)
    opened = world.checkout(metadata={"note": FORGED.replace("\x00", "")})
    refused = declined("ch_1", code=FORGED, decline_code=FORGED)
    world.deliver("payment_intent.payment_failed", own_intent(world, opened, refused))  # type: ignore[arg-type]
    world.shop.work()
    forged = {"customer_details": {"email": FORGED, "name": FORGED}, "payment_intent": f"pi_{FORGED}"}
    world.deliver(DONE, own_session(world, opened, **forged))  # type: ignore[arg-type]
    world.deliver("customer.updated", {"id": f"cus_{FORGED}", "object": "customer", "name": FORGED})
    world.deliver("invoice.paid", {"id": f"in_{FORGED}", "object": "invoice", "currency": FORGED})
    for name in ("id", "type", "account"):
        body, _ = world.event("customer.updated", {"id": "cus_1"}, **{name: f"evt_{FORGED}"})
        assert world.post(body).status == 200
    assert world.post(b"{}", {"Stripe-Signature": "t=1,v1=\t'; forged", "X-Request-Id": "a b forged"}).status == 400
    bad = json.dumps({"products": FORGED, "successUrl": FORGED, FORGED: FORGED}).encode()
    headers = {"Content-Type": "application/json", "X-Request-Id": "forged forged"}
    assert world.shop.request("POST", "/create-checkout-session", bad, headers).status == 422
    world.drain()
    assert len(lines.lines) > 5
    for line, message in zip(lines.lines, lines.messages, strict=True):
        assert isinstance(json.loads(line), dict)
        assert "\n" not in line
        assert not _CONTROL.search(message.replace("\n  ", "").replace("\n", "")), message
        assert "forged" not in message
    for line in lines.lines:
        told = json.loads(line)
        assert not any(_CONTROL.search(str(value).replace("\n", "")) for value in told.values()), line
    assert world.kinds() == ["payment.failed", "payment.successful"]


def fail(*_: object) -> None:
    raise RuntimeError(FORGED)
