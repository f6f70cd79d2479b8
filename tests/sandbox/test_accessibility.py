"""Every page in every state, checked by axe (npm, pinned): at a desk and on a phone, in light and in dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from payments_core.sandbox import running
from tests._services import unavailable
from tests.sandbox.conftest import Caller, cart
from tests.sandbox.test_journeys import ARGUMENTS, DESK, PHONE, fill, pay
from tools import npm

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.npm

LOOKS = [(DESK, "light"), (DESK, "dark"), (PHONE, "light"), (PHONE, "dark")]


@pytest.fixture(scope="module")
def axe() -> Path:
    """The script, as its makers publish it."""
    try:
        return npm.installed("axe") / "axe-core/axe.min.js"
    except npm.CannotFetch as reason:
        pytest.skip(unavailable("npm", str(reason)))


@pytest.fixture(scope="module")
def chromium(chromium_path: str) -> Iterator[Browser]:
    """One browser for all states."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        yield browser
        browser.close()


def rich(api: Caller) -> dict[str, Any]:
    """A session with everything a page can ask for."""
    coupon = api.ok("POST", "/v1/coupons", {"percent_off": 25})
    promotion = {"type": "coupon", "coupon": coupon["id"]}
    api.ok("POST", "/v1/promotion_codes", {"promotion": promotion, "code": "SPRING"})
    ways = [
        {"shipping_rate_data": {"display_name": name, "fixed_amount": {"amount": amount, "currency": "usd"}}}
        for name, amount in (("Post", 0), ("Express", 1500))
    ]
    return api.ok(
        "POST",
        "/v1/checkout/sessions",
        cart(
            ("Premium T-Shirt", 2999, 2),
            ("A print with quite a long name, for the wall above the table", 120000, 1),
            allow_promotion_codes=True,
            automatic_tax={"enabled": True},
            custom_text={"submit": {"message": "We pack today what is ordered before noon."}},
            phone_number_collection={"enabled": True},
            shipping_address_collection={"allowed_countries": ["AT", "DE"]},
            shipping_options=ways,
        ),
    )


def euros(api: Caller) -> dict[str, Any]:
    """A session that can be paid by SEPA Direct Debit."""
    params = cart()
    params["line_items"][0]["price_data"]["currency"] = "eur"
    return api.ok("POST", "/v1/checkout/sessions", params)


def plain(api: Caller) -> dict[str, Any]:
    return api.ok("POST", "/v1/checkout/sessions", cart())


def busy(api: Caller) -> str:
    """A sandbox in which much has happened; the id of a session."""
    api.ok("POST", "/v1/webhook_endpoints", {"url": "http://127.0.0.1:9/hook", "enabled_events": ["*"]})
    session = plain(api)
    api.sandbox.decline(session["id"])
    intent = api.sandbox.pay(session["id"])["payment_intent"]
    api.sandbox.refund(intent, 100)
    api.sandbox.dispute(intent)
    api.sandbox.pay(plain(api)["id"], debit="000000000009")
    api.sandbox.expire(plain(api)["id"])
    return session["id"]


def at_code(page: Page, api: Caller) -> None:
    page.goto(rich(api)["url"])
    page.get_by_label("Promotion code").fill("nope")
    page.get_by_role("button", name="Apply").click()


def at_applied(page: Page, api: Caller) -> None:
    page.goto(rich(api)["url"])
    page.get_by_label("Promotion code").fill("SPRING")
    page.get_by_role("button", name="Apply").click()


def at_errors(page: Page, api: Caller) -> None:
    page.goto(rich(api)["url"])
    page.get_by_role("button", name="Pay").click()


def at_decline(page: Page, api: Caller) -> None:
    page.goto(plain(api)["url"])
    page.get_by_text("All test cards").click()
    pay(page, "4000 0000 0000 0002")


def at_debit(page: Page, api: Caller) -> None:
    page.goto(euros(api)["url"])
    page.get_by_label("SEPA Direct Debit").check()
    page.get_by_text("Test accounts").click()


def at_the_bank(page: Page, api: Caller) -> None:
    page.goto(plain(api)["url"])
    pay(page, "4000 0025 0000 3155")


def at_expired(page: Page, api: Caller) -> None:
    session = plain(api)
    page.goto(session["url"])
    fill(page, "4242 4242 4242 4242")
    api.sandbox.expire(session["id"])
    page.get_by_role("button", name="Pay").click()


def at_done(page: Page, api: Caller) -> None:
    params = cart(ui_mode="embedded_page", return_url="https://shop.test/back")
    wanted = {key: value for key, value in params.items() if key not in ("success_url", "cancel_url")}
    session = api.ok("POST", "/v1/checkout/sessions", wanted)
    api.sandbox.pay(session["id"])
    page.goto(f"{api.sandbox.base_url}/c/embed/{session['client_secret']}")


def at_event(page: Page, api: Caller) -> None:
    busy(api)
    page.goto(f"{api.sandbox.base_url}/dashboard/events")
    page.get_by_role("link", name="refund.created").click()


def at_refused(page: Page, api: Caller) -> None:
    page.goto(f"{api.sandbox.base_url}/dashboard/objects/{busy(api)}")
    page.get_by_label("Amount").fill("much")
    page.get_by_role("button", name="Refund").click()


def at_clock(page: Page, api: Caller) -> None:
    busy(api)
    page.goto(f"{api.sandbox.base_url}/")
    page.get_by_role("button", name="Move the clock").click()


STATES: Mapping[str, Callable[[Page, Caller], object]] = {
    "plain": lambda page, api: page.goto(plain(api)["url"]),
    "everything asked for": lambda page, api: page.goto(rich(api)["url"]),
    "nothing to pay": lambda page, api: page.goto(
        api.ok("POST", "/v1/checkout/sessions", cart(("Sample", 0, 1)))["url"]
    ),
    "wrong code": at_code,
    "code applied": at_applied,
    "fields wrong": at_errors,
    "declined": at_decline,
    "debit": at_debit,
    "the bank asks": at_the_bank,
    "expired": at_expired,
    "unknown": lambda page, api: page.goto(f"{api.sandbox.base_url}/c/pay/cs_none"),
    "done in a frame": at_done,
    "dashboard, empty": lambda page, api: page.goto(f"{api.sandbox.base_url}/"),
    "dashboard, busy": lambda page, api: (busy(api), page.goto(f"{api.sandbox.base_url}/")),
    "dashboard, deliveries": lambda page, api: (busy(api), page.goto(f"{api.sandbox.base_url}/dashboard/deliveries")),
    "dashboard, object": lambda page, api: page.goto(f"{api.sandbox.base_url}/dashboard/objects/{busy(api)}"),
    "dashboard, event": at_event,
    "dashboard, refused": at_refused,
    "dashboard, clock moved": at_clock,
}


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_and_nothing_sticks_out(state: str, chromium: Browser, axe: Path) -> None:
    """No violation of WCAG 2.2 or of axe's best practices, and no page is wider than its window."""
    for size, scheme in LOOKS:
        context = chromium.new_context(viewport=size, color_scheme=scheme, bypass_csp=True)  # type: ignore[arg-type]
        page = context.new_page()
        with running() as sandbox:
            STATES[state](page, Caller(sandbox))
            page.add_script_tag(path=axe)
            found = page.evaluate("axe.run().then(result => result.violations)")
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        context.close()

        problems = [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]
        assert problems == [], f"{size['width']} px, {scheme}"
        assert wide <= 0, f"{size['width']} px, {scheme}"
