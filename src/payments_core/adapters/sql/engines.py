"""Engines: how connections to the payments database are made, healed and bounded.

SQLite's rules are in `sqlite`. PostgreSQL: a connection that the server has ended is not given out, waits for locks are
bounded, and a transaction whose worker was stopped in the middle is ended by the server, so that the payment it had
locked is free again.
"""

from __future__ import annotations

import logging
import select
from collections.abc import Callable
from typing import Any, Final

from attrs import frozen
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from payments_core.adapters.sql import sqlite
from payments_core.adapters.sql.urls import is_sqlite
from payments_core.extras import needing

#: Set on a connection before it begins: this transaction writes.
WRITES: Final = "payments_core_writes"

#: One statement, so that a new connection costs one round trip. What the role or the URL sets itself is left alone.
_POSTGRESQL_SETTINGS: Final = """
SELECT set_config('lock_timeout', '{lock_ms}', false) WHERE current_setting('lock_timeout') = '0'
UNION ALL SELECT set_config('idle_in_transaction_session_timeout', '{idle_ms}', false)
 WHERE current_setting('idle_in_transaction_session_timeout') = '0'
UNION ALL SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""


@frozen(kw_only=True)
class Limits:
    """What a store may take and how long it waits.

    `pool_size` and `overflow` bound its connections per process; a call that finds none free waits `pool_wait_s`.
    `connect_s` bounds the making of a connection, `lock_s` the wait for a row or for SQLite's write lock, and
    `idle_in_transaction_s` how long PostgreSQL keeps a transaction in which nothing happens (a stopped worker).
    """

    pool_size: int = 10
    overflow: int = 5
    pool_wait_s: float = 10.0
    connect_s: int = 5
    lock_s: float = 10.0
    idle_in_transaction_s: float = 60.0

    @property
    def connections(self) -> int:
        """How many a process may hold at once."""
        return self.pool_size + self.overflow


def blocking_engine(url: URL, limits: Limits, *, pooled: bool = True) -> Engine:
    """An engine for the calling thread. Nothing is connected yet."""
    return _made(lambda: create_engine(url, **_arguments(url, limits, pooled=pooled)), url, limits)


def async_engine(url: URL, limits: Limits, *, pooled: bool = True) -> AsyncEngine:
    """An engine for one event loop. Nothing is connected yet."""
    # At DEBUG the driver logs every statement with its values: bodies and addresses. Whoever sets a level is obeyed.
    driver = logging.getLogger("aiosqlite")
    if driver.level == logging.NOTSET:
        driver.setLevel(logging.WARNING)
    made: list[AsyncEngine] = []

    def make() -> Engine:
        made.append(create_async_engine(url, **_arguments(url, limits, pooled=pooled)))
        return made[0].sync_engine

    _made(make, url, limits)
    return made[0]


def _made(make: Callable[[], Engine], url: URL, limits: Limits) -> Engine:
    with needing("postgres", by="PAYMENTS_DATABASE_URL"):
        engine = make()
    if is_sqlite(url):
        event.listen(engine, "connect", sqlite.connected(limits.lock_s))
        event.listen(engine, "begin", _sqlite_begins(limits.lock_s))
    else:
        event.listen(engine, "connect", _postgresql_connected(limits))
        event.listen(engine, "checkout", _refuse_dead)
    return engine


def _arguments(url: URL, limits: Limits, *, pooled: bool) -> dict[str, Any]:
    common: dict[str, Any] = {"hide_parameters": True}
    if pooled:
        common |= {
            "pool_size": limits.pool_size,
            "max_overflow": limits.overflow,
            "pool_timeout": limits.pool_wait_s,
        }
    else:
        common["poolclass"] = NullPool
    if is_sqlite(url):
        return common | {"connect_args": {"timeout": limits.lock_s}}
    # READ COMMITTED whatever the database's default is: what is read after waiting for a lock must be current.
    common["isolation_level"] = "READ COMMITTED"
    given = dict(url.query)
    bounds = {"connect_timeout": limits.connect_s, "tcp_user_timeout": 20_000, "application_name": "payments-core"}
    # A peer that vanished without a word is noticed while the connection idles in the pool.
    bounds |= {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    return common | {"connect_args": {name: value for name, value in bounds.items() if name not in given}}


def begun(connection: Connection, *, writes: bool) -> Connection:
    """The connection with a transaction begun, that will write or not."""
    if connection.dialect.name == "sqlite":
        connection.execution_options(**{WRITES: writes})
    connection.begin()
    return connection


def _sqlite_begins(lock_s: float) -> Callable[[Connection], None]:
    def begins(connection: Connection) -> None:
        if connection.get_execution_options().get(WRITES, False):
            sqlite.begin_immediate(connection, lock_s)
        else:
            connection.exec_driver_sql("BEGIN")

    return begins


def _postgresql_connected(limits: Limits) -> Callable[[DBAPIConnection, object], None]:
    statement = _POSTGRESQL_SETTINGS.format(
        lock_ms=int(limits.lock_s * 1000), idle_ms=int(limits.idle_in_transaction_s * 1000)
    )

    def connected(connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        try:
            cursor.execute(statement)
        finally:
            cursor.close()
        # set_config for the session is undone by a rollback, and the pool rolls back what it is given back.
        connection.commit()

    return connected


def _refuse_dead(_: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Let the pool replace a connection whose server is gone, or that was closed on this side.

    An idle connection has nothing to read. When the server ends it there is: its last words, or the end of the stream.
    A look at the socket costs a hundredth of the question "are you there?" that a ping is.
    """
    driver: Any = record.driver_connection
    if driver.closed or _is_readable(driver.pgconn.socket):
        raise DisconnectionError


def _is_readable(descriptor: int) -> bool:
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
