"""How the statements find their rows: an inbox may have millions that are handled."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Executable, create_engine, func, select, text

from payments_core.adapters.sql import records
from payments_core.adapters.sql.statements import Dialect
from payments_core.adapters.sql.states import is_quarantined
from payments_core.adapters.sql.tables import inbox, payment
from payments_core.adapters.sql.urls import database_url
from payments_core.domain.delivery import InboxState
from payments_core.ports import EventFilter
from payments_core.testing.contracts.examples import MOMENT

EVERY = EventFilter()


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    """A connection to an inbox of two thousand handled rows, with one dead and one ready among them."""
    engine = create_engine(database_url(url, "blocking"))
    rows = [
        {
            "account": "",
            "livemode": 0,
            "event_id": f"evt_{number}",
            "type": "t",
            "body": b"",
            "state": {500: 3, 1500: 0}.get(number, 2),
            "next_at": MOMENT,
            "token": 1,
            "attempts": 1,
            "received_at": MOMENT,
        }
        for number in range(2000)
    ]
    with engine.connect() as connection:
        connection.execute(inbox.insert(), rows)
        connection.execute(text("ANALYZE"))
        yield connection
    engine.dispose()


def plan(connection: Connection, statement: Executable) -> str:
    """The database's own words on how it will run a statement."""
    sql = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))  # type: ignore[attr-defined]
    prefix = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    return "\n".join(str(tuple(row)) for row in connection.exec_driver_sql(f"{prefix} {sql}"))


def is_by_primary_key(connection: Connection, found: str) -> bool:
    """Whether the inbox is walked by its primary key, newest first, without sorting it."""
    if connection.dialect.name == "sqlite":
        return "TEMP B-TREE" not in found
    return "Index Scan Backward using payments_inbox_pkey" in found and "Sort" not in found


@pytest.mark.parametrize("before", [None, 1000])
def test_the_newest_events_come_by_the_primary_key(connection: Connection, before: int | None) -> None:
    """As many rows are read as are shown."""
    found = plan(connection, records.newest(EVERY, state=None, limit=51, before=before))
    assert is_by_primary_key(connection, found), found
    assert "Seq Scan" not in found, found


@pytest.mark.parametrize("wanted", [EVERY, EventFilter(type="t", since=MOMENT)], ids=["all", "narrowed"])
def test_dead_letters_come_by_their_own_index(connection: Connection, wanted: EventFilter) -> None:
    """Listing them does not read what is handled."""
    found = plan(connection, records.newest(wanted, state=InboxState.DEAD, limit=51, before=None))
    assert "payments_inbox_dead" in found, found
    assert "Seq Scan" not in found, found


@pytest.mark.parametrize("state", [InboxState.READY, InboxState.LEASED, InboxState.PARKED])
def test_open_events_come_by_an_index_of_open_events(connection: Connection, state: InboxState) -> None:
    """Whichever of them the planner likes."""
    found = plan(connection, records.newest(EVERY, state=state, limit=51, before=None))
    chosen = ("payments_inbox_due", "payments_inbox_lane", "payments_inbox_one_per_lane")
    assert any(name in found for name in chosen), found
    assert "Seq Scan" not in found, found


@pytest.mark.parametrize("wanted", [EVERY, EventFilter(type="t", since=MOMENT)], ids=["all", "narrowed"])
def test_a_replay_finds_the_dead_by_their_own_index(connection: Connection, wanted: EventFilter) -> None:
    """And changes them by the primary key."""
    dialect = Dialect(connection.dialect.name, lambda: MOMENT)
    found = plan(connection, records.revival(dialect, wanted, after=0, limit=500))
    assert "payments_inbox_dead" in found, found
    assert "Seq Scan" not in found, found


@pytest.mark.parametrize("after", [None, "p77"])
def test_quarantined_payments_come_by_their_own_index(connection: Connection, after: str | None) -> None:
    """And are counted by it, at every readiness check: they are few among all that were ever paid."""
    rows = [
        {"payment_id": f"p{number}", "created_at": MOMENT, "livemode": False, "state": "settled", "origin": "here"}
        for number in range(2000)
    ]
    connection.execute(payment.insert(), rows)
    connection.execute(text("ANALYZE"))
    listed = plan(connection, records.waiting_longest(limit=51, after=after))
    counted = plan(connection, select(func.count()).select_from(payment).where(is_quarantined()))
    for found in (listed, counted):
        assert "payments_payment_quarantined" in found, found
        assert "Seq Scan" not in found, found
        assert "TEMP B-TREE" not in found, found


def test_an_event_is_found_by_its_id_without_reading_the_inbox(connection: Connection) -> None:
    """The unique key begins with the account, so the accounts are walked, one step for each."""
    if connection.dialect.name == "postgresql":
        # Two thousand rows are read as fast in one go; what counts is that the key can serve.
        connection.execute(text("SET enable_seqscan = off"))
    found = plan(connection, records.having_id("evt_77"))
    assert "Seq Scan" not in found, found
    if connection.dialect.name == "sqlite":
        # A newer SQLite (3.53) walks the accounts by itself: ANY(account) in place of account=?.
        assert re.search(r"INDEX \w+ \((account=\?|ANY\(account\)) AND livemode=\? AND event_id=\?\)", found), found
        assert "(account>?)" in found, found
    else:
        assert "payments_inbox_event_key on payments_inbox " in found, found
        assert "Index Only Scan using payments_inbox_event_key" in found, found
