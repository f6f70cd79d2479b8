"""A PostgreSQL server of the bench's own, and its databases.

Of its own, because its CPU time counts for the candidate that uses it, and because T2b needs one whose disk is slower:
a small library, loaded before it, makes each sync take two milliseconds longer, as a cloud volume does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import psycopg
from attrs import field, frozen
from psycopg import sql

from bench.measured import CannotMeasure
from tools.services import SERVICES, ServiceUnavailable, ensure, stop

SYNC_DELAY_US: Final = 2000
_SOURCE: Final = Path(__file__).with_name("slow_sync.c")


@frozen
class Postgres:
    """A running server: its libpq URL (secret) and the process at the root of its tree."""

    url: str = field(repr=False)
    pid: int

    def of(self, database: str) -> str:
        """The URL of one of its databases."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))

    def create(self, database: str, template: str = "template0") -> str:
        """Make the database anew, as a copy of `template`; its URL."""
        self.drop(database)
        # Copied as files: through the write-ahead log a copy of a gigabyte would be the next round's work.
        statement = "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY"
        self._execute(sql.SQL(statement).format(sql.Identifier(database), sql.Identifier(template)))
        return self.of(database)

    def drop(self, database: str) -> None:
        """Drop the database with every connection to it."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def settle(self) -> None:
        """Write out what earlier rounds left, so that none pays for another."""
        self._execute(sql.SQL("CHECKPOINT"))

    def _execute(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)


def execute(url: str, *statements: str) -> None:
    """Run statements of the bench's own, each in a transaction of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def number(url: str, query: str) -> int:
    """The one number that the query gives."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(query.encode()).fetchone()
        return 0 if found is None else int(found[0])


@contextmanager
def server(home: Path, *, slow_sync: bool = False) -> Generator[Postgres]:
    """The server under `home`, running until the block ends. Raises CannotMeasure where there is none."""
    home.mkdir(parents=True, exist_ok=True)
    library = _slow_sync(home) if slow_sync else None
    before = os.environ.get("LD_PRELOAD")
    try:
        if library is not None:
            # The cluster is made without it.
            with server(home):
                pass
            os.environ["LD_PRELOAD"] = str(library)
        running, _ = ensure(SERVICES["postgres"], home)
    except ServiceUnavailable as missing:
        raise CannotMeasure(str(missing)) from None
    finally:
        if library is not None:
            os.environ.pop("LD_PRELOAD", None)
        if before is not None:
            os.environ["LD_PRELOAD"] = before
    try:
        yield Postgres(running.url, running.pid)
    finally:
        stop(SERVICES["postgres"], home)


def _slow_sync(home: Path) -> Path:
    """The library that slows syncs, compiled here. Raises CannotMeasure without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise CannotMeasure("no C compiler was found for the slow disk; install one (Debian: apt-get install gcc)")
    library = home / "slow_sync.so"
    command = [compiler, "-shared", "-fPIC", "-O2", f"-DDELAY_US={SYNC_DELAY_US}", "-o", str(library), str(_SOURCE)]
    done = subprocess.run([*command, "-ldl"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMeasure(f"the slow disk could not be compiled: {done.stderr.strip()[-300:]}")
    library.chmod(0o755)
    return library
