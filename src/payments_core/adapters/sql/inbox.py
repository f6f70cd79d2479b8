"""The runner's side of the inbox: claim, route, give back, bury.

Correctness rests on two things in the database, not on the order in which anything is read: the fencing token in every
WHERE clause, and the unique index on the lane of leased events. `FOR UPDATE SKIP LOCKED` only keeps claimants from
waiting for each other; two of them can still reach for two events of one lane (one sees the lane free while the other's
lease is not yet committed), and the index lets one of them win. The loser looks again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Executable,
    Integer,
    Select,
    Text,
    Update,
    and_,
    bindparam,
    column,
    func,
    literal_column,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.selectable import NamedFromClause

from payments_core.adapters.sql.columns import Instant
from payments_core.adapters.sql.connector import Connector, Link, changed, one, rows
from payments_core.adapters.sql.faults import is_lost_race, translated
from payments_core.adapters.sql.prepared import Prepared, prepared
from payments_core.adapters.sql.rows import read_claimed
from payments_core.adapters.sql.statements import Dialect, later_sql, now_sql
from payments_core.adapters.sql.states import DEAD, DONE, LEASED, PARKED, READY, is_open
from payments_core.adapters.sql.tables import inbox
from payments_core.domain.delivery import LATE_LEASES, ClaimedEvent
from payments_core.errors import StoreUnavailable

#: An UPDATE of an event, provided that the claim still holds it.
_HELD: Final = update(inbox).where(
    inbox.c.seq == bindparam("its_seq"), inbox.c.state == LEASED, inbox.c.token == bindparam("its_token")
)
_ASSIGN: Final = _HELD.values(lane=bindparam("its_lane"))
_WANTED: Final = (
    func.unnest(
        bindparam("its_seq", type_=ARRAY(BigInteger)),
        bindparam("its_token", type_=ARRAY(BigInteger)),
        bindparam("its_lane", type_=ARRAY(Text)),
    )
    .table_valued(column("seq", BigInteger), column("token", BigInteger), column("lane", Text))
    .render_derived(name="wanted")
)
#: The same for many at once, on PostgreSQL.
_ASSIGN_ALL: Final = (
    update(inbox)
    .where(inbox.c.seq == _WANTED.c.seq, inbox.c.state == LEASED, inbox.c.token == _WANTED.c.token)
    .values(lane=_WANTED.c.lane)
)
_BURY: Final = _HELD.values(state=DEAD, last_error=bindparam("reason"))

#: A lost race is run again at once: the winner's lease is committed by then, and its lane is left out.
_CLAIM_TRIES: Final = 5
_LONGEST_REASON: Final = 2000
#: A prepared statement has no parameters but those that it is given.
_ONE: Final = literal_column("1", type_=Integer)


async def claim(connector: Connector, dialect: Dialect, *, limit: int, lease_s: int) -> Sequence[ClaimedEvent]:
    """Lease up to `limit` due events, at most one of each lane, in the order in which they were received.

    An event whose lease ran out may be what ended its worker: it is claimed alone, so that it cannot use up the
    attempts of those that would be claimed with it.
    """
    for _ in range(_CLAIM_TRIES):
        try:
            async with connector.transaction() as link:
                return await claim_in(link, dialect, limit=limit, lease_s=lease_s)
        except StoreUnavailable as error:
            if not is_lost_race(error):
                raise
    return ()


async def claim_in(link: Link, dialect: Dialect, *, limit: int, lease_s: int) -> Sequence[ClaimedEvent]:
    """The claim itself, in an open transaction.

    Raises StoreUnavailable, on PostgreSQL as a lost race when another claimant takes one of its lanes.
    """
    late = dialect.moment() | dialect.later(lease_s * LATE_LEASES) | {"up_to": min(limit, 1)}
    found = await _leased(link, dialect, late, abandoned=True)
    if not found:
        given = dialect.moment() | dialect.later(lease_s) | {"up_to": limit}
        found = await _leased(link, dialect, given, abandoned=False)
    return sorted(map(read_claimed, found), key=lambda event: event.seq)


async def _leased(link: Link, dialect: Dialect, values: Mapping[str, Any], *, abandoned: bool) -> Sequence[Any]:
    if dialect.is_sqlite:
        return await rows(link, _claim(dialect.name, abandoned=abandoned), values)
    return await link.fetch_all(_prepared_claim(abandoned=abandoned), values)


async def assign_lane(connector: Connector, claimed: ClaimedEvent, payment_id: str) -> bool:
    """Put the event into a lane. False when its lease is gone, or another event of that lane is leased."""
    try:
        async with connector.transaction() as link:
            with translated(IntegrityError):
                found = await link.execute(_ASSIGN, its(claimed) | {"its_lane": payment_id})
            return found.rowcount == 1
    except IntegrityError:
        return False


async def assign_lanes(connector: Connector, dialect: Dialect, assignments: Sequence[tuple[ClaimedEvent, str]]) -> bool:
    """Put events into different lanes in one commit, or none of them where one cannot be."""
    given = [its(claimed) | {"its_lane": payment_id} for claimed, payment_id in assignments]
    try:
        async with connector.transaction() as link:
            with translated(IntegrityError):
                if dialect.is_sqlite:
                    found = await link.execute(_ASSIGN, given)
                else:
                    found = await link.execute(_ASSIGN_ALL, {name: [row[name] for row in given] for name in given[0]})
            if found.rowcount != len(given):
                raise _NotAll
    except (IntegrityError, _NotAll):
        return False
    return True


class _NotAll(Exception):
    """Some lease is gone; undoes the others' lanes."""


async def let_go(
    connector: Connector,
    dialect: Dialect,
    claimed: ClaimedEvent,
    *,
    delay_s: float,
    reason: str,
    counted: bool,
    parked: bool,
) -> bool:
    """Give the event back. False when its lease is gone."""
    statement = _left(dialect.name, counted=counted, parked=parked)
    given = its(claimed) | dialect.later(delay_s) | {"reason": reason[:_LONGEST_REASON]}
    async with connector.transaction() as link:
        return await changed(link, statement, given) == 1


async def bury(connector: Connector, claimed: ClaimedEvent, reason: str) -> bool:
    """Make the event a dead letter. False when its lease is gone."""
    async with connector.transaction() as link:
        return await changed(link, _BURY, its(claimed) | {"reason": reason[:_LONGEST_REASON]}) == 1


async def stamp_done(link: Link, dialect: Dialect, claimed: ClaimedEvent) -> bool:
    """Mark the event handled, within the transaction that handles it. False when its lease is gone."""
    return await changed(link, stamped(dialect.name), its(claimed) | dialect.moment()) == 1


async def next_due_s(connector: Connector, dialect: Dialect) -> float | None:
    """Seconds until an event can be claimed, or None.

    An event whose lane is leased is left out: it waits for that lease, whose own expiry is in the answer.
    """
    async with connector.transaction(writes=False) as link:
        found = await one(link, _next_due(dialect.name), dialect.moment())
    return None if found is None else max(0.0, (found.next_at - found.now).total_seconds())


async def waiting(link: Link, dialect: Dialect) -> tuple[float, int]:
    """The age in seconds of the oldest event that is not handled (0 with none), and the number of dead letters."""
    oldest = await one(
        link,
        select(func.min(inbox.c.received_at, type_=Instant).label("oldest"), now_sql(dialect.name).label("now")).where(
            is_open()
        ),
        dialect.moment(),
    )
    dead = await one(link, select(func.count()).select_from(inbox).where(inbox.c.state == DEAD))
    age_s = 0.0 if oldest is None or oldest.oldest is None else (oldest.now - oldest.oldest).total_seconds()
    return max(0.0, age_s), 0 if dead is None else int(dead[0])


def its(claimed: ClaimedEvent) -> dict[str, Any]:
    """The parameters of a statement about a claimed event: which one, and the fencing token of its claim."""
    return {"its_seq": claimed.seq, "its_token": claimed.token}


@cache
def stamped(name: str) -> Update:
    """The UPDATE that marks a claimed event handled, provided that the claim still holds it."""
    return _HELD.values(state=DONE, done_at=now_sql(name))


@cache
def _next_due(name: str) -> Executable:
    event = inbox.alias("e")
    return (
        select(event.c.next_at, now_sql(name).label("now"))
        .where(is_open(event), not_(_lane_is_leased(event)))
        .order_by(event.c.next_at, event.c.seq)
        .limit(1)
    )


@cache
def _left(name: str, *, counted: bool, parked: bool) -> Update:
    return _HELD.values(
        state=PARKED if parked else READY,
        next_at=later_sql(name),
        attempts=inbox.c.attempts if counted else inbox.c.attempts - 1,
        last_error=bindparam("reason"),
    )


@cache
def _prepared_claim(*, abandoned: bool) -> Prepared:
    return prepared(_claim("postgresql", abandoned=abandoned))


@cache
def _claim(name: str, *, abandoned: bool) -> Update:
    due = _due(now_sql(name), bindparam("up_to", type_=Integer), abandoned=abandoned)
    leased = update(inbox).values(
        state=LEASED,
        token=inbox.c.token + _ONE,
        attempts=inbox.c.attempts + _ONE,
        next_at=later_sql(name),
    )
    if name == "sqlite":
        chosen = leased.where(inbox.c.seq.in_(due))
    else:
        picked = due.with_for_update(of=inbox.alias("e"), skip_locked=True).cte("picked").prefix_with("MATERIALIZED")
        chosen = leased.where(inbox.c.seq == picked.c.seq)
    return chosen.returning(*inbox.c)


def _due(now: ColumnElement[datetime], limit: ColumnElement[int], *, abandoned: bool) -> Select[Any]:
    """The events that may be leased now: those whose lease ran out, or those that nobody holds.

    In each lane an event whose lease ran out comes first, whatever its age: as long as it counts as leased the index
    lets no other one in, so an older event chosen in its place would be refused for ever.
    """
    event, other = inbox.alias("e"), inbox.alias("p")
    before_it = and_(event.c.state != LEASED, other.c.next_at <= now, other.c.seq < event.c.seq)
    rival = (
        select(other.c.seq)
        .where(
            other.c.lane == event.c.lane,
            other.c.seq != event.c.seq,
            is_open(other),
            or_(other.c.state == LEASED, before_it),
        )
        .exists()
    )
    return (
        select(event.c.seq)
        .where(event.c.state == LEASED if abandoned else and_(is_open(event), event.c.state != LEASED))
        .where(event.c.next_at <= now, not_(rival))
        .order_by(event.c.next_at, event.c.seq)
        .limit(limit)
    )


def _lane_is_leased(event: NamedFromClause) -> ColumnElement[bool]:
    other = inbox.alias("p")
    return (
        select(other.c.seq)
        .where(other.c.lane == event.c.lane, other.c.state == LEASED, other.c.seq != event.c.seq)
        .exists()
    )
