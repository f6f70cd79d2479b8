"""Payments, Stripe's names for them, and what happened to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import ARRAY, Insert, Select, Text, Update, and_, any_, bindparam, func, or_, select, update

from payments_core.adapters.sql.columns import RowVersion, writable
from payments_core.adapters.sql.connector import Connector, Link, Parameters, changed, one, rows
from payments_core.adapters.sql.prepared import Prepared, prepared
from payments_core.adapters.sql.rows import account_key, changed_values, payment_values, read_payment
from payments_core.adapters.sql.statements import Dialect, given, insert_or_ignore, now_sql
from payments_core.adapters.sql.states import is_quarantined
from payments_core.adapters.sql.tables import payment as payments
from payments_core.adapters.sql.tables import ref as references
from payments_core.adapters.sql.tables import transition as transitions
from payments_core.domain.payment import SESSION_LIFE, Payment, Transition
from payments_core.domain.refs import Ref
from payments_core.domain.stripe_objects import Session
from payments_core.errors import StoreUnavailable
from payments_core.ports import DeclinedBy

#: Losing a race for a reference means that another caller has just committed it, so a second look finds it.
_ADOPT_TRIES: Final = 10

REF_COLUMNS: Final = ("account", "livemode", "kind", "stripe_id", "payment_id")
#: What is given for a transition; when it was recorded is the database's to say.
FACT_COLUMNS: Final = ("payment_id", "transition", "discriminator", "event_id", "reason")

_WHOLE: Final = select(payments, RowVersion().label("version"))
_BY_ID: Final = _WHOLE.where(payments.c.payment_id == bindparam("its_id"))
_BY_IDS: Final = _WHOLE.where(payments.c.payment_id.in_(bindparam("their_ids", expanding=True)))
_LOCK: Final = _BY_ID.with_for_update(key_share=True)


async def add(connector: Connector, payment: Payment) -> None:
    """Insert a new payment, durable on return."""
    async with connector.transaction() as link:
        await changed(link, payments.insert(), payment_values(payment))


async def opened(connector: Connector, dialect: Dialect, payment_id: str, session: Session) -> None:
    """Save the session made for a payment and the names that came with it; what is already known stays."""
    async with connector.transaction() as link:
        await save_session(link, dialect, payment_id, session)


async def save_session(link: Link, dialect: Dialect, payment_id: str, session: Session) -> None:
    """`opened`, in an open transaction."""
    names = {"session_id": session.id, "payment_intent_id": session.payment_intent_id, "invoice_id": session.invoice_id}
    statement = (
        update(payments)
        .where(payments.c.payment_id == payment_id)
        .values({name: func.coalesce(payments.c[name], value) for name, value in names.items() if value is not None})
        .returning(payments.c.account, payments.c.livemode)
    )
    owner = await one(link, statement)
    if owner is None:
        raise missing(payment_id)
    await _insert_refs(link, dialect, payment_id, _refs_of(session), owner.account, livemode=owner.livemode)


async def by_ids(connector: Connector, dialect: Dialect, payment_ids: Sequence[str]) -> Mapping[str, Payment]:
    """The payments of those ids."""
    if not payment_ids:
        return {}
    async with connector.transaction(writes=False) as link:
        if dialect.is_sqlite:
            return await of_ids(link, payment_ids)
        found = await link.fetch_all(_by_ids(), {"their_ids": list(payment_ids)})
        return {row.payment_id: read_payment(row) for row in found}


@cache
def _by_ids() -> Prepared:
    return prepared(_WHOLE.where(payments.c.payment_id == any_(bindparam("their_ids", type_=ARRAY(Text)))))


async def of_ids(link: Link, payment_ids: Collection[str]) -> dict[str, Payment]:
    """`by_ids`, in an open transaction."""
    if not payment_ids:
        return {}
    found = await rows(link, _BY_IDS, {"their_ids": list(payment_ids)})
    return {row.payment_id: read_payment(row) for row in found}


async def by_id(connector: Connector, payment_id: str) -> Payment | None:
    """The payment of that id, or None."""
    async with connector.transaction(writes=False) as link:
        return await _read(link, _BY_ID, {"its_id": payment_id})


async def find(connector: Connector, refs: Sequence[Ref], account: str | None, *, livemode: bool) -> Payment | None:
    """The payment that bears the first of the names that is known."""
    if not refs:
        return None
    async with connector.transaction(writes=False) as link:
        known = await owners(link, refs, account, livemode=livemode)
        owner = next((known[ref] for ref in refs if ref in known), None)
        return None if owner is None else await _read(link, _BY_ID, {"its_id": owner})


async def declines(
    connector: Connector, by: DeclinedBy, value: str, *, since: datetime, limit: int
) -> Sequence[datetime]:
    """When attempts were declined since then, newest first."""
    owner = {"payment": payments.c.payment_id, "address": payments.c.caller_digest, "user": payments.c.user_id}[by]
    statement = (
        select(transitions.c.recorded_at)
        .join(payments, payments.c.payment_id == transitions.c.payment_id)
        .where(
            owner == value,
            payments.c.created_at >= since - SESSION_LIFE,
            transitions.c.transition == Transition.ATTEMPT_FAILED.value,
            transitions.c.recorded_at >= since,
        )
        .order_by(transitions.c.recorded_at.desc())
        .limit(limit)
    )
    async with connector.transaction(writes=False) as link:
        return [row.recorded_at for row in await rows(link, statement)]


async def adopt(connector: Connector, dialect: Dialect, payment: Payment, refs: Sequence[Ref]) -> str:
    """The id of the payment that has one of the names; `payment`, inserted with them, when nobody has.

    Names that are still free go to the payment that is found: all of them were said to be of one payment.
    """
    for _ in range(_ADOPT_TRIES):
        owner = await _adopt_once(connector, dialect, payment, refs)
        if owner is not None:
            return owner
    raise StoreUnavailable("A payment's references were taken and given back again and again; try again.")


async def lock(link: Link, payment_id: str) -> Payment:
    """The payment's current row, locked. Raises LookupError for an id that was never stored.

    FOR NO KEY UPDATE keeps every other locker out and lets a transaction pass that only adds a row which refers to the
    payment. SQLite holds the lock on the whole database already.
    """
    found = await _read(link, _LOCK, {"its_id": payment_id})
    if found is None:
        raise missing(payment_id)
    return found


async def save(link: Link, before: Payment | None, payment: Payment) -> None:
    """Write the fields that differ from `before`, or all of them where it is not known."""
    values = payment_values(payment) if before is None else changed_values(before, payment)
    if values and await changed(link, _saved(frozenset(values)), values | {"its_id": payment.payment_id}) != 1:
        raise missing(payment.payment_id)


async def add_refs(
    link: Link, dialect: Dialect, payment_id: str, refs: Sequence[Ref], *, locked: Payment | None
) -> None:
    """Remember names for a payment; those already taken stay as they are."""
    if locked is not None:
        await _insert(link, dialect, fresh_refs(locked, refs))
        return
    owner = await one(link, select(payments.c.account, payments.c.livemode).where(payments.c.payment_id == payment_id))
    if owner is None:
        raise missing(payment_id)
    await _insert_refs(link, dialect, payment_id, refs, owner.account, livemode=owner.livemode)


def fresh_refs(locked: Payment, refs: Sequence[Ref]) -> list[dict[str, Any]]:
    """The rows of the names that may be new to a payment.

    One that stands in the payment's own row has its reference already: the two are only ever written together.
    """
    names = {"session": locked.session_id, "payment_intent": locked.payment_intent_id, "invoice": locked.invoice_id}
    fresh = [ref for ref in refs if names.get(ref.kind) != ref.stripe_id]
    return _ref_rows(locked.payment_id, fresh, locked.account, livemode=locked.livemode)


async def require(link: Link, payment_id: str) -> None:
    """Raise LookupError for an id that was never stored."""
    if await one(link, _BY_ID, {"its_id": payment_id}) is None:
        raise missing(payment_id)


async def record(
    link: Link,
    dialect: Dialect,
    *,
    payment_id: str,
    transition: str,
    discriminator: str,
    event_id: str,
    reason: str | None,
) -> bool:
    """Record a transition once. True when this call did."""
    columns = {
        "payment_id": payment_id,
        "transition": transition,
        "discriminator": discriminator,
        "event_id": event_id,
        "reason": reason,
    }
    return await changed(link, _recorded(dialect.name), columns | dialect.moment()) == 1


async def quarantined(link: Link) -> int:
    """How many payments are quarantined."""
    found = await one(link, select(func.count()).select_from(payments).where(is_quarantined()))
    return 0 if found is None else int(found[0])


def missing(payment_id: str) -> LookupError:
    """A payment that a caller knows and the database does not: deleted by hand, or another database."""
    return LookupError(f"payment {payment_id} is not in this store")


async def _adopt_once(connector: Connector, dialect: Dialect, payment: Payment, refs: Sequence[Ref]) -> str | None:
    try:
        async with connector.transaction() as link:
            owner = await _owner_or_insert(link, dialect, payment, refs)
            inserted = await _insert_refs(link, dialect, owner, refs, payment.account, livemode=payment.livemode)
            if owner == payment.payment_id and inserted < len(set(refs)):
                raise _LostRace
            return owner
    except _LostRace:
        return None


class _LostRace(Exception):
    """Another caller committed one of the references first; undoes this attempt."""


async def _owner_or_insert(link: Link, dialect: Dialect, payment: Payment, refs: Sequence[Ref]) -> str:
    known = await owners(link, refs, payment.account, livemode=payment.livemode)
    owner = next((known[ref] for ref in refs if ref in known), None)
    if owner is None:
        await changed(link, insert_or_ignore(payments, dialect.name).values(payment_values(payment)))
    return owner or payment.payment_id


async def _insert_refs(
    link: Link, dialect: Dialect, payment_id: str, refs: Sequence[Ref], account: str | None, *, livemode: bool
) -> int:
    """How many were free."""
    return await _insert(link, dialect, _ref_rows(payment_id, refs, account, livemode=livemode))


async def _insert(link: Link, dialect: Dialect, rows_of_refs: Sequence[dict[str, Any]]) -> int:
    return sum([await changed(link, _referred(dialect.name), row) for row in rows_of_refs])


def _ref_rows(payment_id: str, refs: Sequence[Ref], account: str | None, *, livemode: bool) -> list[dict[str, Any]]:
    """Rows of REF_COLUMNS, in one order for everybody: opposite orders would wait for each other."""
    return [
        {
            "account": account_key(account),
            "livemode": livemode,
            "kind": ref.kind,
            "stripe_id": ref.stripe_id,
            "payment_id": payment_id,
        }
        for ref in sorted(set(refs), key=lambda ref: (ref.kind, ref.stripe_id))
    ]


async def owners(link: Link, refs: Sequence[Ref], account: str | None, *, livemode: bool) -> dict[Ref, str]:
    """The id of the payment that bears each name; names that nobody bears are left out."""
    if not refs:
        return {}
    by_kind: dict[str, list[str]] = {}
    for ref in refs:
        by_kind.setdefault(ref.kind, []).append(ref.stripe_id)
    of_kind = [and_(references.c.kind == kind, references.c.stripe_id.in_(names)) for kind, names in by_kind.items()]
    statement = select(references.c.kind, references.c.stripe_id, references.c.payment_id).where(
        references.c.account == account_key(account), references.c.livemode == livemode, or_(*of_kind)
    )
    found = {(row.kind, row.stripe_id): str(row.payment_id) for row in await rows(link, statement)}
    named = {ref: (ref.kind, writable(ref.stripe_id)) for ref in refs}
    return {ref: found[name] for ref, name in named.items() if name in found}


@cache
def _saved(names: frozenset[str]) -> Update:
    new = {name: bindparam(name, type_=payments.c[name].type) for name in sorted(names)}
    return update(payments).where(payments.c.payment_id == bindparam("its_id")).values(new)


@cache
def _recorded(name: str) -> Insert:
    return insert_or_ignore(transitions, name).values(given(FACT_COLUMNS, recorded_at=now_sql(name)))


@cache
def _referred(name: str) -> Insert:
    return insert_or_ignore(references, name).values(given(REF_COLUMNS))


async def _read(link: Link, statement: Select[Any], parameters: Parameters = None) -> Payment | None:
    found = await one(link, statement, parameters)
    return None if found is None else read_payment(found)


def _refs_of(session: Session) -> Sequence[Ref]:
    named = [Ref("session", session.id)]
    if session.payment_intent_id is not None:
        named.append(Ref("payment_intent", session.payment_intent_id))
    if session.invoice_id is not None:
        named.append(Ref("invoice", session.invoice_id))
    return named
