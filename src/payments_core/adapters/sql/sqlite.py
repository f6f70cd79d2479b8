"""SQLite's connections: durable, and patient in a way that starves nobody.

`synchronous=EXTRA`, so that a commit is on disk when it returns, whatever the journal mode (FULL leaves out the
directory, in which a deleted journal could come back); the write-ahead log only where the linked library has the fix
for the WAL-reset bug (3.51.3), else a rollback journal that is truncated; a real `BEGIN IMMEDIATE` before anything is
written, since the driver's own transaction control begins too late and too weakly.

SQLite's own busy handler waits longer each time it is refused, up to a tenth of a second: a writer that has waited long
then comes too late again and again, and of eight that write without pause one is refused after ten seconds. Here a
waiting writer asks again after a few random milliseconds, so that each has the same chance at every commit.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.util import await_only

WAL_FIXED_IN: Final = (3, 51, 3)
_LONGEST_PAUSE_S: Final = 0.005


def journal_mode(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str:
    """The journal mode that is safe with this version of SQLite, used by several processes."""
    return "WAL" if version >= WAL_FIXED_IN else "TRUNCATE"


def connected(lock_s: float, *, looks_only: bool = False) -> Callable[[DBAPIConnection, object], None]:
    """What is done with a new connection; `lock_s` bounds every wait for a lock.

    With `looks_only` it can write nothing, and the file's journal stays as it is.
    """

    def connected(connection: DBAPIConnection, _: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        try:
            _be_patient(cursor, lock_s)
            cursor.execute("PRAGMA synchronous = EXTRA")
            cursor.execute("PRAGMA foreign_keys = ON")
            if looks_only:
                cursor.execute("PRAGMA query_only = ON")
            else:
                _set_journal(cursor)
        finally:
            cursor.close()

    return connected


def begin_immediate(connection: Connection, lock_s: float) -> None:
    """Begin a transaction that writes, in either world. Raises SQLAlchemy's OperationalError when `lock_s` is over."""
    pause = _pause_on_loop if connection.dialect.is_async else time.sleep
    cursor = connection.connection.cursor()
    begun = False
    with closing(cursor), suppress(sqlite3.Error):
        begun = begin(cursor, lock_s, pause)
    if not begun:
        # Once more through SQLAlchemy, so that what is wrong comes out as its errors do.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def begin(cursor: Any, lock_s: float, pause: Callable[[float], object] = time.sleep) -> bool:
    """Begin on a driver's cursor; False when somebody else wrote all the time."""
    deadline_s = time.monotonic() + lock_s
    _be_patient(cursor, 0)
    try:
        while not _begun(cursor):
            if time.monotonic() > deadline_s:
                return False
            pause(random.uniform(0, _LONGEST_PAUSE_S))  # noqa: S311 - who comes first is no secret
    finally:
        _be_patient(cursor, lock_s)
    return True


def _pause_on_loop(seconds: float) -> None:
    await_only(asyncio.sleep(seconds))


def _begun(cursor: Any) -> bool:
    try:
        cursor.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _be_patient(cursor: Any, lock_s: float) -> None:
    cursor.execute(f"PRAGMA busy_timeout = {int(lock_s * 1000)}")


def _set_journal(cursor: Any) -> None:
    """A database that is in use can refuse to change its mode; every mode is durable under EXTRA, so it may."""
    wanted = journal_mode()
    cursor.execute("PRAGMA journal_mode")
    if str(cursor.fetchone()[0]).upper() == wanted:
        return
    with suppress(sqlite3.OperationalError):
        cursor.execute(f"PRAGMA journal_mode = {wanted}")
        cursor.fetchall()
