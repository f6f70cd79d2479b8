"""Addresses, connections and pools: what is refused, what is set on every connection, and how a pool heals."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from payments_core.adapters.sql import Limits, async_store, blocking_store
from payments_core.adapters.sql.sqlite import journal_mode
from payments_core.adapters.sql.urls import database_url
from payments_core.drive import run_blocking
from payments_core.errors import ConfigurationError, StoreUnavailable
from payments_core.ports import Io, Store
from payments_core.testing.contracts.examples import full_payment, payment, received
from tests.store.test_handlers import done
from tests.store.worlds import PostgresWorld, SqliteWorld, SqlWorld

SECRET = "canary-5f1c"


@pytest.mark.parametrize(
    ("given", "io", "expected"),
    [
        ("sqlite:////tmp/a.db", "blocking", "sqlite+pysqlite:////tmp/a.db"),
        ("sqlite:////tmp/a.db", "async", "sqlite+aiosqlite:////tmp/a.db"),
        ("sqlite+aiosqlite:////tmp/a.db", "blocking", "sqlite+pysqlite:////tmp/a.db"),
        ("  postgresql://u:p@h/d\n", "blocking", "postgresql+psycopg://u:p@h/d"),
        ("postgres://u:p@h:5433/d?sslmode=require", "async", "postgresql+psycopg://u:p@h:5433/d?sslmode=require"),
        ("postgresql+psycopg://u:p@h/d", "async", "postgresql+psycopg://u:p@h/d"),
    ],
)
def test_an_address_leads_to_the_worlds_driver(given: str, io: Io, expected: str) -> None:
    """The usual spellings are understood in both worlds."""
    assert database_url(given, io).render_as_string(hide_password=False) == expected


def test_a_relative_file_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that changes its directory later does not begin a second database there."""
    monkeypatch.chdir(tmp_path)
    assert database_url("sqlite:///payments.db", "blocking").database == str(tmp_path / "payments.db")


@pytest.mark.parametrize(
    "given",
    [
        f"mysql://u:{SECRET}@h/d",
        f"postgresql+asyncpg://u:{SECRET}@h/d",
        f"{SECRET}",
        "",
        f"postgresql://u:{SECRET}@h:port/d",
        "sqlite://",
        "sqlite:///:memory:",
        f"sqlite:///file:{SECRET}?mode=memory&cache=shared&uri=true",
    ],
)
@pytest.mark.parametrize("build", [blocking_store, async_store])
def test_another_kind_of_database_is_refused(given: str, build: Any) -> None:
    """One sentence names the variable and what to put there, and does not repeat what it holds."""
    with pytest.raises(ConfigurationError, match="PAYMENTS_DATABASE_URL") as raised:
        build(given)
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without psycopg a PostgreSQL address is refused with the extra to install."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"payments-core\[postgres\]"):
        run_blocking(blocking_store("postgresql://h/d").receive(received("evt_1")))


@pytest.mark.parametrize(
    ("version", "mode"), [((3, 40, 1), "TRUNCATE"), ((3, 51, 2), "TRUNCATE"), ((3, 51, 3), "WAL"), ((4, 0, 0), "WAL")]
)
def test_the_log_is_used_where_it_is_safe(version: tuple[int, ...], mode: str) -> None:
    """Versions with the WAL-reset bug get a rollback journal."""
    assert journal_mode(version) == mode


async def ask(store: Store, *questions: str) -> list[Any]:
    """The first column of each question's first row, on one of the store's own connections."""
    async with store.transaction() as tx:
        found = [await done(tx.handle.connection.execute(text(question))) for question in questions]
        return [result.scalar_one() for result in found]


@pytest.mark.parametrize("io", ["blocking", "async"])
def test_every_sqlite_connection_is_durable(io: Io, tmp_path: Path) -> None:
    """EXTRA (3), a busy timeout, foreign keys, and the journal mode of this version."""
    world = SqliteWorld(io, tmp_path)

    async def told() -> list[Any]:
        pragmas = ("synchronous", "busy_timeout", "foreign_keys", "journal_mode")
        return await ask(await world.open(), *(f"PRAGMA {name}" for name in pragmas))

    assert world.run(told()) == [3, 10_000, 1, journal_mode().lower()]


@pytest.fixture
def role(postgres_world: PostgresWorld) -> Iterator[Callable[[str], None]]:
    """Sets defaults of the role in this database, and takes them back: they outlive the database's name."""
    database = postgres_world.query("SELECT quote_ident(current_database())")[0][0]
    alter = f"ALTER ROLE CURRENT_USER IN DATABASE {database}"
    yield lambda default: postgres_world.query(f"{alter} SET {default}").clear()
    postgres_world.query(f"{alter} RESET ALL")


def test_every_postgresql_connection_is_bounded_and_durable(
    postgres_world: PostgresWorld, role: Callable[[str], None]
) -> None:
    """Waits end, stopped transactions end, and a role that has switched durability off does not get its way."""
    role("synchronous_commit = off")
    role("default_transaction_isolation = 'serializable'")
    names = ("lock_timeout", "idle_in_transaction_session_timeout", "synchronous_commit", "transaction_isolation")

    async def told() -> list[Any]:
        return await ask(await postgres_world.open(), *(f"SHOW {name}" for name in names))

    assert postgres_world.run(told()) == ["10s", "1min", "on", "read committed"]


def test_a_roles_own_limits_are_left_alone(postgres_world: PostgresWorld, role: Callable[[str], None]) -> None:
    """An operator's settings win, except for switching durability off."""
    role("lock_timeout = '3s'")
    role("synchronous_commit = remote_apply")

    async def told() -> list[Any]:
        return await ask(await postgres_world.open(), "SHOW lock_timeout", "SHOW synchronous_commit")

    assert postgres_world.run(told()) == ["3s", "remote_apply"]


def test_a_write_transaction_holds_the_file_from_its_start(tmp_path: Path) -> None:
    """BEGIN IMMEDIATE: a second writer waits at its beginning, not in the middle, where waiting cannot help."""
    world = SqliteWorld("blocking", tmp_path)
    hasty = Limits(lock_s=0.05)

    async def told() -> str:
        store = await world.open()
        other = blocking_store(world.url, clock=world.clock, limits=hasty)
        async with store.transaction():
            try:
                await other.receive(received("evt_1"))
            except StoreUnavailable as error:
                refused = str(error.__cause__)
            else:
                refused = ""
            assert await other.payment("p1") is None, "readers are not kept out"
        assert await other.receive(received("evt_1"))
        await other.close()
        return refused

    assert "database is locked" in world.run(told())


def test_a_pool_is_bounded(sql_world: SqlWorld) -> None:
    """With every connection in use the next call is refused after a while instead of opening one more, and told why."""
    build = blocking_store if sql_world.io == "blocking" else async_store
    limits = Limits(pool_size=1, overflow=0, pool_wait_s=0.05)

    async def told() -> str:
        store = build(sql_world.url, clock=sql_world.clock, limits=limits)
        await store.prepare()
        refused = ""
        try:
            async with store.transaction():
                await store.payment("p1")
        except StoreUnavailable as refusal:
            refused = str(refusal)
        assert await store.payment("p1") is None
        await store.close()
        return refused

    assert "all connections that this process may have are in use" in sql_world.run(told())


def test_a_payment_s_times_are_utc_in_a_connection_of_another_zone(
    postgres_world: PostgresWorld, role: Callable[[str], None]
) -> None:
    """By one id, by several, and under its lock: the same instants, in UTC."""
    role("timezone = 'Asia/Kolkata'")

    async def times() -> list[datetime | None]:
        store = await postgres_world.open()
        await store.add_payment(full_payment("p1"))
        one, several = await store.payment("p1"), (await store.payments(["p1"]))["p1"]
        async with store.transaction() as tx:
            locked = await tx.lock_payment("p1")
        assert one == several == locked == full_payment("p1")
        return [getattr(each, name) for each in (several, locked) for name in ("created_at", "settled_at")]

    assert {moment.tzinfo for moment in postgres_world.run(times()) if moment} == {UTC}


def test_a_delivery_waits_for_none_of_the_pool(postgres_world: PostgresWorld) -> None:
    """With every connection of the pool in use by handlers, a delivery is stored all the same."""
    build = blocking_store if postgres_world.io == "blocking" else async_store
    limits = Limits(pool_size=1, overflow=0, pool_wait_s=0.05)

    async def told() -> bool:
        store = build(postgres_world.url, clock=postgres_world.clock, limits=limits)
        await store.prepare()
        async with store.transaction():
            is_new = await store.receive(received("evt_1"))
        await store.close()
        return is_new

    assert postgres_world.run(told())


def test_a_pool_heals_after_the_server_has_dropped_its_connections(postgres_world: PostgresWorld) -> None:
    """After a restart of the server the next call works: dead connections are found before they are used."""

    async def told() -> None:
        store = await postgres_world.open()
        assert await store.receive(received("evt_1"))
        await asyncio.to_thread(_drop, postgres_world) if postgres_world.io == "async" else _drop(postgres_world)
        assert await store.receive(received("evt_2"))

    postgres_world.run(told())


def test_a_pooled_connection_that_the_server_has_ended_is_not_given_out(postgres_world: PostgresWorld) -> None:
    """What runs over the pool works at once after a restart of the server, too: reads and transactions."""

    async def told() -> None:
        store = await postgres_world.open()
        await store.add_payment(payment("p1"))
        for _ in range(2):
            assert await store.payment("p1") == payment("p1")
            await asyncio.to_thread(_drop, postgres_world) if postgres_world.io == "async" else _drop(postgres_world)
            async with store.transaction() as tx:
                assert await tx.lock_payment("p1") == payment("p1")

    postgres_world.run(told())


def test_a_pooled_connection_that_was_closed_on_this_side_is_not_given_out(postgres_world: PostgresWorld) -> None:
    """A handler that closes the driver's own connection costs nobody after it anything."""

    async def told() -> None:
        store = await postgres_world.open()
        await store.add_payment(payment("p1"))
        drivers: list[Any] = []
        async with store.transaction() as tx:
            connection = tx.handle.connection
            if postgres_world.io == "async":
                drivers.append((await connection.get_raw_connection()).driver_connection)
            else:
                drivers.append(connection.connection.driver_connection)
        drivers[0].pgconn.finish()
        assert await store.payment("p1") == payment("p1")

    postgres_world.run(told())


def test_a_connection_lost_in_the_middle_is_store_unavailable(postgres_world: PostgresWorld) -> None:
    """Nothing of the transaction is there, and the store goes on with another connection."""

    async def told() -> bool:
        store = await postgres_world.open()
        await store.add_payment(payment("p1"))
        try:
            async with store.transaction() as tx:
                await tx.record("p1", "settled", "", "fact-1")
                await asyncio.to_thread(_drop, postgres_world) if postgres_world.io == "async" else _drop(
                    postgres_world
                )
                await tx.enqueue([])
                await tx.record("p1", "expired", "", "fact-2")
        except StoreUnavailable:
            refused = True
        else:
            refused = False
        assert await store.receive(received("evt_1"))
        return refused

    assert postgres_world.run(told())
    assert postgres_world.query("SELECT * FROM payments_transition") == []


def test_a_connection_lost_before_the_commit_is_store_unavailable(postgres_world: PostgresWorld) -> None:
    """An answer is given only for what was committed."""

    async def told() -> bool:
        store = await postgres_world.open()
        await store.add_payment(payment("p1"))
        try:
            async with store.transaction() as tx:
                await tx.record("p1", "settled", "", "fact-1")
                await asyncio.to_thread(_drop, postgres_world) if postgres_world.io == "async" else _drop(
                    postgres_world
                )
        except StoreUnavailable:
            return True
        return False

    assert postgres_world.run(told())
    assert postgres_world.query("SELECT * FROM payments_transition") == []


def _drop(world: PostgresWorld) -> None:
    world.query(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def test_errors_show_no_values(sql_world: SqlWorld) -> None:
    """What a statement carried (an e-mail address, an idempotency key) is in no message of the chain."""

    async def told() -> None:
        store = await sql_world.open()
        await store.add_payment(full_payment("p1"))
        await store.add_payment(full_payment("p1"))

    with pytest.raises(StoreUnavailable) as raised:
        sql_world.run(told())
    chain = f"{raised.value} {raised.value.__cause__}"
    assert "buyer@example.test" not in chain
    assert "key-1" not in chain


def test_an_async_store_without_a_loop_says_so(tmp_path: Path) -> None:
    """Driven without an event loop it is refused before anything is connected."""
    store = async_store(f"sqlite:///{tmp_path / 'payments.db'}")
    with pytest.raises(ConfigurationError, match="no event loop runs"):
        run_blocking(store.receive(received("evt_1")))


@pytest.mark.parametrize("sql_world", ["sqlite-async", "postgres-async"], indirect=True)
def test_an_async_store_serves_one_loop_after_another(sql_world: SqlWorld) -> None:
    """A store made at import time works in every test's own loop: each gets connections of its own."""
    store = sql_world.make()
    with asyncio.Runner() as first, asyncio.Runner() as second:
        assert first.run(_prepared(store, "evt_1"))
        assert second.run(_prepared(store, "evt_2"))
        assert first.run(_prepared(store, "evt_3"))
        second.run(store.close())
        first.run(store.close())


async def _prepared(store: Store, event_id: str) -> bool:
    await store.prepare()
    return await store.receive(received(event_id))


@pytest.mark.parametrize("sql_world", ["sqlite-async", "postgres-async"], indirect=True)
def test_a_cancelled_task_gives_its_connection_back(sql_world: SqlWorld) -> None:
    """A client that hangs up in the middle of a transaction undoes it and blocks nobody."""
    limits = Limits(pool_size=1, overflow=0, pool_wait_s=5)

    async def told() -> None:
        store = async_store(sql_world.url, clock=sql_world.clock, limits=limits)
        await store.prepare()
        await store.add_payment(payment("p1"))
        inside = asyncio.Event()

        async def handle() -> None:
            async with store.transaction() as tx:
                assert await tx.record("p1", "settled", "", "fact-1")
                inside.set()
                await asyncio.Event().wait()

        for _ in range(3):
            inside.clear()
            task = asyncio.create_task(handle())
            await inside.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with store.transaction() as tx:
            assert await tx.record("p1", "settled", "", "fact-1")
        await store.close()

    sql_world.run(told())


FORK = """
    import os, sys
    from payments_core.adapters.sql import blocking_store
    from payments_core.domain.delivery import ReceivedEvent
    from payments_core.drive import run_blocking
    from sqlalchemy import text

    store = blocking_store(sys.argv[1])
    question = "SELECT 0" if "sqlite" in sys.argv[1] else "SELECT pg_backend_pid()"

    async def session():
        async with store.transaction() as tx:
            return tx.handle.connection.execute(text(question)).scalar_one()

    def receive(event_id):
        return run_blocking(store.receive(ReceivedEvent(event_id, "t", b"{}")))

    run_blocking(store.prepare())
    assert receive("before the fork")
    mine = run_blocking(session())
    child = os.fork()
    if child == 0:
        try:
            assert receive("in the child")
            theirs = run_blocking(session())
            assert question == "SELECT 0" or theirs != mine, "the child uses the parent's connection"
            run_blocking(store.close())
        except BaseException as error:
            print(error, flush=True)
            os._exit(1)
        sys.exit(0)  # not os._exit: the interpreter's teardown must not speak on the parent's sockets either
    _, status = os.waitpid(child, 0)
    assert status == 0, "the child failed"
    assert run_blocking(session()) == mine, "the parent has lost its connection"
    assert not receive("in the child")
    assert receive("after the fork")
    run_blocking(store.close())
"""


def test_a_fork_shares_no_connection(sql_world: SqlWorld) -> None:
    """A preloading server: parent and child each work on connections of their own, and neither disturbs the other."""
    script = textwrap.dedent(FORK)
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, sql_world.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_transaction_block_that_cannot_begin_raises_once(tmp_path: Path) -> None:
    """A database that is gone is told at the start of the block, whose body does not run."""
    store = blocking_store(f"sqlite:///{tmp_path / 'nowhere' / 'payments.db'}")
    ran: list[str] = []

    async def told() -> None:
        async with store.transaction():
            ran.append("body")

    with pytest.raises(StoreUnavailable):
        run_blocking(told())
    assert ran == []
    run_blocking(store.close())
