"""S05: signed, and hostile all the same: bodies that two parsers read differently, or that break one.

Whoever holds a webhook secret, or whatever Stripe lets a shop's customers put into its objects, can send these. Each is
received once, kept as it came, and then either handled or a dead letter; never a 5xx, and nothing is tried for ever.
"""

from __future__ import annotations

import json
import time

from payments_core import PaymentFailed, PaymentSuccessful
from payments_core.domain.delivery import InboxState
from tests.attacks.shops import Shop
from tests.flows.shop import session
from tests.guarantees.world import World

RECEIVED = b'{"received": true}'
DEADLINE_S = 180.0
FINAL = (InboxState.DONE, InboxState.DEAD)


def event(subject: str, *, kind: str = "checkout.session.completed", before: str = "", after: str = "") -> bytes:
    """An event of a known type around a raw piece of JSON, so that the runner reads it and does not pass it over."""
    outside = f'"id":"evt_%s","object":"event","type":"{kind}","livemode":false'
    written = f'{{{before}{outside},"data":{{"object":{subject}}}{after}}}'
    return written.encode("utf-8", "surrogatepass")


SESSION = '"id":"cs_test_hostile","object":"checkout.session","mode":"payment","payment_status":"paid","metadata":{}'
HOSTILE: dict[str, bytes] = {
    "duplicate keys": event(f'{{{SESSION},"payment_status":"unpaid"}}'),
    "a duplicate id": event(f"{{{SESSION}}}", before='"id":"evt_other",'),
    "a duplicate type": event(f"{{{SESSION}}}", after=',"type":"payment_intent.succeeded"'),
    "a duplicate data": event(f"{{{SESSION}}}", after=',"data":{"object":{}}'),
    "a duplicate livemode": event(f"{{{SESSION}}}", after=',"livemode":true'),
    "NaN": event(f'{{{SESSION},"amount_total":NaN}}'),
    "Infinity": event(f'{{{SESSION},"amount_total":Infinity}}'),
    "1e400": event(f'{{{SESSION},"amount_total":1e400}}'),
    "2^64": event(f'{{{SESSION},"amount_total":18446744073709551616,"currency":"usd"}}'),
    "2^63": event(f'{{{SESSION},"amount_total":9223372036854775808,"currency":"usd"}}'),
    "5,000 digits": event(f'{{{SESSION},"amount_total":{"9" * 5000}}}'),
    "a fraction of a cent": event(f'{{{SESSION},"amount_total":1.5,"currency":"usd"}}'),
    "a negative amount": event(f'{{{SESSION},"amount_total":-1,"currency":"usd"}}'),
    "an amount as text": event(f'{{{SESSION},"amount_total":"2999","currency":"usd"}}'),
    "an amount that is true": event(f'{{{SESSION},"amount_total":true,"currency":"usd"}}'),
    "a currency that is none": event(f'{{{SESSION},"amount_total":1,"currency":"xxx"}}'),
    "a byte order mark": b"\xef\xbb\xbf" + event(f"{{{SESSION}}}"),
    "UTF-16": event(f"{{{SESSION}}}").decode().encode("utf-16"),
    "not UTF-8": event(f'{{{SESSION},"note":"?"}}').replace(b"?", b"\xff\xfe"),
    "half a surrogate pair": event(f'{{{SESSION},"note":"\\ud800"}}'),
    "half a surrogate pair in the id": event('{"id":"cs_\\udc00","object":"checkout.session"}'),
    "NUL in an id": event('{"id":"cs_\\u0000","object":"checkout.session","payment_status":"paid"}'),
    "NUL in a value": event(f'{{{SESSION},"client_reference_id":"a\\u0000b"}}'),
    "NUL in a key": event(f'{{{SESSION},"a\\u0000b":1}}'),
    "depth 100": event(f'{{{SESSION},"deep":{"[" * 100}{"]" * 100}}}'),
    "depth 500": event(f'{{{SESSION},"deep":{"[" * 500}{"]" * 500}}}'),
    "depth 100,000": event(f'{{{SESSION},"deep":{"[" * 100_000}{"]" * 100_000}}}'),
    "an array": b'["evt_%s"]',
    "null": b"null /* evt_%s */",
    "a string": b'"evt_%s"',
    "nothing": b"",
    "blanks": b"  \n ",
    "half an event": event(f"{{{SESSION}}}")[:-20],
    "two events": event(f"{{{SESSION}}}") * 2,
    "an event and more": event(f"{{{SESSION}}}") + b"}",
    "single quotes": event(f"{{{SESSION}}}").replace(b'"', b"'"),
    "an object that is a list": event(f"[{{{SESSION}}}]"),
    "an object that is text": event('"cs_test_hostile"'),
    "an object without id": event('{"object":"checkout.session","payment_status":"paid"}'),
    "an id that is a number": event('{"id":7,"object":"checkout.session","payment_status":"paid"}'),
    "an id that is a path": event('{"id":"../../v1/charges","object":"checkout.session"}'),
    "an intent of text where an object is": event('{"id":"pi_1","object":"payment_intent","charges":"x"}',
                                                  kind="payment_intent.succeeded"),
    "metadata that is a list": event(f"{{{SESSION}}}".replace('"metadata":{}', '"metadata":[]')),
    "our own mark as a number": event(f"{{{SESSION}}}".replace("{}", '{"payments_core_id":7}')),
    "our own mark with NUL": event(f"{{{SESSION}}}".replace("{}", '{"payments_core_id":"\\u0000"}')),
    "our own mark in SQL": event(
        f"{{{SESSION}}}".replace("{}", '{"payments_core_id":"\'; DROP TABLE payments_inbox;--"}')
    ),
    "a prototype": event(f'{{{SESSION},"__proto__":{{"paid":true}},"constructor":1}}'),
    "keys by the thousand": event("{" + SESSION + "".join(f',"k{number}":1' for number in range(20_000)) + "}"),
    "a megabyte of text": event(f'{{{SESSION},"note":"{"x" * 900_000}"}}'),
}  # fmt: skip


def numbered(body: bytes, number: int) -> bytes:
    """The body with an event id of its own, where it has a place for one."""
    return body.replace(b"evt_%s", f"evt_hostile_{number}".encode())


def test_there_are_thirty_samples_and_more() -> None:
    """The list is the specification: it only grows."""
    assert len(set(HOSTILE.values())) == len(HOSTILE) >= 30


def test_a_signed_but_hostile_body_is_received_once_and_kept_as_it_came(any_shop: Shop) -> None:
    """200 for each, however often; one row each with its bytes; nothing settles, and nothing of ours was surprised."""
    bodies = {name: numbered(body, number) for number, (name, body) in enumerate(HOSTILE.items())}
    for name, body in bodies.items():
        for _ in range(2):
            answer = any_shop.server.webhook(body)
            assert (answer.status, answer.body) == (200, RECEIVED), (name, answer.status)
    kept = [bytes(row[0]) for row in any_shop.rows("SELECT body FROM payments_inbox")]
    for name, body in bodies.items():
        assert kept.count(body) == 1, name
    rows = tried(any_shop)
    assert [row for row in rows if "was raised" in (row[3] or "")] == []
    assert any_shop.rows("SELECT payment_id FROM payments_payment WHERE state = 'settled'") == []
    log = any_shop.log.read_text("utf-8", "replace")
    assert not any(word in log for word in ("Traceback", "Internal Server Error", "Unhandled", "DROP TABLE"))
    assert any_shop.is_well()


def tried(shop: Shop) -> list[tuple[str, int, int, str | None]]:
    """The rows of the inbox (id, state, attempts, error), once the runner has tried each."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        rows = shop.rows("SELECT event_id, state, attempts, last_error FROM payments_inbox")
        if all(state in FINAL or (attempts and error) for _, state, attempts, error in rows):
            return rows
        time.sleep(0.2)
    raise AssertionError(f"never tried: {[row for row in rows if row[1] not in FINAL and not row[2]]}")


def test_none_of_them_is_tried_for_ever_or_has_an_effect(world: World) -> None:
    """On every store, in both facades: done, or dead once its attempts are used up. What it says is not believed: the
    session that most of them call paid is not, at Stripe.
    """
    world.gateway.put_session(session("cs_test_hostile", status="open", payment_status="unpaid"))
    world.note_effects(PaymentSuccessful, PaymentFailed)
    for number, body in enumerate(HOSTILE.values()):
        assert world.post(numbered(body, number)).status == 200
    world.drain()
    rows = world.database.inbox()
    assert len(rows) >= 30
    assert {row.state for row in rows.values()} == set(FINAL)
    assert [row for row in rows.values() if "was raised" in (row.error or "")] == []
    assert (world.effects(), world.published()) == ([], [])


def test_the_reason_why_a_body_is_a_dead_letter_is_told_and_quotes_nothing(any_shop: Shop) -> None:
    """A person who looks reads what is wrong, not what was sent."""
    body = b'{"id":"evt_told","secret":"canary-in-a-body"'
    assert any_shop.server.webhook(body).status == 200
    ((state, error),) = any_shop.rows(
        "SELECT state, last_error FROM payments_inbox WHERE event_id LIKE 'unreadable_%' AND body = :body", body=body
    )
    assert state == InboxState.DEAD
    assert "not JSON" in error
    assert "canary" not in error
    assert "canary" not in any_shop.log.read_text("utf-8", "replace")
    assert json.loads(any_shop.server.request("GET", "/ready").body)["checks"]["deadLetters"] >= 1
