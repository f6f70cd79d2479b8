"""A shop under attack: a real server process, and a look into its database from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy
from attrs import frozen

from tests.http.targets import Target

#: The shops are in the middle of a roll: the suite's secret and this one are both current.
ROLLED_SECRET = "whsec_the_secret_that_is_being_rolled"
SERVERS = ("uvicorn", "gunicorn")
STORES = ("sqlite", "postgresql")
EVENT = b'{"id":"evt_wellness","type":"customer.tax_id.updated","data":{"object":{}}}'
TABLES = ("payments_inbox", "payments_payment", "payments_transition", "payments_outbox")


@frozen
class Shop:
    """One server over one database. `log` is all that the server wrote."""

    name: str
    server: Target
    database: str
    log: Path

    def rows(self, statement: str, **values: object) -> list[Any]:
        """What the database has, read over a connection of the test's own."""
        engine = sqlalchemy.create_engine(self.database, poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            return list(connection.execute(sqlalchemy.text(statement), values))

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        return {table: int(self.rows(f"SELECT count(*) FROM {table}")[0][0]) for table in TABLES}

    def is_well(self) -> bool:
        """Whether it goes on serving: liveness, and a webhook that Stripe signed."""
        return self.server.request("GET", "/health").status == 200 and self.server.webhook(EVENT).status == 200
