"""Faults planted on purpose: each is a mistake that real libraries make, and each must turn a scenario red.

A proof that stays green whatever the code does proves nothing. `plant` changes the running process and nothing else, by
putting a wrong function in the place of the right one.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import MappingProxyType
from typing import Any, Final, Self

import attrs
from attrs import frozen
from sqlalchemy import Update, bindparam, or_, update

from payments_core.adapters.sql import inbox as inbox_module
from payments_core.adapters.sql.store import SqlStore
from payments_core.adapters.sql.tables import inbox
from payments_core.domain.delivery import ClaimedEvent, ReceivedEvent
from payments_core.domain.opening import Claim
from payments_core.domain.payment import Payment
from payments_core.domain.stripe_objects import Session
from payments_core.drive import run_blocking
from payments_core.ports import Advance, StoreTransaction
from payments_core.services.creation import Begun, Creation
from payments_core.services.processing import Outcome, Processing

#: An answer that does not wait for the disk is sooner than the disk by this much, on every machine.
_BEHIND_S: Final = 0.05


@frozen
class Mutant:
    """A planted fault: what is wrong with it, in a sentence, and what plants it."""

    about: str
    plant: Callable[[], None]


def plant(name: str) -> None:
    """Change this process. Raises KeyError for a name that is not in MUTANTS."""
    MUTANTS[name].plant()


def _rewriting(*replacements: tuple[re.Pattern[str], str]) -> Callable[[], None]:
    """Plants a driver for SQLite that says something else than it is told."""

    def rewritten(statement: str) -> str:
        plain = " ".join(statement.split()).upper()
        return next((said for told, said in replacements if told.fullmatch(plain)), statement)

    class Cursor(sqlite3.Cursor):
        def execute(self, statement: str, parameters: Any = (), /) -> Self:
            super().execute(rewritten(statement), parameters)
            return self

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = None) -> Any:
            return super().cursor(factory or Cursor)

        def execute(self, statement: str, parameters: Any = (), /) -> Any:
            return self.cursor().execute(statement, parameters)

    def planted() -> None:
        original = sqlite3.connect

        def connect(*arguments: Any, **named: Any) -> sqlite3.Connection:
            named.setdefault("factory", Connection)
            made: sqlite3.Connection = original(*arguments, **named)
            return made

        # SQLAlchemy and aiosqlite look it up in one and in the other.
        for module in (sqlite3, importlib.import_module("sqlite3.dbapi2")):
            setattr(module, "connect", connect)  # noqa: B010 - no type checker likes a module that is changed

    return planted


def _ack_before_commit() -> None:
    original = SqlStore.receive

    async def receive(self: SqlStore, event: ReceivedEvent) -> bool:
        if self.io == "async":
            _tasks.add(asyncio.ensure_future(_later(original(self, event))))
        else:
            threading.Timer(_BEHIND_S, lambda: run_blocking(original(self, event))).start()
        return True

    SqlStore.receive = receive  # type: ignore[method-assign]


#: A task that nobody holds may be collected before it is done.
_tasks: Final[set[asyncio.Future[Any]]] = set()


async def _later(work: Any) -> None:
    await asyncio.sleep(_BEHIND_S)
    await work


class _StampedApart:
    """A transaction whose done-stamp is committed before the rest begins."""

    def __init__(self, store: SqlStore, rest: AsyncExitStack) -> None:
        self._store = store
        self._rest = rest
        self._tx: StoreTransaction | None = None

    async def stamp_done(self, claimed: ClaimedEvent) -> bool:
        """See StoreTransaction, which wants it otherwise."""
        async with _transaction(self._store) as first:
            stamped = await first.stamp_done(claimed)
        self._tx = await self._rest.enter_async_context(_transaction(self._store))
        return stamped

    async def stamp_and_lock(self, claimed: ClaimedEvent, payment_id: str) -> Payment | None:
        """As above."""
        return await self._begun.lock_payment(payment_id) if await self.stamp_done(claimed) else None

    async def stamp_and_advance(self, claimed: ClaimedEvent, _: Payment, change: Advance) -> bool:
        """As above."""
        if await self.stamp_and_lock(claimed, change.payment.payment_id) is None:
            return False
        return await self._begun.advance(change)

    @property
    def _begun(self) -> StoreTransaction:
        if self._tx is None:
            raise RuntimeError("the stamp comes first")
        return self._tx

    def __getattr__(self, name: str) -> Any:
        return getattr(self._begun, name)


_transaction: Final = SqlStore.transaction


def _done_stamp_apart() -> None:
    @asynccontextmanager
    async def transaction(self: SqlStore) -> AsyncGenerator[Any]:
        async with AsyncExitStack() as rest:
            yield _StampedApart(self, rest)

    setattr(SqlStore, "transaction", transaction)  # noqa: B010 - on purpose it does not keep to its type


def _dedupe_on_existence() -> None:
    original = Processing.process

    async def process(self: Processing, claimed: ClaimedEvent, *known: Any) -> Outcome:
        if claimed.attempt > 1:
            await self.settlement.ignore(claimed)
            return Outcome.DONE
        return await original(self, claimed, *known)

    setattr(Processing, "process", process)  # noqa: B010 - as above


def _no_fencing_token() -> None:
    module: Any = inbox_module
    # The token is still a parameter, and any will do.
    anybody = or_(inbox.c.token == bindparam("its_token"), inbox.c.token >= 0)
    held = update(inbox).where(inbox.c.seq == bindparam("its_seq"), anybody)
    module._HELD = held
    module._ASSIGN = held.values(lane=bindparam("its_lane"))
    module.stamped.cache_clear()
    module._left.cache_clear()


def _attempt_not_counted() -> None:
    module: Any = inbox_module
    original = module._claim

    def claim(name: str, *, abandoned: bool) -> Update:
        changed: Update = original(name, abandoned=abandoned).values(attempts=inbox.c.attempts)
        return changed

    module._claim = claim


def _stripe_key_not_kept() -> None:
    original = Creation.of

    async def of(self: Creation, begun: Begun) -> Session | None:
        payment = begun.payment
        fresh = None if payment is None else attrs.evolve(payment, idempotency_key=self.new_id())
        return await original(self, attrs.evolve(begun, payment=fresh))

    setattr(Creation, "of", of)  # noqa: B010 - as above


def _not_looked_up() -> None:
    async def made(self: Creation, claim: Claim) -> Session | None:
        return None

    setattr(Creation, "_made", made)  # noqa: B010 - as above


_SYNCED: Final = re.compile(r"PRAGMA SYNCHRONOUS ?= ?(FULL|EXTRA)")
_JOURNAL: Final = re.compile(r"PRAGMA JOURNAL_MODE ?= ?TRUNCATE")

MUTANTS: Final[Mapping[str, Mutant]] = MappingProxyType(
    {
        "synchronous-normal": Mutant(
            "SQLite with synchronous=NORMAL: the end of its journal is not synced",
            _rewriting((_SYNCED, "PRAGMA synchronous = NORMAL")),
        ),
        "synchronous-normal-wal": Mutant(
            "SQLite with a write-ahead log and synchronous=NORMAL: a commit is not synced at all",
            _rewriting((_SYNCED, "PRAGMA synchronous = NORMAL"), (_JOURNAL, "PRAGMA journal_mode = WAL")),
        ),
        "synchronous-off": Mutant(
            "SQLite with synchronous=OFF: nothing is synced", _rewriting((_SYNCED, "PRAGMA synchronous = OFF"))
        ),
        "ack-before-commit": Mutant("200 is answered before the row is committed", _ack_before_commit),
        "done-stamp-apart": Mutant("the done-stamp is committed before the effects", _done_stamp_apart),
        "dedupe-on-existence": Mutant("an event counts as handled when its row was there before", _dedupe_on_existence),
        "no-fencing-token": Mutant("a worker writes after its lease was taken over", _no_fencing_token),
        "stripe-key-not-kept": Mutant(
            "every attempt to open a checkout sends Stripe another idempotency key", _stripe_key_not_kept
        ),
        "not-looked-up": Mutant(
            "another idempotency key is used without a look for what the first one made", _not_looked_up
        ),
        "attempt-not-counted": Mutant("claiming an event counts no attempt", _attempt_not_counted),
    }
)
