"""The dashboard over HTTP: what it shows, what it does, and whose forms it takes."""

from __future__ import annotations

import httpx2
import pytest

from payments_core.sandbox import Sandbox
from tests.sandbox.conftest import NOON, Caller, Clock, Mailbox, cart
from tests.sandbox.test_page import Document, app, browser

__all__ = ["app", "browser"]

SESSIONS = "/v1/checkout/sessions"
OWN = {"origin": "http://127.0.0.1:12111"}


async def act(browser: httpx2.AsyncClient, **fields: str) -> httpx2.Response:
    """A form of the dashboard, as its own page sends it."""
    return await browser.post("/dashboard/act", data=fields, headers=OWN)


async def test_the_front_page_lists_what_happened(
    browser: httpx2.AsyncClient, api: Caller, sandbox: Sandbox, mailbox: Mailbox
) -> None:
    """Empty or full: sessions, payments, refunds, disputes, events, deliveries with status and last error."""
    empty = (await browser.get("/")).text
    session = api.ok("POST", SESSIONS, cart())
    intent = sandbox.pay(session["id"])["payment_intent"]
    sandbox.refund(intent, 100)
    sandbox.dispute(intent)
    mailbox.status = None
    await sandbox.deliver_due()

    full = (await browser.get("/")).text

    assert empty.count("None yet") + empty.count("Nobody has tried") == 6
    for shown in (
        session["id"][:24], intent[:24], "$59.98", "$1.00", "fraudulent", "checkout.session.completed",
        "http://shop.test/webhook", "connection refused or host unknown", "0 of 1",
    ):  # fmt: skip
        assert shown in full


@pytest.mark.parametrize("name", ["sessions", "payments", "refunds", "disputes", "events", "deliveries"])
async def test_each_list_has_a_page_of_its_own(browser: httpx2.AsyncClient, name: str) -> None:
    """Also an empty one; an unknown one is not found."""
    assert (await browser.get(f"/dashboard/{name}")).status_code == 200
    assert (await browser.get(f"/dashboard/{name}x")).status_code == 404


async def test_an_object_is_shown_as_json_with_the_story_of_its_payment(
    browser: httpx2.AsyncClient, api: Caller, sandbox: Sandbox
) -> None:
    """A session's page tells what happened to its intent, charges and refunds as well."""
    session = api.ok("POST", SESSIONS, cart())
    sandbox.decline(session["id"])
    intent = sandbox.pay(session["id"])["payment_intent"]
    refund = sandbox.refund(intent)
    other = api.ok("POST", SESSIONS, cart())
    sandbox.expire(other["id"])

    page = (await browser.get(f"/dashboard/objects/{session['id']}")).text

    for shown in (
        "charge.failed",
        "checkout.session.completed",
        "refund.created",
        refund["id"][:24],
        "&#34;livemode&#34;: false",
    ):
        assert shown in page
    assert "checkout.session.expired" not in page
    assert (await browser.get("/dashboard/objects/none")).status_code == 404
    assert (await browser.get("/dashboard/events/evt_none")).status_code == 404


async def test_an_event_is_sent_again_to_the_endpoint_that_is_named(
    browser: httpx2.AsyncClient, api: Caller, sandbox: Sandbox, mailbox: Mailbox
) -> None:
    """The page of the event lists its deliveries, each with a button."""
    sandbox.pay(api.ok("POST", SESSIONS, cart())["id"])
    await sandbox.deliver_due()
    event = sandbox.events("checkout.session.completed")[0]["id"]
    before = len(mailbox.sent)
    page = Document((await browser.get(f"/dashboard/events/{event}")).text)
    endpoint = page.hidden["endpoint"]

    reply = await act(browser, action="resend", id=event, endpoint=endpoint)
    after = await browser.get(reply.headers["location"])

    assert [sent.event["id"] for sent in mailbox.sent[before:]] == [event]
    assert reply.headers["location"] == f"/dashboard/events/{event}?done=resend"
    assert "sent again" in after.text


async def test_what_only_the_outside_world_does_is_done_here(
    browser: httpx2.AsyncClient, api: Caller, sandbox: Sandbox
) -> None:
    """A debit is paid or refused, money given back, a payment disputed, a session ended."""
    ids = [api.ok("POST", SESSIONS, cart())["id"] for _ in range(4)]
    for session_id, debit in ((ids[0], "000000000009"), (ids[1], "000000000009")):
        sandbox.pay(session_id, debit=debit)
    sandbox.pay(ids[2])

    for action, session_id in (("settle", ids[0]), ("fail", ids[1]), ("dispute", ids[2]), ("expire", ids[3])):
        assert (await act(browser, action=action, id=session_id)).status_code == 303
    partly = await act(browser, action="refund", id=ids[0], amount="12.50")

    assert partly.status_code == 303
    assert [sandbox.session(i)["payment_status"] for i in ids[:2]] == ["paid", "unpaid"]
    assert sandbox.session(ids[3])["status"] == "expired"
    assert [e["data"]["object"]["amount"] for e in sandbox.events("refund.created")] == [1250]
    assert len(sandbox.events("charge.dispute.created")) == 1


async def test_a_challenge_is_answered_for_the_buyer(
    browser: httpx2.AsyncClient, api: Caller, sandbox: Sandbox
) -> None:
    """An intent of the API that waits for its holder."""
    params = {"amount": 1000, "currency": "usd", "payment_method": "pm_card_authenticationRequired", "confirm": True}
    intent = api.ok("POST", "/v1/payment_intents", {**params, "return_url": "https://shop.test/"})

    await act(browser, action="pass", id=intent["id"])

    assert api.ok("GET", f"/v1/payment_intents/{intent['id']}")["status"] == "succeeded"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"action": "refund", "amount": "1000"}, "greater than"),
        ({"action": "refund", "amount": "ten"}, "Write an amount in USD"),
        ({"action": "refund", "amount": "0.001"}, "decimal"),
        ({"action": "settle"}, "status of succeeded"),
        ({"action": "explode"}, "no such action"),
    ],
)
async def test_what_cannot_be_done_says_why(
    browser: httpx2.AsyncClient, api: Caller, sandbox: Sandbox, fields: dict[str, str], says: str
) -> None:
    """422 on the object's own page, and nothing has changed."""
    session = api.ok("POST", SESSIONS, cart())
    sandbox.pay(session["id"])
    before = len(sandbox.events())

    reply = await act(browser, id=session["id"], **fields)

    assert reply.status_code == 422
    assert says in reply.text
    assert len(sandbox.events()) == before


async def test_the_clock_is_moved_and_makes_what_falls_due(
    browser: httpx2.AsyncClient, api: Caller, sandbox: Sandbox
) -> None:
    """Sessions run out on the way."""
    session = api.ok("POST", SESSIONS, cart())

    reply = await act(browser, action="advance", count="2", unit="days")
    refused = [
        await act(browser, action="advance", count=c, unit=u)
        for c, u in (("-1", "days"), ("1", "years"), ("9999", "days"))
    ]

    assert (reply.headers["location"], sandbox.ahead_s) == ("/?done=advance", 172_800)
    assert "2 d ahead" in (await browser.get("/")).text
    assert sandbox.session(session["id"])["status"] == "expired"
    assert [r.status_code for r in refused] == [422, 422, 422]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:3006"},
        {"origin": "https://127.0.0.1:12111"},
    ],
    ids=["none", "null", "stranger", "another port", "another scheme"],
)
async def test_forms_of_other_sites_do_nothing(
    browser: httpx2.AsyncClient, api: Caller, sandbox: Sandbox, headers: dict[str, str]
) -> None:
    """403, whoever does not say that the form comes from here."""
    session = api.ok("POST", SESSIONS, cart())

    reply = await browser.post("/dashboard/act", data={"action": "expire", "id": session["id"]}, headers=headers)

    assert reply.status_code == 403
    assert sandbox.session(session["id"])["status"] == "open"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:12111", 200),
        ("localhost:12111", 200),
        ("[::1]:12111", 200),
        ("192.168.1.7", 200),
        ("sandbox:12111", 200),
        ("host.docker.internal:12111", 200),
        ("shop.test", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:12111", 421),
        ("internal.", 200),
        ("[::1", 421),
        ("", 421),
    ],
)
@pytest.mark.parametrize("path", ["/", "/c/pay/cs_none", "/v1/products"])
async def test_only_names_that_are_this_machines_are_answered(
    browser: httpx2.AsyncClient, host: str, status: int, path: str
) -> None:
    """A page of a stranger whose name was turned to 127.0.0.1 reads nothing (DNS rebinding)."""
    reply = await browser.get(path, headers={"host": host})

    assert (reply.status_code == 421) == (status == 421)


async def test_what_the_address_says_was_done_is_one_of_ours(browser: httpx2.AsyncClient) -> None:
    """Nobody writes on the dashboard by sending a link."""
    page = await browser.get("/?done=Your+card+was+stolen")

    assert "stolen" not in page.text


async def test_a_session_that_expires_later_shows_its_page(
    browser: httpx2.AsyncClient, api: Caller, clock: Clock
) -> None:
    """The link is there as long as somebody can pay."""
    session = api.ok("POST", SESSIONS, cart(expires_at=NOON + 1800))
    link = f'href="/c/pay/{session["id"]}"'
    assert link in (await browser.get(f"/dashboard/objects/{session['id']}")).text
    clock.advance(1800)

    assert link not in (await browser.get(f"/dashboard/objects/{session['id']}")).text
