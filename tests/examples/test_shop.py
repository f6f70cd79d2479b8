"""The example shop, driven over HTTP as its README says."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from tests.examples.demo import WEBHOOK_SECRET, Demo, card, records, running, signed, until

REFERENCE_CALL = {
    "products": [{"name": "Premium T-Shirt", "price": 29.99, "quantity": 2, "image": "https://example.com/tshirt.jpg"}],
    "successUrl": "https://yourstore.com/success?session_id={CHECKOUT_SESSION_ID}",
    "cancelUrl": "https://yourstore.com/cart",
    "customerEmail": "customer@example.com",
}
REFERENCE_WEBHOOK = (
    b'{"id":"evt_test_webhook","type":"checkout.session.completed","data":{"object":{"id":"cs_test_123",'
    b'"payment_intent":"pi_test_123","amount_total":2999,"currency":"usd",'
    b'"customer_details":{"email":"test@example.com"}}}}'
)


def test_the_reference_call_ends_in_one_failure_and_one_success(demo: Demo) -> None:
    """A declined attempt and a paid one give exactly one payment.failed and one payment.successful, in full."""
    made = httpx2.post(f"{demo.api}/create-checkout-session", json=REFERENCE_CALL)
    assert made.status_code == 200, made.text
    assert set(made.json()) == {"sessionId", "url"}
    session_id, url = made.json()["sessionId"], made.json()["url"]
    assert httpx2.post(url, data=card("4000000000000002"), timeout=30).status_code == 402
    until(lambda: demo.events_of(session_id))
    paid = httpx2.post(url, data=card("4242424242424242"), timeout=30)
    assert paid.status_code == 303
    assert paid.headers["location"] == f"https://yourstore.com/success?session_id={session_id}"
    status = httpx2.get(f"{demo.api}/checkout-sessions/{session_id}", timeout=30)
    assert '"amountTotal":59.98' in status.text
    assert status.json() == {
        "sessionId": session_id,
        "status": "complete",
        "paymentStatus": "paid",
        "amountTotal": 59.98,
        "currency": "usd",
    }
    until(lambda: len(demo.events_of(session_id)) == 2)
    assert httpx2.post(url, data=card("4242424242424242"), timeout=30).status_code == 303
    success, failure = demo.events_of(session_id)
    assert (success["eventType"], failure["eventType"]) == ("payment.successful", "payment.failed")
    assert success["data"] == {
        "userId": None,
        "email": "customer@example.com",
        "amount": 5998,
        "currency": "usd",
        "products": [{"name": "Premium T-Shirt", "quantity": 2, "price": 2999}],
        "paymentIntentId": success["data"]["paymentIntentId"],
        "sessionId": session_id,
    }
    assert failure["data"]["reason"] == "generic_decline"
    assert failure["data"]["amount"] == 5998
    placed = [order for order in demo.activity()["orders"] if order["sessionId"] == session_id]
    assert [order["amount"] for order in placed] == [5998]


def test_the_smallest_reference_webhook_is_received(demo: Demo) -> None:
    """A signed event with next to nothing in it gets exactly the documented answer, as often as it comes."""
    for _ in range(2):
        answer = httpx2.post(
            f"{demo.api}/webhooks/stripe", content=REFERENCE_WEBHOOK, headers=signed(REFERENCE_WEBHOOK)
        )
        assert (answer.status_code, answer.content) == (200, b'{"received": true}')


def test_a_forged_webhook_is_refused(demo: Demo) -> None:
    """A body signed by somebody else gets the one answer that all refused signatures get."""
    answer = httpx2.post(
        f"{demo.api}/webhooks/stripe",
        content=REFERENCE_WEBHOOK,
        headers=signed(REFERENCE_WEBHOOK, "whsec_of_somebody_else"),
    )
    assert answer.status_code == 400
    assert answer.json()["error"] == "Invalid signature"


def test_the_cart_survives_a_cancelled_checkout(demo: Demo) -> None:
    """What was put into the cart is sold at the shop's own price, and is still there when the buyer comes back."""
    with httpx2.Client(base_url=demo.url, timeout=30) as browser:
        browser.post("/cart/add", data={"product": "mug", "price": "1"})
        browser.post("/cart/change", data={"product": "mug", "quantity": "3"})
        leaving = browser.post("/checkout")
        assert leaving.status_code == 303
        hosted = httpx2.get(leaving.headers["location"])
        assert "$43.50" in hosted.text
        assert f'href="{demo.url}/cart"' in hosted.text
        assert "$43.50" in browser.get("/cart").text


def test_a_form_of_another_site_starts_no_checkout(demo: Demo) -> None:
    """A POST that names a foreign origin is led back to the cart."""
    cookies = {"Cookie": "cart=mug:1", "Origin": "https://evil.example"}
    answer = httpx2.post(f"{demo.url}/checkout", headers=cookies)
    assert (answer.status_code, answer.headers["location"]) == (303, "/cart")


def test_an_unknown_checkout_has_a_page_of_its_own(demo: Demo) -> None:
    """A success address with a made-up session is a 404 for people, with nothing of the input in it."""
    answer = httpx2.get(f"{demo.url}/success", params={"session_id": "cs_test_<script>"})
    assert answer.status_code == 404
    assert "There is no such checkout" in answer.text
    assert "<script>" not in answer.text.replace('<script src="/static/activity.js" defer></script>', "")


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_a_buyer_whose_payment_cannot_be_seen_is_not_asked_for_another(framework: str, tmp_path: Path) -> None:
    """While the shop's table or Stripe is away, a buyer who has paid is told to look again, and not to pay again."""
    with running(tmp_path, FRAMEWORK=framework) as demo, httpx2.Client(base_url=demo.url, timeout=60) as browser:
        browser.post("/cart/add", data={"product": "mug"})
        back = httpx2.post(browser.post("/checkout").headers["location"], data=card("4242424242424242"), timeout=30)
        with closing(sqlite3.connect(tmp_path / "demo.db")) as connection:
            connection.execute("DROP TABLE shop_order")
        without_store = browser.get(back.headers["location"])
        sandbox = demo.child("payments sandbox")
        demo.process.send_signal(signal.SIGSTOP)  # it would end the shop with the sandbox
        try:
            os.kill(sandbox, signal.SIGKILL)
            without_stripe = browser.get(back.headers["location"])
        finally:
            demo.process.send_signal(signal.SIGCONT)
    for answer in (without_store, without_stripe):
        assert answer.status_code == 503
        assert "Do not pay again" in answer.text
        assert "Nothing was charged" not in answer.text
        main = answer.text.partition("<main")[2]
        assert re.findall('href="([^"]*)"', main) == [""]


def test_a_look_at_an_old_success_page_leaves_today_s_cart(demo: Demo) -> None:
    """A paid session clears the cart that it was opened with, and no other."""
    with httpx2.Client(base_url=demo.url, timeout=30) as browser:
        browser.post("/cart/add", data={"product": "mug"})
        paid = httpx2.post(browser.post("/checkout").headers["location"], data=card("4242424242424242"), timeout=30)
        assert "that is paid" in browser.get(paid.headers["location"]).text
        assert browser.cookies.get("cart") is None
        browser.post("/cart/add", data={"product": "tote"})
        again = browser.get(paid.headers["location"])
        assert "that is paid" in again.text
        assert "in the cart" in again.text
        assert (browser.cookies.get("cart") or "").strip('"') == "tote:1"


def test_an_address_that_no_page_has_is_a_page(demo: Demo) -> None:
    """In the shop's own dress; under the payment routes it stays JSON."""
    page = httpx2.get(f"{demo.url}/nowhere", timeout=30)
    assert page.status_code == 404
    assert "There is no such page" in page.text
    assert 'href="/cart"' in page.text
    assert httpx2.get(f"{demo.api}/nowhere", timeout=30).json()["code"] == "not_found"


def test_every_log_line_is_json_without_personal_data(demo: Demo) -> None:
    """What the shop logs about a payment are ids, amounts and codes, one JSON object a line."""
    made = httpx2.post(f"{demo.api}/create-checkout-session", json=REFERENCE_CALL).json()
    httpx2.post(made["url"], data=card("4242424242424242"), timeout=30)
    until(lambda: demo.events_of(made["sessionId"]))
    done = until(
        lambda: [
            record
            for record in records(demo.output)
            if record["event"] == "Payment processed successfully" and record["sessionId"] == made["sessionId"]
        ]
    )
    assert done[0]["amount"] == 5998
    assert done[0]["currency"] == "usd"
    assert done[0]["paymentIntentId"].startswith("pi_")
    printed = demo.output.read_text()
    for secret in ("customer@example.com", WEBHOOK_SECRET, "sk_test_", "4242424242424242"):
        assert secret not in printed.replace(json.dumps("4242 4242 4242 4242"), "")


def paying(demo: Demo, order: str, *, cart: str = "mug:1") -> httpx2.Response:
    """Send the cart's form."""
    return httpx2.post(f"{demo.url}/checkout", data={"order": order}, headers={"Cookie": f"cart={cart}"}, timeout=30)


def test_a_cart_that_is_sent_again_leads_to_the_same_payment_page(demo: Demo) -> None:
    """The back button, a timeout and a second try; a cart that is shown anew is another order."""
    with httpx2.Client(base_url=demo.url, headers={"Cookie": "cart=mug:1"}, timeout=30) as browser:
        first, second = (order_in(browser.get("/cart").text) for _ in range(2))
    assert paying(demo, first).headers["location"] == paying(demo, first).headers["location"]
    assert paying(demo, first).headers["location"] != paying(demo, second).headers["location"]
    assert paying(demo, "", cart="mug:1").headers["location"] != paying(demo, "no name").headers["location"]


def test_a_cart_that_was_changed_in_another_window_is_shown_before_it_is_paid(demo: Demo) -> None:
    """What is in it now was not what the button said."""
    order = uuid4().hex
    assert paying(demo, order).status_code == 303
    changed = paying(demo, order, cart="mug:2")
    assert (changed.status_code, changed.headers["location"]) == (303, "/cart")


def test_a_second_click_waits_for_the_first(demo: Demo) -> None:
    """While Stripe has not answered one of them, the other gets a page that goes on to the same payment page."""
    order = uuid4().hex
    sandbox = demo.child("payments sandbox")
    os.kill(sandbox, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(2) as threads:
            clicks = [threads.submit(paying, demo, order) for _ in range(2)]
            answered = next(as_completed(clicks)).result()
            os.kill(sandbox, signal.SIGCONT)
            hosted = {click.result().headers.get("location") for click in clicks} - {None}
    finally:
        os.kill(sandbox, signal.SIGCONT)
    assert answered.status_code == 409
    assert "Your payment page is being opened" in answered.text
    assert {paying(demo, order_in(answered.text)).headers["location"]} == hosted


def order_in(page: str) -> str:
    """The order's name in the form of a page."""
    found = re.search(r'name="order" value="(\w+)"', page)
    assert found is not None
    return found[1]
