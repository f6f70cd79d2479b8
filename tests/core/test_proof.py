"""Paid against agreed, as a pure decision: whatever differs by itself is found, and nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from payments_core import Cart, CheckoutRequest, Line, Money
from payments_core.domain.checkout import PAYMENT_ID_KEY, enabled_adjustments, session_params
from payments_core.domain.events import Difference
from payments_core.domain.evidence import Evidence
from payments_core.domain.payment import Adjustment, Finding, Payment
from payments_core.domain.proof import differences, misplaced, odd_lines, proved
from payments_core.domain.stripe_objects import Intent, Invoice, LineItem, Session

AMOUNTS = st.integers(0, 10**9)
KINDS = st.frozensets(st.sampled_from(Adjustment))
#: Each is changed alone in a paid session, to anything else.
SESSION_FIELDS = (
    "id",
    "metadata",
    "livemode",
    "currency",
    "amount_subtotal",
    "amount_total",
    "amount_discount",
    "amount_shipping",
    "amount_tax",
    "payment_status",
    "status",
)
INTENT_FIELDS = ("id", "livemode", "currency", "amount_received")


@attrs.frozen
class Paid:
    """A payment made here, and what Stripe has of it."""

    payment: Payment
    session: Session
    intent: Intent | None


@st.composite
def honest(draw: st.DrawFn, *, due: bool | None = None) -> Paid:
    """Agreed lines, any enabled kinds with any amounts, and the total that follows; perhaps with the intent at hand."""
    currency = draw(st.sampled_from(["usd", "jpy", "kwd", "isk", "eur"]))
    lowest = 1 if due else 0
    units = draw(st.lists(st.integers(lowest, 10**7), min_size=1, max_size=4))
    cart = Cart(Line(f"Line {at}", Money(unit, currency), draw(st.integers(1, 9))) for at, unit in enumerate(units))
    enabled = draw(KINDS)
    subtotal = cart.subtotal.minor
    most = subtotal - 1 if due else subtotal
    discount = draw(st.integers(0, most)) if Adjustment.DISCOUNT in enabled else 0
    shipping = draw(AMOUNTS) if Adjustment.SHIPPING in enabled else 0
    tax = draw(AMOUNTS) if Adjustment.TAX in enabled else 0
    total = subtotal - discount + shipping + tax
    livemode = draw(st.booleans())
    payment = Payment(
        payment_id="p1",
        created_at=datetime(2026, 11, 25, tzinfo=UTC),
        livemode=livemode,
        cart=cart,
        currency=currency,
        session_id=draw(st.sampled_from(["cs_1", None])),
        adjustments=enabled if enabled or draw(st.booleans()) else None,
    )
    session = Session(
        "cs_1",
        mode="payment",
        status="complete",
        payment_status="paid" if total else draw(st.sampled_from(["no_payment_required", "paid"])),
        currency=currency,
        amount_subtotal=subtotal,
        amount_total=total,
        amount_discount=discount,
        amount_shipping=shipping or draw(st.sampled_from([0, None])),
        amount_tax=tax,
        payment_intent_id="pi_1" if total else None,
        metadata={PAYMENT_ID_KEY: "p1", "own": "words"},
        livemode=draw(st.sampled_from([livemode, None])),
    )
    at_hand = total > 0 and (due or draw(st.booleans()))
    intent = Intent("pi_1", status="succeeded", currency=currency, amount_received=total, livemode=livemode)
    return Paid(payment, session, intent if at_hand else None)


def meant(paid: Paid) -> Evidence:
    return Evidence(finding=Finding.PAID, session=paid.session, intent=paid.intent)


@given(honest())
def test_what_is_as_agreed_is_proved(paid: Paid) -> None:
    """Whatever was enabled and whatever it came to; proved evidence goes on as it is."""
    assert differences(paid.payment, paid.session, paid.intent) == ()
    assert proved(paid.payment, meant(paid)) == meant(paid)


@given(honest(due=True), st.sampled_from(SESSION_FIELDS), st.data())
def test_one_field_of_the_session_that_is_changed_alone_is_found(paid: Paid, name: str, data: st.DataObject) -> None:
    """S11: to anything else, absent included; only what Stripe need not state may be absent."""
    # A row that never saved its session's id takes the one that bears its mark: here it has saved it.
    payment = evolve(paid.payment, session_id="cs_1")
    stated = evolve(paid.session, livemode=payment.livemode, amount_shipping=paid.session.amount_shipping or 0)
    may_be_absent = name in ("livemode", "amount_discount", "amount_shipping", "amount_tax")
    if not may_be_absent and data.draw(st.booleans(), label="absent"):
        after: Any = {} if name == "metadata" else None
    else:
        after = data.draw(others(getattr(stated, name)), label="after")
    changed = evolve(stated, **{name: after})
    # With its intent at hand, which has the money, a session need not be complete.
    intent = None if name in ("status", "payment_status") else paid.intent
    found = differences(payment, changed, intent)
    assert found
    assert all(one.expected != one.actual for one in found)
    judged = proved(payment, Evidence(finding=Finding.PAID, session=changed, intent=intent))
    assert (judged.finding, judged.discrepancies) == (Finding.MISMATCHED, found)


@given(honest(due=True), st.sampled_from(INTENT_FIELDS), st.data())
def test_one_field_of_the_intent_that_is_changed_alone_is_found(paid: Paid, name: str, data: st.DataObject) -> None:
    """Another intent's, of another mode or currency, or that received another amount, or none that is stated."""
    assert paid.intent is not None
    gone = name not in {"livemode", "id"} and data.draw(st.booleans())
    after = None if gone else data.draw(others(getattr(paid.intent, name)))
    changed = evolve(paid.intent, **{name: after})
    (found,) = differences(paid.payment, paid.session, changed)
    assert found.code == {"id": "payment_intent_id"}.get(name, name)


def others(value: Any) -> st.SearchStrategy[Any]:
    """Anything of its kind that is not `value`."""
    if isinstance(value, bool):
        return st.just(not value)
    if isinstance(value, int):
        return st.integers(-(10**9), 10**10).filter(lambda one: one != value)
    if isinstance(value, str):
        words = ["usd", "jpy", "cs_2", "pi_2", "unpaid", "no_payment_required", "open", "expired", "PAID", ""]
        return st.sampled_from([word for word in words if word != value])
    return st.sampled_from([{}, {PAYMENT_ID_KEY: "p2"}, {"payments_core_ID": "p1"}])


@given(honest(due=True), AMOUNTS, AMOUNTS, AMOUNTS)
def test_the_total_is_subtotal_less_discount_with_shipping_and_tax(paid: Paid, off: int, post: int, tax: int) -> None:
    """Exactly: one minor unit more or less is found, and the expected total is named."""
    payment = evolve(paid.payment, adjustments=frozenset(Adjustment))
    subtotal = paid.session.amount_subtotal or 0
    total = subtotal - off + post + tax
    session = evolve(
        paid.session, amount_discount=off, amount_shipping=post, amount_tax=tax, amount_total=total,
        payment_status="paid", payment_intent_id="pi_1" if total else None,
    )  # fmt: skip
    assert differences(payment, session, None) == ()
    for wrong in (total - 1, total + 1):
        found = differences(payment, evolve(session, amount_total=wrong), None)
        assert Difference("amount_total", total, wrong) in found


@pytest.mark.parametrize("kind", list(Adjustment))
def test_a_kind_that_was_not_enabled_is_found_though_the_sum_is_right(kind: Adjustment) -> None:
    """A coupon that nobody allowed is no honest discount; and a negative one raises the price."""
    sign = -1 if kind is Adjustment.DISCOUNT else 1
    payment, session = plain(adjustments=frozenset(Adjustment) - {kind})
    adjusted = evolve(session, **{f"amount_{kind}": 100, "amount_total": 5998 + sign * 100})
    assert differences(payment, adjusted, None) == (Difference(f"amount_{kind}", 0, 100),)
    enabled = evolve(payment, adjustments=frozenset({kind}))
    assert differences(enabled, adjusted, None) == ()
    turned = evolve(session, **{f"amount_{kind}": -100, "amount_total": 5998 - sign * 100})
    assert differences(enabled, turned, None) == (Difference(f"amount_{kind}", 0, -100),)


def plain(**changes: Any) -> tuple[Payment, Session]:
    """Two shirts at 29.99, and the session that is paid as agreed."""
    cart = Cart([Line("Shirt", Money(2999, "usd"), 2)])
    moment = datetime(2026, 11, 25, tzinfo=UTC)
    known = {"cart": cart, "session_id": "cs_1", "adjustments": frozenset[Adjustment](), **changes}
    payment = Payment(payment_id="p1", created_at=moment, livemode=False, **known)
    session = Session(
        "cs_1", mode="payment", status="complete", payment_status="paid", currency="usd", amount_subtotal=5998,
        amount_total=5998, payment_intent_id="pi_1", metadata={PAYMENT_ID_KEY: "p1"},
    )  # fmt: skip
    return payment, session


@pytest.mark.parametrize(
    ("changed", "codes"),
    [
        ({"payment_intent_id": "pi_1"}, ["payment_intent_id"]),
        ({"payment_status": "unpaid"}, ["payment_status"]),
        ({"status": "open"}, ["status"]),
        ({}, []),
    ],
)
def test_a_total_of_zero_has_an_expectation_of_its_own(changed: dict[str, Any], codes: list[str]) -> None:
    """Nothing was due, the session is complete, and there is no intent."""
    payment, session = plain(cart=Cart([Line("Sample", Money(0, "usd"), 1)]))
    free = {"amount_subtotal": 0, "amount_total": 0, "payment_status": "no_payment_required", "payment_intent_id": None}
    session = evolve(session, **{**free, **changed})
    assert [one.code for one in differences(payment, session, None)] == codes


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"id": "cs_2"}, Difference("session_id", "cs_1", "cs_2")),
        ({"metadata": {}}, Difference("metadata.payments_core_id", "p1", None)),
        ({"livemode": True}, Difference("livemode", "test", "live")),
        ({"currency": "jpy"}, Difference("currency", "usd", "jpy")),
        ({"amount_subtotal": 1}, Difference("amount_subtotal", 5998, 1)),
        ({"amount_total": 1}, Difference("amount_total", 5998, 1)),
        ({"status": "expired"}, Difference("status", "complete", "expired")),
        ({"payment_status": "unpaid"}, Difference("payment_status", "paid", "unpaid")),
    ],
)
def test_a_difference_names_what_was_agreed_and_what_stripe_says(changed: dict[str, Any], found: Difference) -> None:
    """By a code that people and consumers know it by."""
    payment, session = plain()
    assert differences(payment, evolve(session, **changed), None) == (found,)


def test_nothing_due_is_no_answer_where_something_was_agreed() -> None:
    """An order of 59.98 that says `no_payment_required`."""
    payment, session = plain()
    found = differences(payment, evolve(session, payment_status="no_payment_required"), None)
    assert found == (Difference("payment_status", "paid", "no_payment_required"),)


SUCCEEDED = Intent(
    "pi_1", status="succeeded", currency="usd", amount_received=5998, metadata={PAYMENT_ID_KEY: "p1"}, livemode=False
)
#: A session that never became complete.
UNFINISHED: dict[str, Any] = {"status": "open", "payment_status": "unpaid", "payment_intent_id": None}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"metadata": {}}, "metadata.payments_core_id"),
        ({"metadata": {PAYMENT_ID_KEY: "p2"}}, "metadata.payments_core_id"),
        ({"livemode": True}, "livemode"),
        ({"currency": "jpy"}, "currency"),
        ({"amount_received": 50}, "amount_received"),
        ({"amount_received": None}, "amount_received"),
        ({}, None),
    ],
)
@pytest.mark.parametrize("has_session", [True, False])
def test_an_intent_alone_is_proved_by_the_row(changed: dict[str, Any], code: str | None, has_session: bool) -> None:
    """Its session never completed, or was never known here: mark, mode, currency and the amount received decide."""
    payment, session = plain()
    known = evolve(session, **UNFINISHED) if has_session else None
    found = differences(payment, known, evolve(SUCCEEDED, **changed))
    assert [one.code for one in found] == ([] if code is None else [code])


def test_an_intent_alone_does_not_say_what_was_adjusted() -> None:
    """Where tax was enabled the amount due is the session's word: without one nothing is proved, with it it is."""
    payment, session = plain(adjustments=frozenset({Adjustment.TAX}))
    with_tax = evolve(SUCCEEDED, amount_received=6598)
    assert [one.code for one in differences(payment, None, with_tax)] == ["session_id"]
    unfinished = evolve(session, **UNFINISHED, amount_tax=600, amount_total=6598)
    assert differences(payment, unfinished, with_tax) == ()
    assert [one.code for one in differences(payment, unfinished, SUCCEEDED)] == ["amount_received"]


def test_another_object_than_session_or_intent_proves_nothing() -> None:
    """An invoice that bears our mark: we never asked for one."""
    payment, _ = plain()
    judged = proved(payment, Evidence(finding=Finding.PAID, invoice=Invoice("in_1", total=5998, currency="usd")))
    assert (judged.finding, judged.reason) == (Finding.MISMATCHED, "session_id")


def test_of_a_payment_that_was_not_made_here_nothing_is_claimed() -> None:
    """Nothing was agreed with us."""
    payment, session = plain(origin="foreign", cart=None)
    told = Evidence(finding=Finding.PAID, session=evolve(session, amount_total=1))
    assert proved(payment, told) is told


@pytest.mark.parametrize("finding", [one for one in Finding if one is not Finding.PAID])
def test_only_money_is_compared(finding: Finding) -> None:
    """A declined attempt or an expiry claims no amount."""
    payment, session = plain()
    told = Evidence(finding=finding, session=evolve(session, amount_total=1))
    assert proved(payment, told) is told


def test_a_payment_without_its_agreement_is_not_proved() -> None:
    """A row made here always has its cart; one that lost it proves nothing."""
    payment, session = plain(cart=None)
    assert differences(payment, session, None) == (Difference("cart", "agreed", None),)


def test_news_of_another_mode_or_account_is_misplaced() -> None:
    """S08 and S09: a mark that was copied into test mode leads to a live payment, and must not pay it."""
    payment, _ = plain(account="acct_1")
    assert misplaced(payment, livemode=False, account="acct_1") is None
    assert misplaced(payment, livemode=True, account="acct_1") == "the payment is of test mode and the key of live mode"
    live = evolve(payment, livemode=True)
    assert misplaced(live, livemode=False, account="acct_1") == "the payment is of live mode and the key of test mode"
    for account in (None, "acct_2"):
        told = misplaced(payment, livemode=False, account=account)
        assert told == "the payment is of another account than PAYMENTS_ACCOUNT"


def test_what_is_enabled_is_read_from_what_is_sent() -> None:
    """This version enables nothing; whichever parameter enables a kind is seen."""
    payment, _ = plain()
    assert payment.cart is not None
    request = CheckoutRequest(payment.cart, "https://shop.test/ok", "https://shop.test/cart")
    params = session_params(request, payment, app=None)
    assert enabled_adjustments(params) == frozenset()
    for more, kind in (
        ({"allow_promotion_codes": True}, Adjustment.DISCOUNT),
        ({"discounts": [{"coupon": "c"}]}, Adjustment.DISCOUNT),
        ({"shipping_options": [{"shipping_rate": "shr_1"}]}, Adjustment.SHIPPING),
        ({"automatic_tax": {"enabled": True}}, Adjustment.TAX),
        ({"managed_payments": {"enabled": True}}, Adjustment.TAX),
        ({"line_items": [{"price": "price_1", "tax_rates": ["txr_1"]}]}, Adjustment.TAX),
    ):
        assert enabled_adjustments({**params, **more}) == {kind}
    assert enabled_adjustments({**params, "automatic_tax": {"enabled": False}}) == frozenset()


def test_lines_explain_a_mismatch() -> None:
    """Lines of the same price and number match whatever they are called; the others are named on their side."""
    cart = Cart([Line("Shirt", Money(2999, "usd"), 2), Line("Cap", Money(1000, "usd"), 1)])
    charged = [
        LineItem("T-Shirt, blue", 2, 2999, "usd"),
        LineItem("Cap", 1, 10, "usd"),
        LineItem("Fee", 1, None, "usd"),
    ]
    assert odd_lines(cart, charged) == (("1 x 1000 usd Cap",), ("1 x 10 usd Cap", "1 x None usd Fee"))
    assert odd_lines(cart, [LineItem("x", 1, 1000, "usd"), LineItem("y", 2, 2999, "usd")]) == ((), ())
