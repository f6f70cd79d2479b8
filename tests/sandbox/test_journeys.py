"""Whole journeys in a real Chromium: a buyer's, a shop's with the checkout in its own page, and a developer's."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from payments_core.sandbox import Sandbox
from tests.sandbox.conftest import Caller, cart

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Frame, Page

sync_api = pytest.importorskip("playwright.sync_api")

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


class Shop(BaseHTTPRequestHandler):
    """A shop on another origin: a page that shows an embedded checkout, and pages to come back to."""

    embedded = ""

    def do_GET(self) -> None:
        body = self.embedded if self.path == "/embedded" else f"<h1>The shop</h1><p>{self.path.partition('?')[0]}</p>"
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(f'<!doctype html><html lang="en"><title>Shop</title>{body}'.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Keep quiet."""


@pytest.fixture
def shop() -> Iterator[tuple[str, type[Shop]]]:
    """The shop's address, and the shop itself to write its page."""
    handler = type("OneShop", (Shop,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()


@pytest.fixture(scope="module")
def chromium(chromium_path: str) -> Iterator[Browser]:
    """One browser for all journeys."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(params=["desk", "phone without scripts"])
def page(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    """A buyer at a desk, and one with a phone whose browser runs no scripts."""
    desk = request.param == "desk"
    context = chromium.new_context(viewport=DESK if desk else PHONE, java_script_enabled=desk)
    yield context.new_page()
    context.close()


@pytest.fixture
def desk(chromium: Browser) -> Iterator[Page]:
    """A person at a desk."""
    context = chromium.new_context(viewport=DESK)
    yield context.new_page()
    context.close()


@pytest.fixture
def opened(served: Sandbox, shop: tuple[str, type[Shop]]) -> Callable[..., dict[str, Any]]:
    """Makes sessions that come back to the shop."""

    def make(currency: str = "usd", **more: Any) -> dict[str, Any]:
        params = cart(success_url=f"{shop[0]}/thanks?s={{CHECKOUT_SESSION_ID}}", cancel_url=f"{shop[0]}/cart", **more)
        params["line_items"][0]["price_data"]["currency"] = currency
        return Caller(served).ok("POST", "/v1/checkout/sessions", params)

    return make


def fill(page: Page | Frame, number: str) -> None:
    """Type a card."""
    page.get_by_label("Email").fill("jenny@example.com")
    page.get_by_label("Card number").fill(number)
    page.get_by_label("Expiration date").fill("12 / 40")
    page.get_by_label("Security code").fill("123")


def pay(page: Page | Frame, number: str = "4242 4242 4242 4242") -> None:
    """Type a card and press the button."""
    fill(page, number)
    page.get_by_role("button", name="Pay").click()


def test_a_double_click_pays_once(page: Page, served: Sandbox, opened: Callable[..., dict[str, Any]]) -> None:
    """The buyer arrives at the shop, and there is one charge."""
    session = opened()
    page.goto(session["url"])
    fill(page, "4242 4242 4242 4242")

    page.get_by_role("button", name="Pay").dblclick()
    # Not by waiting for a navigation: the second click may end the first one's, and begin its own.
    sync_api.expect(page).to_have_url(re.compile(r"/thanks\?s="), timeout=30_000)

    assert len(served.events("charge.succeeded")) == 1


def test_going_back_after_paying_leads_forward_again(
    page: Page, served: Sandbox, opened: Callable[..., dict[str, Any]]
) -> None:
    """The payment page of a paid session is not shown any more."""
    session = opened()
    page.goto(session["url"])
    pay(page)
    page.wait_for_url("**/thanks?s=*")

    page.goto(session["url"])

    assert "/thanks?s=" in page.url
    assert len(served.events("charge.succeeded")) == 1


def test_going_back_after_a_decline_one_can_pay(
    page: Page, served: Sandbox, opened: Callable[..., dict[str, Any]]
) -> None:
    """The page from before the decline takes another card; the declined one is not tried again."""
    session = opened()
    page.goto(session["url"])
    pay(page, "4000 0000 0000 0002")
    sync_api.expect(page.get_by_role("alert")).to_contain_text("Your card was declined.")
    page.go_back()
    pay(page)
    page.wait_for_url("**/thanks?s=*")

    assert [len(served.events(f"charge.{kind}")) for kind in ("failed", "succeeded")] == [1, 1]


def test_a_reload_after_a_decline_tries_nothing(
    page: Page, served: Sandbox, opened: Callable[..., dict[str, Any]]
) -> None:
    """The browser sends the same form again; the answer is the same, and so is the number of attempts."""
    page.goto(opened()["url"])
    pay(page, "4000 0000 0000 0002")
    page.reload()

    sync_api.expect(page.get_by_role("alert")).to_contain_text("Your card was declined.")
    assert len(served.events("charge.failed")) == 1


@pytest.mark.parametrize("answer", ["Complete", "Fail"])
def test_the_bank_asks_and_is_answered(
    page: Page, served: Sandbox, opened: Callable[..., dict[str, Any]], answer: str
) -> None:
    """3-D Secure: completed, the buyer is at the shop; failed, back on the page, and another card pays."""
    page.goto(opened()["url"])
    pay(page, "4000 0025 0000 3155")
    sync_api.expect(page.get_by_role("heading", name="Confirm your payment")).to_be_visible()
    page.get_by_role("button", name=f"{answer} authentication").click()
    if answer == "Fail":
        sync_api.expect(page.get_by_role("alert")).to_contain_text("unable to authenticate")
        pay(page)
    page.wait_for_url("**/thanks?s=*")

    assert len(served.events("charge.succeeded")) == 1
    assert len(served.events("payment_intent.payment_failed")) == (answer == "Fail")


def test_a_session_that_expires_while_its_page_is_open_says_so(
    page: Page, served: Sandbox, opened: Callable[..., dict[str, Any]]
) -> None:
    """Nothing is charged, and the way back to the shop is there."""
    page.goto(opened()["url"])
    fill(page, "4242 4242 4242 4242")
    served.advance(86_400)
    page.get_by_role("button", name="Pay").click()

    sync_api.expect(page.get_by_role("heading", name="This payment page has expired")).to_be_visible()
    page.get_by_role("link", name="Back to the shop").click()
    page.wait_for_url("**/cart")
    assert served.events("charge.succeeded") == []


def test_a_promotion_code_leaves_nothing_to_pay(
    page: Page, served: Sandbox, opened: Callable[..., dict[str, Any]]
) -> None:
    """A wrong one first, then one for everything: no card is asked for, and no intent is made."""
    api = Caller(served)
    promotion = {"type": "coupon", "coupon": api.ok("POST", "/v1/coupons", {"percent_off": 100})["id"]}
    api.ok("POST", "/v1/promotion_codes", {"promotion": promotion, "code": "GIFT"})
    session = opened(allow_promotion_codes=True)
    page.goto(session["url"])
    page.get_by_label("Promotion code").fill("GOFT")
    page.get_by_role("button", name="Apply").click()
    sync_api.expect(page.get_by_text("This code is invalid.")).to_be_visible()
    sync_api.expect(page.get_by_label("Promotion code")).to_be_focused()
    page.get_by_label("Promotion code").fill("gift")
    page.get_by_label("Promotion code").press("Enter")
    sync_api.expect(page.get_by_label("Card number")).to_have_count(0)
    page.get_by_label("Email").fill("jenny@example.com")
    page.get_by_role("button", name="Complete order").click()
    page.wait_for_url("**/thanks?s=*")

    after = served.session(session["id"])
    assert (after["payment_status"], after["amount_total"], after["payment_intent"]) == ("no_payment_required", 0, None)


@pytest.mark.parametrize(("button", "told"), [("Let the bank pay", "succeeded"), ("Let the bank refuse", "failed")])
def test_a_debit_is_answered_on_the_dashboard(
    page: Page, served: Sandbox, opened: Callable[..., dict[str, Any]], button: str, told: str
) -> None:
    """The buyer chooses it, the shop hears that it is unpaid, and the bank's answer comes when somebody gives it."""
    session = opened("eur")
    page.goto(session["url"])
    page.get_by_label("SEPA Direct Debit").check()
    page.get_by_label("Email").fill("jenny@example.com")
    page.get_by_label("Account holder's name").fill("Jenny Rosen")
    page.get_by_label("IBAN").fill("AT32 1904 3002 3547 3204")
    page.get_by_role("button", name="Pay").click()
    page.wait_for_url("**/thanks?s=*")
    assert served.session(session["id"])["payment_status"] == "unpaid"

    page.goto(f"{served.base_url}/")
    page.get_by_role("link", name=session["id"][:24]).first.click()
    page.get_by_role("button", name=button).click()

    sync_api.expect(page.get_by_role("status")).to_contain_text("The bank has")
    assert len(served.events(f"checkout.session.async_payment_{told}")) == 1


def test_with_the_keyboard_alone(desk: Page, served: Sandbox, opened: Callable[..., dict[str, Any]]) -> None:
    """Enter on an empty form moves the focus to the first field; from there Tab and letters are enough."""
    desk.goto(opened()["url"])
    desk.keyboard.press("Tab")
    desk.keyboard.press("Tab")
    desk.keyboard.press("Enter")
    sync_api.expect(desk.get_by_role("alert")).to_contain_text("marked fields")
    sync_api.expect(desk.get_by_label("Email")).to_be_focused()
    desk.keyboard.type("jenny@example.com")
    for text in ("", "", "4242424242424242", "1240", "123"):
        desk.keyboard.press("Tab")
        desk.keyboard.type(text)
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/thanks?s=*")

    assert len(served.events("charge.succeeded")) == 1


def embedded(served: Sandbox, address: str, **more: Any) -> dict[str, Any]:
    """An embedded session."""
    params = cart(ui_mode="embedded_page", return_url=f"{address}/back?s={{CHECKOUT_SESSION_ID}}", **more)
    wanted = {key: value for key, value in params.items() if key not in ("success_url", "cancel_url") and value}
    return Caller(served).ok("POST", "/v1/checkout/sessions", wanted)


def show(served: Sandbox, shop: tuple[str, type[Shop]], secret: str) -> str:
    """The shop writes the page that shows a checkout; its address."""
    shop[1].embedded = f"""
      <h1>Checkout</h1><div id="checkout"></div><p id="said"></p>
      <script src="{served.base_url}/stripe.js"></script>
      <script>
        Stripe("pk_test_x").createEmbeddedCheckoutPage({{
          fetchClientSecret: async () => {json.dumps(secret)},
          onComplete: () => {{ document.getElementById("said").textContent = "Complete"; }},
        }}).then((checkout) => checkout.mount("#checkout"));
      </script>"""
    return f"{shop[0]}/embedded"


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_checkout_is_shown_inside_the_shops_page(
    chromium: Browser, served: Sandbox, shop: tuple[str, type[Shop]], size: Any
) -> None:
    """Declined, asked by the bank, paid: all inside the frame, which is as high as it needs; then the shop goes on."""
    session = embedded(served, shop[0])
    page = chromium.new_context(viewport=size).new_page()
    page.goto(show(served, shop, session["client_secret"]))
    frame = page.frame_locator("iframe[title='Secure payment']")
    frame.get_by_label("Email").wait_for()
    inner = page.frames[1]
    pay(inner, "4000 0000 0000 0002")
    frame.get_by_role("alert").wait_for()
    fitted = page.wait_for_function("document.querySelector('iframe').offsetHeight > 700").json_value()
    wide = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    pay(inner, "4000 0025 0000 3155")
    frame.get_by_role("button", name="Complete authentication").click()
    page.wait_for_url("**/back?s=*")

    assert (fitted, wide) == (True, True)
    assert page.url.endswith(session["id"])
    assert served.session(session["id"])["payment_status"] == "paid"


def test_a_checkout_that_never_redirects_calls_the_shops_page(
    desk: Page, served: Sandbox, shop: tuple[str, type[Shop]]
) -> None:
    """`redirect_on_completion: never`: the shop's own code hears of it and stays where it is."""
    params = cart(ui_mode="embedded_page", redirect_on_completion="never")
    wanted = {key: value for key, value in params.items() if key not in ("success_url", "cancel_url")}
    session = Caller(served).ok("POST", "/v1/checkout/sessions", wanted)
    desk.goto(show(served, shop, session["client_secret"]))
    desk.frame_locator("iframe").get_by_label("Email").wait_for()
    pay(desk.frames[1])

    sync_api.expect(desk.locator("#said")).to_have_text("Complete")
    assert desk.url.endswith("/embedded")


def test_what_the_stand_in_for_stripe_js_lacks_it_refuses(
    desk: Page, served: Sandbox, shop: tuple[str, type[Shop]]
) -> None:
    """A live key and everything but embedded Checkout, in words."""
    desk.goto(show(served, shop, "cs_test_none"))

    live = desk.evaluate("() => { try { Stripe('pk_live_x') } catch (e) { return e.message } }")
    other = desk.evaluate("() => { try { Stripe('pk_test_x').elements() } catch (e) { return e.message } }")

    assert "test keys only" in live
    assert "elements is not implemented" in other


def test_an_event_is_sent_again_by_a_click(
    page: Page, served: Sandbox, opened: Callable[..., dict[str, Any]], shop: tuple[str, type[Shop]]
) -> None:
    """From the front page to the event, and from its delivery to another try."""
    wanted = {"url": f"{shop[0]}/hook", "enabled_events": ["checkout.session.completed"]}
    Caller(served).ok("POST", "/v1/webhook_endpoints", wanted)
    served.pay(opened()["id"])
    page.goto(f"{served.base_url}/dashboard/events")
    page.get_by_role("link", name="checkout.session.completed").click()
    page.get_by_role("button", name=re.compile("^Resend")).click()

    sync_api.expect(page.get_by_role("status")).to_contain_text("sent again")
    assert len(served.deliveries()) == 2
