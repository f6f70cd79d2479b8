"""What the payment page offers beside a card: codes, shipping, debits, 3-D Secure; and that it pays once."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from payments_core.sandbox import Sandbox
from tests.sandbox.conftest import NOON, Caller, Clock, cart
from tests.sandbox.test_page import BUYER, Document, app, browser, path_of, session_of

__all__ = ["app", "browser"]

THREE_D_SECURE = BUYER | {"cc-number": "4000002500003155"}


def coded(api: Caller, code: str = "SPRING", **coupon: Any) -> None:
    """A promotion code, 25 % off where nothing else is said."""
    made = api.ok("POST", "/v1/coupons", coupon or {"percent_off": 25})
    api.ok("POST", "/v1/promotion_codes", {"promotion": {"type": "coupon", "coupon": made["id"]}, "code": code})


def post(title: str, amount: int) -> dict[str, Any]:
    """A way of shipping."""
    fixed = {"amount": amount, "currency": "usd"}
    return {"shipping_rate_data": {"display_name": title, "type": "fixed_amount", "fixed_amount": fixed}}


async def sent(browser: httpx2.AsyncClient, path: str, form: dict[str, str]) -> httpx2.Response:
    """The page looked at, then sent as a browser sends it, hidden fields included."""
    page = Document((await browser.get(path)).text)
    return await browser.post(path, data=page.hidden | form)


async def test_a_code_is_typed_shown_and_taken_away(browser: httpx2.AsyncClient, api: Caller) -> None:
    """In any case of letters; the totals say what it takes off."""
    coded(api)
    session = await session_of(browser, allow_promotion_codes=True)
    typed = await browser.post(f"{path_of(session)}/promotion", data={"promotion-code": " spring "})
    with_code = (await browser.get(path_of(session))).text
    await browser.post(f"{path_of(session)}/promotion", data={"remove": "yes"})

    without = (await browser.get(path_of(session))).text

    assert (typed.status_code, typed.headers["location"]) == (303, path_of(session))
    assert "Promotion code SPRING" in with_code
    assert "−$15.00" in with_code
    assert "Pay $44.98" in with_code
    assert "Pay $59.98" in without


@pytest.mark.parametrize(
    ("typed", "says"), [("", "Enter a promotion code"), ("WINTER", "invalid"), ("TINY", "too little")]
)
async def test_a_code_that_does_not_work_says_why_beside_the_field(
    browser: httpx2.AsyncClient, api: Caller, typed: str, says: str
) -> None:
    """422; the field keeps what was typed and has the focus, and the total stays."""
    coded(api, "TINY", amount_off=5990, currency="usd")
    session = await session_of(browser, allow_promotion_codes=True)

    reply = await browser.post(f"{path_of(session)}/promotion", data={"promotion-code": typed})
    field = Document(reply.text).inputs["promotion-code"]

    assert (reply.status_code, field["value"], field["aria-invalid"]) == (422, typed, "true")
    assert "autofocus" in field
    assert says in reply.text
    assert "Pay $59.98" in reply.text


async def test_a_code_down_to_zero_asks_for_no_card(browser: httpx2.AsyncClient, api: Caller, sandbox: Sandbox) -> None:
    """Not even after a declined one, whose intent is given up."""
    coded(api, percent_off=100)
    session = await session_of(browser, allow_promotion_codes=True)
    await sent(browser, path_of(session), BUYER | {"cc-number": "4000000000000002"})
    await browser.post(f"{path_of(session)}/promotion", data={"promotion-code": "SPRING"})
    page = Document((await browser.get(path_of(session))).text)

    reply = await sent(browser, path_of(session), {"email": "jenny@example.com"})

    assert set(page.inputs) == {"email"}
    assert reply.status_code == 303
    assert sandbox.session(session["id"])["payment_status"] == "no_payment_required"
    assert sandbox.events("payment_intent.canceled")
    assert sandbox.events("charge.succeeded") == []


async def test_codes_are_no_use_where_they_are_not_asked_for(browser: httpx2.AsyncClient, api: Caller) -> None:
    """No field, and nothing taken off."""
    coded(api)
    session = await session_of(browser)
    await browser.post(f"{path_of(session)}/promotion", data={"promotion-code": "SPRING"})

    page = await browser.get(path_of(session))

    assert "promotion-code" not in Document(page.text).inputs
    assert "Pay $59.98" in page.text


async def test_another_way_of_shipping_changes_the_total(browser: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    """And an address is asked for; session, intent and charge carry it."""
    session = await session_of(
        browser,
        shipping_options=[post("Post", 0), post("Express", 1500)],
        shipping_address_collection={"allowed_countries": ["AT", "DE"]},
        phone_number_collection={"enabled": True},
    )
    express = sandbox.session(session["id"])["shipping_options"][1]["shipping_rate"]
    first = (await browser.get(path_of(session))).text
    await browser.post(f"{path_of(session)}/shipping", data={"shipping-rate": express})
    address = {
        "phone": "+43 1 58858", "ship-name": "Jenny Rosen", "ship-line1": "Ring 1", "ship-city": "Wien",
        "ship-postal-code": "1010", "ship-country": "AT",
    }  # fmt: skip
    wrong = await sent(
        browser, path_of(session), BUYER | address | {"ship-country": "US", "ship-city": "", "phone": ""}
    )

    reply = await sent(browser, path_of(session), BUYER | address)

    assert "Free" in first
    assert [name for name, attrs in Document(wrong.text).inputs.items() if "aria-invalid" in attrs] == [
        "phone",
        "ship-city",
    ]
    assert "Choose a country" in wrong.text
    assert reply.status_code == 303
    paid = sandbox.session(session["id"])
    assert (paid["amount_total"], paid["shipping_cost"]["amount_total"]) == (7498, 1500)
    assert paid["collected_information"]["shipping_details"]["address"]["city"] == "Wien"
    assert paid["customer_details"]["phone"] == "+43 1 58858"
    charge = sandbox.events("charge.succeeded")[0]["data"]["object"]
    assert (charge["amount"], charge["shipping"]["address"]["country"]) == (7498, "AT")


async def test_a_form_made_for_another_total_charges_nothing(
    browser: httpx2.AsyncClient, api: Caller, sandbox: Sandbox
) -> None:
    """The buyer sees the new total first."""
    coded(api)
    session = await session_of(browser, allow_promotion_codes=True)
    old = Document((await browser.get(path_of(session))).text)
    await browser.post(f"{path_of(session)}/promotion", data={"promotion-code": "SPRING"})

    reply = await browser.post(path_of(session), data=old.hidden | BUYER)

    assert reply.status_code == 422
    assert "The total is $44.98 now" in reply.text
    assert sandbox.events() == [] or sandbox.events("charge.succeeded") == []


async def test_the_same_form_twice_is_one_attempt(browser: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    """A declined form that is reloaded is not tried again; the same card typed anew is."""
    session = await session_of(browser)
    declined = BUYER | {"cc-number": "4000000000000002"}
    form = Document((await browser.get(path_of(session))).text).hidden | declined
    replies = [await browser.post(path_of(session), data=form) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [402, 402]
    assert len(sandbox.events("charge.failed")) == 1

    await browser.post(path_of(session), data=Document(replies[1].text).hidden | declined)

    assert len(sandbox.events("charge.failed")) == 2


@pytest.mark.parametrize(
    ("form", "paid"),
    [
        ({"method": "sepa_debit", "debit-name": "Jenny", "iban": "at61 1904 3002 3457 3201"}, "paid"),
        ({"method": "sepa_debit", "debit-name": "Jenny", "iban": "AT861904300235473202"}, "unpaid"),
        (
            {
                "method": "us_bank_account",
                "debit-name": "Jenny",
                "routing-number": "110000000",
                "account-number": "000123456789",
            },
            "paid",
        ),
    ],
)
async def test_a_bank_debit_is_complete_first_and_paid_later(
    browser: httpx2.AsyncClient, sandbox: Sandbox, clock: Clock, form: dict[str, str], paid: str
) -> None:
    """The buyer goes to the shop at once; the bank answers later."""
    params = cart()
    params["line_items"][0]["price_data"]["currency"] = "eur" if "iban" in form else "usd"
    session = await session_of(browser, line_items=params["line_items"])

    reply = await sent(browser, path_of(session), {"email": "jenny@example.com", **form})
    before = sandbox.session(session["id"])
    clock.advance(5)

    assert reply.status_code == 303
    assert (before["status"], before["payment_status"]) == ("complete", "unpaid")
    assert before["customer_details"]["name"] == "Jenny"
    assert sandbox.session(session["id"])["payment_status"] == paid


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"iban": "AT00"}, "iban"),
        ({"iban": "DE02120300000000202051"}, "iban"),
        ({"debit-name": ""}, "debit-name"),
        ({"method": "paypal"}, None),
    ],
)
async def test_an_account_that_cannot_be_used_is_marked(
    browser: httpx2.AsyncClient, sandbox: Sandbox, change: dict[str, str], field: str | None
) -> None:
    """Beside its field, and the account is not shown again."""
    params = cart()
    params["line_items"][0]["price_data"]["currency"] = "eur"
    session = await session_of(browser, line_items=params["line_items"])
    form = {
        "email": "j@example.com",
        "method": "sepa_debit",
        "debit-name": "J",
        "iban": "AT611904300234573201",
        **change,
    }

    reply = await sent(browser, path_of(session), form)
    page = Document(reply.text)

    assert reply.status_code == 422
    assert [name for name, attrs in page.inputs.items() if "aria-invalid" in attrs] == ([field] if field else [])
    assert page.inputs["iban"]["value"] == ""
    assert sandbox.events() == []


async def test_a_3d_secure_card_leads_over_the_issuers_page(browser: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    """It says who asks for how much; completed, it leads to the shop; answered twice, the same."""
    session = await session_of(browser)
    asked = await sent(browser, path_of(session), THREE_D_SECURE)
    issuer = await browser.get(asked.headers["location"])
    form = Document(issuer.text).hidden | {"answer": "complete"}

    replies = [await browser.post(asked.headers["location"], data=form) for _ in range(2)]

    assert "ending in 3155" in issuer.text
    assert "$59.98" in issuer.text
    assert {reply.headers["location"] for reply in replies} == {f"https://shop.test/thanks?session_id={session['id']}"}
    assert len(sandbox.events("charge.succeeded")) == 1


async def test_who_is_not_authenticated_tries_another_card(browser: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    """Back on the payment page with the reason; an old answer does nothing then."""
    session = await session_of(browser)
    asked = await sent(browser, path_of(session), THREE_D_SECURE)
    hidden = Document((await browser.get(asked.headers["location"])).text).hidden

    failed = await browser.post(asked.headers["location"], data=hidden | {"answer": "fail"})
    late = await browser.post(asked.headers["location"], data=hidden | {"answer": "complete"})
    paid = await sent(browser, path_of(session), BUYER)

    assert (failed.status_code, late.status_code, paid.status_code) == (402, 402, 303)
    assert "unable to authenticate" in failed.text
    assert len(sandbox.events("charge.succeeded")) == 1


async def test_a_session_that_expires_while_the_issuer_asks_says_so(
    browser: httpx2.AsyncClient, sandbox: Sandbox, clock: Clock
) -> None:
    """410, and nothing was charged."""
    session = await session_of(browser, expires_at=NOON + 1800)
    asked = await sent(browser, path_of(session), THREE_D_SECURE)
    hidden = Document((await browser.get(asked.headers["location"])).text).hidden
    clock.advance(1800)

    reply = await browser.post(asked.headers["location"], data=hidden | {"answer": "complete"})

    assert reply.status_code == 410
    assert sandbox.events("charge.succeeded") == []


async def test_a_customers_address_is_fixed(browser: httpx2.AsyncClient, api: Caller) -> None:
    """As at Stripe, it cannot be edited on the page."""
    customer = api.ok("POST", "/v1/customers", {"email": "jenny@example.com"})
    session = await session_of(browser, customer=customer["id"])

    field = Document((await browser.get(path_of(session))).text).inputs["email"]

    assert field["value"] == "jenny@example.com"
    assert "readonly" in field


async def test_the_shops_own_words_are_text(browser: httpx2.AsyncClient) -> None:
    """Near the button, and escaped."""
    words = {"submit": {"message": "We pack <b>today</b>."}, "after_submit": {"message": "Soon!"}}
    page = await browser.get(path_of(await session_of(browser, custom_text=words)))

    assert "We pack &lt;b&gt;today&lt;/b&gt;." in page.text


def framed(**more: Any) -> dict[str, Any]:
    """Parameters of an embedded session."""
    params = cart(ui_mode="embedded_page", return_url="https://shop.test/back?s={CHECKOUT_SESSION_ID}", **more)
    return {key: value for key, value in params.items() if key not in ("success_url", "cancel_url")}


async def test_an_embedded_page_is_framed_by_any_shop_and_tells_it_the_end(
    browser: httpx2.AsyncClient, api: Caller
) -> None:
    """Its address is the client secret; the last page names the return URL."""
    session = api.ok("POST", "/v1/checkout/sessions", framed())
    path = f"/c/embed/{session['client_secret']}"
    page = await browser.get(path)

    done = await sent(browser, path, BUYER)

    assert "frame-ancestors http: https:" in page.headers["content-security-policy"]
    assert (done.status_code, (await browser.get(path)).status_code) == (200, 200)
    assert f'data-return-url="https://shop.test/back?s={session["id"]}"' in done.text


@pytest.mark.parametrize(("redirect", "told"), [("if_required", True), ("never", False)])
async def test_an_embedded_page_may_stay_where_it_is(
    browser: httpx2.AsyncClient, api: Caller, redirect: str, told: bool
) -> None:
    """With a card nothing requires a redirect."""
    params = framed(redirect_on_completion=redirect)
    if not told:
        del params["return_url"]
    session = api.ok("POST", "/v1/checkout/sessions", params)

    done = await sent(browser, f"/c/embed/{session['client_secret']}", BUYER)

    assert 'data-return-url=""' in done.text


async def test_an_embedded_page_needs_its_secret(browser: httpx2.AsyncClient, api: Caller) -> None:
    """Neither the session's id nor half a secret shows it, and a hosted session has none."""
    session = api.ok("POST", "/v1/checkout/sessions", framed())
    hosted = api.ok("POST", "/v1/checkout/sessions", cart())

    for path in (
        f"/c/pay/{session['id']}",
        f"/c/embed/{session['id']}",
        f"/c/embed/{session['client_secret'][:-1]}",
        f"/c/embed/{hosted['id']}",
        f"/c/embed/{hosted['id']}_secret_None",
    ):
        assert (await browser.get(path)).status_code == 404


async def test_a_hosted_page_is_framed_by_nobody(browser: httpx2.AsyncClient) -> None:
    """Only by the sandbox itself."""
    page = await browser.get(path_of(await session_of(browser)))

    assert "frame-ancestors 'self'" in page.headers["content-security-policy"]


async def test_an_intent_of_the_api_is_authenticated_on_the_same_page(browser: httpx2.AsyncClient, api: Caller) -> None:
    """And leads back to its own return URL, which is told how it went."""
    intent = api.ok(
        "POST",
        "/v1/payment_intents",
        {
            "amount": 1000,
            "currency": "usd",
            "payment_method": "pm_card_authenticationRequired",
            "confirm": True,
            "return_url": "https://shop.test/back?a=1",
        },
    )
    path = intent["next_action"]["redirect_to_url"]["url"].removeprefix("http://127.0.0.1:12111")
    form = Document((await browser.get(path)).text).hidden | {"answer": "complete"}

    reply = await browser.post(path, data=form)

    assert reply.headers["location"].startswith("https://shop.test/back?a=1&payment_intent=pi_")
    assert "redirect_status=succeeded" in reply.headers["location"]
