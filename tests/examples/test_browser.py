"""The whole journey in a real browser, as a buyer makes it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.examples.demo import Demo, until

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = (1280, 900)
PHONE = (390, 844)


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(
    params=[(DESKTOP, True), (PHONE, True), (PHONE, False)], ids=["desktop", "phone", "phone-without-scripts"]
)
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A fresh visitor on each kind of screen, and one whose browser runs no scripts."""
    (width, height), scripts = request.param
    context = browser.new_context(viewport={"width": width, "height": height}, java_script_enabled=scripts)
    yield context.new_page()
    context.close()


def fill(page: Page, number: str) -> None:
    """Fill in the payment page by what its fields say they are for, and send it."""
    for purpose, value in (
        ("email", "jenny@example.com"),
        ("cc-number", number),
        ("cc-exp", "12 / 40"),
        ("cc-csc", "123"),
    ):
        page.fill(f'input[autocomplete="{purpose}"]', value)
    page.get_by_role("button", name=re.compile("^Pay")).click()


def to_the_payment_page(page: Page, demo: Demo) -> None:
    """Put a T-shirt into the cart and go to pay for it."""
    page.goto(demo.url)
    page.get_by_role("button", name="Add to cart Premium T-Shirt").click()
    fits(page)
    page.get_by_role("button", name="Pay $29.99").click()
    expect(page.get_by_text("Premium T-Shirt")).to_be_visible()
    fits(page)


def told(page: Page, demo: Demo, *words: str) -> bool:
    """Whether the activity page, loaded anew, tells all of this."""
    page.goto(f"{demo.url}/activity")
    shown = page.locator("[data-activity]").inner_text()
    return all(word in shown for word in words)


def fits(page: Page) -> None:
    """Nothing sticks out at the side: the page's widest box is no wider than the screen."""
    boxes = [one.bounding_box() for one in page.locator("body > *, main > *").all()]
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert all(box["x"] + box["width"] <= width + 1 for box in boxes if box is not None)


def test_a_buyer_is_declined_tries_again_and_has_paid(page: Page, demo: Demo) -> None:
    """A declined card is said so and can be replaced; the success page tells the truth at once, the activity soon."""
    to_the_payment_page(page, demo)
    fill(page, "4000 0000 0000 0002")
    expect(page.get_by_role("alert")).to_contain_text("declined")
    expect(page.locator('input[autocomplete="cc-number"]')).to_have_value("")
    fill(page, "4242 4242 4242 4242")
    expect(page).to_have_url(re.compile(re.escape(demo.url) + r"/success\?session_id=cs_test_"))
    expect(page.get_by_role("heading", name="Thank you, that is paid")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("$29.99")
    fits(page)
    until(lambda: told(page, demo, "checkout.session.completed", "payment.successful", "1 × Premium T-Shirt"))
    page.goto(f"{demo.url}/cart")
    expect(page.get_by_text("There is nothing in it yet.")).to_be_visible()


def test_a_buyer_who_cancels_finds_the_cart_as_it_was(page: Page, demo: Demo) -> None:
    """Cancel leads from the payment page back to the cart, which has kept what was in it."""
    to_the_payment_page(page, demo)
    page.get_by_role("link", name=re.compile("Cancel")).click()
    expect(page).to_have_url(f"{demo.url}/cart")
    expect(page.get_by_role("listitem").filter(has_text="Premium T-Shirt")).to_be_visible()


def test_a_double_click_and_the_back_button_lead_to_one_payment_page(page: Page, demo: Demo) -> None:
    """Whether the browser sends the form once or twice, and when it is sent again later."""
    page.goto(demo.url)
    page.get_by_role("button", name="Add to cart Enamel Mug").click()
    page.get_by_role("button", name="Pay $14.50").dblclick()
    number, onward = (
        page.locator('input[autocomplete="cc-number"]'),
        page.get_by_role("button", name="Go on to payment"),
    )
    expect(number.or_(onward)).to_be_visible()
    if onward.is_visible():
        fits(page)
        onward.click()
        expect(number).to_be_visible()
    opened = page.url
    while not page.url.endswith("/cart"):
        page.go_back()
    page.get_by_role("button", name="Pay $14.50").click()
    expect(page).to_have_url(opened)


def test_the_activity_panel_is_live(browser: Browser, demo: Demo) -> None:
    """A panel that is open shows a payment made elsewhere without being loaded again."""
    context = browser.new_context()
    watching, buying = context.new_page(), browser.new_context().new_page()
    watching.goto(f"{demo.url}/activity")
    orders = watching.locator('[data-list="orders"] li strong')
    before = orders.count()
    to_the_payment_page(buying, demo)
    fill(buying, "4242 4242 4242 4242")
    expect(buying.get_by_role("heading", name="Thank you, that is paid")).to_be_visible()
    expect(orders).to_have_count(before + 1, timeout=15_000)
    context.close()
