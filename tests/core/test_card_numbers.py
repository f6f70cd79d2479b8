"""What looks like a card number is refused, whoever sends it and wherever it stands; what does not is let through."""

from __future__ import annotations

import re

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_core import Cart, CheckoutRequest, InvalidRequest, Line, Money, PriceClaim
from payments_core.domain.card_numbers import check_claims, check_request, holds_card_number
from payments_core.sandbox.cards import TEST_CARDS

#: Prefix and length of what is issued, written here a second time.
ISSUED = (
    ("4", 16), ("4", 19), ("51", 16), ("55", 16), ("2221", 16), ("2720", 16), ("34", 15), ("37", 15), ("300", 14),
    ("305", 14), ("36", 14), ("39", 16), ("6011", 16), ("644", 16), ("649", 19), ("65", 16), ("3528", 16), ("3589", 16),
    ("62", 16), ("62", 17), ("62", 18), ("62", 19), ("5018", 16), ("6304", 19), ("6759", 16), ("6763", 16),
)  # fmt: skip
CARD = "4242424242424242"


def completed(digits: str) -> str:
    """The digits with the check digit that makes them a number (ISO/IEC 7812-1, annex B)."""
    doubled = [sum(divmod(2 * int(one), 10)) for one in reversed(digits[::2] if len(digits) % 2 else digits[1::2])]
    plain = [int(one) for one in (digits[1::2] if len(digits) % 2 else digits[::2])]
    return digits + str(-(sum(doubled) + sum(plain)) % 10)


@st.composite
def cards(draw: st.DrawFn) -> str:
    """Any number that an issuer could have given."""
    prefix, length = draw(st.sampled_from(ISSUED))
    more = length - len(prefix) - 1
    return completed(prefix + draw(st.text("0123456789", min_size=more, max_size=more)))


def grouped(digits: str, separator: str) -> str:
    """As it is printed on the card."""
    sizes = {15: (4, 6, 5), 14: (4, 6, 4)}.get(len(digits), (4, 4, 4, 4, 3))
    parts, place = [], 0
    for size in sizes:
        parts.append(digits[place : place + size])
        place += size
    return separator.join(part for part in parts if part)


@given(cards(), st.sampled_from(["", " ", "-"]))
def test_every_number_that_is_issued_is_seen_as_people_write_it(digits: str, separator: str) -> None:
    """Together, in groups with blanks or hyphens, alone or in a sentence."""
    written = grouped(digits, separator) if len(digits) not in (17, 18) else digits
    for text in (
        written,
        f"card {written}.",
        f"{written},12/34",
        f"my card: {written}\nthanks",
        f"({written})",
        f"?n={written}&x",
    ):
        assert holds_card_number(text), text


@given(cards())
def test_a_wrong_check_digit_is_no_number(digits: str) -> None:
    """One of ten passes by chance; the nine others are somebody's order."""
    for other in set("0123456789") - {digits[-1]}:
        assert not holds_card_number(digits[:-1] + other)


@given(cards(), st.sampled_from(["ORD", "x", "_", "cs_test_", "\u00e9"]))
def test_digits_that_touch_a_letter_are_part_of_a_name(digits: str, name: str) -> None:
    """The way out that the refusal offers."""
    assert not holds_card_number(f"{name}{digits}")
    assert not holds_card_number(f"{digits}{name}")
    assert not holds_card_number(f"order-{name}{digits}")


@given(cards(), st.text("0123456789", min_size=1, max_size=4))
def test_a_part_of_a_longer_number_is_none(digits: str, more: str) -> None:
    """Only whole runs of digits are looked at; the longer one is judged as itself."""
    assert holds_card_number(f"1234567890{digits}{more}") is False
    assert holds_card_number(f"{digits}.{more}") is False


@pytest.mark.parametrize("number", sorted(TEST_CARDS))
def test_stripe_s_test_cards_are_seen(number: str) -> None:
    """Every one of the sandbox's."""
    assert holds_card_number(number)


@pytest.mark.parametrize(
    "text",
    [
        "", "T-Shirt", "2026-11-25 22:30:01", "2026-11-25T22:30:01.123456", "20261125223001", "1764109801000",
        "1764109801000000", "4006381333931", "978-3-16-148410-0", "+49 170 1234567", "+4242424242424242",
        "0049 170 1234567", "402-1234567-1234567", "123e4567-e89b-12d3-a456-426614174000",
        "42424242-4242-4242-4242-424242424242", "cs_test_4242424242424242", "pi_3MtwBwLkdIwHu7ix28a3tqPa",
        "490154203237518", "89148000005339755555", "1234567890123452", "0000000000000000", "4242 4242 4242",
        "4242 4242-4242 4242", "42 42 42 42 42 42 42 42", "4242.4242.4242.4242", "19.4242424242424242",
        "ORD4242424242424242", "192.168.0.1", "1Z9999999999999999", "9400111899223100001",
    ],
)  # fmt: skip
def test_what_shops_write_is_let_through(text: str) -> None:
    """Times, article numbers, telephone numbers, ids, IMEI and SIM numbers, parcels, other groupings."""
    assert not holds_card_number(text)


def test_digits_of_other_scripts_and_widths_are_read_as_what_they_are() -> None:
    """A full-width number is a number."""
    assert holds_card_number("".join(chr(ord(one) + 0xFEE0) for one in CARD))


@given(st.text(max_size=60))
def test_any_text_is_judged(text: str) -> None:
    """And without fourteen digits it holds no number."""
    assert not holds_card_number(text) or len(re.findall(r"\d", text)) >= 14


REQUEST = CheckoutRequest(Cart([Line("Tee", Money(2999, "usd"), 1)]), "https://shop.test/ok", "https://shop.test/no")


def with_line(**changes: object) -> CheckoutRequest:
    return attrs.evolve(REQUEST, cart=Cart([REQUEST.cart.lines[0], attrs.evolve(REQUEST.cart.lines[0], **changes)]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("request_", "paths"),
    [
        (with_line(name=f"Tee, paid with {CARD}"), ["products[1].name"]),
        (with_line(product_id=CARD), ["products[1].productId"]),
        (with_line(image=f"https://shop.test/{CARD}/i.jpg"), ["products[1].image"]),
        (attrs.evolve(REQUEST, success_url=f"https://shop.test/ok?card={CARD}"), ["successUrl"]),
        (attrs.evolve(REQUEST, cancel_url=f"https://shop.test/no#{CARD}"), ["cancelUrl"]),
        (attrs.evolve(REQUEST, customer_email=f"{CARD}@shop.test"), ["customerEmail"]),
        (attrs.evolve(REQUEST, metadata={"note": "4242 4242 4242 4242", "order": "A1"}), ["metadata.note"]),
        (attrs.evolve(REQUEST, metadata={CARD: "note"}), ["metadata"]),
        (attrs.evolve(with_line(name=CARD), metadata={"a": CARD}), ["products[1].name", "metadata.a"]),
    ],
)  # fmt: skip
def test_a_checkout_with_one_is_refused_by_field_and_nothing_repeats_it(
    request_: CheckoutRequest, paths: list[str]
) -> None:
    """Every field at once; neither paths nor words hold a digit of it."""
    with pytest.raises(InvalidRequest, match="looks like a card number") as refused:
        check_request(request_)
    assert [field.path for field in refused.value.fields] == paths
    shown = f"{refused.value}{refused.value.fields}".replace(" ", "")
    assert "4242" not in shown


def test_a_checkout_without_one_is_let_through() -> None:
    """Also with the numbers that shops have."""
    check_request(attrs.evolve(REQUEST, metadata={"order": "ORD4242424242424242", "ean": "4006381333931"}))


def test_a_claim_with_one_is_refused_by_its_line() -> None:
    """Stripe would be asked for it, in an address."""
    good = PriceClaim("prod_1", Money(1, "usd"), 1)
    check_claims([good])
    with pytest.raises(InvalidRequest, match="looks like a card number") as refused:
        check_claims([good, attrs.evolve(good, product_id=CARD)])
    assert [field.path for field in refused.value.fields] == ["products[1].productId"]
