"""The databases of the scenarios: an SQLite file, a database on the server that is there, a server of one's own."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.pool import NullPool

from chaos.processes import children_of, state_of, until
from chaos.scenario import CannotRun, Setup
from chaos.shop import effects
from chaos.stories import Plan
from payments_core.adapters.sql import upgrade
from payments_core.adapters.sql.rows import payment_values
from payments_core.adapters.sql.tables import payment as payments
from payments_core.adapters.sql.urls import database_url
from tools.services import Running, ServiceUnavailable, postgres
from tools.services.base import alive, end, free_port

_PORT: Final = "PAYMENTS_SERVICES_POSTGRES_PORT"
_ROWS_AT_ONCE: Final = 2000
#: An SQLite file is held by a handler that hangs; so long a looker-on waits.
_SQLITE_PATIENCE_S: Final = 60


@contextmanager
def database(setup: Setup, kind: str) -> Generator[str]:
    """The URL of an empty database with the payments schema and the shop's table; gone afterwards."""
    if kind == "sqlite":
        yield prepared(f"sqlite:///{setup.folder / 'shop.db'}")
        return
    if setup.postgres_url is None:
        raise CannotRun("there is no PostgreSQL server; set PAYMENTS_TEST_POSTGRES_URL or install PostgreSQL")
    with on_server(setup.postgres_url) as url:
        yield url


@contextmanager
def on_server(server: str) -> Generator[str]:
    """A database of its own on a server, prepared as above."""
    name = f"chaos_{uuid.uuid4().hex}"
    plain = make_url(server).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        yield prepared(make_url(plain).set(database=name).render_as_string(hide_password=False))
    finally:
        with suppress(psycopg.OperationalError), psycopg.connect(plain, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def prepared(url: str) -> str:
    """The URL, once the schema and the shop's table are there."""
    upgrade(url)
    engine = engine_of(url)
    effects.create(engine)
    return url


def engine_of(url: str) -> Engine:
    """Connections for looking at a database, each closed after use."""
    told = database_url(url, "blocking")
    patience = {"timeout": _SQLITE_PATIENCE_S} if told.get_backend_name() == "sqlite" else {}
    return create_engine(told, poolclass=NullPool, connect_args=patience)


def open_checkouts(url: str, plan: Plan) -> None:
    """The rows of the plan's payments, as opening their checkouts leaves them."""
    rows = [payment_values(one) for one in plan.payments]
    with engine_of(url).begin() as connection:
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            connection.execute(payments.insert(), rows[first : first + _ROWS_AT_ONCE])


class OwnServer:
    """A PostgreSQL server that may be killed: always at the same address, always with the same data."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._port = free_port()
        self._running: Running | None = None
        home.mkdir()
        self.url = self.start()

    def start(self) -> str:
        """Start it, and wait until it accepts connections; its URL."""
        before = os.environ.get(_PORT)
        os.environ[_PORT] = str(self._port)
        try:
            self._running = postgres.start(self._home)
        except ServiceUnavailable as error:
            raise CannotRun(str(error)) from None
        finally:
            os.environ.pop(_PORT)
            if before is not None:
                os.environ[_PORT] = before
        return self._running.url

    def kill(self) -> None:
        """Kill -9 to the postmaster and to every backend at once; back when all are dead."""
        if self._running is None or not alive(self._running):
            return
        found = [self._running.pid, *children_of(self._running.pid)]
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        running = self._running
        if not until(lambda: not alive(running) and all(state_of(pid) in ("", "Z") for pid in found), 20):
            raise CannotRun("the PostgreSQL server could not be killed")

    def close(self) -> None:
        """Stop it for good."""
        if self._running is not None:
            end(self._running, signal.SIGQUIT, 10)
