"""The two steps that every handled event takes: stamp it and lock its payment, then record what happened.

On PostgreSQL each is one statement, since what an event costs is mostly the number of them: data-modifying CTEs, in
which everything hangs on the first. Both are one where the payment was read before and nobody has written it since,
which is nearly always. On an embedded SQLite file a statement costs no journey, so they are done one after another.
https://www.postgresql.org/docs/current/queries-with.html#QUERIES-WITH-MODIFYING
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Select, Table, Text, bindparam, exists, func, select, true, union_all, update
from sqlalchemy.dialects import postgresql

from payments_core.adapters.sql import inbox, outbox, payments
from payments_core.adapters.sql.columns import RowVersion
from payments_core.adapters.sql.connector import Link, one
from payments_core.adapters.sql.prepared import Prepared, prepared
from payments_core.adapters.sql.rows import changed_values, read_payment
from payments_core.adapters.sql.statements import Dialect, now_sql
from payments_core.adapters.sql.tables import inbox as inbox_table
from payments_core.adapters.sql.tables import outbox as outgoing
from payments_core.adapters.sql.tables import payment as payment_table
from payments_core.adapters.sql.tables import ref as references
from payments_core.adapters.sql.tables import transition as transitions
from payments_core.domain.delivery import ClaimedEvent
from payments_core.domain.payment import Payment
from payments_core.ports import Advance

_POSTGRESQL: Final = "postgresql"
#: The columns of the payment that change, and how many names and outgoing events are written.
_Shape: TypeAlias = tuple[frozenset[str], int, int]


async def stamp_and_lock(link: Link, dialect: Dialect, claimed: ClaimedEvent, payment_id: str) -> Payment | None:
    """Mark the event handled and lock its payment. None when its lease is gone; LookupError for an unknown payment."""
    if dialect.is_sqlite:
        stamped = await inbox.stamp_done(link, dialect, claimed)
        return await payments.lock(link, payment_id) if stamped else None
    found = await one(link, _stamped_and_locked(), inbox.its(claimed) | {"its_id": payment_id})
    if found is None:
        await payments.require(link, payment_id)
        return None
    return read_payment(found)


async def stamp_and_advance(
    link: Link, dialect: Dialect, claimed: ClaimedEvent, seen: Payment, change: Advance, *, owed: bool
) -> bool:
    """Both steps for a payment that is still as it was seen. False when one of it cannot be: undo the transaction."""
    if dialect.is_sqlite:
        locked = await stamp_and_lock(link, dialect, claimed, seen.payment_id)
        return locked == seen and await advance(link, dialect, seen, change, owed=owed)
    if seen.version is None:
        return False
    shape, parameters = _written(seen, change, owed=owed)
    found = await link.fetch_one(_at_once(*shape), parameters | inbox.its(claimed) | {"its_version": seen.version})
    return found is not None and found[0] == 1


async def advance(link: Link, dialect: Dialect, before: Payment, change: Advance, *, owed: bool) -> bool:
    """Record the transition of a locked payment with all that goes with it. False when it is already recorded."""
    if dialect.is_sqlite:
        return await _advance_by_steps(link, dialect, before, change, owed=owed)
    shape, parameters = _written(before, change, owed=owed)
    found = await one(link, _advanced(*shape), parameters)
    return found is not None and found[0] == 1


def _written(before: Payment, change: Advance, *, owed: bool) -> tuple[_Shape, dict[str, Any]]:
    """What a statement that writes the change must have in it, and its parameters."""
    refs = payments.fresh_refs(before, change.refs)
    new = changed_values(before, change.payment)
    told = [outbox.columns(row, owed=owed) for row in change.outgoing]
    parameters = {"its_id": before.payment_id} | _prefixed("fact", _fact(change)) | _prefixed("new", new)
    for kind, rows in (("ref", refs), ("told", told)):
        for number, row in enumerate(rows):
            parameters |= _prefixed(f"{kind}{number}", row)
    return (frozenset(new), len(refs), len(told)), parameters


def _prefixed(prefix: str, values: dict[str, Any]) -> dict[str, Any]:
    # A parameter that is named as a column would be written to that column by each INSERT and UPDATE that has it.
    return {f"{prefix}_{name}": value for name, value in values.items()}


async def _advance_by_steps(link: Link, dialect: Dialect, before: Payment, change: Advance, *, owed: bool) -> bool:
    if not await payments.record(link, dialect, **_fact(change)):
        return False
    await payments.add_refs(link, dialect, before.payment_id, change.refs, locked=before)
    await payments.save(link, before, change.payment)
    await outbox.enqueue(link, dialect, change.outgoing, owed=owed)
    return True


def _fact(change: Advance) -> dict[str, Any]:
    return {
        "payment_id": change.payment.payment_id,
        "transition": change.transition,
        "discriminator": change.discriminator,
        "event_id": change.event_id,
        "reason": change.reason,
    }


@cache
def _stamped_and_locked() -> Select[Any]:
    stamped = inbox.stamped(_POSTGRESQL).returning(inbox_table.c.seq).cte("stamped")
    return (
        select(payment_table)
        .where(payment_table.c.payment_id == bindparam("its_id"), exists(select(stamped.c.seq)))
        .with_for_update(key_share=True, of=payment_table)
    )


@cache
def _at_once(names: frozenset[str], refs: int, told: int) -> Prepared:
    stamped = inbox.stamped(_POSTGRESQL).returning(inbox_table.c.seq).cte("stamped")
    is_as_seen = RowVersion() == bindparam("its_version", type_=Text)
    held = (
        select(payment_table.c.payment_id)
        .where(payment_table.c.payment_id == bindparam("its_id"), is_as_seen, exists(select(stamped.c.seq)))
        .with_for_update(key_share=True, of=payment_table)
        .cte("held")
    )
    return prepared(_recorded(exists(select(held.c.payment_id)), names, refs, told))


@cache
def _advanced(names: frozenset[str], refs: int, told: int) -> Select[Any]:
    return _recorded(true(), names, refs, told)


def _recorded(condition: ColumnElement[bool], names: frozenset[str], refs: int, told: int) -> Select[Any]:
    """If the condition holds, the transition and all that hangs on its being new; the number of transitions written."""
    columns = _parameters(transitions, payments.FACT_COLUMNS, "fact") | {"recorded_at": now_sql(_POSTGRESQL)}
    recorded = _inserted(postgresql.insert(transitions), [columns], condition).on_conflict_do_nothing()
    fact = recorded.returning(transitions.c.payment_id).cte("fact")
    is_new = exists(select(fact.c.payment_id))
    statement = select(func.count()).select_from(fact)
    if names:
        new = _parameters(payment_table, sorted(names), "new")
        saved = update(payment_table).where(payment_table.c.payment_id == bindparam("its_id"), is_new).values(new)
        statement = statement.add_cte(saved.cte("saved"))
    if refs:
        rows = [_parameters(references, payments.REF_COLUMNS, f"ref{number}") for number in range(refs)]
        named = _inserted(postgresql.insert(references), rows, is_new).on_conflict_do_nothing()
        statement = statement.add_cte(named.cte("named"))
    if told:
        written = {"created_at": now_sql(_POSTGRESQL)}
        rows = [_parameters(outgoing, outbox.COLUMNS, f"told{number}") | written for number in range(told)]
        statement = statement.add_cte(_inserted(postgresql.insert(outgoing), rows, is_new).cte("sent"))
    return statement


def _parameters(table: Table, columns: Iterable[str], prefix: str) -> dict[str, ColumnElement[Any]]:
    return {name: bindparam(f"{prefix}_{name}", type_=table.c[name].type) for name in columns}


def _inserted(
    insert: postgresql.Insert, rows: Sequence[dict[str, ColumnElement[Any]]], condition: ColumnElement[bool]
) -> postgresql.Insert:
    """The INSERT of these rows, in this order, if the condition holds."""
    selected = [select(*row.values()).where(condition) for row in rows]
    return insert.from_select(list(rows[0]), selected[0] if len(selected) == 1 else union_all(*selected))
