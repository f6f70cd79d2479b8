"""S13: two hundred URLs that lead off the allow-list, over raw sockets in both adapters; and whose host is not asked.

What each is, and that the decision itself refuses it, is in tests/core/test_redirects.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.attacks.shops import SERVERS
from tests.core.test_redirects import HOSTS, OFF_LIST
from tests.http.apps import PREFIX
from tests.http.conftest import Stripe
from tests.http.sockets import connect, head, read_all, statuses
from tests.http.targets import Target, opened
from tests.http.wrong_bodies import reference, text

CREATE = "/create-checkout-session"
GOOD = "https://shop.example.com/thanks?session_id={CHECKOUT_SESSION_ID}"
POISON = ("evil.test", "evil.test:443", "shop.example.com@evil.test", "evil.test#shop.example.com")


@pytest.fixture(scope="module", params=SERVERS)
def guarded(
    request: pytest.FixtureRequest, stripe: Stripe, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """Each server, with an allow-list."""
    folder = tmp_path_factory.mktemp(f"redirects-{request.param}")
    with opened(request.param, stripe.url, folder, PAYMENTS_REDIRECT_HOSTS=",".join(HOSTS)) as target:
        yield target


def test_no_url_off_the_list_opens_a_session(guarded: Target, stripe: Stripe) -> None:
    """As `successUrl` and as `cancelUrl`: 422, the field, not a word of the URL, and nothing is asked of Stripe."""
    before = len(stripe.asked)  # other shops' runners may be asking about earlier events
    for url in OFF_LIST:
        for name in ("successUrl", "cancelUrl"):
            body = {**reference(), "successUrl": GOOD, "cancelUrl": GOOD, name: url}
            answer = guarded.post(CREATE, json.dumps(body).encode())
            assert (answer.status, answer.code in ("redirect_not_allowed", "invalid_request")) == (422, True), url
            assert [field["path"] for field in answer.json["fields"]] == [name], url
            assert b"evil" not in answer.body
    assert [one for one in stripe.asked[before:] if one.startswith("POST")] == []


@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host", "X-Forwarded-Server", "Forwarded", "Origin", "Referer"])
def test_no_header_decides_where_the_buyer_lands(guarded: Target, stripe: Stripe, header: str) -> None:
    """The URLs at Stripe are those of the body to the letter, the placeholder included."""
    body = text({**reference(), "successUrl": GOOD, "cancelUrl": GOOD})
    for poison in POISON:
        told = f"host={poison}" if header == "Forwarded" else poison
        with connect(guarded) as connection:
            lines = [f"{header}: {told}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
            sent = head(f"{PREFIX}{CREATE}", *lines, "Connection: close")
            if header == "Host":
                sent = sent.replace(b"Host: 127.0.0.1\r\n", b"", 1)
            connection.sendall(sent + body)
            received = read_all(connection)
        (status,) = statuses(received)
        assert status in (200, 400)
        if status == 200:
            opened_session = json.loads(received.partition(b"\r\n\r\n")[2])
            made = stripe.sandbox.session(opened_session["sessionId"])
            assert (made["success_url"], made["cancel_url"]) == (GOOD, GOOD)
            assert b"evil" not in received
