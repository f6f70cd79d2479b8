"""`Idempotency-Key` over HTTP: the same in every framework and server, across processes and restarts."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from tests.http.conftest import Stripe
from tests.http.targets import Answer, Target, opened
from tests.http.wrong_bodies import REFERENCE, reference, text

CREATE = "/create-checkout-session"
AT_ONCE = 8


def key() -> str:
    return str(uuid.uuid4())


def create(target: Target, body: object = REFERENCE, *, key: str) -> Answer:
    raw = body if isinstance(body, bytes) else text(body)
    return target.post(CREATE, raw, **{"Idempotency-Key": key})


def made(stripe: Stripe) -> int:
    """How many sessions Stripe was asked for."""
    return stripe.asked.count("POST /v1/checkout/sessions")


def test_the_same_key_and_body_give_the_same_reply(target: Target, stripe: Stripe) -> None:
    """Byte for byte, and Stripe is asked once."""
    order, before = key(), made(stripe)
    first, again = create(target, key=order), create(target, key=order)
    assert (first.status, again.status) == (200, 200)
    assert first.body == again.body
    assert made(stripe) == before + 1


def test_bodies_are_compared_as_they_are_understood(target: Target) -> None:
    """Another order of fields, another spelling of a number, white space, null for what may be absent."""
    order = key()
    body = {**reference(), "products": [{"name": "Tee", "price": 29.9, "quantity": 2}]}
    first = create(target, text(body), key=order)
    spelled = json.dumps(dict(reversed(body.items())), indent=1).replace("29.9", "29.90")
    spelled = spelled.rstrip("}") + ', "currency": "USD", "uiMode": null}'
    assert create(target, spelled.encode(), key=order).body == first.body


def test_another_body_is_a_conflict_that_tells_nothing(target: Target) -> None:
    """Not the session, not the address, not what was sent; and the first one's reply stays."""
    order = key()
    first = create(target, key=order)
    other = create(target, {**reference(), "customerEmail": "other@example.com"}, key=order)
    assert (other.status, other.code) == (409, "idempotency_conflict")
    assert first.json["sessionId"].encode() not in other.body
    assert b"example.com" not in other.body
    assert create(target, key=order).body == first.body


@pytest.mark.parametrize("value", ["", "k" * 256, "b\u00e9b\u00e9", "a\tb"])
def test_a_key_that_is_none_is_refused_by_name(target: Target, stripe: Stripe, value: str) -> None:
    """422, naming the header, and nothing is asked of Stripe."""
    before = made(stripe)
    # Werkzeug's client writes bytes as their repr, httpx2 text beyond ASCII as UTF-8.
    written: Any = value if target.name == "flask" else value.encode("latin-1")
    answer = target.post(CREATE, text(REFERENCE), **{"Idempotency-Key": written})
    assert (answer.status, answer.code) == (422, "invalid_request")
    assert [field["path"] for field in answer.json["fields"]] == ["Idempotency-Key"]
    assert made(stripe) == before


def test_a_refused_request_leaves_its_key_free(target: Target) -> None:
    """The corrected one may use it."""
    order = key()
    assert create(target, {**reference(), "products": []}, key=order).status == 422
    assert create(target, {**reference(), "successUrl": "javascript:alert(1)"}, key=order).status == 422
    assert create(target, key=order).status == 200


def test_many_at_once_are_one_session(server: Target, stripe: Stripe) -> None:
    """Each is given the session, or told to come again and when; then it has it."""
    for _ in range(5):
        order, before, start = key(), made(stripe), Barrier(AT_ONCE)

        def click(_: int, order: str = order, start: Barrier = start) -> Answer:
            start.wait(30)
            return create(server, key=order)

        with ThreadPoolExecutor(AT_ONCE) as threads:
            answers = list(threads.map(click, range(AT_ONCE)))
        waiting = [one for one in answers if one.status != 200]
        assert {(one.status, one.code) for one in waiting} <= {(409, "idempotency_in_progress")}
        assert all(int(one.headers["Retry-After"]) > 0 for one in waiting)
        assert len({one.body for one in answers if one.status == 200}) == 1
        assert create(server, key=order).body == next(one.body for one in answers if one.status == 200)
        assert made(stripe) == before + 1


def test_every_server_gives_the_same_session_after_a_restart(stripe: Stripe, tmp_path: Path) -> None:
    """The database knows it, whichever framework asks."""
    order, replies = key(), []
    for name in ("uvicorn", "gunicorn", "fastapi", "flask", "uvicorn"):
        with opened(name, stripe.url, tmp_path) as target:
            replies.append(create(target, key=order).body)
    assert len(set(replies)) == 1


def test_header_fields_over_the_limit_are_refused_before_the_body(target: Target, stripe: Stripe) -> None:
    """By us, where the server does not do it first."""
    before = len(stripe.asked)
    answer = target.post(CREATE, b"{}", **{f"X-Filler-{number}": "x" * 7000 for number in range(5)})
    assert answer.status in (413, 431)
    assert answer.status == 431 or answer.code == "payload_too_large"
    assert target.request("GET", "/health", headers={f"X-{n}": "x" * 7000 for n in range(5)}).status in (413, 431)
    assert len(stripe.asked) == before
