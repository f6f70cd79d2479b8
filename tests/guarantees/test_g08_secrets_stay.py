"""G8: an unsigned body is neither stored nor logged; secrets, addresses and card data never reach a log, error or repr.

Every record of every logger is caught at the lowest level, with its fields and its traceback, and searched for canaries
and, by Luhn's check, for anything that could be a card's number.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from payments_core import PaymentFailed, PaymentsError, PaymentSuccessful, StripeUnavailable
from payments_core.domain.signature import sign
from tests.flows.shop import declined, own_intent, own_session, session
from tests.guarantees.world import DONE, World
from tests.guarantees.worlds import with_sql

API_KEY = "sk_test_canary4eC39HqLyjWDarjtT1zdp7dc"
SECRET = "whsec_canaryMfKQ9r8GKYqrTwjUPD8ILPZ"
ADDRESS = "canary.buyer@example.test"
CARD = "4242 4242 4242 4242"
NOTE = "canary-metadata-value"
CANARIES = (API_KEY, SECRET, ADDRESS, NOTE, CARD, CARD.replace(" ", ""), "canary")
STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
_DIGITS = re.compile(r"(?<![\w-])(?<!\d\.)[3-6]\d{3}[ -]?\d{4,6}[ -]?\d{4,5}(?:[ -]?\d{1,7})?(?![\w-])(?!\.\d)")


def luhn(digits: str) -> bool:
    """Whether the digits could be a card's number (ISO/IEC 7812-1, annex B)."""
    values = [int(one) for one in reversed(digits)]
    doubled = [sum(divmod(2 * one, 10)) for one in values[1::2]]
    return (sum(values[::2]) + sum(doubled)) % 10 == 0


def cards_in(text: str) -> list[str]:
    """Everything in a text that could be a card's number."""
    found = (re.sub(r"\D", "", one) for one in _DIGITS.findall(text))
    return [one for one in found if 13 <= len(one) <= 19 and luhn(one)]


class Caught(logging.Handler):
    """Every record as the most talkative formatter would write it."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        fields = {key: value for key, value in vars(record).items() if key not in STANDARD}
        raised = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
        self.lines.append(f"{record.name} {record.getMessage()} {fields!r} {record.args!r} {raised}")


@pytest.fixture
def caught() -> Any:
    """What all loggers say while the test runs."""
    handler, root = Caught(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(before)


def clean(*texts: str) -> None:
    """Assert that no text has a canary or a card's number."""
    for text in texts:
        assert [one for one in CANARIES if one in text] == [], text
        assert cards_in(text) == [], text


def guarded(world: World) -> World:
    """The world with secrets that are canaries."""
    world.shop = world.deploy(stripe_secret_key=API_KEY, stripe_webhook_secret=SECRET)
    return world


def send(world: World, body: bytes) -> None:
    """A webhook signed by the canary secret."""
    assert world.post(body, world.signed(body, SECRET)).status == 200


def test_the_scan_finds_what_it_looks_for() -> None:
    """A test of the test: card numbers are found with blanks, hyphens and without; ids and times are not."""
    for text in (f"card {CARD}.", "4000-0000-0000-9995", '"5555555555554444"', "378282246310005"):
        assert cards_in(text), text
    for text in ("1764000000", "2f1f6f1c-4242-4242-4242-424242424242", "pi_4242424242424242", "4242424242424241"):
        assert cards_in(text) == [], text


@pytest.mark.parametrize("forged", ["", "t=1,v1=00", "other secret", "old"])
def test_an_unsigned_body_is_neither_stored_nor_logged(world: World, forged: str, caught: Caught) -> None:
    """Refused with one body for every cause; no row anywhere, and not a character of it in any log."""
    body, _ = world.event(DONE, session("cs_canary", customer_details={"email": ADDRESS}), id="evt_canary")
    signatures = {
        "other secret": sign(body, "whsec_another_secret", timestamp_s=world.now_s),
        "old": sign(body, "whsec_test_secret", timestamp_s=world.now_s - 301),
    }
    answer = world.post(body, {"Stripe-Signature": signatures.get(forged, forged)} if forged else {})
    assert answer.status == 400
    assert '"error": "Invalid signature"' in answer.text.replace('":"', '": "')
    assert (world.database.inbox(), world.database.payments(), world.published()) == ({}, {}, [])
    assert any("Webhook refused" in line for line in caught.lines)
    clean(answer.text, *caught.lines)


def test_a_whole_life_leaves_no_canary_in_any_log(world: World, caught: Caught) -> None:
    """Opened, declined, failed by a handler that quotes everything, paid, looked at, unreadable, buried, refused."""
    guarded(world)
    failures = [RuntimeError(f"{ADDRESS} paid with {CARD}, {SECRET}")]
    world.on(PaymentSuccessful, lambda *_: raise_next(failures))
    world.note_effects(PaymentSuccessful, PaymentFailed)
    opened = world.checkout(customer_email=ADDRESS, metadata={"note": NOTE})
    refused = declined("ch_1", message=f"Your card {CARD} was declined.", decline_code="lost_card")
    send(world, world.event("payment_intent.payment_failed", own_intent(world, opened, refused))[0])  # type: ignore[arg-type]
    world.shop.work()
    details = {"email": ADDRESS, "name": "canary", "card": CARD}
    paid = own_session(world, opened, customer_details=details)  # type: ignore[arg-type]
    send(world, world.event(DONE, paid)[0])
    send(world, b'{"canary": "' + ADDRESS.encode() + b'", "number": "4242424242424242"')
    send(world, world.event(DONE, {"object": "checkout.session", "note": NOTE, "card": CARD})[0])
    world.gateway.fail_next(StripeUnavailable("Stripe could not be reached."), method="session")
    world.shop.request("GET", f"/checkout-sessions/{opened.session_id}")
    world.drain()
    world.shop.request("GET", f"/checkout-sessions/{opened.session_id}?email={ADDRESS}")
    assert world.kinds() == ["payment.failed", "payment.successful"]
    assert any("RuntimeError was raised" in line for line in caught.lines)
    assert any("Payment processed successfully" in line for line in caught.lines)
    clean(*(line for line in caught.lines if not line.startswith(("httpx", "asyncio"))))


def raise_next(failures: list[RuntimeError]) -> None:
    """Raise what is left."""
    if failures:
        raise failures.pop()


def test_no_repr_holds_a_secret_an_address_or_a_card(world: World) -> None:
    """Of what a developer might print while he looks for a fault: facade, settings, events, payments, requests."""
    guarded(world)
    events: list[Any] = []
    world.on(PaymentSuccessful, lambda event, _: events.append(event))
    world.on(DONE, lambda event, _: events.append(event))
    opened = world.checkout(customer_email=ADDRESS, metadata={"note": NOTE})
    details = {"email": ADDRESS, "card": CARD}
    body, _ = world.event(DONE, own_session(world, opened, customer_details=details))  # type: ignore[arg-type]
    send(world, body)
    core = world.shop.payments.core
    claims = list(world.shop.wait(core.store.claim(limit=1, lease_s=30)))
    world.advance(31)
    world.shop.work()
    (payment_id,) = world.database.payments()
    payment = world.shop.wait(core.store.payment(payment_id))
    seen = [world.shop.payments, core, core.settings, core.intake, core.store, opened, payment, *claims, *events]
    assert len(events) == 2
    for one in seen:
        clean(repr(one), str(one))


@pytest.mark.parametrize(
    "body",
    [
        '{"products":[{"name":"canary","price":"4242424242424242","quantity":1}],"successUrl":"https://canary.test/"}',
        '{"customerEmail":"canary.buyer@example.test","cardNumber":"4242 4242 4242 4242"}',
        '{"products":"sk_test_canary4eC39HqLyjWDarjtT1zdp7dc"',
    ],
)
def test_an_error_quotes_nothing_that_was_sent(world: World, caught: Caught, body: str) -> None:
    """A refused checkout names the fields, not their values."""
    guarded(world)
    answer = world.shop.request("POST", "/create-checkout-session", body.encode(), {"Content-Type": "application/json"})
    assert 400 <= answer.status < 500
    clean(answer.text, *caught.lines)


@with_sql
def test_a_failing_store_quotes_nothing_in_its_error(world: World, caught: Caught) -> None:
    """The driver's message may quote a row; the reply, the log and the error do not."""
    guarded(world)
    body, _ = world.event(DONE, session("cs_canary", customer_details={"email": ADDRESS, "card": CARD}))
    world.sql.script("ALTER TABLE payments_inbox RENAME TO away")
    answer = world.post(body, world.signed(body, SECRET))
    raised = error_of(lambda: world.shop.wait(world.shop.payments.receive_webhook(body, signature(world, body))))
    assert answer.status == 503
    clean(answer.text, str(raised), repr(raised), *caught.lines)


def signature(world: World, body: bytes) -> str:
    """The canary secret's."""
    return sign(body, SECRET, timestamp_s=world.now_s)


def error_of(call: Callable[[], object]) -> PaymentsError:
    """The library's error that a call ends with."""
    with pytest.raises(PaymentsError) as raised:
        call()
    return raised.value
