"""The developer's handlers: what they get, when they run, what is left of one that fails."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import text

from payments_core import AsyncPayments, ConfigurationError, PaymentFailed, Payments, PaymentSuccessful, Settings
from payments_core.adapters.memory import MemoryGateway, MemoryStore
from payments_core.app.invokers import AsyncInvoker
from payments_core.domain.delivery import MAX_ATTEMPTS, InboxState
from payments_core.domain.events import DomainEvent
from payments_core.domain.payment import PaymentState
from payments_core.money import Money
from tests.flows.shop import BUYER, Shop, declined, own_intent, own_session

DONE = "checkout.session.completed"


class Unlucky:
    """Raises on its first calls, as many as it is told."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, _: object) -> None:
        if self.left:
            self.left -= 1
            raise RuntimeError(f"the {'ware' + 'house'} of {BUYER} is closed")


def test_a_handler_gets_the_librarys_own_value(shop: Shop) -> None:
    """Money, products and ids; no Stripe object, and no address in its repr."""
    opened = shop.checkout(user_id="user_7")
    (told, raw) = shop.on(PaymentSuccessful), shop.on(DONE)
    shop.hear(DONE, own_session(shop, opened))
    (event,), (stripe_event,) = told, raw
    assert isinstance(event, PaymentSuccessful)
    assert (event.amount, event.currency, event.amount_minor) == (Money(5998, "usd"), "usd", 5998)
    assert [(one.name, one.quantity, one.price) for one in event.products] == [
        ("Premium T-Shirt", 2, Money(2999, "usd"))
    ]
    assert (event.user_id, event.session_id) == ("user_7", opened.session_id)
    assert "buyer@" not in repr(event) + repr(stripe_event)
    assert stripe_event.object["amount_total"] == 5998
    assert stripe_event.event_id == stripe_event.id


def test_a_handler_that_raises_leaves_no_trace_and_is_retried(shop: Shop) -> None:
    """G2: no state, no transition, no event; the attempt alone remains, and the next one does everything."""
    opened = shop.checkout()
    told = shop.on(PaymentSuccessful, Unlucky(1))
    event_id = shop.hear(DONE, own_session(shop, opened))
    assert shop.payment_of(opened.session_id).state is PaymentState.OPEN
    assert (shop.transitions(), shop.published()) == ([], [])
    row = shop.inbox(event_id)
    assert (row.state, row.attempts) == (InboxState.READY, 1)
    assert shop.run(shop.store.next_due_s()) == pytest.approx(3, abs=0.1)
    shop.clock.advance(3.1)
    shop.work()
    assert shop.inbox(event_id) == type(row)(InboxState.DONE, 2, shop.inbox(event_id).error)
    assert len(shop.published()) == 1
    assert len({event.event_id for event in told}) == 1
    assert len(told) == 2


def test_the_message_of_a_handlers_error_is_kept_nowhere(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """A developer's exception may hold a buyer's data: its type is kept, its words are not."""
    opened = shop.checkout()
    shop.on(PaymentSuccessful, Unlucky(1))
    event_id = shop.hear(DONE, own_session(shop, opened))
    kept = str(shop.inbox(event_id).error) + "".join(str(vars(record)) for record in caplog.records)
    assert "RuntimeError" in kept
    assert "warehouse" not in kept
    assert "buyer@" not in kept


def test_a_handler_that_always_raises_ends_as_a_dead_letter(shop: Shop) -> None:
    """Twelve attempts, each counted, then it waits for somebody."""
    opened = shop.checkout()
    told = shop.on(PaymentSuccessful, Unlucky(99))
    event_id = shop.hear(DONE, own_session(shop, opened))
    for _ in range(15):
        shop.clock.advance(6 * 3600 + 1)
        shop.work()
    row = shop.inbox(event_id)
    assert (row.state, row.attempts, len(told)) == (InboxState.DEAD, 12, 12)
    assert shop.published() == []


def test_all_handlers_of_a_fact_share_its_fate(shop: Shop) -> None:
    """One failing retries all, in the order of their registration."""
    opened = shop.checkout()
    first, second = shop.on(PaymentSuccessful), shop.on("payment.successful", Unlucky(1))
    shop.hear(DONE, own_session(shop, opened))
    shop.clock.advance(4)
    shop.work()
    assert (len(first), len(second)) == (2, 2)
    assert len(shop.published()) == 1


def test_a_raw_handler_that_raises_undoes_the_domain_handlers_with_it(shop: Shop) -> None:
    """Raw and domain handlers of one event are one transaction."""
    opened = shop.checkout()
    told = shop.on(PaymentSuccessful)
    shop.on(DONE, Unlucky(1))
    shop.hear(DONE, own_session(shop, opened))
    assert shop.transitions() == []
    shop.clock.advance(4)
    shop.work()
    assert len(told) == 2
    assert shop.transitions() == [("settled", "")]


def test_raw_handlers_run_once_per_event_id_and_domain_handlers_once_per_fact(shop: Shop) -> None:
    """Two events for one fact, one of them delivered twice."""
    opened = shop.checkout()
    told, raw = shop.on(PaymentSuccessful), shop.on(DONE)
    paid = own_session(shop, opened)
    body, _ = shop.event(DONE, paid)
    shop.deliver(body)
    shop.deliver(body)
    shop.work()
    shop.hear(DONE, paid)
    assert [event.id for event in raw] == ["evt_1", "evt_2"]
    assert len(told) == 1


def test_a_raw_handler_serves_a_type_the_library_does_not_act_on(shop: Shop) -> None:
    """`charge.refunded` and the like: stored, retried and handled once, with amounts as Stripe sent them."""
    raw = shop.on("charge.refunded")
    shop.hear("charge.refunded", {"id": "ch_1", "amount_refunded": 500})
    shop.hear("charge.refunded", {"id": "ch_1", "amount_refunded": 700})
    assert [event.object["amount_refunded"] for event in raw] == [500, 700]


def test_a_failure_after_settlement_reaches_raw_handlers_only(shop: Shop) -> None:
    """Who wants every Stripe event gets it; the domain event is held back."""
    opened = shop.checkout()
    failed, raw = shop.on(PaymentFailed), shop.on("payment_intent.payment_failed")
    shop.hear(DONE, own_session(shop, opened))
    shop.hear("payment_intent.payment_failed", own_intent(shop, opened, declined("ch_late")))
    assert (len(failed), len(raw)) == (0, 1)


@pytest.mark.parametrize("open_shop", ["sqlite-blocking", "sqlite-async"], indirect=True)
def test_what_a_handler_writes_commits_with_the_fact_or_not_at_all(shop: Shop) -> None:
    """The handler's own row, the done-stamp and the outgoing event are one transaction."""
    assert shop.database is not None
    with closing(sqlite3.connect(shop.database)) as connection:
        connection.execute("CREATE TABLE orders (payment TEXT)")
    unlucky = Unlucky(1)
    statement = text("INSERT INTO orders VALUES (:payment)")

    def fulfil(event: PaymentSuccessful, tx: Any) -> None:
        tx.session.execute(statement, {"payment": event.payment_id})
        unlucky(event)

    async def fulfil_async(event: PaymentSuccessful, tx: Any) -> None:
        await tx.session.execute(statement, {"payment": event.payment_id})
        unlucky(event)

    shop.payments.on(PaymentSuccessful)(fulfil if shop.io == "blocking" else fulfil_async)
    opened = shop.checkout()
    shop.hear(DONE, own_session(shop, opened))
    assert shop._query("SELECT * FROM orders") == []
    shop.clock.advance(4)
    shop.work()
    assert shop._query("SELECT * FROM orders") == [(shop.only_payment().payment_id,)]
    assert len(shop.published()) == 1


def blocking_payments() -> Payments:
    return Payments(Settings.of(stripe_secret_key="sk_test_1"), store=MemoryStore(), gateway=MemoryGateway())


def async_payments() -> AsyncPayments:
    settings = Settings.of(stripe_secret_key="sk_test_1")
    return AsyncPayments(settings, store=MemoryStore(io="async"), gateway=MemoryGateway(io="async"))


def plain(event: object) -> None: ...


def plain_tx(event: object, tx: object) -> None: ...


async def coroutine(event: object) -> None: ...


async def coroutine_tx(event: object, tx: object) -> None: ...


class AsyncObject:
    async def __call__(self, event: object) -> None: ...


@pytest.mark.parametrize("handler", [coroutine, coroutine_tx, AsyncObject()], ids=["async", "async tx", "async object"])
def test_payments_refuses_a_coroutine_function(handler: Any) -> None:
    """At registration, in a sentence that names the handler: there is no loop to run it on."""
    with pytest.raises(ConfigurationError, match="async function.*AsyncPayments"):
        blocking_payments().on(PaymentSuccessful)(handler)


def generator(event: object) -> Iterator[None]:
    yield


async def async_generator(event: object, tx: object) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize("build", [blocking_payments, async_payments])
@pytest.mark.parametrize("handler", [generator, async_generator])
def test_a_handler_that_yields_is_refused(build: Any, handler: Any) -> None:
    """Calling it would run nothing of it, and its payment would count as handled."""
    with pytest.raises(ConfigurationError, match=r"generator yields, and would never run: take the yield out\."):
        build().on(PaymentSuccessful)(handler)


@pytest.mark.parametrize("made", [generator, lambda event: async_generator(event, None)])
def test_a_generator_returned_by_a_handler_fails_the_attempt(shop: Shop, made: Any) -> None:
    """A lambda around a generator function passes registration; its event is tried again, not counted as handled."""
    shop.payments.on("charge.refunded")(lambda event: made(event))
    event_id = shop.hear("charge.refunded", {"id": "ch_1"})
    assert (shop.inbox(event_id).state, shop.inbox(event_id).attempts) == (InboxState.READY, 1)


def test_a_generator_returned_by_a_coroutine_function_is_not_dropped() -> None:
    """Awaiting the one runs nothing of the other."""

    async def handler(event: object) -> object:
        return generator(event)

    with pytest.raises(ConfigurationError, match="handler returned a generator, and nothing ran it"):
        asyncio.run(AsyncInvoker().call(handler, "event"))


def test_async_payments_refuses_a_plain_function_that_wants_the_transaction() -> None:
    """The transaction cannot leave the loop; without it a plain function is fine."""
    payments = async_payments()
    with pytest.raises(ConfigurationError, match="plain_tx is a plain function"):
        payments.on(PaymentSuccessful)(plain_tx)
    assert payments.on(PaymentSuccessful)(plain) is plain
    assert payments.on(PaymentSuccessful)(coroutine_tx) is coroutine_tx


@pytest.mark.parametrize("handler", [lambda: None, lambda a, b, c: None, lambda *, event: None])
def test_a_handler_that_cannot_be_called_so_is_refused(handler: Any) -> None:
    """It must take the event, or the event and the transaction."""
    with pytest.raises(ConfigurationError, match="must take the event"):
        blocking_payments().on(PaymentSuccessful)(handler)


@pytest.mark.parametrize("name", ["", "payment.succesful", "payment.refunded", "checkout.expired.late", DomainEvent])
def test_an_event_that_never_happens_is_refused(name: Any) -> None:
    """A misspelt domain event would wait for ever."""
    with pytest.raises(ConfigurationError, match="event"):
        blocking_payments().on(name)


@pytest.mark.parametrize("build", [Payments, AsyncPayments])
def test_the_decorator_without_an_event_is_refused(build: Any) -> None:
    """`@payments.on` without parentheses: a sentence that says how it is written."""
    payments = build(Settings.of(stripe_secret_key="sk_test_123"))

    def fulfil(event: PaymentSuccessful) -> None:
        """Never called."""

    with pytest.raises(ConfigurationError, match=r"write @payments\.on\(PaymentSuccessful\) above fulfil"):
        payments.on(fulfil)


@pytest.mark.parametrize("name", ["payment_intent.succeeded", "checkout.session.completed", "payment.failed"])
def test_domain_names_and_stripe_types_are_both_accepted(name: str) -> None:
    """The decorator gives back the handler unchanged."""
    assert blocking_payments().on(name)(plain) is plain


def test_an_awaitable_returned_by_a_plain_handler_is_not_dropped() -> None:
    """A lambda around a coroutine passes registration; running it is loud."""
    from payments_core.app.invokers import BlockingInvoker
    from payments_core.drive import run_blocking
    from payments_core.errors import FlowSuspendedError

    with pytest.raises(FlowSuspendedError, match="returned an awaitable"):
        run_blocking(BlockingInvoker().call(lambda event: coroutine(event), "event"))


def test_each_facade_refuses_the_other_worlds_adapters() -> None:
    """A blocking store under AsyncPayments would hold up the loop; the other way nothing would ever run."""
    settings = Settings.of(stripe_secret_key="sk_test_1")
    with pytest.raises(ConfigurationError, match="Payments needs a blocking store"):
        Payments(settings, store=MemoryStore(io="async"), gateway=MemoryGateway())
    with pytest.raises(ConfigurationError, match="AsyncPayments needs a async gateway"):
        AsyncPayments(settings, store=MemoryStore(io="async"), gateway=MemoryGateway())


def test_a_handler_that_exits_fails_and_takes_nobody_with_it(shop: Shop) -> None:
    """`sys.exit()` in a handler is a failed attempt: retried with backoff, dead in the end; the worker lives."""
    calls = shop.on("charge.refunded", lambda _: sys.exit(3))
    body, event_id = shop.event("charge.refunded", {"id": "ch_1"})
    shop.deliver(body)
    shop.work()
    assert (shop.inbox(event_id).state, shop.inbox(event_id).attempts, len(calls)) == (InboxState.READY, 1, 1)
    for _ in range(MAX_ATTEMPTS):
        shop.clock.advance(13 * 3600)
        shop.work()
    assert (shop.inbox(event_id).state, len(calls)) == (InboxState.DEAD, MAX_ATTEMPTS)
