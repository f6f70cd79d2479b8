"""Whether the database keeps what Stripe was told is safe: no promise of the library outlives one that does not.

https://www.postgresql.org/docs/current/runtime-config-wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous
and, for the bug that can corrupt a file in WAL mode before 3.51.3, https://www.sqlite.org/wal.html#walresetbug.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from .clocks import examine_database_clock
from .findings import Check, Finding, listed

REACHABLE: Final = Check("database", "reachable")
_SCHEMA: Final = Check("database", "schema")
_DURABLE: Final = Check("database", "durable")
_JOURNAL: Final = Check("database", "journal")
#: `PRAGMA synchronous`: FULL, and EXTRA, which syncs the directory too.
_SYNCED: Final = (2, 3)


@frozen(kw_only=True)
class PostgresqlFacts:
    """A server. `synchronous_commit` is that of the library's connections, `its_default` what others have."""

    is_replica: bool
    fsync: bool
    full_page_writes: bool
    synchronous_commit: str
    its_default: str
    #: How far this machine's clock is ahead of the server's, in seconds.
    ahead_s: float


@frozen(kw_only=True)
class SqliteFacts:
    """An embedded file. `synchronous` is that of the library's connections; `wal_fixed_in` has the fix for the bug."""

    version: tuple[int, ...]
    wal_fixed_in: tuple[int, ...]
    is_wal: bool
    synchronous: int


@frozen(kw_only=True)
class DatabaseFacts:
    """A database that answers, or a file that is not there yet (`engine` None).

    `revision` is the schema's, None where there is none; `needed` the newest that this code knows.
    """

    engine: PostgresqlFacts | SqliteFacts | None
    revision: str | None
    needed: str
    is_sufficient: bool


def examine_database(facts: DatabaseFacts) -> list[Finding]:
    """All that can be said of a database that could be asked."""
    if facts.engine is None:
        return [
            REACHABLE.failed(
                "The SQLite file of PAYMENTS_DATABASE_URL is not there. The application makes it when it starts.",
                "Run `payments db upgrade`, or start the application; a relative path counts from the directory in "
                "which a program is started.",
            )
        ]
    if isinstance(facts.engine, SqliteFacts):
        return [REACHABLE.ok(f"SQLite {_dotted(facts.engine.version)}."), _schema(facts), *_sqlite(facts.engine)]
    return [REACHABLE.ok("PostgreSQL answers."), _schema(facts), *_postgresql(facts.engine)]


def _schema(facts: DatabaseFacts) -> Finding:
    if facts.is_sufficient:
        newer = "" if facts.revision == facts.needed else f"; newer than {facts.needed}, which this version works on"
        return _SCHEMA.ok(f"Revision {facts.revision}{newer}.")
    found = f"It has revision {facts.revision}" if facts.revision else "There is no payments schema"
    return _SCHEMA.failed(f"{found}, and {facts.needed} is needed.", "Run `payments db upgrade`.")


def _postgresql(engine: PostgresqlFacts) -> list[Finding]:
    return [_server(engine), examine_database_clock(engine.ahead_s)]


def _server(engine: PostgresqlFacts) -> Finding:
    if engine.is_replica:
        return _DURABLE.failed(
            "PAYMENTS_DATABASE_URL names a replica, which takes no writes.", "Name the primary server there."
        )
    off = [
        name for name, is_on in (("fsync", engine.fsync), ("full_page_writes", engine.full_page_writes)) if not is_on
    ]
    off += ["synchronous_commit"] if engine.synchronous_commit == "off" else []
    if off:
        return _DURABLE.failed(
            f"Switched off: {listed(off)}. A power cut loses events that Stripe was told are safe.",
            f"Switch on {listed(off)} at the server"
            + (", or let no pooler change our connections' settings." if "synchronous_commit" in off else "."),
        )
    if engine.its_default == "off":
        return _DURABLE.ok(
            "fsync and full_page_writes are on. synchronous_commit is off by default, and on for the library's own "
            "connections."
        )
    return _DURABLE.ok("fsync, full_page_writes and synchronous_commit are on.")


def _sqlite(engine: SqliteFacts) -> list[Finding]:
    return [_synchronous(engine), _journal(engine), examine_database_clock(None)]


def _synchronous(engine: SqliteFacts) -> Finding:
    if engine.synchronous in _SYNCED:
        return _DURABLE.ok("Every commit is synced to the disk (PRAGMA synchronous) before it returns.")
    return _DURABLE.failed(
        f"SQLite runs with PRAGMA synchronous={engine.synchronous}: a power cut loses events that Stripe was told are "
        "safe.",
        "Use a Python whose SQLite takes PRAGMA synchronous=FULL, or PostgreSQL.",
    )


def _journal(engine: SqliteFacts) -> Finding:
    if not engine.is_wal:
        return _JOURNAL.ok("A rollback journal.")
    if engine.version >= engine.wal_fixed_in:
        return _JOURNAL.ok(f"WAL, which SQLite {_dotted(engine.version)} does right.")
    return _JOURNAL.failed(
        f"The file is in WAL mode, and SQLite {_dotted(engine.version)} can corrupt such a file when two connections "
        f"write it (mended in {_dotted(engine.wal_fixed_in)}).",
        "Stop every program that has the file open, then start the application: it leaves WAL mode by itself. See "
        "that every program that opens the file has the mended SQLite, or use PostgreSQL.",
    )


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
