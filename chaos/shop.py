"""A small shop on either facade: its handlers put one row per fact into a table that would show a second one.

The table `chaos_effect` has no unique key on purpose: if a fact is handled twice, it is there twice. The shop lives in
the same database as the library, and writes by `tx.session` and by `tx.connection`.
"""

from __future__ import annotations

import os
from typing import Any, Final

import stripe
from attrs import evolve, frozen
from sqlalchemy import Column, Insert, Integer, MetaData, Table, Text, create_engine
from sqlalchemy.pool import NullPool

from chaos.stories import RAW_TYPE, World, number_in
from chaos.trouble import Trouble
from payments_core import AsyncPayments, PaymentFailed, Payments, PaymentSuccessful, Settings, Transaction
from payments_core.adapters.memory import MemoryGateway
from payments_core.adapters.sql import Limits, async_store, blocking_store
from payments_core.adapters.sql.urls import database_url
from payments_core.adapters.stripe import async_gateway, blocking_gateway, sdk
from payments_core.app.core import Core
from payments_core.domain.delivery import MAX_ATTEMPTS, DeliveryPolicy
from payments_core.domain.events import DomainEvent, StripeEvent
from payments_core.domain.stripe_objects import Intent, Session, read_intent, read_session
from payments_core.ports import Io

SECRET: Final = "whsec_chaos0123456789abcdefghijklmnop"  # noqa: S105 - signs for processes on this machine only
#: The fault that this module plants itself: the handler's row commits whether or not the rest does.
EFFECT_OUTSIDE: Final = "effect-outside"

#: Names the user who is signed in.
USER_HEADER: Final = "X-User"

effects: Final = Table(
    "chaos_effect",
    MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("fact", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("pid", Integer, nullable=False),
)


@frozen
class Spec:
    """What a process of the shop is told. `url` is the database; `run` names the run's objects at Stripe.

    `notes` is a folder in which handlers leave what no transaction can take back; `trouble` names what befalls them.
    `stripe` is the address of a Stripe that opens checkouts; without one everything there is paid already.
    """

    url: str
    run: str
    lease_s: int = 2
    max_attempts: int = MAX_ATTEMPTS
    idle_in_transaction_s: float = 60.0
    facade: str = "blocking"
    trouble: str = ""
    notes: str = ""
    mutant: str | None = None
    stripe: str = ""


def blocking_shop(spec: Spec) -> Payments:
    """The shop on the synchronous facade."""
    trouble = Trouble(spec.trouble, spec.notes)
    settings = _settings(spec)
    gateway = blocking_gateway(settings) if spec.stripe else PaidAtStripe(World(spec.run), trouble, io="blocking")
    store = blocking_store(spec.url, limits=_limits(spec))
    payments = Payments(settings, store=store, gateway=gateway, delivery=_delivery(spec))
    payments.core = _leasing(spec, payments.core)

    @payments.on(PaymentSuccessful)
    def settled(event: PaymentSuccessful, tx: Transaction) -> None:
        trouble.before(number_in(event.payment_id))
        if spec.mutant == EFFECT_OUTSIDE:
            _write_outside(spec, event)
        else:
            tx.session.execute(_row(event))
        trouble.strike(number_in(event.payment_id))

    @payments.on(PaymentFailed)
    def failed(event: PaymentFailed, tx: Transaction) -> None:
        tx.connection.execute(_row(event))

    @payments.on(RAW_TYPE)
    def updated(event: StripeEvent, tx: Transaction) -> None:
        tx.session.execute(_row(event))

    return payments


def async_shop(spec: Spec) -> AsyncPayments:
    """The shop on the asynchronous facade."""
    trouble = Trouble(spec.trouble, spec.notes)
    settings = _settings(spec)
    gateway = async_gateway(settings) if spec.stripe else PaidAtStripe(World(spec.run), trouble, io="async")
    store = async_store(spec.url, limits=_limits(spec))
    payments = AsyncPayments(settings, store=store, gateway=gateway, delivery=_delivery(spec))
    payments.core = _leasing(spec, payments.core)

    @payments.on(PaymentSuccessful)
    async def settled(event: PaymentSuccessful, tx: Transaction) -> None:
        trouble.before(number_in(event.payment_id))
        if spec.mutant == EFFECT_OUTSIDE:
            _write_outside(spec, event)
        else:
            await tx.session.execute(_row(event))
        trouble.strike(number_in(event.payment_id))

    @payments.on(PaymentFailed)
    async def failed(event: PaymentFailed, tx: Transaction) -> None:
        await tx.connection.execute(_row(event))

    @payments.on(RAW_TYPE)
    async def updated(event: StripeEvent, tx: Transaction) -> None:
        await tx.session.execute(_row(event))

    return payments


class PaidAtStripe(MemoryGateway):
    """A Stripe at which every session of the run is paid, and every intent has succeeded."""

    def __init__(self, world: World, trouble: Trouble, *, io: Io) -> None:
        super().__init__(io=io)
        self._world = world
        self._trouble = trouble

    async def session(self, session_id: str) -> Session:
        """See Gateway."""
        self._trouble.asking()
        return read_session(self._world.session(number_in(session_id)))

    async def intent(self, payment_intent_id: str) -> Intent:
        """See Gateway."""
        return read_intent(self._world.intent(number_in(payment_intent_id)))


def _settings(spec: Spec) -> Settings:
    if spec.stripe:
        # A run has many answers that never come: they are given up soon, and asked for again at once.
        module: Any = sdk
        module.READ_S = module.TOTAL_S = 0.5
        stripe.HTTPClient.INITIAL_DELAY = 0.02
    return Settings.of(
        stripe_secret_key="sk_test_chaos0123456789",  # noqa: S106 - nobody's key
        stripe_webhook_secret=SECRET,
        payments_database_url=spec.url,
        payments_redirect_hosts=("shop.example",),
        payments_price_policy="declared" if spec.stripe else "catalog",
        stripe_api_base=spec.stripe or None,
        # A buyer whose server is killed asks again at once, more often than anybody in earnest.
        payments_limit_checkouts_per_user="off",
    )


def _leasing(spec: Spec, core: Core) -> Core:
    return evolve(core, checkout=evolve(core.checkout, lease_s=spec.lease_s))


def _limits(spec: Spec) -> Limits:
    return Limits(idle_in_transaction_s=spec.idle_in_transaction_s)


def _delivery(spec: Spec) -> DeliveryPolicy:
    return DeliveryPolicy(lease_s=spec.lease_s, max_attempts=spec.max_attempts)


def _row(event: DomainEvent | StripeEvent) -> Insert:
    return effects.insert().values(fact=event.event_id, kind=event.type, pid=os.getpid())


def _write_outside(spec: Spec, event: DomainEvent) -> None:
    engine = create_engine(database_url(spec.url, "blocking"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(_row(event))
