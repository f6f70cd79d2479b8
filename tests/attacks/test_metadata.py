"""S15: metadata that would speak for us, break a limit, or act where it is read: over sockets, in both adapters."""

from __future__ import annotations

import pytest

from tests.attacks.shops import Shop
from tests.http.conftest import Stripe
from tests.http.wrong_bodies import reference

URLS = {"successUrl": "https://shop.example.com/ok", "cancelUrl": "https://shop.example.com/cart"}
REFUSED: dict[str, tuple[object, str]] = {
    "our mark": ({"payments_core_id": "00000000-0000-0000-0000-000000000000"}, "metadata.payments_core_id"),
    "our application's name": ({"payments_core_app": "theirs"}, "metadata.payments_core_app"),
    "our mark in capitals": ({"PAYMENTS_CORE_ID": "x"}, "metadata.PAYMENTS_CORE_ID"),
    "a mark of a later version": ({"payments_core_later": "x"}, "metadata.payments_core_later"),
    "49 keys": ({f"k{number}": "v" for number in range(49)}, "metadata"),
    "a long key": ({"k" * 41: "v"}, "metadata." + "k" * 40),
    "a long value": ({"k": "v" * 501}, "metadata.k"),
    "brackets in a key": ({"a[b]": "v"}, "metadata.a[b]"),
    "an empty key": ({"": "v"}, "metadata."),
    "NUL": ({"k": "a\x00b"}, "metadata.k"),
    "a number": ({"k": 1}, "metadata.k"),
    "an object": ({"k": {"a": "b"}}, "metadata.k"),
    "null": ({"k": None}, "metadata.k"),
    "a list": ([["k", "v"]], "metadata"),
    "text": ("k=v", "metadata"),
    "a card number": ({"k": "4242 4242 4242 4242"}, "metadata.k"),
}
KEPT = {
    "formula": '=cmd|" /C calc"!A0',
    "escape": "\x1b[31mred\x1b[0m",
    "line": "a\r\nb",
    "html": "<script>alert(1)</script>",
    "sql": "'; DROP TABLE payments_inbox;--",
    "json": '","payments_core_id":"x',
    "form": "a&metadata[payments_core_id]=x",
    "template": "{{7*7}}${7*7}%s%n",
    "bidi": "\u202egnp.exe",
    "__proto__": "x",
    "constructor": "x",
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_override_or_overflow_is_refused_by_its_key(shop: Shop, stripe: Stripe, case: str) -> None:
    """Before anything is written or sent."""
    metadata, path = REFUSED[case]
    before, sessions = shop.counts(), len(list(stripe.sandbox.state.sessions))
    answer = shop.server.post("/create-checkout-session", reference(metadata=metadata, **URLS))
    assert (answer.status, answer.code) == (422, "invalid_request"), answer.body
    assert path in [one["path"] for one in answer.json["fields"]]
    assert shop.counts() == before
    assert len(list(stripe.sandbox.state.sessions)) == sessions


def test_what_is_only_text_arrives_as_it_is_and_our_own_keys_win(shop: Shop, stripe: Stripe) -> None:
    """Nothing in a value becomes a parameter of its own; whoever shows it escapes it for where it is shown."""
    answer = shop.server.post("/create-checkout-session", reference(metadata=KEPT, **URLS))
    assert answer.status == 200, answer.body
    metadata = stripe.sandbox.session(answer.json["sessionId"])["metadata"]
    ((payment_id,),) = shop.rows(
        "SELECT payment_id FROM payments_payment WHERE session_id = :id", id=answer.json["sessionId"]
    )
    assert metadata == {**KEPT, "payments_core_id": payment_id}
    log = shop.log.read_text("utf-8", "replace")
    assert [name for name, value in KEPT.items() if value != "x" and value in log] == []
