"""What every client sees, whatever the framework and the server: the routes, their replies, their refusals."""

from __future__ import annotations

import json
import re
import time
from urllib.parse import unquote
from uuid import uuid4

import httpx2
import pytest

from payments_core.domain.signature import sign
from payments_core.domain.strict_json import read_json
from tests.http.conftest import Stripe
from tests.http.targets import WEBHOOK_SECRET, Target
from tests.http.wrong_bodies import REFERENCE, STATUS, reference, text, with_line, wrong_bodies

REFERENCE_EVENT = (
    b'{"id":"evt_test_webhook","type":"checkout.session.completed","data":{"object":{"id":"cs_test_123",'
    b'"payment_intent":"pi_test_123","amount_total":2999,"currency":"usd",'
    b'"customer_details":{"email":"test@example.com"}}}}'
)
RECEIVED = b'{"received": true}'


@pytest.fixture(scope="session")
def mug(stripe: Stripe) -> str:
    """A product of the catalogue that costs 29.99 dollars."""
    with httpx2.Client(base_url=stripe.url, auth=("sk_test_blackbox", ""), trust_env=False) as client:
        product = client.post(
            "/v1/products",
            data={"name": "Mug", "default_price_data[currency]": "usd", "default_price_data[unit_amount]": "2999"},
        )
    assert product.status_code == 200, product.text
    return str(product.json()["id"])


def create(target: Target, body: object = REFERENCE, **headers: str) -> str:
    answer = target.post("/create-checkout-session", body, **headers)
    assert answer.status == 200, answer.body
    return str(answer.json["sessionId"])


def test_the_reference_checkout_opens_a_session_for_exactly_that_amount(target: Target, stripe: Stripe) -> None:
    """200 with id and URL; at Stripe there is one session of 5998 cents."""
    answer = target.post("/create-checkout-session", REFERENCE)
    assert answer.status == 200, answer.body
    assert answer.json.keys() == {"sessionId", "url"}
    session = stripe.sandbox.session(answer.json["sessionId"])
    assert (session["amount_total"], session["currency"], session["url"]) == (5998, "usd", answer.json["url"])
    assert session["customer_email"] == "customer@example.com"


def test_an_embedded_checkout_gives_a_client_secret_and_no_url(target: Target) -> None:
    """The page is in the shop, so there is nowhere to send the buyer."""
    answer = target.post("/create-checkout-session", reference(uiMode="embedded_page", cancelUrl=...))
    assert answer.status == 200, answer.body
    assert answer.json["url"] is None
    assert answer.json["clientSecret"].startswith(answer.json["sessionId"])


def test_a_session_s_state_is_exact_and_without_personal_data(target: Target, stripe: Stripe) -> None:
    """Open before, paid after; the amount is the number 59.98 and nothing near it."""
    session_id = create(target)
    before = target.request("GET", f"/checkout-sessions/{session_id}")
    assert (before.status, before.json["status"], before.json["paymentStatus"]) == (200, "open", "unpaid")
    stripe.sandbox.pay(session_id)
    after = target.request("GET", f"/checkout-sessions/{session_id}")
    assert (after.status, after.json["status"], after.json["paymentStatus"]) == (200, "complete", "paid")
    assert b'"amountTotal":59.98' in after.body
    assert after.json.keys() == {"sessionId", "status", "paymentStatus", "amountTotal", "currency"}


@pytest.mark.parametrize(
    "session_id", ["cs_test_nobody", "pi_nobody", "cs_test_%00", "cs_test_%F0%9F%92%A9", "cs_" + "x" * 400]
)
def test_a_session_that_was_not_made_here_is_not_found_and_stripe_is_not_asked(
    target: Target, stripe: Stripe, session_id: str
) -> None:
    """Nobody can use the shop to look sessions up."""
    asked = len(stripe.asked)
    answer = target.request("GET", f"/checkout-sessions/{session_id}")
    assert (answer.status, answer.code) == (404, "session_not_found")
    assert not [one for one in stripe.asked[asked:] if unquote(session_id) in one]


def test_right_prices_are_verified(target: Target, mug: str) -> None:
    """`{"verified": true}` and nothing else."""
    answer = target.post("/verify-prices", {"products": [{"productId": mug, "price": 29.99, "quantity": 1}]})
    assert (answer.status, answer.json) == (200, {"verified": True})


def test_wrong_prices_are_told_exactly(target: Target, mug: str) -> None:
    """Expected and provided, as JSON numbers in major units."""
    answer = target.post("/verify-prices", {"products": [{"productId": mug, "price": 0.1, "quantity": 1}]})
    assert answer.status == 200
    assert answer.body == (
        b'{"verified":false,"discrepancies":[{"productId":"%s","expectedPrice":29.99,"providedPrice":0.10}]}'
        % mug.encode()
    )


def test_a_product_that_the_catalogue_does_not_sell_is_named(target: Target) -> None:
    """422 with the line."""
    answer = target.post("/verify-prices", {"products": [{"productId": "prod_nobody", "price": 1, "quantity": 1}]})
    assert (answer.status, answer.code) == (422, "unknown_product")
    assert answer.json["fields"][0]["path"] == "products[0].productId"
    assert "prod_nobody" in answer.json["detail"]


def test_a_checkout_at_another_price_than_the_catalogue_s_is_refused(target: Target, stripe: Stripe, mug: str) -> None:
    """The price is the catalogue's, whatever the browser says, and no session is made."""
    sessions = len(list(stripe.sandbox.state.sessions))
    answer = target.post("/create-checkout-session", with_line(productId=mug, price=0.01))
    assert (answer.status, answer.code) == (422, "price_mismatch")
    assert answer.json["discrepancies"] == [{"productId": mug, "expectedPrice": 29.99, "providedPrice": 0.01}]
    assert len(list(stripe.sandbox.state.sessions)) == sessions


def test_the_reference_webhook_is_received_to_the_letter_however_often_it_comes(target: Target) -> None:
    """A new event and its duplicates get the same bytes."""
    for _ in range(3):
        answer = target.webhook(REFERENCE_EVENT)
        assert (answer.status, answer.body) == (200, RECEIVED)


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"evt_ignored","type":"customer.tax_id.updated","data":{"object":{"id":"txi_1"}}}',
        b'{"id":"evt_future","type":"something.stripe.thinks.of.later","data":{"object":{}}}',
        b"null",
        b"[]",
        b'{"id":1}',
        b"not JSON",
        b'{"id":"evt_nul\\u0000","type":"a\\u0000","data":{"object":{"a":"\\u0000"}}}',
        b'{"id":"evt_\\ud800","type":"a","data":{"object":{}}}',
        b'{"id":"evt_a","id":"evt_b","type":"a","data":{"object":{}}}',
        b'{"id":"evt_nan","type":"a","data":{"object":{"a":NaN}}}',
        b'{"id":"evt_big","type":"a","data":{"object":{"a":' + b"9" * 5000 + b"}}}",
        b'{"id":"evt_huge","type":"a","data":{"object":{"a":1e99999999999999999999}}}',
        b'{"id":"evt_deep","type":"a","data":{"object":' + b"[" * 5000 + b"]" * 5000 + b"}}",
        b"\xff\xfe\x00",
        b'{"id":"evt_\xff","type":"a","data":{"object":{}}}',
        b'{"id":"evt_latin","type":"a","account":"\xe9","data":{"object":{}}}',
        b'{"id":"evt_text","type":"a","data":{"object":{"metadata":{"payments_core_id":"\xff"}}}}',
        b"\x1f\x8b\x08\x00 gzip",
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
def test_whatever_stripe_signed_is_received(target: Target, body: bytes) -> None:
    """Ignored, unknown or unreadable: a signed body is stored and never makes Stripe try again."""
    answer = target.webhook(body)
    assert (answer.status, answer.body) == (200, RECEIVED)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_the_webhook_s_bytes_are_taken_whatever_their_type(target: Target, content_type: str) -> None:
    """The signature is over bytes; a form type must not make a framework eat them."""
    answer = target.webhook(REFERENCE_EVENT, **{"Content-Type": content_type})
    assert (answer.status, answer.body) == (200, RECEIVED)


def bad_signatures() -> dict[str, str]:
    now = int(time.time())
    good = sign(REFERENCE_EVENT, WEBHOOK_SECRET, timestamp_s=now)
    digest = good.partition("v1=")[2]
    return {
        "none": "",
        "empty parts": ",,,",
        "forged": f"t={now},v1={'0' * 64}",
        "another secret": sign(REFERENCE_EVENT, "whsec_another_one", timestamp_s=now),
        "another body": sign(REFERENCE_EVENT + b" ", WEBHOOK_SECRET, timestamp_s=now),
        "old": sign(REFERENCE_EVENT, WEBHOOK_SECRET, timestamp_s=now - 400),
        "future": sign(REFERENCE_EVENT, WEBHOOK_SECRET, timestamp_s=now + 400),
        "two timestamps": f"t={now},{good}",
        "v0 only": f"t={now},v0={digest}",
        "no timestamp": f"v1={digest}",
        "short": f"t={now},v1={digest[:-1]}",
        "not hex": f"t={now},v1={'z' * 64}",
        "seventeen": f"t={now}" + f",v1={'0' * 64}" * 17,
        "long": good + "," + "x" * 5000,
        "negative time": f"t=-{now},v1={digest}",
    }


@pytest.mark.parametrize("cause", bad_signatures())
def test_a_bad_signature_is_refused_with_one_body_for_every_cause(target: Target, cause: str) -> None:
    """The refusal teaches a forger nothing."""
    answer = target.webhook(REFERENCE_EVENT, bad_signatures()[cause])
    assert (answer.status, answer.json["error"], answer.code) == (400, "Invalid signature", "invalid_signature")
    assert answer.body == target.webhook(b"{}", "t=1").body


def test_an_oversized_webhook_is_refused_and_the_largest_is_not(target: Target) -> None:
    """A megabyte is the limit, to the byte."""
    body = b'{"id":"evt_large","type":"a","data":{"object":{"a":"'
    body += b"x" * (1024 * 1024 - len(body) - 4) + b'"}}}'
    assert target.webhook(body).status == 200
    answer = target.webhook(body + b" ")
    assert (answer.status, answer.code) == (413, "payload_too_large")


def test_two_hundred_wrong_bodies_are_refused_and_stripe_hears_of_none(target: Target, stripe: Stripe) -> None:
    """Each with its status, its code and the field at fault. (The runner may be asking about earlier events.)"""
    bodies = wrong_bodies()
    assert len({(wrong.body, wrong.content_type, wrong.encoding) for wrong in bodies}) >= 200
    asked, sessions = len(stripe.asked), len(list(stripe.sandbox.state.sessions))
    unexpected: list[str] = []
    for wrong in bodies:
        answer = target.request("POST", "/create-checkout-session", wrong.body, wrong.headers)
        paths = [one["path"] for one in answer.json.get("fields", ())]
        as_expected = (answer.status, answer.code) == (STATUS[wrong.code], wrong.code)
        if not as_expected or (wrong.path is not None and wrong.path not in paths):
            unexpected.append(f"{wrong.name}: {answer.status} {answer.code} {paths}, not {wrong.code} {wrong.path}")
    assert not unexpected, "\n".join(unexpected)
    assert [one for one in stripe.asked[asked:] if one.startswith("POST")] == []
    assert len(list(stripe.sandbox.state.sessions)) == sessions


def test_every_reply_has_a_request_id_and_is_not_cached(target: Target) -> None:
    """Good or bad: the caller's own id where it is sane, else a new one."""
    requests = [
        ("POST", "/create-checkout-session"),
        ("POST", "/verify-prices"),
        ("POST", "/webhooks/stripe"),
        ("GET", "/checkout-sessions/cs_test_x"),
        ("GET", "/health"),
        ("GET", "/ready"),
        ("GET", "/nowhere"),
        ("DELETE", "/health"),
        ("OPTIONS", "/verify-prices"),
    ]
    for method, path in requests:
        for given, kept in (("my-id_1.2", True), ("two words", False), ("x" * 129, False)):
            answer = target.request(method, path, headers={"X-Request-Id": given})
            assert (answer.headers["x-request-id"] == given) is kept, (method, path)
            assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", answer.headers["x-request-id"])
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers.get("content-type") == (None if answer.status == 204 else "application/json")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/create-checkout-session", "POST, OPTIONS"),
        ("/verify-prices", "POST, OPTIONS"),
        ("/webhooks/stripe", "POST, OPTIONS"),
        ("/checkout-sessions/cs_test_x", "GET, HEAD, OPTIONS"),
        ("/health", "GET, HEAD, OPTIONS"),
        ("/ready", "GET, HEAD, OPTIONS"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "PROPFIND", "FOO"])
def test_another_method_is_refused_in_our_shape(target: Target, path: str, allowed: str, method: str) -> None:
    """405 with the methods that are answered, also for one that nobody knows."""
    answer = target.request(method, path)
    assert (answer.status, answer.code, answer.headers["allow"]) == (405, "method_not_allowed", allowed)
    told = target.request("OPTIONS", path)
    assert (told.status, told.body, told.headers["allow"]) == (204, b"", allowed)


def test_a_get_route_answers_head(target: Target) -> None:
    """The same head, no body."""
    for path, status in (("/health", 200), ("/ready", 200), ("/checkout-sessions/cs_test_x", 404)):
        answer = target.request("HEAD", path)
        assert (answer.status, answer.body) == (status, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/health/",
        "/health/x",
        "/webhooks",
        "/webhooks/paypal",
        "/checkout-sessions/",
        "/",
        "//health",
        "/webhooks//stripe",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "FOO"])
def test_any_other_path_under_the_prefix_is_not_found_in_our_shape(target: Target, path: str, method: str) -> None:
    """404 as JSON, with no redirect and no page."""
    answer = target.request(method, path)
    assert (answer.status, answer.code) == (404, "not_found")
    assert "x-request-id" in answer.headers


def test_the_host_s_own_paths_stay_the_host_s(target: Target) -> None:
    """Its pages answer, and what it does not know it refuses itself."""
    assert target.send("GET", "/", b"", {}).json == {"shop": "open"}
    unknown = target.send("GET", "/nowhere", b"", {})
    assert unknown.status == 404
    assert b"not_found" not in unknown.body


def test_health_and_readiness_are_told(target: Target) -> None:
    """Liveness without a store; readiness with how far behind the work is."""
    assert target.request("GET", "/health").json == {"status": "ok"}
    ready = target.request("GET", "/ready")
    assert (ready.status, ready.json["ready"]) == (200, True)
    assert {"oldestUnhandledSeconds", "deadLetters", "outboxBacklog"} <= ready.json["checks"].keys()


def test_a_redirect_off_the_rules_names_its_field(target: Target) -> None:
    """`redirect_not_allowed`, and which of the two."""
    body = reference(successUrl="javascript:alert(1)", cancelUrl="http://shop.example/")
    answer = target.post("/create-checkout-session", body)
    assert (answer.status, answer.code) == (422, "redirect_not_allowed")
    assert {one["path"] for one in answer.json["fields"]} == {"successUrl", "cancelUrl"}


def test_the_caller_s_host_header_is_never_used(target: Target, stripe: Stripe) -> None:
    """The buyer goes where the body said, whatever Host and X-Forwarded-Host claim."""
    session_id = create(target, **{"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"})
    assert "evil.example" not in json.dumps(stripe.sandbox.session(session_id))


def test_no_refusal_repeats_what_was_sent(target: Target) -> None:
    """An address, a name, a URL that was refused does not come back."""
    secret = f"s3cret{uuid4().hex}"
    body = reference(customerEmail=secret, metadata={"a": [secret]}, successUrl=[secret], currency=secret)
    body["products"][0] |= {"price": secret, "image": secret}
    answer = target.post("/create-checkout-session", body)
    assert answer.status == 422
    assert secret.encode() not in answer.body


def test_every_good_reply_is_exact_json(target: Target) -> None:
    """The strict reader of requests reads the replies too: no float's tail, no NaN, no duplicate."""
    session_id = create(target)
    for answer in (
        target.request("GET", f"/checkout-sessions/{session_id}"),
        target.request("GET", "/ready"),
        target.post("/verify-prices", {"products": []}),
    ):
        assert read_json(answer.body) is not None


def test_the_largest_json_body_is_read(target: Target) -> None:
    """The limit of the JSON routes is 256 KiB, to the byte."""
    body = text(REFERENCE)
    body += b" " * (256 * 1024 - len(body))
    assert target.post("/create-checkout-session", body).status == 200
    answer = target.post("/create-checkout-session", body + b" ")
    assert (answer.status, answer.code) == (413, "payload_too_large")
