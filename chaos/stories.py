"""What happened at Stripe: payments that were made, and the events that tell of them, all from one seed.

A story is one payment with everything Stripe sends about it: its completion, a second event object for the same fact,
the payment intent's news, declines, an update that concerns no payment. From the stories follows exactly which effects
must be there at the end (`due`), and which may be there once (`possible`): a decline is told only while the payment
is not settled, so whether it is depends on the order of arrival.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from attrs import evolve, field, frozen

from payments_core.domain.cart import Cart, Line
from payments_core.domain.checkout import PAYMENT_ID_KEY
from payments_core.domain.events import fact_id
from payments_core.domain.payment import Payment, Transition
from payments_core.money import Money

#: A Stripe event about nothing that the payment machine knows: its handlers run once per event id.
RAW_TYPE: Final = "customer.updated"
_CREATED_S: Final = 1_790_000_000
_NUMBER: Final = re.compile(r"n(\d+)$")
_API_VERSION: Final = "2026-09-30.clover"


@frozen
class Event:
    """A body to deliver, and the id under which it must be found, or must not where nobody signed it."""

    event_id: str
    type: str
    body: bytes = field(repr=False)
    forged: bool = False


@frozen
class Plan:
    """Everything of one run. `due` are facts of which exactly one effect must be there, `possible` at most one."""

    payments: tuple[Payment, ...]
    events: tuple[Event, ...]
    due: frozenset[str]
    possible: frozenset[str]
    forged: tuple[Event, ...] = ()


@frozen
class World:
    """The names of one run's objects: everything follows from `run` and a payment's number."""

    run: str

    def payment_id(self, number: int) -> str:
        """Our own id of payment `number`."""
        return f"pay_{self.run}n{number}"

    def session(self, number: int) -> dict[str, Any]:
        """The Checkout Session of payment `number`, complete and paid."""
        amount = 1000 + number
        return {
            "id": f"cs_test_{self.run}n{number}",
            "object": "checkout.session",
            "mode": "payment",
            "status": "complete",
            "payment_status": "paid",
            "currency": "usd",
            "amount_subtotal": amount,
            "amount_total": amount,
            "payment_intent": f"pi_{self.run}n{number}",
            "customer_details": {"email": "buyer@shop.example"},
            "metadata": {PAYMENT_ID_KEY: self.payment_id(number)},
        }

    def intent(self, number: int, *, declined_charge: str | None = None) -> dict[str, Any]:
        """The PaymentIntent of payment `number`: succeeded, or declined with that charge."""
        declined = {"type": "card_error", "code": "card_declined", "decline_code": "generic_decline"}
        return {
            "id": f"pi_{self.run}n{number}",
            "object": "payment_intent",
            "status": "succeeded" if declined_charge is None else "requires_payment_method",
            "currency": "usd",
            "amount": 1000 + number,
            "amount_received": 1000 + number if declined_charge is None else 0,
            "latest_charge": declined_charge or f"ch_{self.run}n{number}",
            "last_payment_error": None if declined_charge is None else {**declined, "charge": declined_charge},
            "receipt_email": "buyer@shop.example",
            "metadata": {PAYMENT_ID_KEY: self.payment_id(number)},
        }

    def payment(self, number: int) -> Payment:
        """The payment's row as it stands after the checkout was opened."""
        cart = Cart((Line("Premium T-Shirt", Money(1000 + number, "usd"), 1),))
        session = self.session(number)
        return Payment(
            payment_id=self.payment_id(number),
            created_at=datetime.fromtimestamp(_CREATED_S, UTC),
            livemode=False,
            currency="usd",
            cart=cart,
            session_id=session["id"],
        )


def number_in(object_id: str) -> int:
    """The payment's number in one of `World`'s ids."""
    found = _NUMBER.search(object_id)
    if found is None:
        raise ValueError("this id was not made here")
    return int(found[1])


class _Teller:
    """Tells stories until there are enough events."""

    def __init__(self, seed: int, run: str) -> None:
        self.world = World(run)
        self.random = random.Random(seed)
        self.payments: list[Payment] = []
        self.events: list[Event] = []
        self.due: set[str] = set()
        self.possible: set[str] = set()

    def tell(self) -> None:
        """One more payment."""
        number = len(self.payments)
        self.payments.append(self.world.payment(number))
        kind = self.random.random()
        if kind < 0.1:
            self._only_declined(number)
        else:
            self._paid(number)
        if kind > 0.9:
            event = self.event(RAW_TYPE, {"id": f"cus_{self.world.run}n{number}", "object": "customer"})
            self.due.add(event.event_id)

    def event(self, kind: str, subject: Mapping[str, Any]) -> Event:
        """One more event, with an id that never was before."""
        event = made(f"evt_{self.world.run}e{len(self.events)}", kind, subject)
        self.events.append(event)
        return event

    def _paid(self, number: int) -> None:
        self.due.add(fact_id(self.world.payment_id(number), Transition.SETTLED, ""))
        session = self.world.session(number)
        if self.random.random() < 0.15:
            self.possible.add(self._declined(number, 0))
        self.event("checkout.session.completed", session)
        if self.random.random() < 0.15:
            self.event("checkout.session.completed", session)
        if self.random.random() < 0.3:
            self.event("payment_intent.succeeded", self.world.intent(number))

    def _only_declined(self, number: int) -> None:
        for attempt in range(self.random.randint(1, 2)):
            self.due.add(self._declined(number, attempt))

    def _declined(self, number: int, attempt: int) -> str:
        """A declined attempt, told once or by two event objects; the fact's id."""
        charge = f"ch_{self.world.run}d{attempt}n{number}"
        for _ in range(2 if self.random.random() < 0.3 else 1):
            self.event("payment_intent.payment_failed", self.world.intent(number, declined_charge=charge))
        return fact_id(self.world.payment_id(number), Transition.ATTEMPT_FAILED, charge)


def told(seed: int, run: str, *, events: int, forged: int = 0) -> Plan:
    """A plan of at least `events` events, and `forged` bodies that nobody signed."""
    teller = _Teller(seed, run)
    while len(teller.events) < events:
        teller.tell()
    world = teller.world
    strangers = (
        made(f"evt_{run}forged{n}", "checkout.session.completed", world.session(len(teller.payments) + n))
        for n in range(forged)
    )
    due, possible = frozenset(teller.due), frozenset(teller.possible)
    unsigned = tuple(evolve(event, forged=True) for event in strangers)
    return Plan(tuple(teller.payments), tuple(teller.events), due, possible, unsigned)


def simple(run: str, *, events: int, kind: str = "checkout.session.completed") -> Plan:
    """A plan of as many payments as events, each settled by one event of `kind`, which bears its number."""
    world = World(run)
    about = world.intent if kind.startswith("payment_intent") else world.session
    return Plan(
        payments=tuple(world.payment(n) for n in range(events)),
        events=tuple(made(f"evt_{run}n{n}", kind, about(n)) for n in range(events)),
        due=settled(run, range(events)),
        possible=frozenset(),
    )


def settled(run: str, numbers: Iterable[int]) -> frozenset[str]:
    """The facts that these payments are settled."""
    world = World(run)
    return frozenset(fact_id(world.payment_id(number), Transition.SETTLED, "") for number in numbers)


def made(event_id: str, kind: str, subject: Mapping[str, Any]) -> Event:
    """The event as Stripe writes it."""
    document = {
        "id": event_id,
        "object": "event",
        "api_version": _API_VERSION,
        "created": _CREATED_S,
        "livemode": False,
        "type": kind,
        "data": {"object": subject},
    }
    return Event(event_id, kind, json.dumps(document, separators=(",", ":")).encode())
