"""The names under which checkouts are opened once.

Who gets a name is decided by its primary key: the claim inserts first, and only where the row is there does it look at
it, locked. What it then means is `domain.opening.claimed`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

import attrs
from sqlalchemy import Delete, Insert, Row, Select, Update, and_, bindparam, delete, select, update

from payments_core.adapters.sql import payments as payment_rows
from payments_core.adapters.sql.connector import Connector, Link, changed, one
from payments_core.adapters.sql.rows import payment_values
from payments_core.adapters.sql.statements import Dialect, given, insert_or_ignore, later_sql, now_sql
from payments_core.adapters.sql.tables import opening as openings
from payments_core.adapters.sql.tables import payment as payments
from payments_core.domain.opening import Ask, Claim, Opening, claimed
from payments_core.domain.payment import Payment
from payments_core.domain.stripe_objects import Session
from payments_core.errors import StoreUnavailable

#: A name that is there when it is inserted and gone when it is looked at was given back in between.
_TRIES: Final = 10
#: How many names go with each that is new: more than come, so that the table shrinks back after a busy day.
_PURGED_AT_ONCE: Final = 10

_FIELDS: Final = tuple(one.name for one in attrs.fields(Opening))
#: The row while its holder is at work on it.
_HELD: Final = and_(
    openings.c.name == bindparam("its_name"),
    openings.c.holder == bindparam("its_holder"),
    openings.c.session_id.is_(None),
)
_FREED: Final = delete(openings).where(_HELD)
_WRITTEN: Final = update(openings).where(openings.c.name == bindparam("its_name"))


class SqlOpenings:
    """`payments_core.ports.Openings` over SQLAlchemy."""

    def __init__(self, connector: Connector, dialect: Dialect) -> None:
        self._connector = connector
        self._dialect = dialect

    async def claim(self, ask: Ask, *, holder: str, lease_s: float, stale: str | None = None) -> Claim:
        """See Openings."""
        for _ in range(_TRIES):
            async with self._connector.transaction() as link:
                claim = await self._inserted(link, ask, holder, lease_s) or await self._taken(
                    link, ask, holder, lease_s, stale
                )
            if claim is not None:
                return claim
        raise StoreUnavailable("A checkout's name was claimed and given back again and again; try again.")

    async def begin(self, opening: Opening, payment: Payment, params: str) -> bool:
        """See Openings."""
        new = {"payment_id": payment.payment_id, "params": params}
        async with self._connector.transaction() as link:
            begun = await changed(link, _begun(self._dialect.name), _its(opening) | new | self._dialect.moment()) == 1
            if begun:
                await changed(link, payments.insert(), payment_values(payment))
        return begun

    async def rekey(self, opening: Opening, idempotency_key: str) -> bool:
        """See Openings."""
        new_key = (
            update(payments)
            .where(payments.c.payment_id == opening.payment_id)
            .values(idempotency_key=bindparam("new_key", idempotency_key, type_=payments.c.idempotency_key.type))
        )
        async with self._connector.transaction() as link:
            held = await changed(link, _rekeyed(self._dialect.name), _its(opening) | self._dialect.moment()) == 1
            return held and await changed(link, new_key) == 1

    async def finish(self, opening: Opening, session: Session, *, kept_s: int) -> Opening | None:
        """See Openings."""
        name, payment_id = opening.name, str(opening.payment_id)
        new = {
            "session_id": session.id,
            "url": session.url,
            "client_secret": session.client_secret,
            "expires_at": None if session.expires_s is None else datetime.fromtimestamp(session.expires_s, UTC),
        }
        parameters = new | {"its_name": name, "its_payment": payment_id} | self._dialect.later(kept_s)
        async with self._connector.transaction() as link:
            await changed(link, _finished(self._dialect.name), parameters | self._dialect.moment())
            await payment_rows.save_session(link, self._dialect, payment_id, session)
            current = select(openings).where(openings.c.name == name, openings.c.payment_id == payment_id)
            found = await one(link, current)
        return None if found is None else _read(found)

    async def release(self, opening: Opening) -> None:
        """See Openings."""
        async with self._connector.transaction() as link:
            await changed(link, _released(self._dialect.name), _its(opening) | self._dialect.moment())

    async def free(self, opening: Opening) -> None:
        """See Openings."""
        async with self._connector.transaction() as link:
            await changed(link, _FREED, _its(opening))

    async def _inserted(self, link: Link, ask: Ask, holder: str, lease_s: float) -> Claim | None:
        """The claim of a name that nobody had; with it go names whose time is over."""
        new = {"name": ask.name, "fingerprint": ask.fingerprint, "holder": holder}
        times = self._dialect.later(lease_s, "leased") | self._dialect.later(ask.pending_s, "kept")
        row = await one(link, _claimed(self._dialect.name), new | times)
        if row is None:
            return None
        await changed(link, _purge(self._dialect.name), self._dialect.moment())
        now = row.leased_until - timedelta(seconds=lease_s)
        return claimed(None, ask, holder=holder, now=now, lease_s=lease_s)

    async def _taken(self, link: Link, ask: Ask, holder: str, lease_s: float, stale: str | None) -> Claim | None:
        """The claim of a name that is there; None when it has just gone."""
        row = await one(link, _found(self._dialect.name), {"its_name": ask.name} | self._dialect.moment())
        if row is None:
            return None
        claim = claimed(_read(row), ask, holder=holder, now=row.now, lease_s=lease_s, stale=stale)
        if claim.is_mine:
            # A request that begins anew leaves nothing of the one before it.
            written = _WRITTEN.values(attrs.asdict(claim.opening))
            await changed(link, written, {"its_name": ask.name})
        return claim


def _its(opening: Opening) -> dict[str, Any]:
    return {"its_name": opening.name, "its_holder": opening.holder}


def _read(row: Row[Any]) -> Opening:
    values: dict[str, Any] = {name: getattr(row, name) for name in _FIELDS}
    return Opening(**values)


@cache
def _claimed(name: str) -> Insert:
    times = {"leased_until": later_sql(name, "leased"), "kept_until": later_sql(name, "kept")}
    values = given(("name", "fingerprint", "holder"), **times)
    return insert_or_ignore(openings, name).values(values).returning(openings.c.leased_until)


@cache
def _found(name: str) -> Select[Any]:
    found = select(openings, now_sql(name).label("now")).where(openings.c.name == bindparam("its_name"))
    return found if name == "sqlite" else found.with_for_update()


@cache
def _begun(name: str) -> Update:
    held = update(openings).where(_HELD, openings.c.payment_id.is_(None))
    return held.values(given(("payment_id", "params"), keyed_at=now_sql(name)))


@cache
def _rekeyed(name: str) -> Update:
    return update(openings).where(_HELD, openings.c.payment_id.is_not(None)).values(keyed_at=now_sql(name))


@cache
def _finished(name: str) -> Update:
    fresh = update(openings).where(
        openings.c.name == bindparam("its_name"),
        openings.c.payment_id == bindparam("its_payment"),
        openings.c.session_id.is_(None),
    )
    told = {one: bindparam(one, type_=openings.c[one].type) for one in ("session_id", "url", "client_secret")}
    return fresh.values(
        **told,
        expires_at=bindparam("expires_at", type_=openings.c.expires_at.type),
        params=None,
        leased_until=now_sql(name),
        kept_until=later_sql(name),
    )


@cache
def _released(name: str) -> Update:
    return update(openings).where(_HELD).values(leased_until=now_sql(name))


@cache
def _purge(name: str) -> Delete:
    over = (
        select(openings.c.name)
        .where(openings.c.kept_until < now_sql(name))
        .order_by(openings.c.kept_until)
        .limit(_PURGED_AT_ONCE)
    )
    chosen = over if name == "sqlite" else over.with_for_update(skip_locked=True)
    return delete(openings).where(openings.c.name.in_(chosen))
