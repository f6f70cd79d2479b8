"""The hosted payment page over HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from starlette.applications import Starlette
from stripe._encode import _api_encode

from payments_core.sandbox import Sandbox
from tests.sandbox.conftest import NOON, Clock, Mailbox, cart

BUYER = {
    "email": "jenny@example.com",
    "cc-number": "4242 4242 4242 4242",
    "cc-exp": "12 / 30",
    "cc-csc": "123",
    "cc-name": "Jenny Rosen",
}


class Document(HTMLParser):
    """The parts of a page that a test asks about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inputs: dict[str, dict[str, str | None]] = {}
        self.hidden: dict[str, str] = {}
        self.choices: dict[str, list[str]] = {}
        self.labels: set[str | None] = set()
        self.ids: set[str | None] = set()
        self.links: list[str | None] = []
        self.tags: list[str] = []
        self.lang: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.ids.add(found.get("id"))
        if tag == "input" and found.get("type") == "hidden":
            self.hidden[found["name"] or ""] = found["value"] or ""
        elif tag == "input" and found.get("type") == "radio":
            self.choices.setdefault(found["name"] or "", []).append(found["value"] or "")
        elif tag == "input":
            self.inputs[found["name"] or ""] = found
        elif tag == "label" and "for" in found:
            self.labels.add(found["for"])
        elif tag == "a":
            self.links.append(found["href"])
        elif tag == "html":
            self.lang = found["lang"]


@pytest.fixture
def app(sandbox: Sandbox) -> Starlette:
    """The application, built before any loop runs: building it reads the templates."""
    return sandbox.app


@pytest.fixture
async def browser(app: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that follows no redirect."""
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:12111") as client:
        yield client


async def session_of(browser: httpx2.AsyncClient, **more: Any) -> dict[str, Any]:
    """A session made over HTTP."""
    reply = await browser.post(
        "/v1/checkout/sessions",
        content=urlencode(list(_api_encode(cart(**more)))),
        headers={"authorization": "Bearer sk_test_x", "content-type": "application/x-www-form-urlencoded"},
    )
    assert reply.status_code == 200, reply.text
    return reply.json()


def path_of(session: dict[str, Any]) -> str:
    return f"/c/pay/{session['id']}"


async def test_the_page_shows_the_order_and_a_form_that_browsers_can_fill(browser: httpx2.AsyncClient) -> None:
    """Names, amounts and the way back; every input has a label, a name and what to autocomplete; no script."""
    reply = await browser.get(path_of(await session_of(browser)))
    page = Document(reply.text)

    assert reply.status_code == 200
    assert {"Premium T-Shirt", "$59.98", "$29.99 each", "Pay $59.98", "Sandbox: no real money."} <= {
        part for part in re.split(r"\s*<[^>]+>\s*|Qty 2, ", reply.text) if part
    }
    assert {name: attrs["autocomplete"] for name, attrs in page.inputs.items()} == {
        "email": "email",
        "cc-number": "cc-number",
        "cc-exp": "cc-exp",
        "cc-csc": "cc-csc",
        "cc-name": "cc-name",
        "debit-name": "name",
        "routing-number": "off",
        "account-number": "off",
    }
    assert page.choices == {"method": ["card", "us_bank_account"]}
    assert {attrs["id"] for attrs in page.inputs.values()} <= page.labels
    assert page.lang == "en"
    assert "https://shop.test/cart" in page.links
    assert "script" not in page.tags
    assert "4000 0000 0000 9995" in reply.text


async def test_the_page_may_not_be_cached_and_runs_no_script(browser: httpx2.AsyncClient) -> None:
    """The headers that keep it so."""
    reply = await browser.get(path_of(await session_of(browser)))

    assert reply.headers["cache-control"] == "no-store"
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


async def test_paying_leads_to_the_success_url_after_the_webhook_was_tried(
    browser: httpx2.AsyncClient, sandbox: Sandbox, mailbox: Mailbox
) -> None:
    """303 with the session's id filled in; by then the endpoint has been told."""
    session = await session_of(browser)

    reply = await browser.post(path_of(session), data=BUYER)

    assert (reply.status_code, reply.headers["location"]) == (
        303,
        f"https://shop.test/thanks?session_id={session['id']}",
    )
    assert "checkout.session.completed" in [sent.event["type"] for sent in mailbox.sent]
    after = sandbox.session(session["id"])
    assert after["payment_status"] == "paid"
    assert (after["customer_details"]["email"], after["customer_details"]["name"]) == (
        "jenny@example.com",
        "Jenny Rosen",
    )


async def test_a_second_submit_of_a_paid_session_charges_nothing(browser: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    """A double click and a reload lead to the same place."""
    session = await session_of(browser)
    first = await browser.post(path_of(session), data=BUYER)
    second = await browser.post(path_of(session), data=BUYER)
    again = await browser.get(path_of(session))

    assert first.headers["location"] == second.headers["location"] == again.headers["location"]
    assert len(sandbox.events("charge.succeeded")) == 1


async def test_a_declined_card_can_be_followed_by_another(browser: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    """402 with the reason; name, address and date stay, number and code do not; the intent stays the same."""
    session = await session_of(browser)

    declined = await browser.post(path_of(session), data=BUYER | {"cc-number": "4000000000000002"})
    page = Document(declined.text)
    intent = sandbox.session(session["id"])["payment_intent"]
    paid = await browser.post(path_of(session), data=BUYER)

    assert declined.status_code == 402
    assert "Your card was declined." in declined.text
    assert {name: attrs["value"] for name, attrs in page.inputs.items()} == {
        "email": "jenny@example.com",
        "cc-number": "",
        "cc-exp": "12 / 30",
        "cc-csc": "",
        "cc-name": "Jenny Rosen",
        "debit-name": "",
        "routing-number": "",
        "account-number": "",
    }
    assert "4000000000000002" not in declined.text
    assert paid.status_code == 303
    assert sandbox.session(session["id"])["payment_intent"] == intent


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"cc-number": ""}, "cc-number", "Enter a card number"),
        ({"cc-number": "4242"}, "cc-number", "incomplete"),
        ({"cc-number": "4242424242424241"}, "cc-number", "invalid"),
        ({"cc-number": "4111111111111111"}, "cc-number", "4242 4242 4242 4242"),
        ({"cc-number": "４２４２４２４２４２４２４２４２"}, "cc-number", "incomplete"),
        ({"cc-exp": "10/26"}, "cc-exp", "in the past"),
        ({"cc-exp": "13/30"}, "cc-exp", "MM / YY"),
        ({"cc-exp": "soon"}, "cc-exp", "MM / YY"),
        ({"cc-exp": "12/99"}, "cc-exp", "invalid"),
        ({"cc-csc": "12"}, "cc-csc", "3 digits"),
        ({"cc-csc": "12a"}, "cc-csc", "3 digits"),
        ({"email": ""}, "email", "Enter your e-mail"),
        ({"email": "nobody"}, "email", "like name@example.com"),
    ],
)
async def test_a_field_that_cannot_be_used_is_marked_and_nothing_is_charged(
    browser: httpx2.AsyncClient, sandbox: Sandbox, change: dict[str, str], field: str, says: str
) -> None:
    """422; the input is marked invalid and described by the message, and no attempt was made."""
    reply = await browser.post(path_of(await session_of(browser)), data=BUYER | change)
    page = Document(reply.text)

    marked = [name for name, attrs in page.inputs.items() if attrs.get("aria-invalid") == "true"]
    assert (reply.status_code, marked) == (422, [field])
    assert [name for name, attrs in page.inputs.items() if "autofocus" in attrs] == [field]
    assert page.inputs[field]["aria-describedby"] == f"{field}-error"
    assert f"{field}-error" in page.ids
    assert says in reply.text
    assert sandbox.events() == []


@pytest.mark.parametrize("expiry", ["11/26", "1130", "12/2030", " 3 / 31 "])
async def test_a_card_of_this_month_or_later_is_good(browser: httpx2.AsyncClient, expiry: str) -> None:
    """However the date is written."""
    reply = await browser.post(path_of(await session_of(browser)), data=BUYER | {"cc-exp": expiry})

    assert reply.status_code == 303


async def test_the_name_is_optional_and_the_given_address_is_the_default(
    browser: httpx2.AsyncClient, sandbox: Sandbox
) -> None:
    """The shop's `customer_email` fills the field."""
    session = await session_of(browser, customer_email="shop@example.com")
    page = Document((await browser.get(path_of(session))).text)

    reply = await browser.post(path_of(session), data=BUYER | {"email": "", "cc-name": ""})

    assert page.inputs["email"]["value"] == "shop@example.com"
    assert reply.status_code == 303
    assert sandbox.session(session["id"])["customer_details"]["email"] == "shop@example.com"


async def test_an_expired_session_says_so(browser: httpx2.AsyncClient, sandbox: Sandbox, clock: Clock) -> None:
    """410 on looking and on paying, with the way back to the shop; nothing is charged."""
    session = await session_of(browser, expires_at=NOON + 1800)
    clock.advance(1800)

    for reply in (await browser.get(path_of(session)), await browser.post(path_of(session), data=BUYER)):
        assert reply.status_code == 410
        assert "expired" in reply.text
        assert "https://shop.test/cart" in Document(reply.text).links
    assert sandbox.events("charge.succeeded") == []


async def test_a_session_of_zero_total_asks_for_no_card(browser: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    """An address is enough."""
    params = {"line_items": cart(("Sample", 0, 1))["line_items"]}
    session = await session_of(browser, **params)
    page = Document((await browser.get(path_of(session))).text)

    reply = await browser.post(path_of(session), data={"email": "jenny@example.com"})

    assert set(page.inputs) == {"email"}
    assert reply.status_code == 303
    assert sandbox.session(session["id"])["payment_status"] == "no_payment_required"


async def test_an_unknown_session_is_a_page_not_found(browser: httpx2.AsyncClient) -> None:
    """404 in words for a person."""
    for reply in (await browser.get("/c/pay/cs_test_none"), await browser.post("/c/pay/cs_test_none", data=BUYER)):
        assert reply.status_code == 404
        assert "no such payment page" in reply.text


async def test_names_are_escaped_everywhere(browser: httpx2.AsyncClient) -> None:
    """Markup in a product, a shop's name, a form value or an address stays text."""
    evil = '"><script>alert(1)</script>'
    lines = [
        {
            "price_data": {
                "currency": "usd",
                "unit_amount": 2999,
                "product_data": {"name": evil, "description": evil, "images": ["https://i.test/?a=1&b='1'"]},
            },
            "quantity": 1,
        }
    ]
    session = await session_of(browser, line_items=lines, branding_settings={"display_name": evil})

    replies = [
        await browser.get(path_of(session)),
        await browser.post(path_of(session), data=BUYER | {"email": evil, "cc-name": evil, "cc-exp": evil}),
        await browser.get("/"),
    ]

    for reply in replies:
        assert "script" not in Document(reply.text).tags
        assert evil not in reply.text


@pytest.mark.parametrize(
    ("currency", "amount", "shown"),
    [("jpy", 500, "Pay ¥500"), ("kwd", 5120, "Pay 5.120 KWD"), ("isk", 123400, "Pay 1,234.00 ISK"), ("eur", 5, "")],
)
async def test_amounts_are_shown_in_the_currencys_own_digits(
    browser: httpx2.AsyncClient, currency: str, amount: int, shown: str
) -> None:
    """Exactly, by Stripe's exponents; an amount too small is refused before there is a page."""
    data = {"currency": currency, "unit_amount": amount, "product_data": {"name": "Thing"}}
    params = cart(line_items=[{"price_data": data, "quantity": 1}])
    headers = {"authorization": "Bearer sk_test_x", "content-type": "application/x-www-form-urlencoded"}
    made = await browser.post("/v1/checkout/sessions", content=urlencode(list(_api_encode(params))), headers=headers)
    if not shown:
        assert made.json()["error"]["code"] == "amount_too_small"
        return

    reply = await browser.get(path_of(made.json()))

    assert shown in reply.text


async def test_too_large_a_body_is_refused_by_api_and_page(browser: httpx2.AsyncClient) -> None:
    """413, without reading it all."""
    session = await session_of(browser)
    body = b"email=" + b"a" * 1_000_001
    headers = {"authorization": "Bearer sk_test_x", "content-type": "application/x-www-form-urlencoded"}

    assert (await browser.post("/v1/products", content=body, headers=headers)).status_code == 413
    assert (await browser.post(path_of(session), content=body, headers=headers)).status_code == 413


async def test_a_form_of_garbage_is_no_server_error(browser: httpx2.AsyncClient) -> None:
    """Bytes that are no text, hundreds of fields, nothing at all."""
    session = await session_of(browser)

    statuses = [
        (await browser.post(path_of(session), content=content)).status_code
        for content in (b"\xff\xfe=%zz", b"&".join(b"a%d=1" % i for i in range(500)), b"")
    ]

    assert statuses == [422, 413, 422]


async def test_the_styles_are_served(browser: httpx2.AsyncClient) -> None:
    """One stylesheet from the sandbox itself."""
    reply = await browser.get("/assets/sandbox.css")

    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/css; charset=utf-8")
