"""G10: money is exact from the request to the published event, in every currency of Stripe's table; float is refused.

The table here is written from https://docs.stripe.com/currencies, apart from the library's own. An amount goes the
whole way: JSON over HTTP, the parameters sent to Stripe, the settlement, the event that the world is told, the page.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_core import Money, PaymentMismatch, PaymentSuccessful
from payments_core.money import CURRENCIES, InvalidAmount
from tests.flows.shop import intent, own_intent, own_session
from tests.flows.test_proof import ALONE
from tests.guarantees.world import DONE, World
from tests.guarantees.worlds import tries


def codes(text: str) -> list[str]:
    """Currency codes, separated by blanks."""
    return text.split()


NO_DECIMALS = codes("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf")
#: Sent in hundredths, of which none may be used.
WHOLE_IN_HUNDREDTHS = codes("isk ugx")
#: Sent in thousandths, in steps of ten.
THREE_DECIMALS = codes("bhd jod kwd omr tnd")
TWO_DECIMALS = codes(
    "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny cop "
    "crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr jmd kes kgs khr "
    "kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk "
    "php pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah uyu uzs "
    "wst xcd yer zar zmw"
)

#: A price as a client writes it, and the minor units that Stripe must be sent.
EXAMPLES = {
    **dict.fromkeys(NO_DECIMALS, ("1234", 1234)),
    **dict.fromkeys(WHOLE_IN_HUNDREDTHS, ("1234", 123400)),
    **dict.fromkeys(TWO_DECIMALS, ("12.34", 1234)),
    **dict.fromkeys(THREE_DECIMALS, ("5.120", 5120)),
}
SOME = ("usd", "jpy", "isk", "ugx", "kwd", "huf", "twd")


def open_checkout(world: World, price: str, quantity: int, currency: str) -> Any:
    """A checkout over HTTP; `price` is the JSON number as written. The answer."""
    products = f'[{{"name": "Tee", "price": {price}, "quantity": {quantity}}}]'
    links = '"successUrl": "https://shop.test/ok", "cancelUrl": "https://shop.test/cart"'
    body = f'{{"products": {products}, {links}, "currency": "{currency}"}}'.encode()
    return world.shop.request("POST", "/create-checkout-session", body, {"Content-Type": "application/json"})


def whole_way(world: World, price: str, quantity: int, currency: str, unit_minor: int) -> None:
    """Send an amount the whole way, and assert that it is the same everywhere."""
    answer = open_checkout(world, price, quantity, currency)
    assert answer.status == 200, answer.text
    opened = world.gateway.sent[-1]
    assert opened.session_id == json.loads(answer.text)["sessionId"]
    (line,) = opened.params["line_items"]
    assert (line["price_data"]["unit_amount"], line["quantity"]) == (unit_minor, quantity)
    assert (type(line["price_data"]["unit_amount"]), line["price_data"]["currency"]) == (int, currency)
    total = unit_minor * quantity
    paid = {"amount_total": total, "amount_subtotal": total, "currency": currency}
    intent_id = f"pi_{len(world.gateway.sent)}"
    world.hear(DONE, own_session(world, opened, **paid, payment_intent=intent_id))  # type: ignore[arg-type]
    data = world.published()[-1]["data"]
    assert (data["amount"], data["currency"]) == (total, currency)
    assert data["products"] == [{"name": "Tee", "quantity": quantity, "price": unit_minor}]
    assert (type(data["amount"]), type(data["products"][0]["price"])) == (int, int)
    page = world.shop.request("GET", f"/checkout-sessions/{opened.session_id}")
    shown = json.loads(page.text, parse_float=Decimal, parse_int=Decimal)
    assert (shown["amountTotal"], shown["currency"]) == (Decimal(price) * quantity, currency)


@pytest.mark.parametrize("currency", SOME)
def test_an_amount_is_the_same_from_the_request_to_the_published_event(world: World, currency: str) -> None:
    """Each kind of currency, on every store and under both facades; the handler's amount is exact as well."""
    told: list[Money] = []
    world.on(PaymentSuccessful, lambda event, _: told.append(event.amount))
    price, unit_minor = EXAMPLES[currency]
    whole_way(world, price, 3, currency, unit_minor)
    assert told == [Money(3 * unit_minor, currency)]


def test_every_currency_that_stripe_charges_in_goes_the_whole_way(memory_or_sqlite: World) -> None:
    """All of Stripe's table, one payment after another."""
    for currency, (price, unit_minor) in EXAMPLES.items():
        whole_way(memory_or_sqlite, price, 2, currency, unit_minor)
    assert len(memory_or_sqlite.published()) == len(EXAMPLES)


def test_any_amount_goes_the_whole_way(memory_or_sqlite: World) -> None:
    """Hypothesis: any whole number of the currency's steps, up to what Stripe accepts, times any quantity."""

    @tries(15, 1500)
    @given(st.sampled_from(sorted(EXAMPLES)), st.integers(1, 9_999_999), st.integers(1, 20))
    def goes(currency: str, steps: int, quantity: int) -> None:
        price, unit_minor = priced(currency, steps)
        whole_way(memory_or_sqlite, price, quantity, currency, unit_minor)

    goes()


def priced(currency: str, steps: int) -> tuple[str, int]:
    """A price of so many of the currency's smallest steps, as written and in Stripe's minor units."""
    if currency in NO_DECIMALS:
        return str(steps), steps
    if currency in WHOLE_IN_HUNDREDTHS:
        return str(steps), 100 * steps
    return str(Decimal(steps).scaleb(-2)), steps * (10 if currency in THREE_DECIMALS else 1)


@pytest.mark.parametrize(
    ("currency", "price"),
    [
        ("usd", "29.999"),
        ("usd", '"29.99"'),
        ("usd", "true"),
        ("usd", "NaN"),
        ("usd", "1e400"),
        ("usd", "0"),
        ("usd", "-1"),
        ("usd", "0.30000000000000004"),
        ("jpy", "0.5"),
        ("isk", "5.5"),
        ("ugx", "0.01"),
        ("kwd", "5.125"),
        ("xxx", "1"),
        ("USD ", "1"),
    ],
)
def test_an_amount_that_is_not_exact_is_refused_and_stripe_hears_nothing(
    world: World, currency: str, price: str
) -> None:
    """Never rounded, never guessed: refused, with no payment's row and no session."""
    answer = open_checkout(world, price, 1, currency)
    assert answer.status in (400, 422), answer.text
    assert (world.gateway.sent, world.database.payments()) == ([], {})


@pytest.mark.parametrize(
    "make",
    [
        lambda: Money(29.99, "usd"),  # type: ignore[arg-type]
        lambda: Money(True, "usd"),
        lambda: Money.of(29.99, "usd"),  # type: ignore[arg-type]
        lambda: Money(2999, "usd") * 1.5,  # type: ignore[operator]
        lambda: Money(2999, "usd") * True,
    ],
)
def test_a_float_is_refused_wherever_money_is_made(make: Any) -> None:
    """Also a float that happens to be whole, and a boolean."""
    with pytest.raises(InvalidAmount):
        make()


def test_the_table_of_this_test_and_the_librarys_are_the_same() -> None:
    """Written twice from Stripe's page; a currency that one of them lacks is found here."""
    assert set(EXAMPLES) <= CURRENCIES
    # Newer than the page that this test was written from.
    assert CURRENCIES - set(EXAMPLES) <= {"xcg"}


@pytest.mark.parametrize(("changed", "codes"), ALONE.values(), ids=ALONE)
def test_what_was_not_agreed_is_no_success(world: World, changed: dict[str, Any], codes: list[str]) -> None:
    """S11, CVE-2026-9189, over HTTP in both adapters: 0 fulfilments, one mismatch, and nobody is told `paid`."""
    world.note_effects(PaymentSuccessful, PaymentMismatch)
    opened = world.checkout()
    paid = own_session(world, opened, **changed)  # type: ignore[arg-type]
    world.hear(DONE, paid)
    world.hear(DONE, paid)
    (event,) = world.published()
    assert event["eventType"] == "payment.mismatch"
    assert [one["code"] for one in event["data"]["discrepancies"]] == codes
    assert world.effects() == [(event["eventId"], "payment.mismatch")]
    page = json.loads(world.shop.request("GET", f"/checkout-sessions/{opened.session_id}").text)
    assert (page["status"], page["paymentStatus"]) == ("complete", "unpaid")
    assert world.ready()["quarantinedPayments"] == 1


def test_an_intent_that_received_less_is_no_success(world: World) -> None:
    """Its session says that all is well; the amount received says otherwise."""
    world.note_effects(PaymentSuccessful)
    opened = world.checkout()
    own_session(world, opened)  # type: ignore[arg-type]
    world.hear("payment_intent.succeeded", own_intent(world, opened, intent(amount_received=1)))  # type: ignore[arg-type]
    assert (world.kinds(), world.effects()) == (["payment.mismatch"], [])
