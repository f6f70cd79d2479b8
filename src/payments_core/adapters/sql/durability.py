"""Whether a PostgreSQL server keeps what it has committed: no promise of the library outlives a server that does not.

`synchronous_commit` belongs to a connection and is switched on there (see `engines`). `fsync` and `full_page_writes`
belong to the server, and are told of at the start; a replica takes no writes at all, and is refused.
https://www.postgresql.org/docs/current/runtime-config-wal.html
"""

from __future__ import annotations

import logging
from typing import Final

from sqlalchemy import text

from payments_core.adapters.sql.connector import Link, one
from payments_core.domain.diagnosis.clocks import ahead_s
from payments_core.domain.diagnosis.database import PostgresqlFacts
from payments_core.errors import ConfigurationError, StoreUnavailable
from payments_core.ports import Clock

_log = logging.getLogger("payments_core.store")

_KEEPING: Final = (
    "SELECT pg_is_in_recovery() AS is_replica, current_setting('fsync') = 'on' AS syncs,"
    " current_setting('full_page_writes') = 'on' AS writes_pages"
)
_SERVER: Final = text(_KEEPING)
#: With what only somebody asks who looks closer: what connections have that set nothing, and the server's time.
_CLOSER: Final = text(
    f"{_KEEPING}, current_setting('synchronous_commit') AS commits,"  # noqa: S608
    " (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit') AS its_default, clock_timestamp() AS now"
)


async def look(link: Link) -> None:
    """Log a warning for each setting by which a power cut would lose what was acknowledged.

    Raises ConfigurationError for a replica.
    """
    found = await one(link, _SERVER)
    if found is None:
        return
    if found.is_replica:
        raise ConfigurationError(
            "PAYMENTS_DATABASE_URL names a replica, which takes no writes; name the primary server."
        )
    for setting, is_on in (("fsync", found.syncs), ("full_page_writes", found.writes_pages)):
        if not is_on:
            _log.warning(
                "The PostgreSQL server runs with %s=off: a power cut loses events that Stripe was told are safe. "
                "Switch it on before real money comes.",
                setting,
            )


async def facts(link: Link, clock: Clock) -> PostgresqlFacts:
    """The same settings and more, for whoever decides about them. `clock` is this machine's."""
    before = clock()
    found = await one(link, _CLOSER)
    if found is None:
        raise StoreUnavailable("The database server did not say how it is set up. Try again.")
    return PostgresqlFacts(
        is_replica=found.is_replica,
        fsync=found.syncs,
        full_page_writes=found.writes_pages,
        synchronous_commit=found.commits,
        its_default=found.its_default,
        ahead_s=ahead_s(before, found.now, clock()),
    )
