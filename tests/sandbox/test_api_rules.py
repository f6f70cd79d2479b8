"""What holds for every route: keys, versions, errors, idempotency, lists, expansion, limits."""

from __future__ import annotations

import asyncio
import base64
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stripe._encode import _api_encode

from payments_core.sandbox import Sandbox
from payments_core.sandbox.api import ApiRequest
from tests.sandbox import pinned
from tests.sandbox.conftest import NOON, Caller, Clock, Mailbox, cart

SESSIONS = "/v1/checkout/sessions"


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("", "did not provide an API key"),
        ("Bearer ", "did not provide an API key"),
        ("Bearer sk_live_abc", "live key"),
        ("Bearer rk_live_abc", "live key"),
        ("Bearer pk_test_abc", "Invalid API Key"),
        ("Basic " + base64.b64encode(b"sk_live_abc:").decode(), "live key"),
        ("Basic %%%", "Invalid API Key"),
    ],
)
def test_only_test_keys_are_taken_and_none_is_repeated(api: Caller, header: str, says: str) -> None:
    """401 in Stripe's shape, without the key that was sent."""
    reply = api("GET", "/v1/products", authorization=header)

    assert reply.status == 401
    assert reply.body["error"]["type"] == "invalid_request_error"
    assert says in reply.body["error"]["message"]
    assert "abc" not in str(reply.body)


@pytest.mark.parametrize("header", ["Bearer rk_test_1", "Basic " + base64.b64encode(b"sk_test_1:").decode()])
def test_restricted_keys_and_basic_auth_are_keys_too(api: Caller, header: str) -> None:
    """As Stripe takes them."""
    assert api("GET", "/v1/products", authorization=header).status == 200


def test_every_reply_names_its_request_and_version(api: Caller) -> None:
    """Successes and refusals alike."""
    for path in ("/v1/products", "/v1/products/none"):
        headers = api("GET", path).headers
        assert headers["Request-Id"].startswith("req_")
        assert headers["Stripe-Version"] == "2026-10-28.endive"


def test_a_version_that_is_none_is_refused(api: Caller) -> None:
    """400 naming it, and nothing odd in the reply's own header."""
    reply = api("GET", "/v1/products", stripe_version="yesterday\r\nX: y")

    assert reply.status == 400
    assert "\n" not in reply.headers["Stripe-Version"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/payouts"),
        ("PUT", "/v1/products"),
        ("POST", "/v1/checkout/sessions/x/pay"),
        ("GET", "/v2/core/accounts"),
        ("POST", "/v2/core/event_destinations/ed_test_x/ping"),
    ],
)
def test_an_unknown_route_says_that_the_sandbox_lacks_it(api: Caller, method: str, path: str) -> None:
    """404 in Stripe's shape."""
    error = api.refusal(method, path)

    assert (error["status"], error["type"]) == (404, "invalid_request_error")
    assert "sandbox does not implement" in error["message"]


def test_an_empty_id_is_no_list(api: Caller) -> None:
    """`prices.retrieve("")` reaches the collection with a slash: Stripe says so, and so does the sandbox."""
    assert "trailing slash" in api.refusal("GET", "/v1/prices/")["message"]


def test_json_bodies_are_refused(api: Caller) -> None:
    """The v1 API is form-encoded."""
    assert api("POST", SESSIONS, {"mode": "payment"}, content_type="application/json").status == 400


def test_the_same_key_and_parameters_give_the_first_reply_again(api: Caller) -> None:
    """One session, and headers that say that it is the first one's reply."""
    first = api("POST", SESSIONS, cart(), idempotency_key="k1")
    again = api("POST", SESSIONS, cart(), idempotency_key="k1")

    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"] != again.headers["Request-Id"]
    assert "Idempotent-Replayed" not in first.headers
    assert len(api.ok("GET", SESSIONS)["data"]) == 1


@pytest.mark.parametrize(("path", "params"), [(SESSIONS, cart(("Mug", 1250, 1))), ("/v1/products", {"name": "Shirt"})])
def test_a_key_belongs_to_one_request(api: Caller, path: str, params: dict[str, Any]) -> None:
    """Other parameters or another route under the same key: 400 `idempotency_error`."""
    api("POST", SESSIONS, cart(), idempotency_key="k1")

    reply = api("POST", path, params, idempotency_key="k1")

    assert (reply.status, reply.body["error"]["type"]) == (400, "idempotency_error")


def test_a_refused_request_leaves_its_key_free(api: Caller) -> None:
    """Nothing is saved when validation fails."""
    assert api("POST", SESSIONS, cart(mode="rent"), idempotency_key="k1").status == 400

    assert api("POST", SESSIONS, cart(), idempotency_key="k1").status == 200


def test_a_key_is_kept_for_a_day(api: Caller, clock: Clock) -> None:
    """After 24 hours it starts anew."""
    first = api("POST", SESSIONS, cart(), idempotency_key="k1")
    clock.advance(86_399)
    assert api("POST", SESSIONS, cart(), idempotency_key="k1").body == first.body
    clock.advance(1)

    assert api("POST", SESSIONS, cart(), idempotency_key="k1").body["id"] != first.body["id"]


async def test_while_the_first_runs_a_second_is_told_to_wait(clock: Clock, mailbox: Mailbox) -> None:
    """409 for the same key; the first one ends well, and its reply is then given again."""
    gate = asyncio.Event()

    async def until_opened() -> None:
        await gate.wait()

    sandbox = Sandbox(clock=clock, send=mailbox, pause=until_opened)
    body = urlencode(list(_api_encode(cart()))).encode()
    headers = {"authorization": "Bearer sk_test_x", "idempotency-key": "k1"}
    request = ApiRequest("POST", SESSIONS, "", body, headers)
    first = asyncio.create_task(sandbox.answer(request))
    await asyncio.sleep(0)

    second = await sandbox.answer(request)
    gate.set()

    assert (second.status, second.body["error"]["type"]) == (409, "idempotency_error")
    assert (await first).status == 200
    assert (await sandbox.answer(request)).body == (await first).body


async def test_a_request_that_is_given_up_frees_its_key(clock: Clock, mailbox: Mailbox) -> None:
    """A client that goes away while its request waits leaves nothing behind."""
    forever = asyncio.Event()
    waiting = [True]

    async def once() -> None:
        if waiting.pop():
            waiting.append(False)
            await forever.wait()
        else:
            waiting.append(False)

    sandbox = Sandbox(clock=clock, send=mailbox, pause=once)
    body = urlencode(list(_api_encode(cart()))).encode()
    request = ApiRequest("POST", SESSIONS, "", body, {"authorization": "Bearer sk_test_x", "idempotency-key": "k"})
    task = asyncio.create_task(sandbox.answer(request))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    assert (await sandbox.answer(request)).status == 200


@settings(deadline=None)
@given(count=st.integers(0, 30), limit=st.integers(1, 12))
def test_paging_forward_and_back_shows_each_object_once(count: int, limit: int) -> None:
    """`starting_after` and `ending_before` walk the same list, whatever its length."""
    api = Caller(Sandbox(clock=lambda: NOON))
    made = [api.ok("POST", "/v1/products", {"name": f"P{i}"})["id"] for i in range(count)][::-1]

    forward: list[str] = []
    while True:
        cursor = {"starting_after": forward[-1]} if forward else {}
        page = api.ok("GET", "/v1/products", {"limit": limit, **cursor})
        forward += [found["id"] for found in page["data"]]
        if not page["has_more"]:
            break
    back = made[-1:]
    while back:
        page = api.ok("GET", "/v1/products", {"limit": limit, "ending_before": back[0]})
        back = [found["id"] for found in page["data"]] + back
        if not page["has_more"]:
            break

    assert forward == back == made


def test_whoever_changes_what_a_page_showed_pages_on(api: Caller) -> None:
    """The cursor may have left the list by the time the next page is asked for: each one is expired once."""
    made = [api.ok("POST", SESSIONS, cart())["id"] for _ in range(5)]
    expired: list[str] = []
    cursor: dict[str, str] = {}
    while page := api.ok("GET", SESSIONS, {"status": "open", "limit": 2, **cursor})["data"]:
        expired += [api.ok("POST", f"{SESSIONS}/{found['id']}/expire")["id"] for found in page]
        cursor = {"starting_after": expired[-1]}
    assert expired == made[::-1]
    back = api.ok("GET", SESSIONS, {"status": "expired", "limit": 2, "ending_before": made[0]})
    assert [found["id"] for found in back["data"]] == [made[2], made[1]]
    assert api.ok("GET", SESSIONS, {"status": "open", "ending_before": made[0]})["data"] == []


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"starting_after": "prod_none"}, "starting_after"),
        ({"starting_after": "a", "ending_before": "b"}, "starting_after"),
        ({"created": {"after": 1}}, "created[after]"),
        ({"colour": "blue"}, "colour"),
        ({"expand": ["data.name"]}, "expand"),
        ({"expand": ["data.metadata"]}, "expand"),
    ],
)
def test_a_list_refuses_what_it_cannot_do(api: Caller, params: dict[str, Any], param: str) -> None:
    """400 naming the parameter."""
    api.ok("POST", "/v1/products", {"name": "Shirt"})

    assert api.refusal("GET", "/v1/products", params)["param"] == param


def test_expansion_reaches_through_objects_and_lists(api: Caller, sandbox: Sandbox) -> None:
    """Up to four levels, each id replaced by its object."""
    session = api.ok("POST", SESSIONS, cart())
    sandbox.pay(session["id"])

    found = api.ok(
        "GET",
        SESSIONS,
        {"expand": ["data.payment_intent.latest_charge", "data.line_items", "data.payment_intent.payment_method"]},
    )["data"][0]

    assert found["payment_intent"]["latest_charge"]["object"] == "charge"
    assert found["payment_intent"]["payment_method"]["card"]["last4"] == "4242"
    assert found["line_items"]["data"][0]["quantity"] == 2
    four = {"expand": ["data.payment_intent.latest_charge.payment_intent"]}
    intent = api.ok("GET", SESSIONS, four)["data"][0]["payment_intent"]
    assert intent["latest_charge"]["payment_intent"]["id"] == intent["id"]
    five = {"expand": ["data.payment_intent.latest_charge.payment_intent.latest_charge"]}
    assert api.refusal("GET", SESSIONS, five)["param"] == "expand"
    deep = {"expand": ["payment_intent.latest_charge.payment_intent.latest_charge.payment_intent"]}
    assert api.refusal("GET", f"{SESSIONS}/{session['id']}", deep)["param"] == "expand"


@pytest.mark.parametrize("kind", ["payment_intent", "charge", "refund", "invoice", "customer", "dispute"])
def test_every_reference_of_stripes_can_be_expanded(api: Caller, kind: str) -> None:
    """Also one that is always null here, as `on_behalf_of`."""
    paid = {"payment_intent": api.sandbox.pay(api.ok("POST", SESSIONS, cart())["id"])["payment_intent"]}
    refund = api.ok("POST", "/v1/refunds", {**paid, "amount": 100})
    customer = api.ok("POST", "/v1/customers")["id"]
    api.ok("POST", "/v1/invoices", {"customer": customer, "currency": "usd"})
    api.sandbox.dispute(refund["payment_intent"])
    module, name = pinned.homes()[kind]
    references = [field for field, kind_ in pinned.classes(module)[name].items() if "ExpandableField" in kind_]
    for field in references:
        assert api.ok("GET", f"/v1/{kind}s", {"expand": [f"data.{field}"]})["data"] != []


@pytest.mark.parametrize("field", ["subscriptions", "sources", "tax", "tax_ids.data", "cash_balance"])
def test_what_is_not_here_is_not_expanded_in_the_sandboxs_own_words(api: Caller, field: str) -> None:
    """Nobody takes it for Stripe's refusal."""
    customer = api.ok("POST", "/v1/customers")["id"]
    refused = api.refusal("GET", f"/v1/customers/{customer}", {"expand": [field]})
    assert (refused["code"], refused["param"]) == ("sandbox_not_implemented", "expand")


def test_expanding_a_reply_does_not_touch_what_an_event_remembers(api: Caller, sandbox: Sandbox) -> None:
    """Events are snapshots."""
    session = api.ok("POST", SESSIONS, cart())
    sandbox.pay(session["id"])
    api.ok("GET", f"{SESSIONS}/{session['id']}", {"expand": ["payment_intent", "line_items"]})

    (event,) = sandbox.events("checkout.session.completed")

    assert isinstance(event["data"]["object"]["payment_intent"], str)
    assert "line_items" not in event["data"]["object"]


def test_a_seed_makes_the_same_ids_again() -> None:
    """Two sandboxes of one seed are alike."""
    ids = [
        Caller(Sandbox(clock=lambda: NOON, seed=3)).ok("POST", "/v1/products", {"name": "Shirt"})["id"]
        for _ in range(2)
    ]

    assert ids[0] == ids[1]


def test_old_objects_make_room_for_new_ones() -> None:
    """A collection is bounded: the oldest goes first."""
    from payments_core.sandbox.records.catalogue import Product
    from payments_core.sandbox.state import Collection

    collection = Collection[Product]("product", limit=3)
    for number in range(5):
        collection.put(Product(id=f"p{number}", created=0, updated=0, name="x"))

    assert [product.id for product in collection.newest()] == ["p4", "p3", "p2"]
