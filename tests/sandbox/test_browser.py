"""The payment page in a real Chromium: what a person does, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import requests
from stripe._encode import _api_encode

from payments_core.sandbox import Sandbox
from tests.sandbox.conftest import cart

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

sync_api = pytest.importorskip("playwright.sync_api")

PIXEL = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9" fill="red"/></svg>'
SIZES = [(1280, 900), (390, 844)]


class Shop(BaseHTTPRequestHandler):
    """A shop on another origin: a picture, a cart and a success page."""

    def do_GET(self) -> None:
        known = self.path.startswith(("/thanks", "/cart", "/tee.svg"))
        self.send_response(200 if known else 404)
        self.send_header("content-type", "image/svg+xml" if self.path == "/tee.svg" else "text/html")
        self.end_headers()
        self.wfile.write(PIXEL if self.path == "/tee.svg" else b"<h1>The shop</h1>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Keep quiet."""


@pytest.fixture
def shop() -> Iterator[str]:
    """The shop's address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def chromium(chromium_path: str) -> Iterator[Browser]:
    """A browser without a network of its own, and without JavaScript on pages."""
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=arguments)
        yield browser
        browser.close()


def session_of(served: Sandbox, shop: str) -> dict[str, Any]:
    """A session with a picture, a broken picture and none."""
    params = cart(("Premium T-Shirt", 2999, 2), ("A print with quite a long name", 120000, 1), ("Sticker", 450, 1))
    for position, image in enumerate((f"{shop}/tee.svg", f"{shop}/missing.png")):
        params["line_items"][position]["price_data"]["product_data"]["images"] = [image]
    params |= {"success_url": f"{shop}/thanks?s={{CHECKOUT_SESSION_ID}}", "cancel_url": f"{shop}/cart"}
    reply = requests.post(
        f"{served.base_url}/v1/checkout/sessions",
        data=list(_api_encode(params)),
        headers={"authorization": "Bearer sk_test_x"},
        timeout=20,
    )
    return reply.json()


def fill(page: Page, number: str) -> None:
    """Type a card and press the button."""
    page.get_by_label("Email").fill("jenny@example.com")
    page.get_by_label("Card number").fill(number)
    page.get_by_label("Expiration date").fill("12 / 40")
    page.get_by_label("Security code").fill("123")
    page.get_by_role("button", name="Pay").click()


@pytest.mark.parametrize("size", SIZES, ids=["desk", "phone"])
def test_a_person_is_declined_pays_and_arrives_at_the_shop(
    served: Sandbox, shop: str, chromium: Browser, size: tuple[int, int]
) -> None:
    """Without JavaScript; the redirect to another origin is not stopped by the page's own policy."""
    session = session_of(served, shop)
    page = chromium.new_context(viewport={"width": size[0], "height": size[1]}, java_script_enabled=False).new_page()
    page.goto(session["url"])

    fill(page, "4000 0000 0000 0002")
    told = page.get_by_role("alert").inner_text()
    kept = (page.get_by_label("Email").input_value(), page.get_by_label("Card number").input_value())
    fill(page, "4242 4242 4242 4242")
    page.wait_for_url(f"{shop}/thanks?s={session['id']}")

    assert told.startswith("Your card was declined.")
    assert kept == ("jenny@example.com", "")
    assert served.session(session["id"])["payment_status"] == "paid"
    assert len(served.events("charge.succeeded")) == 1


@pytest.mark.parametrize("size", SIZES, ids=["desk", "phone"])
def test_nothing_is_wider_than_the_window(served: Sandbox, shop: str, chromium: Browser, size: tuple[int, int]) -> None:
    """No page makes a person scroll sideways, and on a phone the form is below the order."""
    session = session_of(served, shop)
    context = chromium.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if "Content Security" in message.text else None)

    for url in (session["url"], f"{served.base_url}/", f"{served.base_url}/c/pay/cs_test_none"):
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.goto(session["url"])
    order, form = page.locator(".summary").bounding_box(), page.locator("form").bounding_box()

    assert (form["y"] > order["y"] + order["height"]) == (size[0] < 860)
    assert problems == []


def test_the_way_back_and_the_keyboard(served: Sandbox, shop: str, chromium: Browser) -> None:
    """Tab reaches the cancel link, the fields in their order with the test cards before the card, and the button."""
    session = session_of(served, shop)
    page = chromium.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(session["url"])

    reached: list[str] = []
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.name || document.activeElement.tagName"))
    page.get_by_role("link", name="Cancel").click()
    page.wait_for_url(f"{shop}/cart")

    assert reached == [
        "A",
        "email",
        "method",
        "SUMMARY",
        "cc-number",
        "cc-exp",
        "cc-csc",
        "cc-name",
        "BUTTON",
    ]


def test_a_picture_that_cannot_be_loaded_is_covered(served: Sandbox, shop: str, chromium: Browser) -> None:
    """The good one is shown; over the broken one lies the name's initial, so that it does not look broken."""
    session = session_of(served, shop)
    page = chromium.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(session["url"])

    loaded = page.evaluate("[...document.images].map(i => i.naturalWidth > 0)")
    covered = page.evaluate("[...document.images].map(i => getComputedStyle(i, '::after').content)")

    assert loaded == [True, False]
    assert covered[1] == '"A"'
