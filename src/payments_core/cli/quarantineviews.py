"""Quarantined payments as they are shown: as text for people, as camelCase JSON for programs; without addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import frozen

from payments_core.cli.eventviews import history_json, history_lines, waits
from payments_core.cli.moments import clock
from payments_core.cli.tables import plain, table
from payments_core.domain.delivery import InboxState
from payments_core.domain.drift import money_of, written
from payments_core.domain.events import isoformat_utc
from payments_core.domain.news import PAYMENT_REJECTED, PAYMENT_RELEASED
from payments_core.domain.payment import Payment, PaymentState
from payments_core.money import InvalidAmount, Money
from payments_core.ports import PaymentHistory
from payments_core.services.quarantine import Answer, OddLines, Outcome

_NONE = "-"
_DECIDED: Final = {PAYMENT_RELEASED: "released", PAYMENT_REJECTED: "rejected"}


def list_lines(payments: Sequence[Payment]) -> list[str]:
    """A table; below a payment stands its session, whole, so that it can be copied."""
    headings = ("SINCE (UTC)", "PAYMENT", "AGREED", "PAID", "DIFFERS IN")
    rows = [
        (
            "" if one.quarantined_at is None else clock(one.quarantined_at),
            one.payment_id,
            written(_agreed(one)),
            written(_paid(one)),
            ", ".join(dict.fromkeys(found.code for found in one.discrepancies)),
        )
        for one in payments
    ]
    heading, *lines = table(headings, rows)
    shown = [heading]
    for one, line in zip(payments, lines, strict=True):
        shown += [line, f"  {plain(one.session_id or one.payment_intent_id or _NONE)}"]
    return shown


def show_lines(
    payment: Payment, history: PaymentHistory | None, lines: OddLines | None, problem: str | None
) -> list[str]:
    """All that is known of a quarantined or released payment."""
    since = "" if payment.quarantined_at is None else clock(payment.quarantined_at)
    facts = [
        ("Payment", payment.payment_id),
        ("State", _state(payment, since)),
        ("Mode", "live" if payment.livemode else "test"),
        ("Account", payment.account or "the key's own"),
        ("Session", payment.session_id or _NONE),
        ("Intent", payment.payment_intent_id or _NONE),
        ("Agreed", written(_agreed(payment))),
        ("Enabled", ", ".join(sorted(payment.adjustments or ())) or "no discount, shipping or tax"),
        ("Paid", written(_paid(payment))),
    ]
    shown = [f"{name:<9}{plain(value)}" for name, value in facts]
    rows = [(one.code, _side(one.expected), _side(one.actual)) for one in payment.discrepancies]
    shown += ["", *table(("DIFFERS IN", "AGREED", "AT STRIPE"), rows), "(amounts in minor units)"]
    shown += ["", *_line_lines(lines, problem)]
    return shown if history is None else [*shown, "", *history_lines(history)]


def payment_json(payment: Payment) -> dict[str, Any]:
    """A payment for a program. Amounts are in minor units, `amount` in major ones as text."""
    return {
        "paymentId": payment.payment_id,
        "state": payment.state.value,
        "quarantinedAt": None if payment.quarantined_at is None else isoformat_utc(payment.quarantined_at),
        "settledAt": None if payment.settled_at is None else isoformat_utc(payment.settled_at),
        "livemode": payment.livemode,
        "account": payment.account,
        "sessionId": payment.session_id,
        "paymentIntentId": payment.payment_intent_id,
        "agreed": _money_json(_agreed(payment)),
        "paid": _money_json(_paid(payment)),
        "adjustments": sorted(payment.adjustments or ()),
        "discrepancies": [
            {"code": one.code, "expected": one.expected, "actual": one.actual} for one in payment.discrepancies
        ],
    }


def show_json(
    payment: Payment, history: PaymentHistory | None, lines: OddLines | None, problem: str | None
) -> dict[str, Any]:
    """All that is known, for a program. `lines` is null where Stripe was not asked; `linesProblem` says why."""
    known = None if lines is None else {"agreedOnly": list(lines.agreed), "chargedOnly": list(lines.charged)}
    return {
        **payment_json(payment),
        "lines": known,
        "linesProblem": problem,
        "history": None if history is None else history_json(history),
    }


@frozen
class Said:
    """What to say of a decision, and whether all is well."""

    words: str
    is_well: bool = True


def answer_words(name: str, answer: Answer) -> Said:
    """What became of the wish to decide about the payment of this id."""
    name = plain(name)
    if answer.outcome is Outcome.RELEASED:
        return Said(f"{name} is released. Whoever runs events settles it now: see `payments quarantine show {name}`.")
    if answer.outcome is Outcome.REJECTED:
        return Said(f"{name} is rejected. Whoever runs events closes it now. Its money is given back at Stripe alone.")
    if answer.payment is None:
        return Said(unknown(name), is_well=False)
    if answer.outcome is Outcome.NOT_QUARANTINED:
        return Said(_not_quarantined(name, answer.payment), is_well=False)
    return _decided_before(name, answer)


def unknown(name: str) -> str:
    """That there is no such payment."""
    return f"{plain(name)} is no payment in this database; `payments quarantine list` names those that wait."


def _not_quarantined(name: str, payment: Payment) -> str:
    if payment.quarantined_at is None:
        return f"{name} is {payment.state.value}, not quarantined: there is nothing to decide."
    if payment.state is PaymentState.REJECTED:
        return f"{name} was rejected, and stays so."
    since = "" if payment.settled_at is None else f" since {clock(payment.settled_at)} UTC"
    return f"{name} was released, and is settled{since}."


def _decided_before(name: str, answer: Answer) -> Said:
    """A second wish changes nothing: neither the reason nor the effect."""
    is_well = answer.outcome is Outcome.REPEATED
    if answer.before is None or not answer.before.events:
        return Said(f"{name} was decided about before.", is_well=is_well)
    event = answer.before.events[0]
    done = _DECIDED[event.type]
    if event.state is InboxState.DONE:
        return Said(f"{name} was {done} before, and that is done by now.", is_well=is_well)
    if event.state is InboxState.DEAD:
        why = plain(event.last_error or "no reason is known")
        again = f"`payments events replay {plain(event.event_id)}`"
        return Said(f"{name} was {done} before, and handling that was given up: {why}. Mend it, then {again}.", False)
    return Said(f"{name} was {done} before; that is {waits(event, answer.before.now)}.", is_well=is_well)


def _state(payment: Payment, since: str) -> str:
    if payment.state is PaymentState.QUARANTINED:
        return f"quarantined since {since} UTC: release it, or refund it at Stripe and reject it"
    if payment.state is PaymentState.REJECTED:
        return f"rejected: quarantined at {since} UTC, and not accepted"
    settled = "" if payment.settled_at is None else f" at {clock(payment.settled_at)} UTC"
    return f"{payment.state.value}: quarantined at {since} UTC, released and settled{settled}"


def _line_lines(lines: OddLines | None, problem: str | None) -> list[str]:
    if lines is None:
        return [f"Lines: {plain(problem or 'there is no session to ask Stripe for')}."]
    if not lines.agreed and not lines.charged:
        return ["Lines: Stripe's session has the agreed lines."]
    return [
        "Lines that differ (quantity x unit in minor units):",
        *(f"  agreed, not charged so: {plain(line)}" for line in lines.agreed),
        *(f"  charged, not agreed so: {plain(line)}" for line in lines.charged),
    ]


def _agreed(payment: Payment) -> Money | None:
    return None if payment.cart is None else payment.cart.subtotal


def _paid(payment: Payment) -> Money | None:
    return money_of(payment.amount_minor, payment.currency)


def _side(value: str | int | None) -> str:
    return _NONE if value is None else str(value)


def _money_json(money: Money | None) -> dict[str, Any] | None:
    if money is None:
        return None
    try:
        amount: str | None = f"{money.decimal:f}"
    except InvalidAmount:
        amount = None
    return {"amountMinor": money.minor, "currency": money.currency, "amount": amount}
